package api

import (
	"bytes"
	"encoding"
	"errors"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/body"
)

// decoder gives what reads a command from a body strictly: valid UTF-8, no member twice, none unknown,
// nothing after the object, not too deep.
func decoder[C domain.Command](schemas huma.Registry, schema *huma.Schema) func(text []byte) (C, error) {
	asks := asksMore(schemas.SchemaFromRef(schema.Ref))
	return func(text []byte) (C, error) {
		if !asks {
			if command, ok := decodePlain[C](text); ok {
				return command, nil
			}
		}
		return decodeWithSchema[C](schemas, schema, text)
	}
}

// asksMore reports whether a schema asks for what the domain does not: a list that is given even if it is empty.
func asksMore(schema *huma.Schema) bool {
	return slices.ContainsFunc(schema.Required, func(name string) bool {
		member := schema.Properties[name]
		return member.Type == huma.TypeArray && member.MinItems == nil
	})
}

// decodePlain reads a command in one pass, without its schema, and reports whether it is without fault. The
// domain asks for what the schema does, but for values that are given and stand for none: bodies in which
// there may be one are not read. A good body may be left to the schema; a bad one is never taken.
func decodePlain[C domain.Command](text []byte) (command C, ok bool) {
	if bytes.Contains(text, []byte("null")) || bytes.Contains(text, []byte(`""`)) {
		return command, false
	}
	err := json.Unmarshal(text, &command, plainly)
	return command, err == nil && len(domain.Faults(command)) == 0
}

// plainly are the options to read what no schema has seen. Ids have more forms than the one that is taken.
var plainly = json.JoinOptions(json.RejectUnknownMembers(true), json.WithUnmarshalers(json.JoinUnmarshalers(moneyReader,
	json.UnmarshalFunc(func(text []byte, id interface {
		encoding.TextUnmarshaler
		Version() uuid.Version
	},
	) error {
		if len(text) != len(`"0431a72c-7d8a-4393-b25e-ef63f5efb415"`) {
			return errors.New("not a GUID of 36 characters")
		}
		return id.UnmarshalText(text[1 : len(text)-1])
	}))))

// decodeWithSchema lists all faults of the fields in one answer, those that the schema finds and those that
// the domain does.
func decodeWithSchema[C domain.Command](schemas huma.Registry, schema *huma.Schema, text []byte) (C, error) {
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
