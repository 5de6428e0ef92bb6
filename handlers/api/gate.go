package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"permledger/domain"
	"permledger/handlers/gate"
	"permledger/handlers/problem"
)

// HandleFunc puts a route on the mux behind the gate. It panics for a route that the access table does
// not name: who may use it must have been decided.
func (a *API) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	rule, decided := accessTable[pattern]
	if !decided {
		panic("api: the access table has no entry for " + pattern)
	}
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(headerPosition, strconv.FormatUint(a.ledger.Book().Head(), 10))
		if rule.Open {
			handler(w, r)
			return
		}
		v, err := a.admit(r, rule)
		if err != nil {
			problem.Write(w, r, err)
			return
		}
		problem.RequestOf(r.Context()).View = v
		handler(w, r)
	})
}

const (
	headerPosition    = "Ledger-Position"
	headerMinPosition = "Ledger-Min-Position"
	headerKey         = "Idempotency-Key"
)

// viewOf gives what the principal of a request may read. Every handler behind the gate has one.
func viewOf(ctx context.Context) gate.View {
	v, _ := problem.RequestOf(ctx).View.(gate.View)
	return v
}

// admit lets a request through the gate, once the read models have come as far as it asks.
func (a *API) admit(r *http.Request, rule gate.Access) (gate.View, error) {
	p, err := a.gate.Admit(r)
	if err != nil {
		return gate.View{}, err
	}
	customer, err := customerOf(r)
	if err != nil {
		return gate.View{}, err
	}
	if err := a.await(r); err != nil {
		return gate.View{}, err
	}
	return a.gate.View(p, rule, customer)
}

// customerOf reads the customer that a route names in its path; zero where it names none.
func customerOf(r *http.Request) (domain.TenantID, error) {
	if !strings.Contains(r.Pattern, "{customerId}") {
		return domain.TenantID{}, nil
	}
	id, err := domain.ParseTenantID(r.PathValue("customerId"))
	if err != nil {
		return domain.TenantID{}, problem.Invalid(domain.FieldError{Field: "path.customerId", Detail: "is not a GUID: write its 36 characters"})
	}
	return id, nil
}

// await waits until the read models have come as far as a query asks for.
func (a *API) await(r *http.Request) error {
	asked := r.Header.Get(headerMinPosition)
	if asked == "" || r.Method != http.MethodGet {
		return nil
	}
	position, err := strconv.ParseUint(asked, 10, 64)
	if err != nil {
		return problem.Invalid(domain.FieldError{Field: "header." + headerMinPosition, Detail: "is not a position: write a whole number"})
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.options.PositionWait)
	defer cancel()
	err = a.ledger.Models().WaitFor(ctx, position)
	if errors.Is(err, context.DeadlineExceeded) {
		return problem.Refuse(problem.CodePositionNotInTime, "The read models have not come as far as Ledger-Min-Position asks. Try again.")
	}
	return err
}
