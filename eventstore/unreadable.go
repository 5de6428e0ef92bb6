package eventstore

import (
	"errors"
	"fmt"
	"io/fs"
)

// ReadError says that a file cannot be read, which says nothing about what it
// holds. Nothing was changed. It matches ErrUnavailable.
type ReadError struct {
	File string
	Err  error
}

// Error names the file and the cause.
func (e *ReadError) Error() string {
	cause := e.Err
	if failed, ok := errors.AsType[*fs.PathError](cause); ok { // which names the file again
		cause = failed.Err
	}
	return fmt.Sprintf("%s cannot be read: %v; nothing was changed: fix the cause, then try again", e.File, cause)
}

// Unwrap gives the cause.
func (e *ReadError) Unwrap() error { return e.Err }

// Is reports that every ReadError is an ErrUnavailable.
func (e *ReadError) Is(target error) bool { return target == ErrUnavailable }

// Unreadable makes a *ReadError of the file system's own error about a file that
// was to be read. It returns other errors as they are.
func Unreadable(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok && !errors.Is(err, ErrUnavailable) {
		return &ReadError{File: failed.Path, Err: failed.Err}
	}
	return err
}
