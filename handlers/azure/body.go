package azure

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"permledger/handlers/problem"
)

// decode reads a body: one JSON object in valid UTF-8 and nothing after it. Names match in any case, as Azure's do,
// and none may be there twice. Members that are not known are passed over, because clients send many.
func decode[T any](r *request) (body T, err error) {
	if err := jsonOnly(r.Request); err != nil {
		return body, err
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	switch {
	case err != nil:
		return body, problem.Refuse(problem.CodeInvalidRequest, "The body could not be read to its end.")
	case len(text) > MaxBody:
		return body, tooLarge()
	}
	if err := json.Unmarshal(text, &body, json.MatchCaseInsensitiveNames(true)); err != nil {
		return body, problem.Refuse(problem.CodeInvalidRequest, "The body "+fault(err)+".")
	}
	return body, nil
}

// jsonOnly refuses a body that is not plain application/json before it is read.
func jsonOnly(r *http.Request) error {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, given := parameters["charset"]
	switch {
	case err != nil || kind != "application/json" || given && !strings.EqualFold(charset, "utf-8") || r.Header.Get("Content-Encoding") != "":
		return problem.Refuse(problem.CodeMediaType, "Send the body as Content-Type: application/json, in UTF-8, without Content-Encoding.")
	case r.ContentLength > MaxBody:
		return tooLarge()
	default:
		return nil
	}
}

func tooLarge() error {
	return problem.Refuse(problem.CodeTooLarge, fmt.Sprintf("The body is larger than %d bytes.", MaxBody))
}

// fault says what is wrong with a body, without repeating any of its values.
func fault(err error) string {
	var syntax *jsontext.SyntacticError
	var value *json.SemanticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "has a member twice in one object"
	case errors.As(err, &syntax):
		return fmt.Sprintf("is not one JSON object in valid UTF-8: look at byte %d", syntax.ByteOffset)
	case errors.As(err, &value) && value.JSONPointer != "":
		return "holds a value of another kind than this member takes: " + strings.ReplaceAll(strings.TrimPrefix(string(value.JSONPointer), "/"), "/", ".")
	default:
		return "is not a JSON object"
	}
}

// write answers with a body.
func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body) // the client is gone, if at all
}
