package domain

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Currency is an ISO 4217 code in capitals, such as USD.
type Currency string

// minorDigits holds, per ISO 4217, how many decimal digits each supported currency has: those in
// which Microsoft bills partners.
var minorDigits = map[Currency]int{
	"AED": 2, "ALL": 2, "AMD": 2, "AOA": 2, "ARS": 2, "AUD": 2, "AZN": 2, "BAM": 2, "BBD": 2, "BDT": 2,
	"BGN": 2, "BHD": 3, "BND": 2, "BOB": 2, "BRL": 2, "BSD": 2, "BWP": 2, "CAD": 2, "CHF": 2, "CLP": 0,
	"CNY": 2, "COP": 2, "CRC": 2, "CZK": 2, "DKK": 2, "DOP": 2, "DZD": 2, "EGP": 2, "EUR": 2, "GBP": 2,
	"GEL": 2, "GHS": 2, "GTQ": 2, "HKD": 2, "HNL": 2, "HUF": 2, "IDR": 2, "ILS": 2, "INR": 2, "IQD": 3,
	"ISK": 0, "JMD": 2, "JOD": 3, "JPY": 0, "KES": 2, "KRW": 0, "KWD": 3, "KZT": 2, "LBP": 2, "LKR": 2,
	"MAD": 2, "MDL": 2, "MKD": 2, "MUR": 2, "MXN": 2, "MYR": 2, "NAD": 2, "NGN": 2, "NOK": 2, "NPR": 2,
	"NZD": 2, "OMR": 3, "PEN": 2, "PHP": 2, "PKR": 2, "PLN": 2, "PYG": 0, "QAR": 2, "RON": 2, "RSD": 2,
	"RWF": 0, "SAR": 2, "SEK": 2, "SGD": 2, "THB": 2, "TND": 3, "TRY": 2, "TTD": 2, "TWD": 2, "TZS": 2,
	"UAH": 2, "UGX": 0, "USD": 2, "UYU": 2, "UZS": 2, "VND": 0, "XAF": 0, "XOF": 0, "ZAR": 2, "ZMW": 2,
}

// ParseCurrency accepts a supported ISO 4217 code in capitals.
func ParseCurrency(s string) (Currency, error) {
	if _, known := minorDigits[Currency(s)]; !known {
		return "", fmt.Errorf("%q is not a supported currency: use an ISO 4217 code in capitals, such as USD or TWD", clip(s))
	}
	return Currency(s), nil
}

// Money is an amount in integer minor units (cents for USD, whole yen for JPY) of one currency (L4).
// Amounts of different currencies are never added. The zero value means "no amount known".
type Money struct {
	minor    int64
	currency Currency
}

// NewMoney makes an amount from minor units, which may be negative.
func NewMoney(minor int64, currency Currency) (Money, error) {
	if _, err := ParseCurrency(string(currency)); err != nil {
		return Money{}, err
	}
	return Money{minor: minor, currency: currency}, nil
}

// ParseMoney reads a decimal such as "519.00" in a currency. More digits than the currency has, a
// sign, an exponent or an amount over 2⁶³−1 minor units are refused.
func ParseMoney(amount string, currency Currency) (Money, error) {
	if _, err := ParseCurrency(string(currency)); err != nil {
		return Money{}, err
	}
	digits := minorDigits[currency]
	whole, fraction, pointed := strings.Cut(amount, ".")
	if !allDigits(whole) || pointed && !allDigits(fraction) {
		return Money{}, fmt.Errorf(`%q is not an amount: write plain digits such as "519.00"`, clip(amount))
	}
	if len(fraction) > digits {
		return Money{}, fmt.Errorf("%q has more than the %d decimal digits of %s", clip(amount), digits, currency)
	}
	minor, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", digits-len(fraction)), 10, 64)
	if err != nil {
		return Money{}, fmt.Errorf("%q is too large an amount", clip(amount))
	}
	return Money{minor: minor, currency: currency}, nil
}

func allDigits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}

// Minor is the amount in minor units.
func (m Money) Minor() int64 { return m.minor }

// Currency is the ISO 4217 code of the amount.
func (m Money) Currency() Currency { return m.currency }

