package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers/body"
	"permledger/handlers/problem"
)

func TestBodiesAreReadStrictly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	padded := w.grant() + strings.Repeat(" ", body.Max-len(w.grant()))
	for name, c := range map[string]struct {
		body   string
		status int
		code   domain.Code
	}{
		"as large as allowed":      {padded, 200, ""},
		"one byte more":            {padded + " ", 413, problem.CodeTooLarge},
		"empty":                    {"", 415, problem.CodeMediaType},
		"no JSON":                  {"{", 422, problem.CodeInvalidRequest},
		"a list":                   {"[]", 422, domain.CodeInvalid},
		"null":                     {"null", 422, domain.CodeInvalid},
		"trailing data":            {w.grant() + "{}", 422, problem.CodeInvalidRequest},
		"a member twice":           {strings.Replace(w.grant(), "{", `{"product":"AzureSavingsPlan",`, 1), 422, problem.CodeInvalidRequest},
		"invalid UTF-8":            {strings.Replace(w.grant(), "{", "{\"reason\":\"\xff\",", 1), 422, problem.CodeInvalidRequest},
		"lone surrogate":           {strings.Replace(w.grant(), "{", `{"reason":"\ud800",`, 1), 422, problem.CodeInvalidRequest},
		"unknown member":           {strings.Replace(w.grant(), "{", `{"partner":"x",`, 1), 422, domain.CodeInvalid},
		"name in other case":       {strings.Replace(w.grant(), "customerId", "CustomerId", 1), 422, domain.CodeInvalid},
		"GUID in braces":           {strings.Replace(w.grant(), w.customer, "{"+w.customer+"}", 1), 422, domain.CodeInvalid},
		"GUID without hyphens":     {strings.Replace(w.grant(), w.customer, strings.ReplaceAll(w.customer, "-", ""), 1), 422, domain.CodeInvalid},
		"zero GUID":                {strings.Replace(w.grant(), w.customer, uuid.Nil.String(), 1), 422, domain.CodeInvalid},
		"control character":        {strings.Replace(w.grant(), "{", `{"reason":"a\u0000b",`, 1), 422, domain.CodeInvalid},
		"reason too long":          {strings.Replace(w.grant(), "{", `{"reason":"`+strings.Repeat("é", 501)+`",`, 1), 422, domain.CodeInvalid},
		"deeper than 32":           {strings.Repeat("[", 33) + strings.Repeat("]", 33), 422, problem.CodeInvalidRequest},
		"deep inside a text is ok": {strings.Replace(w.grant(), "{", `{"reason":"`+strings.Repeat(`[\"{`, 100)+`",`, 1), 200, ""},
	} {
		a := w.command(w.admin, "GrantPurchasePermission", c.body)
		require.Equal(t, c.status, a.status, "%s: %s", name, a.body)
		if c.code != "" {
			require.Equal(t, c.code, a.problem(t).Code, "%s: %s", name, a.body)
		}
	}
}

func TestAnEmptyBodyIsSaidToBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.command(w.admin, "GrantPurchasePermission", "", "Content-Type", "application/json")
	require.Equal(t, 422, a.status)
	require.Equal(t, "body", a.problem(t).Errors[0].Field)
}

func TestOnlyPlainJSONIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for header, status := range map[[2]string]int{
		{"Content-Type", "application/json"}:                  200,
		{"Content-Type", "application/json; charset=UTF-8"}:   200,
		{"Content-Type", "application/json; charset=utf-16"}:  415,
		{"Content-Type", "text/plain"}:                        415,
		{"Content-Type", "application/x-www-form-urlencoded"}: 415,
		{"Content-Type", "application/merge-patch+json"}:      415,
		{"Content-Type", ""}:                                  415,
		{"Content-Encoding", "gzip"}:                          415,
	} {
		a := w.command(w.admin, "GrantPurchasePermission", w.grant(), header[0], header[1])
		require.Equal(t, status, a.status, "%v: %s", header, a.body)
	}
}

func TestAllFaultsOfABodyAreInOneAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := fmt.Sprintf(`{"subscriptionId":%q,"sku":"","region":"east\u0001us","term":"P2Y","billingPlan":"Upfront","quantity":0,"scope":{"type":"Galaxy","x":1},"shoe":42}`, w.subscription)
	a := w.command(w.admin, "PurchaseReservation", body)
	require.Equal(t, 422, a.status)
	d := a.problem(t)
	fields := map[string]string{}
	for _, f := range d.Errors {
		_, twice := fields[f.Field]
		require.False(t, twice, "%s is listed twice", f.Field)
		fields[f.Field] = f.Detail
	}
	for _, name := range []string{"customerId", "sku", "region", "term", "quantity", "scope.type", "scope.x", "shoe"} {
		require.Contains(t, fields, name)
	}
	require.Equal(t, "is required", fields["customerId"])
	require.NotContains(t, string(a.body), "Galaxy", "values are not repeated")
	require.NotContains(t, string(a.body), "domain.")
}

func TestAListThatIsNotGivenIsNotAnEmptyOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.admin, "GrantPurchasePermission", w.grant())
	a := w.command(w.admin, "SetPurchasePermissions", fmt.Sprintf(`{"customerId":%q}`, w.customer))
	require.Equal(t, 422, a.status, "this must not turn every permission off")
	require.Equal(t, "products", a.problem(t).Errors[0].Field)
	require.Len(t, w.list(w.admin, w.path("permissions?allowed=true")).Items, 1)
	w.must(w.admin, "SetPurchasePermissions", `{"customerId":%q,"products":[]}`, w.customer)
	require.Empty(t, w.list(w.admin, w.path("permissions?allowed=true")).Items)
}

func TestFaultsInsideListsAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := fmt.Sprintf(`{"customerId":%q,"reservationId":%q,"quantity":1,"to":[{"subscriptionId":"no","sku":"s","region":"r","term":"P1Y","billingPlan":"Upfront","quantity":1.5,"scope":{"type":"Shared"}}]}`, w.customer, uuid.NewString())
	d := w.command(w.admin, "ExchangeReservation", body).problem(t)
	var fields []string
	for _, f := range d.Errors {
		fields = append(fields, f.Field)
	}
	require.Contains(t, fields, "to[0].subscriptionId")
	require.Contains(t, fields, "to[0].quantity")
}

func TestAmountsSayWhatIsWrongWithThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	price := func(amount, currency string) problem.Document {
		a := w.command(w.admin, "SetReservationPrice", fmt.Sprintf(
			`{"customerId":%q,"sku":"s","region":"r","term":"P1Y","billingPlan":"Upfront","customerPrice":{"amount":%s,"currency":%q},"webDirectPrice":{"amount":"1.00","currency":"USD"}}`, w.customer, amount, currency))
		require.Equal(t, 422, a.status, "%s", a.body)
		return a.problem(t)
	}
	for amount, currency := range map[string]string{`"1.001"`: "USD", `"99999999999999999999"`: "USD", `"1"`: "XXX"} {
		d := price(amount, currency)
		require.Equal(t, "customerPrice", d.Errors[0].Field, amount)
	}
	require.Contains(t, price(`"1.001"`, "USD").Errors[0].Detail, "2 decimal digits")
	for _, amount := range []string{`"-1.00"`, `"1e3"`, `"+1"`, `" 1"`, `519`, `""`, `"1."`} {
		require.NotEmpty(t, price(amount, "USD").Errors, amount)
	}
}

func TestUnknownQueryParametersAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := send(t, w.handler, http.MethodPost, "/api/commands/GrantPurchasePermission?dryrun=true", w.admin, w.grant())
	require.Equal(t, 422, a.status, "a misspelt dryRun must not execute the command")
	require.Equal(t, "query.dryrun", a.problem(t).Errors[0].Field)
	require.Equal(t, 422, w.get(w.admin, "/api/customers?size=10").status)
}
