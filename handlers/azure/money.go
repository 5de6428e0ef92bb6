package azure

import (
	"github.com/go-json-experiment/json/jsontext"

	"permledger/domain"
)

// price is an amount as Azure's clients read it: a number, which has exactly the digits of the currency.
type price struct {
	CurrencyCode string         `json:"currencyCode"`
	Amount       jsontext.Value `json:"amount"`
}

func priceOf(m domain.Money) *price {
	return &price{CurrencyCode: string(m.Currency()), Amount: jsontext.Value(m.Decimal())}
}

// less is what is left of an amount without another one of the same currency.
func less(m, without domain.Money) (domain.Money, error) {
	return domain.NewMoney(m.Minor()-without.Minor(), m.Currency())
}
