package problem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/eventstore"
	"permledger/projections"
)

// codesIn reads the values of all constants of type Code in a source file.
func codesIn(t *testing.T, path string) []domain.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	require.NoError(t, err)
	var codes []domain.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		for _, v := range spec.Values {
			if literal, ok := v.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				code, err := strconv.Unquote(literal.Value)
				require.NoError(t, err)
				codes = append(codes, domain.Code(code))
			}
		}
		return true
	})
	return codes
}

func TestEveryCodeHasALineInTheTable(t *testing.T) {
	t.Parallel()
	ofDomain, ofDoors := codesIn(t, "../../domain/error.go"), codesIn(t, "table.go")
	require.Greater(t, len(ofDomain), 25)
	require.Greater(t, len(ofDoors), 10)
	known := map[domain.Code]bool{}
	for _, code := range append(ofDomain, ofDoors...) {
		require.False(t, known[code], "code %s is there twice", code)
		known[code] = true
		line, ok := table[code]
		require.True(t, ok, "code %s has no line", code)
		require.NotEmpty(t, line.title)
		require.GreaterOrEqual(t, line.status, 400)
		p := Of(&domain.Error{Code: code, Detail: "detail"})
		require.Equal(t, code, p.Code)
		require.Equal(t, line.status, p.Status)
	}
	for code := range table {
		require.True(t, known[code], "the table has a line for %s, which is no code", code)
	}
	require.Len(t, Kinds(), len(table))
}

func TestStatusesFollowTheContract(t *testing.T) {
	t.Parallel()
	for code, status := range map[domain.Code]int{
		CodeUnauthenticated:             401,
		domain.CodeRoleNotAllowed:       403, // S2, S15
		domain.CodePartnerOnly:          403, // S9
		domain.CodeOwnerMissing:         403, // S6
		domain.CodePermissionOff:        403, // S7
		domain.CodeBillingInactive:      403, // S7
		domain.CodeTenantNotRegistered:  403,
		domain.CodeUserRequired:         403,
		domain.CodeNotFound:             404, // L8
		domain.CodeNoEligible:           409, // S5
		domain.CodeReservationNotActive: 409,
		domain.CodePriceNotSet:          409,
		domain.CodeRefundLimit:          409,
		CodeCommandIDReused:             409, // L3
		domain.CodeChanged:              412,
		domain.CodeInvalid:              422, // L5
		CodeRateLimited:                 429,
		CodeOutcomeUnknown:              503,
		CodeUnavailable:                 503,
		CodeIntegrity:                   503,
	} {
		require.Equal(t, status, table[code].status, code)
	}
}

func TestErrorsOfTheStoreAreClassified(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		code   domain.Code
		status int
		rule   string
		retry  bool
	}{
		{eventstore.ErrOutcomeUnknown, CodeOutcomeUnknown, 503, "", true},
		{eventstore.ErrUnavailable, CodeUnavailable, 503, "", true},
		{eventstore.ErrNotWritten, CodeUnavailable, 503, "", true},
		{eventstore.ErrConflict, CodeUnavailable, 503, "", true},
		{context.Canceled, CodeUnavailable, 503, "", true},
		{context.DeadlineExceeded, CodeUnavailable, 503, "", true},
		{eventstore.ErrBusy, CodeBusy, 503, "", true},
		{eventstore.ErrIntegrity, CodeIntegrity, 503, "", true},
		{&eventstore.IntegrityError{Position: 7, Reason: "a flipped bit"}, CodeIntegrity, 503, "", true},
		{eventstore.ErrCommandIDReused, CodeCommandIDReused, 409, "L3", false},
		{eventstore.ErrNotFound, domain.CodeNotFound, 404, "L8", false},
		{projections.ErrNotFound, domain.CodeNotFound, 404, "L8", false},
		{projections.ErrBadCursor, CodeInvalidRequest, 422, "", false},
		{eventstore.ErrTooLarge, CodeTooLarge, 413, "", false},
		{errors.New("no such table: secrets"), CodeInternal, 500, "", false},
	} {
		p := Of(fmt.Errorf("while testing /some/path: %w", c.err))
		require.Equal(t, c.code, p.Code, c.err)
		require.Equal(t, c.status, p.Status, c.err)
		require.Equal(t, c.rule, p.Rule, c.err)
		require.Equal(t, c.retry, p.Retry > 0, c.err)
		require.NotContains(t, p.Detail, "/some/path")
		require.NotContains(t, p.Detail, "secrets")
	}
}

func TestAFailureIsLoggedOnceAndNotShown(t *testing.T) {
	t.Parallel()
	facts := &Request{ID: "request-1"}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r = r.WithContext(WithRequest(r.Context(), facts))
	w := httptest.NewRecorder()
	Write(w, r, errors.New("open /var/lib/x.db: permission denied"))

	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, ContentType, w.Header().Get("Content-Type"))
	require.NotContains(t, w.Body.String(), "/var/lib")
	require.ErrorContains(t, facts.Cause, "permission denied")
	var d Document
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &d))
	require.Equal(t, "request-1", d.RequestID)
	require.Equal(t, "/docs#internal-error", d.Type)
}

func TestARefusalSaysWhichRuleAndWhatElse(t *testing.T) {
	t.Parallel()
	d := DocumentOf(context.Background(), &domain.Error{
		Code: domain.CodeOwnerMissing, Rule: "S6", Detail: "d", Fields: []domain.FieldError{{Field: "f", Detail: "x"}},
		Also: []domain.Reason{{Rule: "S7", Code: domain.CodePermissionOff, Detail: "off"}},
	})
	require.Equal(t, 403, d.GetStatus())
	require.Equal(t, "S6", d.Rule)
	require.Len(t, d.Errors, 1)
	require.Len(t, d.Also, 1)
	require.Empty(t, d.GetHeaders())
}

func TestRetryAfterIsInWholeSecondsRoundedUp(t *testing.T) {
	t.Parallel()
	d := DocumentOf(context.Background(), &Error{Code: CodeRateLimited, Retry: 1200 * time.Millisecond})
	require.Equal(t, "2", d.GetHeaders().Get("Retry-After"))
	require.Contains(t, DocumentOf(context.Background(), Refuse(CodeUnauthenticated, "x")).GetHeaders(), "Www-Authenticate")
}
