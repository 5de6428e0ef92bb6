package webhooks

import (
	"fmt"
	"maps"
	"net/http"

	"github.com/go-json-experiment/json"

	"permledger/domain"
	"permledger/handlers/problem"
)

// faultCodes are Partner Center's codes for what this door refuses; anything else keeps the ledger's.
var faultCodes = map[domain.Code]string{
	problem.CodeUnauthenticated: "800001",
	problem.CodeInvalidRequest:  "800002",
	domain.CodeInvalid:          "800002",
	domain.CodeRoleNotAllowed:   "900150",
	domain.CodeUserRequired:     "900329",
}

// writeFault answers with an error as Partner Center words it.
func writeFault(w http.ResponseWriter, r *http.Request, err error) {
	d := problem.DocumentOf(r.Context(), err)
	headers := d.GetHeaders()
	maps.Copy(w.Header(), headers)
	if d.Status == http.StatusTooManyRequests {
		write(w, d.Status, map[string]any{
			"statusCode": d.Status,
			"message":    fmt.Sprintf("Rate limit is exceeded. Try again in %s seconds.", headers.Get("Retry-After")),
		})
		return
	}
	code, known := faultCodes[d.Code]
	if !known {
		code = string(d.Code)
	}
	status := d.Status
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	data := make([]string, len(d.Errors))
	for i, f := range d.Errors {
		data[i] = f.Field + ": " + f.Detail
	}
	write(w, status, map[string]any{"code": code, "description": d.Detail, "data": data, "source": "permledger"})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body, json.Deterministic(true)) // the client is gone, if at all
}
