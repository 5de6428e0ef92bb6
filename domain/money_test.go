package domain_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"permledger/domain"
)

func TestMoneyIsWrittenWithTheDigitsOfItsCurrency(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount, currency, decimal string
		minor                     int64
	}{
		{"519.00", "USD", "519.00", 51900},
		{"519", "USD", "519.00", 51900},
		{"0.5", "USD", "0.50", 50},
		{"1200", "JPY", "1200", 1200},
		{"1.234", "KWD", "1.234", 1234},
		{"92233720368547758.07", "USD", "92233720368547758.07", 1<<63 - 1},
	} {
		m, err := domain.ParseMoney(c.amount, domain.Currency(c.currency))
		require.NoError(t, err)
		require.Equal(t, c.minor, m.Minor())
		require.Equal(t, c.decimal, m.Decimal())
	}
}

func TestWhatIsNotAnAmountIsRefused(t *testing.T) {
	t.Parallel()
	for _, amount := range []string{"", ".", "1.", ".5", "-1", "+1", "1e3", "1,000", "519.001", " 1", "92233720368547758.08", "٣"} {
		_, err := domain.ParseMoney(amount, "USD")
		require.Error(t, err, amount)
	}
	_, err := domain.ParseMoney("1.00", "XXX")
	require.ErrorContains(t, err, "ISO 4217")
	require.Error(t, json.Unmarshal([]byte(`{"amount":1,"currency":"USD"}`), new(domain.Money)), "a JSON number is no decimal")
}

func TestMoneyIsReadInWhateverFormJSONAllows(t *testing.T) {
	t.Parallel()
	for _, form := range []string{
		`{"amount":"519.00","currency":"USD"}`,
		` { "currency" : "USD", "amount" : "519.00" } `,
		`{"amount":"519.\u0030\u0030","currency":"USD"}`,
	} {
		var m domain.Money
		require.NoError(t, json.Unmarshal([]byte(form), &m), form)
		require.Equal(t, "519.00 USD", m.String())
	}
	for _, form := range []string{`{"amount":"519.00"}`, `{"amount":"5","currency":"usd"}`, `{"amount":"1\",\"currency\":\"USD","currency":"USD"}`, `[]`, `"519.00 USD"`} {
		require.Error(t, json.Unmarshal([]byte(form), new(domain.Money)), form)
	}
}

func TestMoneyReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		currency := rapid.SampledFrom([]domain.Currency{"USD", "TWD", "JPY", "KWD"}).Draw(t, "currency")
		m, err := domain.NewMoney(rapid.Int64Min(-1<<63+1).Draw(t, "minor"), currency)
		require.NoError(t, err)
		data, err := json.Marshal(m)
		require.NoError(t, err)
		var back domain.Money
		require.NoError(t, json.Unmarshal(data, &back))
		require.Equal(t, m, back)
	})
}
