package body_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers/body"
	"permledger/handlers/problem"
)

type sent struct {
	Name string
	To   []struct{ Quantity int }
}

// read decodes a body; headers are given as name, value pairs.
func read(t *testing.T, text string, headers ...string) (sent, problem.Problem) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	v, err := body.Decode[sent](r)
	if err == nil {
		return v, problem.Problem{}
	}
	return v, problem.Of(err)
}

func TestNamesCountInAnyCaseAndUnknownMembersArePassedOver(t *testing.T) {
	t.Parallel()
	v, refused := read(t, `{"NAME":"a","tO":[{"quantity":3}],"x":{"y":[null]}}`, "Content-Type", "application/json; charset=UTF-8")
	require.Empty(t, refused)
	require.Equal(t, sent{Name: "a", To: []struct{ Quantity int }{{3}}}, v)
	_, refused = read(t, `{}`+strings.Repeat(" ", body.Max-2))
	require.Empty(t, refused, "of the largest size")
	_, refused = read(t, `{"x":`+strings.Repeat("[", body.MaxDepth-1)+strings.Repeat("]", body.MaxDepth-1)+`}`)
	require.Empty(t, refused, "of the greatest depth")
}

func TestABodyThatCouldMeanTwoThingsOrCostTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text   string
		code   domain.Code
		field  string
		detail string
	}{
		"nothing":               {``, problem.CodeInvalidRequest, "body", "is not one JSON object"},
		"no JSON":               {`{"name":`, problem.CodeInvalidRequest, "body", "look at byte 8"},
		"something after":       {`{}{}`, problem.CodeInvalidRequest, "body", "look at byte 2"},
		"no UTF-8":              {"{\"name\":\"\xff\"}", problem.CodeInvalidRequest, "body", "valid UTF-8"},
		"a list":                {`[]`, problem.CodeInvalidRequest, "body", "another kind"},
		"a member twice":        {`{"name":"a","name":"b"}`, problem.CodeInvalidRequest, "body", "twice"},
		"twice in another case": {`{"name":"a","Name":"b"}`, problem.CodeInvalidRequest, "body", "twice"},
		"an unknown one twice":  {`{"x":1,"x":2}`, problem.CodeInvalidRequest, "body", "twice"},
		"another kind":          {`{"to":[{"quantity":"secret"}]}`, problem.CodeInvalidRequest, "to[0].quantity", "another kind"},
		"too deep":              {`{"x":` + strings.Repeat("[", body.MaxDepth) + strings.Repeat("]", body.MaxDepth) + `}`, problem.CodeInvalidRequest, "body", "deeper than 32"},
		"too large":             {strings.Repeat(" ", body.Max+1), problem.CodeTooLarge, "", ""},
	} {
		_, refused := read(t, c.text)
		require.Equal(t, c.code, refused.Code, name)
		if c.field == "" {
			continue
		}
		require.Len(t, refused.Fields, 1, name)
		require.Equal(t, c.field, refused.Fields[0].Field, name)
		require.Contains(t, refused.Fields[0].Detail, c.detail, name)
		require.NotContains(t, refused.Fields[0].Detail, "secret", "values are not repeated")
	}
	for _, headers := range [][]string{
		{"Content-Type", ""}, {"Content-Type", "text/plain"}, {"Content-Type", "application/json; charset=utf-16"}, {"Content-Encoding", "gzip"},
	} {
		_, refused := read(t, `{}`, headers...)
		require.Equal(t, problem.CodeMediaType, refused.Code, headers)
	}
}
