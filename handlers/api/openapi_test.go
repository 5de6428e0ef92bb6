package api_test

import (
	"bytes"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/handlers/problem"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTheDescriptionOfTheAPIHasNotDrifted(t *testing.T) {
	t.Parallel()
	a := send(t, shared, http.MethodGet, "/openapi.json", "", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	golden := filepath.Join("testdata", "openapi.json")
	if *update {
		require.NoError(t, os.WriteFile(golden, a.body, 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(a.body), "the API's description changed: look at it, then run this test with -update")
}

// read parses JSON as the validator wants it.
func read(t *testing.T, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	return v
}

const descriptionURL = "https://permledger.test/openapi.json"

// schemas compiles the description, so that parts of it can be used as schemas.
func schemas(t *testing.T) *jsonschema.Compiler {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource(descriptionURL, read(t, send(t, shared, http.MethodGet, "/openapi.json", "", "").body)))
	return c
}

func TestTheDescriptionIsValidOpenAPI31(t *testing.T) {
	t.Parallel()
	meta, err := os.ReadFile(filepath.Join("testdata", "oas-3.1-schema.json")) // of the OpenAPI Initiative, Apache-2.0
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	const id = "https://spec.openapis.org/oas/3.1/schema/2022-10-07"
	require.NoError(t, c.AddResource(id, read(t, meta)))
	rules, err := c.Compile(id)
	require.NoError(t, err)
	body := send(t, shared, http.MethodGet, "/openapi.json", "", "").body
	description := read(t, body)
	require.NoError(t, rules.Validate(description))
	require.Error(t, rules.Validate(read(t, bytes.Replace(body, []byte(`"in": "path"`), []byte(`"in": "nowhere"`), 1))), "the validator finds mistakes")

	names := description.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any)
	require.Greater(t, len(names), 40)
	of := schemas(t)
	for name := range names {
		_, err := of.Compile(descriptionURL + "#/components/schemas/" + name)
		require.NoError(t, err, name)
	}
}

func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.admin, "GrantPurchasePermission", w.grant())
	w.must(w.buyer, "PurchaseReservation", w.purchase())
	require.Equal(t, 403, w.command(w.sales, "RevokePurchasePermission", w.grant()).status)
	order, reservation, command := w.bought()
	of := schemas(t)
	for path, methods := range described(t) {
		if _, reads := methods["get"]; !reads || path == "/api/events/stream" {
			continue
		}
		escaped := strings.ReplaceAll(strings.ReplaceAll(path, "/", "~1"), "{", "%7B")
		at := descriptionURL + "#/paths/" + strings.ReplaceAll(escaped, "}", "%7D") + "/get/responses/"
		good, err := of.Compile(at + "200/content/application~1json/schema")
		require.NoError(t, err, path)
		for _, token := range []string{w.admin, w.buyer, w.bystand} {
			a := w.get(token, w.concrete(path, order, reservation, command))
			if a.status == http.StatusOK {
				require.NoError(t, good.Validate(read(t, a.body)), "%s: %s", path, a.body)
				continue
			}
			bad, err := of.Compile(at + "default/content/application~1problem+json/schema")
			require.NoError(t, err, path)
			require.NoError(t, bad.Validate(read(t, a.body)), "%s: %s", path, a.body)
		}
	}
	answer, err := of.Compile(descriptionURL + "#/components/schemas/CommandAnswer")
	require.NoError(t, err)
	require.NoError(t, answer.Validate(read(t, w.command(w.admin, "GrantPurchasePermission", w.grant()).body)))
}

func TestTheDescriptionOfACommandIsItsStruct(t *testing.T) {
	t.Parallel()
	of := schemas(t)
	for _, c := range domain.Commands() {
		schema, err := of.Compile(descriptionURL + "#/components/schemas/" + c.CommandName())
		require.NoError(t, err, c.CommandName())
		require.Error(t, schema.Validate(map[string]any{"unknown": true}), "bodies are closed")
	}
	price, err := of.Compile(descriptionURL + "#/components/schemas/SetReservationPrice")
	require.NoError(t, err)
	body := `{"customerId":"0431a72c-7d8a-4393-b25e-ef63f5efb415","sku":"s","region":"r","term":"P1Y","billingPlan":"Upfront",` +
		`"customerPrice":{"amount":"519.00","currency":"USD"},"webDirectPrice":{"amount":"600.00","currency":"USD"}}`
	require.NoError(t, price.Validate(read(t, []byte(body))))
	require.Error(t, price.Validate(read(t, []byte(strings.Replace(body, `"519.00"`, `519`, 1)))))
}

func TestTheDocumentationIsOneOwnPage(t *testing.T) {
	t.Parallel()
	a := send(t, shared, http.MethodGet, "/docs", "", "")
	require.Equal(t, http.StatusOK, a.status)
	html := string(a.body)
	require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"))
	require.Contains(t, a.header.Get("Content-Security-Policy"), "default-src 'none'")
	require.NotContains(t, html, "<script")
	require.NotContains(t, html, "style=")
	require.NotRegexp(t, `(src|href)="(https?:)?//`, html, "nothing is loaded from elsewhere")
	for path := range described(t) {
		require.Contains(t, html, "<code>"+path+"</code>")
	}
	for _, kind := range problem.Kinds() {
		require.Contains(t, html, `id="`+string(kind.Code)+`"`, "the type of a problem leads to its description")
	}
	for _, kind := range domain.EventKinds() {
		require.Contains(t, html, "<code>"+kind.Name+"</code>")
	}
	require.Equal(t, "text/css; charset=utf-8", send(t, shared, http.MethodGet, "/docs.css", "", "").header.Get("Content-Type"))
}
