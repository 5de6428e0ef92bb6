package api

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"permledger/domain"
	"permledger/handlers/body"
	"permledger/handlers/problem"
)

// The framework keeps a few settings for the whole process. Nothing else in the program uses it.
func init() {
	huma.NewError = func(status int, _ string, errs ...error) huma.StatusError {
		return problem.DocumentOf(context.Background(), requestError(status, errs))
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, _ string, errs ...error) huma.StatusError {
		return problem.DocumentOf(ctx.Context(), requestError(status, errs))
	}
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
}

// requestError translates what the framework refuses by itself.
func requestError(status int, errs []error) error {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return body.TooLarge()
	case status == http.StatusRequestTimeout:
		return problem.Refuse(problem.CodeInvalidRequest, "The body did not arrive in time.")
	case status >= http.StatusInternalServerError && len(errs) > 0:
		return errs[0]
	}
	faults := make([]domain.FieldError, 0, len(errs))
	for _, err := range errs {
		faults = append(faults, faultOf(err))
	}
	if len(faults) == 0 {
		return body.Invalid("is required: send a JSON object")
	}
	return problem.Invalid(faults...)
}

// configuration describes the API. Nothing is served from elsewhere and nothing is added to answers.
func configuration() huma.Config {
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "permledger",
				Version:     "1",
				Description: description,
				License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: registry(),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "A token with tid, oid, upn, roles and azp. An agent's tid is the partner, a customer user's the customer."},
				},
			},
			Security: []map[string][]string{{"bearer": {}}},
			Tags: []*huma.Tag{
				{Name: "Commands", Description: "Requests to change something. Each is decided at one position of the log."},
				{Name: "Customers", Description: "What the ledger says about one customer."},
				{Name: "Partner", Description: "What it says across all customers of the caller's partner."},
				{Name: "Events", Description: "The log itself, in order and without gaps."},
				{Name: "Operation", Description: "For operators and monitors. No token is needed."},
			},
		},
		Formats:       map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat},
		DefaultFormat: "application/json",
	}
	config.RejectUnknownQueryParameters = true
	return config
}

const description = "Who may buy Azure reservations, who bought them and who pays: a ledger of customer purchase permissions.\n\n" +
	"Every command carries an Idempotency-Key; the same key never has a second effect and always gets the same answer. " +
	"Every answer says at which position of the log it holds (Ledger-Position); a query waits for a position with Ledger-Min-Position. " +
	"Refusals are problem documents with a code of a closed set and the number of the rule that says no."

// asStored lets stored events appear in answers as they are stored.
var asStored = jsontext.PreserveRawStrings(true)

// jsonFormat writes answers: lists are never null.
var jsonFormat = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		return json.MarshalWrite(w, v, asStored)
	},
	Unmarshal: func(data []byte, v any) error { return json.Unmarshal(data, v) },
}
