package partnercenter

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// decode reads a body. Names of members count in any case and unknown members are passed over, as clients
// send what only newer servers know; a member that is there twice is refused, since nobody can say which one
// counts.
func decode[T any](in *request) (T, error) {
	var v T
	kind, parameters, err := mime.ParseMediaType(in.Header.Get("Content-Type"))
	charset, given := parameters["charset"]
	switch {
	case err != nil || kind != "application/json" || given && !strings.EqualFold(charset, "utf-8") || in.Header.Get("Content-Encoding") != "":
		return v, badInput("Send the body as Content-Type: application/json, in UTF-8 and not compressed.")
	case in.ContentLength > maxBody:
		return v, errTooLarge
	}
	in.limit()
	body, err := io.ReadAll(in.Body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return v, errTooLarge
	}
	if err != nil {
		return v, badInput("The body could not be read to its end.")
	}
	if err := json.Unmarshal(body, &v, json.MatchCaseInsensitiveNames(true)); err != nil {
		return v, badInput(bodyFault(err))
	}
	return v, nil
}

var errTooLarge = badInput("The body is larger than 64 KiB.")

// bodyFault says what is wrong with a body, without repeating any of it.
func bodyFault(err error) string {
	at, located := errors.AsType[*json.SemanticError](err)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "The body has a member twice in one object."
	case located && at.JSONPointer != "":
		return "The member " + string(at.JSONPointer) + " of the body has a value of another kind than it takes."
	default:
		return "The body is not one JSON object in valid UTF-8."
	}
}
