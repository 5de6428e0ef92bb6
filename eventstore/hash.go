package eventstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Hash is a SHA-256 digest. Its text and JSON form is 64 lower-case
// hexadecimal digits; the zero value stands for "nothing before this".
type Hash [sha256.Size]byte

// HashOf returns the SHA-256 of b.
func HashOf(b []byte) Hash { return sha256.Sum256(b) }

// IsZero reports whether h is the zero value.
func (h Hash) IsZero() bool { return h == Hash{} }

// String returns 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// AppendText appends the 64 hexadecimal digits to b.
func (h Hash) AppendText(b []byte) ([]byte, error) { return hex.AppendEncode(b, h[:]), nil }

// MarshalText returns the 64 hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return h.AppendText(nil) }

// UnmarshalText accepts exactly 64 lower-case hexadecimal digits, so that one
// hash has one text.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("a hash has %d hexadecimal digits, not %d", hex.EncodedLen(len(h)), len(text))
	}
	for i := range h {
		high, low := digits[text[2*i]], digits[text[2*i+1]]
		if high == noDigit || low == noDigit {
			return fmt.Errorf("a hash has lower-case hexadecimal digits only, not %q", text[2*i:2*i+2])
		}
		h[i] = high<<4 | low
	}
	return nil
}

// noDigit is what digits holds for a byte that is no lower-case hexadecimal digit.
const noDigit = 0xff

// digits gives the value of each lower-case hexadecimal digit.
var digits = func() (t [256]byte) {
	for c := range t {
		t[c] = noDigit
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	return t
}()

// ParseHash reads the text form of a hash.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if err := h.UnmarshalText([]byte(s)); err != nil {
		return Hash{}, err
	}
	return h, nil
}
