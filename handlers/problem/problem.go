// Package problem is the one table that says what each refusal means to a client: its HTTP status and
// its title. Errors are values with a code; nothing else in the doors inspects them.
//
// The native API answers with a Document (RFC 9457). Doors that speak another product's language give
// the same Problem another face: they map its Code, and fall back on its Status.
package problem

import (
	"context"
	"errors"
	"time"

	"permledger/domain"
	"permledger/eventstore"
	"permledger/projections"
)

// Problem is an error as any door may show it. Detail is safe to show: it never holds a path, a type,
// SQL or a stack.
type Problem struct {
	Code   domain.Code
	Status int    // HTTP status of the native API
	Title  string // the same for every problem of the code
	Detail string
	Rule   string              // the business rule that says no; empty where none has a number
	Fields []domain.FieldError // for invalid requests
	Also   []domain.Reason     // further rules that say no as well
	Retry  time.Duration       // when to try again; 0 when trying again does not help
	cause  error               // of a failure of the server's own; for the log alone
}

// Error is a refusal by a door itself, before or beside the domain.
type Error struct {
	Code   domain.Code
	Rule   string
	Detail string
	Fields []domain.FieldError
	Retry  time.Duration // 0: the default of the code
	Cause  error         // for the log alone
}

// Error implements error.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Refuse makes an error of a door.
func Refuse(code domain.Code, detail string) *Error { return &Error{Code: code, Detail: detail} }

// Invalid makes the error for a request whose fields are at fault.
func Invalid(fields ...domain.FieldError) *Error {
	return &Error{Code: CodeInvalidRequest, Detail: "Correct what is listed and send the request again.", Fields: fields}
}

// Of classifies an error. Whatever is not in the table is an internal error with a fixed text.
func Of(err error) Problem {
	if refusal, ok := errors.AsType[*domain.Error](err); ok {
		return Problem{Code: refusal.Code, Rule: refusal.Rule, Detail: refusal.Detail, Fields: refusal.Fields, Also: refusal.Also}.tabled()
	}
	if own, ok := errors.AsType[*Error](err); ok {
		p := Problem{Code: own.Code, Rule: own.Rule, Detail: own.Detail, Fields: own.Fields, Retry: own.Retry, cause: own.Cause}.tabled()
		if p.Status >= 500 && p.cause == nil {
			p.cause = err
		}
		return p
	}
	for _, s := range sentinels {
		if errors.Is(err, s.sentinel) {
			return Problem{Code: s.code, Rule: s.rule, Detail: s.detail, cause: err}.tabled()
		}
	}
	return Problem{Code: CodeInternal, Detail: "Something went wrong here. Report the request id to the operator.", cause: err}.tabled()
}

// tabled fills in what the table says about the code. A code that is not in the table is a bug and
// becomes an internal error.
func (p Problem) tabled() Problem {
	l, known := table[p.Code]
	if !known {
		return Problem{Code: CodeInternal, Detail: "Something went wrong here. Report the request id to the operator.", cause: errors.New("no line for code " + string(p.Code))}.tabled()
	}
	p.Status, p.Title = l.status, l.title
	if p.Retry == 0 {
		p.Retry = l.retry
	}
	return p
}

// sentinels translates the errors of the store, most telling first.
var sentinels = []struct {
	sentinel error
	code     domain.Code
	rule     string
	detail   string
}{
	{eventstore.ErrIntegrity, CodeIntegrity, "", "The ledger failed its integrity check and answers nothing until it is restored. Ask the operator; /readyz says where it broke."},
	{eventstore.ErrOutcomeUnknown, CodeOutcomeUnknown, "", "Nobody confirmed in time whether the command was recorded. Send it again with the same Idempotency-Key: it is never executed twice, and the answer says what became of it."},
	{eventstore.ErrCommandIDReused, CodeCommandIDReused, "L3", "This Idempotency-Key was used before with other content. Use a new one for a new command."},
	{eventstore.ErrNotFound, domain.CodeNotFound, "L8", "Nothing is known here by this id. Check the id."},
	{projections.ErrNotFound, domain.CodeNotFound, "L8", "Nothing is known here by this id. Check the id."},
	{projections.ErrBadCursor, CodeInvalidRequest, "", "The cursor does not belong to this list with these filters. Start again without one."},
	{eventstore.ErrBusy, CodeBusy, "", "Too many commands are waiting. Nothing was written; send it again with the same Idempotency-Key."},
	{eventstore.ErrNotWritten, CodeUnavailable, "", "The ledger cannot be reached now. Nothing was written; send it again with the same Idempotency-Key."},
	{eventstore.ErrClock, CodeUnavailable, "", "The server's clock cannot be right, so nothing is recorded until its operator has acted; /readyz says more. Nothing was written: send it again later with the same Idempotency-Key."},
	{eventstore.ErrUnavailable, CodeUnavailable, "", "The ledger cannot be reached now. Nothing was written; send it again with the same Idempotency-Key."},
	{projections.ErrStopped, CodeUnavailable, "", "The read models cannot be brought up to date now. Nothing is lost; try again later."},
	{eventstore.ErrConflict, CodeUnavailable, "", "Other writers were faster too often. Nothing was written; send it again with the same Idempotency-Key."},
	{context.Canceled, CodeUnavailable, "", "The request was given up before it was answered. Send it again."},
	{context.DeadlineExceeded, CodeUnavailable, "", "The request took too long to answer. Send it again."},
	{eventstore.ErrTooLarge, CodeTooLarge, "", "The command is larger than the ledger takes. Nothing was written; send less."},
}
