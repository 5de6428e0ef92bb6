// Package body reads what requests carry, for every door alike: one JSON value in valid UTF-8 and nothing after it,
// not compressed, within limits of size and depth, and no member twice. What is wrong with a body is said without
// repeating any of its values.
package body

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"permledger/handlers/problem"
)

// The limits of a body.
const (
	// Max is its size, in bytes.
	Max = 64 << 10
	// MaxDepth is how deep its objects and lists nest.
	MaxDepth = 32
)

// Check refuses a body that is not plain application/json, or says that it is too large, before it is read.
func Check(r *http.Request) error {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, given := parameters["charset"]
	switch {
	case err != nil || kind != "application/json" || given && !strings.EqualFold(charset, "utf-8"):
		return problem.Refuse(problem.CodeMediaType, "Send the body as Content-Type: application/json, in UTF-8.")
	case r.Header.Get("Content-Encoding") != "":
		return problem.Refuse(problem.CodeMediaType, "Send the body as it is, without Content-Encoding.")
	case r.ContentLength > Max:
		return TooLarge()
	default:
		return nil
	}
}

// TooLarge refuses a body of more than Max bytes.
func TooLarge() error {
	return problem.Refuse(problem.CodeTooLarge, fmt.Sprintf("The body is larger than %d bytes.", Max))
}

// Unmarshal reads a value from a body that has arrived.
func Unmarshal(text []byte, into any, options ...json.Options) error {
	if depth(text) > MaxDepth {
		return Invalid(fmt.Sprintf("nests deeper than %d levels", MaxDepth))
	}
	if err := json.Unmarshal(text, into, options...); err != nil {
		return problem.Invalid(Fault(err))
	}
	return nil
}

// Decode reads the body of a request the way Microsoft's APIs do: names of members count in any case, and members
// that are not known are passed over, as clients send many.
func Decode[T any](r *http.Request) (v T, err error) {
	if err := Check(r); err != nil {
		return v, err
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, Max+1))
	switch {
	case err != nil:
		return v, problem.Refuse(problem.CodeInvalidRequest, "The body could not be read to its end.")
	case len(text) > Max:
		return v, TooLarge()
	default:
		return v, Unmarshal(text, &v, json.MatchCaseInsensitiveNames(true))
	}
}

// depth is how deep objects and lists nest. It looks at brackets outside of strings alone.
func depth(text []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
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
