package body

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"permledger/domain"
	"permledger/handlers/problem"
)

// Invalid refuses a body as a whole.
func Invalid(detail string) error {
	return problem.Invalid(domain.FieldError{Field: "body", Detail: detail})
}

// Fault says what is wrong with a body that could not be read, and where.
func Fault(err error) domain.FieldError {
	fault := domain.FieldError{Field: "body", Detail: "is not one JSON object"}
	syntax, broken := errors.AsType[*jsontext.SyntacticError](err)
	value, differs := errors.AsType[*json.SemanticError](err)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		fault.Detail = "has a member twice in one object"
	case broken:
		fault.Detail = fmt.Sprintf("is not one JSON object in valid UTF-8: look at byte %d", syntax.ByteOffset)
	case differs:
		fault.Detail = "holds a value of another kind than this member takes"
		if value.JSONPointer != "" {
			fault.Field = member(value.JSONPointer)
		}
	}
	return fault
}

// member writes a pointer such as /to/0/sku the way the domain names fields: to[0].sku.
func member(pointer jsontext.Pointer) string {
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
	return Clip(b.String())
}

// Clip keeps a name that a caller chose short enough to be repeated in an answer.
func Clip(s string) string {
	const most = 128
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
