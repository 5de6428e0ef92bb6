package eventstore

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const someRecord = `{"v":1,"ledger":"11111111-2222-4333-8444-555555555555","first":1041,"time":"2026-11-22T10:00:00.123456789Z","prev":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","commands":[{"id":"0192d3a4-0000-7000-8000-000000000001","name":"Grant","digest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","actor":{"tenant":"p","objectId":"o","upn":"ann","roles":["AdminAgent","x"],"app":"web"},"reason":"\"twice\" é","correlationId":"c","events":[{"type":"T","v":1,"partner":"p","customer":"k","data":{"n":[1,"}\\\"",null]}},{"type":"U","v":2,"partner":"p","data":12}]},{"id":"0192d3a4-0000-7000-8000-000000000002","name":"X","digest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","actor":{"tenant":"p","roles":[]},"events":[]}]}`

// TestTheFastDecoderAgreesWithEncodingJSON changes a record in small ways and
// demands that whatever the fast decoder accepts is what encoding/json reads.
func TestTheFastDecoderAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	fast := parser{b: []byte(someRecord)}
	_, ok := fast.record()
	require.True(t, ok, "the fast decoder takes what AppendRecord writes")
	pieces := rapid.SampledFrom([]string{
		``, ` `, `"`, `\`, `\"`, `\u0041`, `\ud800`, `,`, `:`, `{`, `}`, `[`, `]`, `{}`, `[]`, `0`, `-`, `1`, `1e3`, `.`,
		`null`, `true`, `"x"`, "\xff", "\x00", "\n", `"v":1,`, `"reason":"",`, `,"upn":""`, `é`,
	})
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(someRecord)
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			at := rapid.IntRange(0, len(b)).Draw(t, "at")
			end := min(len(b), at+rapid.IntRange(0, 6).Draw(t, "cut"))
			b = append(append(append([]byte{}, b[:at]...), pieces.Draw(t, "piece")...), b[end:]...)
		}
		whole := parser{b: b}
		fast, ok := whole.record()
		outline := parser{b: b, outline: true}
		_, sound := outline.record()
		require.Equal(t, ok, sound, "%s", b)
		if !ok {
			return
		}
		slow, err := decodeAny(b)
		require.NoError(t, err, "%s", b)
		require.Equal(t, slow, fast, "%s", b)
		require.Equal(t, slow.size(), whole.size)
		require.Equal(t, slow.size(), outline.size)
	})
}

func TestAValueIsValidExactlyWhenEncodingJSONSaysSo(t *testing.T) {
	t.Parallel()
	for _, v := range []string{
		`{}`, `[]`, `""`, `0`, `-0`, `-0.5e+10`, `1E5`, `true`, `null`, `[1,{"a":[]}]`, "{ \"a\" : 1 ,\t\"b\":[ ] }",
		``, `{`, `{,}`, `[1,]`, `{"a"}`, `{"a":}`, `{a:1}`, `01`, `1.`, `.5`, `-`, `1e`, `tru`, `"`, `"\x"`, `"\u12g4"`, `"\uABCD"`, "\"\x01\"", `[}`, `1 2`, "\x00",
	} {
		require.Equal(t, json.Valid([]byte(v)), validValue([]byte(v)), "%q", v)
	}
	pieces := rapid.SampledFrom([]string{`{`, `}`, `[`, `]`, `"`, `,`, `:`, `a`, `\\`, `u00e9`, `0`, `1`, `-`, `.`, `e`, `E+`, `true`, `null`, ` `, "\t", "\x1f", "é", "\xff"})
	rapid.Check(t, func(t *rapid.T) {
		v := []byte(strings.Join(rapid.SliceOfN(pieces, 1, 12).Draw(t, "pieces"), ""))
		trimmed := len(bytes.TrimSpace(v)) == len(v) // space at the ends is valid JSON, but no part of a value
		require.Equal(t, json.Valid(v) && trimmed, validValue(v), "%q", v)
	})
}

func FuzzValidValue(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2.5e3,"\u00e9",null,true]}`))
	f.Fuzz(func(t *testing.T, v []byte) {
		if len(bytes.TrimSpace(v)) == len(v) && json.Valid(v) != validValue(v) {
			t.Fatalf("%q", v)
		}
	})
}
