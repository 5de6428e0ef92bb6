// Package azure is the door for Azure's reservation clients. It speaks as the resource provider
// Microsoft.Capacity does: its addresses, bodies, errors and paging, as far as the ledger has what they are about.
//
// A handler translates: it reads a body, sends the command or asks the query that means the same, and writes the
// answer in Azure's words. Who may do what is judged by the gate and the domain, as for every door. The manual's
// page "azure" says what differs from Azure.
package azure

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/gate"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

// sessionLife is how long what calculateRefund or calculateExchange quoted may be executed.
const sessionLife = time.Hour

// root begins the addresses of all providers. What lies there is the door's, known or not.
const root = "/providers"

// namespace is the name of the one provider there is, as Azure writes it.
const namespace = "Microsoft.Capacity"

// provider begins the addresses of the provider.
const provider = root + "/" + namespace

// Door serves Microsoft.Capacity for one ledger.
type Door struct {
	ledger *ledger.Ledger
	gate   *gate.Gate
	mux    *http.ServeMux // of addresses in small letters
}

// New makes the door of a ledger.
func New(l *ledger.Ledger, g *gate.Gate) *Door {
	d := &Door{ledger: l, gate: g, mux: http.NewServeMux()}
	for pattern, route := range routes {
		method, path, _ := strings.Cut(pattern, " ")
		d.mux.HandleFunc(method+" "+strings.ToLower(provider+path), d.through(route))
	}
	for _, path := range []string{provider, provider + "/"} {
		d.mux.HandleFunc(strings.ToLower(path), d.through(route{anybody, (*Door).noResource}))
	}
	d.mux.HandleFunc("/", d.through(route{anybody, (*Door).noProvider}))
	return d
}

// Knows reports whether an address is for this door to answer. Its case does not matter, as with Azure.
func (d *Door) Knows(path string) bool { return gate.Within(path, root) }

// ServeHTTP implements http.Handler. The ids in an address are GUIDs, so that nothing is lost in small letters.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	small := r.WithContext(r.Context())
	small.URL = &url.URL{Path: strings.ToLower(r.URL.Path), RawQuery: r.URL.RawQuery}
	d.mux.ServeHTTP(w, small)
	r.Pattern = small.Pattern
}

// request is a request that has passed the gate.
type request struct {
	*http.Request
	door   *Door
	view   gate.View
	header http.Header // of the answer
}

// through lets a request through the gate to its handler, and writes what that answers.
func (d *Door) through(route route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		identify(w, r)
		answer, err := d.answer(w, r, route)
		if err != nil {
			refuse(w, r, err)
			return
		}
		write(w, http.StatusOK, answer)
	}
}

// answer asks in this order who, which version, and what may they read, from read models that hold all that was
// recorded when the request came.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, route route) (any, error) {
	p, err := d.gate.Admit(r)
	if err != nil {
		return nil, err
	}
	if err := checkVersion(r); err != nil {
		return nil, err
	}
	if err := d.gate.Await(r.Context(), d.ledger.Book().Head()); err != nil {
		return nil, err
	}
	v, err := d.gate.View(p, route.access, domain.TenantID{})
	if err != nil {
		return nil, err
	}
	return route.serve(d, &request{Request: r, door: d, view: v, header: w.Header()})
}

// The headers by which Azure's clients and servers name a request.
const (
	headerRequest     = "X-Ms-Request-Id"
	headerClient      = "X-Ms-Client-Request-Id"
	headerCorrelation = "X-Ms-Correlation-Request-Id"
)

// identify notes the ids that a client gave its request, and names the answer.
func identify(w http.ResponseWriter, r *http.Request) {
	facts := problem.RequestOf(r.Context())
	if id, err := uuid.Parse(r.Header.Get(headerCorrelation)); err == nil {
		facts.Correlation = id.String()
	}
	w.Header().Set(headerRequest, facts.ID)
	w.Header().Set(headerCorrelation, facts.ID)
	if facts.Correlation != "" {
		w.Header().Set(headerCorrelation, facts.Correlation)
	}
}

// versions are the API versions that the door speaks; there is no newer one.
const versions = "2022-11-01"

func checkVersion(r *http.Request) error {
	switch given := parameter(r, "api-version"); given {
	case versions:
		return nil
	case "":
		return refusal{http.StatusBadRequest, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests."}
	default:
		return refusal{http.StatusBadRequest, "InvalidApiVersionParameter", "The api-version is not supported. The supported versions are '" + versions + "'."}
	}
}

// parameter gives the first value of a query parameter, whose name is written in any case.
func parameter(r *http.Request, name string) string {
	for given, values := range r.URL.Query() {
		if strings.EqualFold(given, name) {
			return values[0]
		}
	}
	return ""
}
