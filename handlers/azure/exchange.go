package azure

import (
	"fmt"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/body"
	"permledger/handlers/ledger"
	"permledger/projections"
)

type calculateExchangeBody struct {
	Properties struct {
		ReservationsToExchange []returnedUnits `json:"reservationsToExchange"`
		ReservationsToPurchase []purchaseBody  `json:"reservationsToPurchase"`
		SavingsPlansToPurchase []any           `json:"savingsPlansToPurchase"`
	} `json:"properties"`
}

type exchangeBody struct {
	Properties struct {
		SessionID string `json:"sessionId"`
	} `json:"properties"`
}

// exchangeAnswer is the result of an operation, which is over when it is answered.
type exchangeAnswer struct {
	ID         string             `json:"id"`
	Name       string             `json:"name"`
	Status     string             `json:"status"`
	Properties exchangeProperties `json:"properties"`
}

type exchangeProperties struct {
	SessionID              string           `json:"sessionId"`
	NetPayable             *price           `json:"netPayable"`
	RefundsTotal           *price           `json:"refundsTotal"`
	PurchasesTotal         *price           `json:"purchasesTotal"`
	ReservationsToExchange []exchangedUnits `json:"reservationsToExchange"`
	ReservationsToPurchase []exchangedFor   `json:"reservationsToPurchase"`
}

type exchangedUnits struct {
	ReservationID       string             `json:"reservationId"`
	Quantity            int64              `json:"quantity"`
	BillingRefundAmount *price             `json:"billingRefundAmount"`
	BillingInformation  billingInformation `json:"billingInformation"`
	Status              string             `json:"status,omitempty"`
}

type exchangedFor struct {
	ReservationOrderID   string       `json:"reservationOrderId,omitempty"`
	ReservationID        string       `json:"reservationId,omitempty"`
	BillingCurrencyTotal *price       `json:"billingCurrencyTotal"`
	Properties           purchaseBody `json:"properties"`
	Status               string       `json:"status,omitempty"`
}

// calculateExchange quotes what an exchange would refund and cost. It is the exchange itself, decided without being
// recorded.
func (d *Door) calculateExchange(r *request) (any, error) {
	sent, err := body.Decode[calculateExchangeBody](r.Request)
	if err != nil {
		return nil, err
	}
	p := sent.Properties
	switch {
	case len(p.SavingsPlansToPurchase) > 0:
		return nil, badRequest(badRequestCode, "A reservation is exchanged for reservations. Savings plans are not supported here.")
	case len(p.ReservationsToExchange) != 1:
		return nil, badRequest(badRequestCode, "Exchange one reservation at a time.")
	}
	row, err := r.units(p.ReservationsToExchange[0])
	if err != nil {
		return nil, err
	}
	s := session{Key: uuid.New(), Reservation: row.ReservationID, Quantity: p.ReservationsToExchange[0].Quantity}
	for _, b := range p.ReservationsToPurchase {
		wanted, err := b.wanted()
		if err != nil {
			return nil, err
		}
		if err := r.checkRenewal(b); err != nil {
			return nil, err
		}
		s.To = append(s.To, wanted)
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	answer, err := r.weigh(id, s.exchange(row))
	if err != nil {
		return nil, err
	}
	if s.Quoted, err = exchangeAmounts(answer); err != nil {
		return nil, err
	}
	s.At = answer.Time
	text, err := s.text()
	if err != nil {
		return nil, fmt.Errorf("write a session: %w", err)
	}
	return exchanged(row, text, answer, false)
}

// exchange carries out what calculateExchange quoted.
func (d *Door) exchange(r *request) (any, error) {
	sent, err := body.Decode[exchangeBody](r.Request)
	if err != nil {
		return nil, err
	}
	text := sent.Properties.SessionID
	quoted, err := readSession(text, true)
	if err != nil {
		return nil, err
	}
	row, err := r.lookUp(quoted.Reservation)
	if err != nil {
		return nil, err
	}
	answer, err := r.carryOut(text, quoted, quoted.exchange(row), exchangeAmounts)
	if err != nil {
		return nil, err
	}
	return exchanged(row, text, answer, true)
}

// exchange is the command that a session describes.
func (s session) exchange(row projections.Reservation) domain.ExchangeReservation {
	return domain.ExchangeReservation{CustomerID: row.CustomerID, ReservationID: row.ReservationID, Quantity: s.Quantity, To: s.To}
}

func exchangeAmounts(a ledger.Answer) ([]domain.Money, error) {
	e, err := only[domain.ReservationExchanged](a)
	return []domain.Money{e.RemainingCommitment, e.Refund, e.Unpaid, e.NewCommitment}, err
}

// exchanged shows an exchange that was weighed or carried out.
func exchanged(row projections.Reservation, text string, answer ledger.Answer, done bool) (any, error) {
	e, err := only[domain.ReservationExchanged](answer)
	if err != nil {
		return nil, err
	}
	billing, err := billed(row, e.Quantity, e.Unpaid, e.RemainingCommitment, answer.Time)
	if err != nil {
		return nil, err
	}
	net, err := less(e.NewCommitment, e.Refund)
	out := exchangeAnswer{
		ID: results + answer.CommandID.String(), Name: answer.CommandID.String(), Status: succeeded,
		Properties: exchangeProperties{
			SessionID: text, NetPayable: priceOf(net), RefundsTotal: priceOf(e.Refund), PurchasesTotal: priceOf(e.NewCommitment),
			ReservationsToExchange: []exchangedUnits{{
				ReservationID: reservationPath(e.OrderID, e.ReservationID), Quantity: e.Quantity,
				BillingRefundAmount: priceOf(e.Refund), BillingInformation: billing, Status: statusOf(done),
			}},
		},
	}
	for _, b := range e.To {
		line := exchangedFor{BillingCurrencyTotal: priceOf(b.Total), Properties: repeated(b), Status: statusOf(done)}
		if done {
			line.ReservationOrderID, line.ReservationID = orderPath(b.OrderID), reservationPath(b.OrderID, b.ReservationID)
		}
		out.Properties.ReservationsToPurchase = append(out.Properties.ReservationsToPurchase, line)
	}
	return out, err
}

// statusOf is the status of a part of an exchange; none while it is only weighed.
func statusOf(done bool) string {
	if done {
		return succeeded
	}
	return ""
}

// repeated is what was bought, as a client asks for it.
func repeated(b domain.Bought) purchaseBody {
	return purchaseBody{SKU: skuName{b.SKU}, Location: b.Region, Properties: purchaseProperties{
		BillingScopeID: subscriptionPath(b.SubscriptionID), Term: string(b.Term), BillingPlan: string(b.BillingPlan),
		Quantity: b.Quantity, DisplayName: b.DisplayName, AppliedScope: appliedScope(b.Scope),
	}}
}
