package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"permledger/domain"
	"permledger/handlers/problem"
)

// Error is a refusal or a failure that the server answered.
type Error struct {
	problem.Document
	RetryAfter time.Duration // when the server asks to try again; 0 when it does not
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Code, e.Detail)
	if e.Rule != "" {
		fmt.Fprintf(&b, " [rule %s]", e.Rule)
	}
	for _, f := range e.Errors {
		fmt.Fprintf(&b, "\n  %s %s", f.Field, f.Detail)
	}
	for _, r := range e.Also {
		fmt.Fprintf(&b, "\n  also %s: %s", r.Code, r.Detail)
	}
	if e.Status >= 500 && e.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", e.RequestID)
	}
	return b.String()
}

// UnreachableError says that no answer came: the server may or may not have got the request.
type UnreachableError struct {
	Server string
	Err    error
}

// Error implements error.
func (u *UnreachableError) Error() string {
	return fmt.Sprintf("no answer from %s: %v", u.Server, u.Err)
}

// Unwrap gives the cause.
func (u *UnreachableError) Unwrap() error { return u.Err }

// Kind is what a caller can do about an error.
type Kind int

// The kinds of error.
const (
	Failed       Kind = iota // something else
	Refused                  // a rule or the request's content says no
	Unauthorised             // the token is missing or not valid
	Unavailable              // no answer, not now, or the outcome is unknown: send the same id again
	Integrity                // the ledger failed its integrity check
)

// KindOf sorts an error of this package.
func KindOf(err error) Kind {
	var answered *Error
	var silent *UnreachableError
	switch {
	case errors.As(err, &silent):
		return Unavailable
	case !errors.As(err, &answered):
		return Failed
	case answered.Code == problem.CodeIntegrity:
		return Integrity
	case answered.Status == http.StatusUnauthorized:
		return Unauthorised
	case answered.Status == http.StatusServiceUnavailable || answered.Status == http.StatusTooManyRequests:
		return Unavailable
	case answered.Status >= 400 && answered.Status < 500:
		return Refused
	default:
		return Failed
	}
}

// errorOf reads a problem document. What is not one is described by its status.
func errorOf(answer *http.Response, body []byte) *Error {
	e := &Error{}
	if err := json.Unmarshal(body, &e.Document); err != nil || e.Code == "" {
		e.Document = problem.Document{
			Title: http.StatusText(answer.StatusCode), Code: domain.Code("http-" + strconv.Itoa(answer.StatusCode)),
			Detail: "The server answered " + answer.Status + " without saying more. Is this the address of a permledger server?",
		}
	}
	e.Status = answer.StatusCode
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}
