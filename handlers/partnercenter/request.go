package partnercenter

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/gate"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
	"permledger/projections"
)

// request is a request that has passed the gate.
type request struct {
	*http.Request
	gate.View
	access  access
	partner domain.TenantID // in whose book the sender acts
	query   query
	command domain.CommandID // of what the request asks for
}

// answer is what a handler gives. A nil body is an empty one.
type answer struct {
	status   int
	body     any
	position uint64 // of a command; 0 for what is answered as of the head
}

func ok(body any) answer { return answer{status: http.StatusOK, body: body} }

// handle puts a route on the mux behind the gate. It panics for a route that the access table does not name:
// who may use it must have been decided.
func (d *Door) handle(pattern string, handler func(*request) (answer, error)) {
	rule, decided := accessTable[pattern]
	if !decided {
		panic("partnercenter: the access table has no entry for " + pattern)
	}
	d.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		correlate(w, r)
		position(w, d.ledger.Book().Head())
		in, err := d.admit(r, rule)
		var out answer
		if err == nil {
			out, err = handler(in)
		}
		if err != nil {
			writeFault(w, r, err)
			return
		}
		write(w, out)
	})
}

// correlate gives a request a correlation id where it brought none.
func correlate(w http.ResponseWriter, r *http.Request) {
	if facts := problem.RequestOf(r.Context()); facts.Correlation == "" {
		facts.Correlation = uuid.NewString()
		w.Header().Set("MS-CorrelationId", facts.Correlation)
	}
}

func position(w http.ResponseWriter, n uint64) {
	w.Header().Set("Ledger-Position", strconv.FormatUint(n, 10))
}

func write(w http.ResponseWriter, out answer) {
	if out.position > 0 {
		position(w, out.position)
	}
	switch body := out.body.(type) { // errors mean that the client is gone
	case nil:
		w.WriteHeader(out.status)
	case certificate:
		w.Header().Set("Content-Type", "application/pkix-cert")
		w.WriteHeader(out.status)
		_, _ = w.Write(body)
	default:
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(out.status)
		_ = json.MarshalWrite(w, body)
	}
}

const contentType = "application/json; charset=utf-8"

// admit lets a request through the gate and finds what its sender may read.
func (d *Door) admit(r *http.Request, rule access) (*request, error) {
	in := &request{Request: r, access: rule}
	if rule.Open {
		return in, nil
	}
	p, err := d.gate.Admit(r)
	if err != nil {
		return nil, err
	}
	in.partner = d.partnerOf(p.Actor)
	if in.query, err = readQuery(r.URL.RawQuery); err != nil {
		return nil, err
	}
	if rule.Command {
		if in.command, err = commandID(r); err != nil {
			return nil, err
		}
	}
	customer, err := customerOf(r)
	if err != nil {
		return nil, err
	}
	if in.View, err = d.gate.View(p, rule.Access, customer); err != nil {
		return nil, err
	}
	if rule.signedIn && !rule.Command && p.Actor.User.IsZero() {
		return nil, problem.Refuse(domain.CodeUserRequired, "Use the token of a signed-in user; an application alone may not see self-serve policies.")
	}
	return in, nil
}

// partnerOf is whose book an actor acts in. A customer's user may do nothing here, but is refused by the domain,
// which notes who tried (L7), and not because the id of a policy names its partner.
func (d *Door) partnerOf(a domain.Actor) domain.TenantID {
	if owner, known := d.ledger.Book().PartnerOf(a.Tenant); known && !a.OnPartnerSide() {
		return owner
	}
	return a.Tenant
}

// customerOf reads the customer that a route names in its path; zero where it names none.
func customerOf(r *http.Request) (domain.TenantID, error) {
	if !strings.Contains(r.Pattern, "{customerId}") {
		return domain.TenantID{}, nil
	}
	return parseCustomer(r.PathValue("customerId"))
}

func parseCustomer(s string) (domain.TenantID, error) {
	id, err := domain.ParseTenantID(s)
	if err != nil {
		return id, refuse(http.StatusBadRequest, "900118", "The customer id is not a GUID.")
	}
	return id, nil
}

// models gives the read models once they hold everything that has been recorded so far.
func (d *Door) models(ctx context.Context) (*projections.Models, error) {
	return d.ledger.Models(), d.gate.Await(ctx, d.ledger.Book().Head())
}

// commandID is the id of the request, which clients keep when they repeat it; one is made where there is none
// that can be a command's.
func commandID(r *http.Request) (domain.CommandID, error) {
	id, err := domain.ParseCommandID(r.Header.Get("MS-RequestId"))
	if err != nil {
		id.UUID, err = uuid.NewV7()
	}
	return id, err
}

// execute has the ledger judge a command.
func (d *Door) execute(in *request, c domain.Command) (ledger.Answer, error) {
	a, err := d.gate.Execute(in.Context(), ledger.Call{
		ID: in.command, Actor: in.Actor, Command: c, CorrelationID: problem.RequestOf(in.Context()).Correlation,
	})
	if err != nil && in.access.signedIn && in.Actor.User.IsZero() && problem.Of(err).Code == domain.CodeRoleNotAllowed {
		err = problem.Refuse(domain.CodeUserRequired, "Use the token of a signed-in user; an application alone may not do this.")
	}
	return a, err
}
