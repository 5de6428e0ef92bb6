package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"permledger/eventstore"
	"permledger/handlers/client"
	"permledger/handlers/ledger"
)

// The exit codes are a contract for scripts.
const (
	exitOK           = 0
	exitFailed       = 1
	exitUsage        = 2
	exitRefused      = 3 // by a rule
	exitUnauthorised = 4
	exitUnavailable  = 5 // or the outcome is unknown
	exitIntegrity    = 6
)

// usage is an error in how the program was called.
type usage struct{ message string }

func (u *usage) Error() string { return u.message }

func usageError(format string, args ...any) error { return &usage{fmt.Sprintf(format, args...)} }

// errNoToken says that a command needs to know who sends it.
var errNoToken = errors.New("no token: make one with permledger token --role … --partner …, and give it as PERMLEDGER_TOKEN")

func exitCode(err error) int {
	var u *usage
	var refused *ledger.RefusedError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &u), errors.As(err, &refused), errors.Is(err, eventstore.ErrReplicas):
		return exitUsage
	case errors.Is(err, errNotAllowed):
		return exitRefused
	case errors.Is(err, errNoToken):
		return exitUnauthorised
	case errors.Is(err, eventstore.ErrIntegrity):
		return exitIntegrity
	case errors.Is(err, eventstore.ErrOutcomeUnknown), errors.Is(err, eventstore.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return exitUnavailable
	default:
		return answeredCode(err)
	}
}

// answeredCode is the exit code of what a server answered.
func answeredCode(err error) int {
	var answered *client.Error
	errors.As(err, &answered)
	switch client.KindOf(err) {
	case client.Refused:
		switch {
		case answered.Status == http.StatusUnprocessableEntity:
			return exitUsage
		case answered.Status == http.StatusForbidden && answered.Rule == "":
			return exitUnauthorised
		default:
			return exitRefused
		}
	case client.Unauthorised:
		return exitUnauthorised
	case client.Unavailable:
		return exitUnavailable
	case client.Integrity:
		return exitIntegrity
	default:
		return exitFailed
	}
}

// errNotAllowed says that a check was answered with no, after its reasons have been shown.
var errNotAllowed = errors.New("the purchase would be refused")
