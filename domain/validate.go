package domain

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxQuantity is the largest quantity of one reservation (L5).
const MaxQuantity = 1_000_000

// faults collects what is wrong with the fields of a command, so that one answer names them all.
type faults struct{ list []FieldError }

func (f *faults) note(field, format string, args ...any) {
	f.list = append(f.list, FieldError{Field: field, Detail: fmt.Sprintf(format, args...)})
}

// given notes an id that is missing.
func (f *faults) given(field string, id interface{ IsZero() bool }) {
	if id.IsZero() {
		f.note(field, "is required: give a GUID")
	}
}

// text notes a text whose length in characters is not between least and most, or that holds control characters.
func (f *faults) text(field, s string, least, most int) {
	switch n := utf8.RuneCountInString(s); {
	case n < least || least > 0 && strings.TrimSpace(s) == "":
		f.note(field, "is required")
	case n > most:
		f.note(field, "has %d characters; at most %d are allowed", n, most)
	case !utf8.ValidString(s):
		f.note(field, "is not valid UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl):
		f.note(field, "holds a control character; remove it")
	}
}

// name notes a text of 1 to 256 characters that is at fault (L5).
func (f *faults) name(field, s string) { f.text(field, s, 1, 256) }

func (f *faults) quantity(field string, n int64) {
	if n < 1 || n > MaxQuantity {
		f.note(field, "is %d; a quantity is between 1 and %d", n, MaxQuantity)
	}
}

func oneOf[S ~string](f *faults, field string, s S, allowed ...S) {
	if slices.Contains(allowed, s) {
		return
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	f.note(field, "is %q; use one of %s", clip(string(s)), strings.Join(names, ", "))
}
