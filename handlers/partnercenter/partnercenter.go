// Package partnercenter is the door for clients of Microsoft's Partner Center REST API: an unmodified one
// that is pointed at this server sees the ledger's customers, permissions, orders and activity in the words
// it knows, and says where its partner wants to be told of them. Commands and queries are the same as behind every other door.
//
// Handlers read decode → execute → encode. The routes are listed in routes.go, who may use them in access.go,
// what a refusal looks like in fault.go.
package partnercenter

import (
	"net/http"

	"permledger/handlers/gate"
	"permledger/handlers/ledger"
	"permledger/handlers/webhooks"
)

// Door serves the Partner Center API of one ledger.
type Door struct {
	ledger   *ledger.Ledger
	gate     *gate.Gate
	webhooks *webhooks.Webhooks
	mux      *http.ServeMux
}

// New puts the door's routes on a mux. Paths must have passed Canonical.
func New(mux *http.ServeMux, l *ledger.Ledger, g *gate.Gate, w *webhooks.Webhooks) *Door {
	d := &Door{ledger: l, gate: g, webhooks: w, mux: mux}
	d.routes()
	return d
}
