package api

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"permledger/domain"
	"permledger/handlers/problem"
)

// jsonOnly refuses a body that is not plain application/json before it is read.
func jsonOnly(r *http.Request) error {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, given := parameters["charset"]
	switch {
	case err != nil || kind != "application/json" || given && !strings.EqualFold(charset, "utf-8"):
		return problem.Refuse(problem.CodeMediaType, "Send the body as Content-Type: application/json, in UTF-8.")
	case r.Header.Get("Content-Encoding") != "":
		return problem.Refuse(problem.CodeMediaType, "Send the body as it is, without Content-Encoding.")
	case r.ContentLength > MaxBody:
		return tooLarge()
	default:
		return nil
	}
}

func tooLarge() error {
	return problem.Refuse(problem.CodeTooLarge, fmt.Sprintf("The body is larger than %d bytes.", MaxBody))
}

// decode reads a command from a body strictly: valid UTF-8, no member twice, none unknown, nothing after
// the object, not too deep. All faults of the fields are listed in one answer, those that the schema
// finds and those that the domain does.
func decode[C domain.Command](schemas huma.Registry, schema *huma.Schema, body []byte) (C, error) {
	var command C
	if depth(body) > MaxDepth {
		return command, invalidBody(fmt.Sprintf("nests deeper than %d levels", MaxDepth))
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return command, invalidBody(syntaxFault(err))
	}
	faults := schemaFaults(schemas, schema, value)
	// Members that are not known have been noted; the others are read, so that the domain can judge them.
	if err := json.Unmarshal(body, &command, json.WithUnmarshalers(moneyReader)); err != nil {
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

// invalidBody is the problem of a body that is no JSON object of the kind that is read.
func invalidBody(detail string) error {
	return problem.Invalid(domain.FieldError{Field: "body", Detail: detail})
}

// depth is how deep objects and lists nest. It looks at brackets outside of strings alone.
func depth(body []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '['):
			now++
			deepest = max(deepest, now)
		case !quoted && (c == '}' || c == ']'):
			now--
		}
	}
	return deepest
}

// syntaxFault says where a body is not JSON, without repeating any of it.
func syntaxFault(err error) string {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "has a member twice in one object"
	case errors.As(err, &syntax):
		return fmt.Sprintf("is not one JSON object in valid UTF-8: look at byte %d", syntax.ByteOffset)
	default:
		return "is not one JSON object"
	}
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
	fault := domain.FieldError{Field: "body", Detail: "holds a value of another kind than this member takes"}
	if at, ok := errors.AsType[*json.SemanticError](err); ok && at.JSONPointer != "" {
		fault.Field = fieldOf(at.JSONPointer)
	}
	if amount, ok := errors.AsType[amountError](err); ok {
		fault.Detail = amount.detail
	}
	return fault
}

// fieldOf writes a pointer such as /to/0/sku the way the domain names fields: to[0].sku.
func fieldOf(pointer jsontext.Pointer) string {
	var b strings.Builder
	for token := range pointer.Tokens() {
		switch {
		case token != "" && strings.Trim(token, "0123456789") == "":
			b.WriteString("[" + token + "]")
		case b.Len() > 0:
			b.WriteString("." + token)
		default:
			b.WriteString(token)
		}
	}
	return clip(b.String())
}