// IsZero reports whether no amount is known; an amount of nothing in a currency is not zero.
func (m Money) IsZero() bool { return m == Money{} }

// Decimal writes the amount with exactly the digits of its currency: "519.00", "1200" for JPY.
func (m Money) Decimal() string {
	digits := minorDigits[m.currency]
	magnitude, sign := uint64(m.minor), ""
	if m.minor < 0 {
		magnitude, sign = -magnitude, "-"
	}
	s := strconv.FormatUint(magnitude, 10)
	if digits == 0 {
		return sign + s
	}
	if len(s) <= digits {
		s = strings.Repeat("0", digits-len(s)+1) + s
	}
	return sign + s[:len(s)-digits] + "." + s[len(s)-digits:]
}

// String writes the amount for people: "519.00 USD".
func (m Money) String() string {
	if m.IsZero() {
		return "–"
	}
	return m.Decimal() + " " + string(m.currency)
}

// The one form in which money is written; an amount and a currency need no escapes.
const (
	moneyHead = `{"amount":"`
	moneyMid  = `","currency":"`
	moneyTail = `"}`
)

// MarshalJSON writes {"amount":"519.00","currency":"USD"}.
func (m Money) MarshalJSON() ([]byte, error) {
	if m.IsZero() {
		return []byte("null"), nil
	}
	return m.appendJSON(nil), nil
}

func (m Money) appendJSON(b []byte) []byte {
	b = append(append(b, moneyHead...), m.Decimal()...)
	b = append(append(b, moneyMid...), m.currency...)
	return append(b, moneyTail...)
}

// UnmarshalJSON reads what MarshalJSON writes, negative amounts included, in whatever form JSON allows.
func (m *Money) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*m = Money{}
		return nil
	}
	amount, currency, err := splitMoney(string(data))
	if err != nil {
		return err
	}
	amount, negative := strings.CutPrefix(amount, "-")
	parsed, err := ParseMoney(amount, Currency(currency))
	if err != nil {
		return err
	}
	if negative {
		parsed.minor = -parsed.minor
	}
	*m = parsed
	return nil
}

// splitMoney takes the form that is written apart at once, since stored events are full of it, and leaves
// any other to encoding/json.
func splitMoney(s string) (amount, currency string, err error) {
	if rest, ok := strings.CutPrefix(s, moneyHead); ok {
		if rest, ok = strings.CutSuffix(rest, moneyTail); ok {
			if amount, currency, ok = strings.Cut(rest, moneyMid); ok && !strings.ContainsAny(rest[:len(amount)], `"\\`) && len(currency) == 3 {
				return amount, currency, nil
			}
		}
	}
	var j struct {
		Amount   string `json:"amount"`
		Currency string `json:"currency"`
	}
	err = json.Unmarshal([]byte(s), &j)
	return j.Amount, j.Currency, err
}

// add sums two amounts. ok is false when the currencies differ or the sum does not fit.
func (m Money) add(n Money) (sum Money, ok bool) {
	if m.currency != n.currency {
		return Money{}, false
	}
	s := m.minor + n.minor
	if (s > m.minor) != (n.minor > 0) && n.minor != 0 {
		return Money{}, false
	}
	return Money{minor: s, currency: m.currency}, true
}

// sub takes n away. Both are non-negative amounts of one currency.
func (m Money) sub(n Money) Money {
	return Money{minor: m.minor - n.minor, currency: m.currency}
}

// times multiplies a non-negative amount. ok is false when the product does not fit.
func (m Money) times(n int64) (product Money, ok bool) {
	high, low := bits.Mul64(uint64(m.minor), uint64(n))
	if high != 0 || low > math.MaxInt64 {
		return Money{}, false
	}
	return Money{minor: int64(low), currency: m.currency}, true
}

// share is the part/whole share of a non-negative amount, rounded down to a minor unit, where
// 0 ≤ part ≤ whole and whole > 0.
func (m Money) share(part, whole int64) Money {
	high, low := bits.Mul64(uint64(m.minor), uint64(part))
	quotient, _ := bits.Div64(high, low, uint64(whole))
	return Money{minor: int64(quotient), currency: m.currency}
}
