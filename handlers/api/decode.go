package api

import (
	"errors"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"permledger/domain"
	"permledger/handlers/body"
)

// decode reads a command from a body strictly: valid UTF-8, no member twice, none unknown, nothing after
// the object, not too deep. All faults of the fields are listed in one answer, those that the schema
// finds and those that the domain does.
func decode[C domain.Command](schemas huma.Registry, schema *huma.Schema, text []byte) (C, error) {
	var command C
	var value any
	if err := body.Unmarshal(text, &value); err != nil {
		return command, err
	}
	faults := schemaFaults(schemas, schema, value)
	// Members that are not known have been noted; the others are read, so that the domain can judge them.
	if err := json.Unmarshal(text, &command, json.WithUnmarshalers(moneyReader)); err != nil {
		if len(faults) == 0 {
			faults = append(faults, valueFault(err))
		}
		return command, domain.InvalidCommand(faults)
	}
	if faults = merge(faults, domain.Faults(command)); len(faults) > 0 {
		return command, domain.InvalidCommand(faults)
	}
	return command, nil
}

// amountError is what is wrong with an amount of money.
type amountError struct{ detail string }

func (f amountError) Error() string { return f.detail }

// moneyReader reads amounts, and keeps what is wrong with one for the answer.
var moneyReader = json.UnmarshalFromFunc(func(d *jsontext.Decoder, m *domain.Money) error {
	var read struct {
		Amount   string          `json:"amount"`
		Currency domain.Currency `json:"currency"`
	}
	if err := json.UnmarshalDecode(d, &read); err != nil {
		return err
	}
	parsed, err := domain.ParseMoney(read.Amount, read.Currency)
	if err != nil {
		return amountError{err.Error()}
	}
	*m = parsed
	return nil
})

// valueFault names the member whose value could not be read.
func valueFault(err error) domain.FieldError {
	fault := body.Fault(err)
	if amount, ok := errors.AsType[amountError](err); ok {
		fault.Detail = amount.detail
	}
	return fault
}
