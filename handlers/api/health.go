package api

import (
	"context"
	"net/http"

	"permledger/handlers/ledger"
)

type livenessOutput struct {
	Body struct {
		Alive bool `json:"alive"`
	}
}

// livez says that the process runs. It stays so when the ledger does not serve: a restart would not help.
func (a *API) livez(context.Context, *struct{}) (*livenessOutput, error) {
	out := &livenessOutput{}
	out.Body.Alive = true
	return out, nil
}

type readinessOutput struct {
	Status int
	Body   ledger.Health
}

// readyz says whether the ledger serves, and with 503 why it does not.
func (a *API) readyz(context.Context, *struct{}) (*readinessOutput, error) {
	out := &readinessOutput{Status: http.StatusOK, Body: a.ledger.Health()}
	if a.options.Webhooks != nil {
		out.Body.Webhooks = a.options.Webhooks()
	}
	if !out.Body.Ready {
		out.Status = http.StatusServiceUnavailable
	}
	return out, nil
}
