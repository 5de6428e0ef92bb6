package azure

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/body"
	"permledger/handlers/ledger"
	"permledger/projections"
)

type refundBody struct {
	Properties struct {
		SessionID           string        `json:"sessionId"`
		Scope               string        `json:"scope"`
		ReservationToReturn returnedUnits `json:"reservationToReturn"`
		ReturnReason        string        `json:"returnReason"`
	} `json:"properties"`
}

type returnedUnits struct {
	ReservationID string `json:"reservationId"`
	Quantity      int64  `json:"quantity"`
}

type refundAnswer struct {
	ID         string           `json:"id"`
	Properties refundProperties `json:"properties"`
}

type refundProperties struct {
	SessionID           string             `json:"sessionId"`
	Quantity            int64              `json:"quantity"`
	BillingRefundAmount *price             `json:"billingRefundAmount"`
	PricingRefundAmount *price             `json:"pricingRefundAmount"`
	BillingInformation  billingInformation `json:"billingInformation"`
}

// billingInformation says what was paid for units, what of it was used up, and what is still to be paid.
type billingInformation struct {
	BillingPlan                              domain.BillingPlan `json:"billingPlan"`
	CompletedTransactions                    int                `json:"completedTransactions"`
	TotalTransactions                        int                `json:"totalTransactions"`
	BillingCurrencyTotalPaidAmount           *price             `json:"billingCurrencyTotalPaidAmount"`
	BillingCurrencyProratedAmount            *price             `json:"billingCurrencyProratedAmount"`
	BillingCurrencyRemainingCommitmentAmount *price             `json:"billingCurrencyRemainingCommitmentAmount"`
}

// units finds the reservation that a body gives units of back, which is of the order in the address.
func (r *request) units(u returnedUnits) (projections.Reservation, error) {
	order, id, err := reservationAt(u.ReservationID)
	if err != nil {
		return projections.Reservation{}, err
	}
	if u.Quantity < 1 {
		return projections.Reservation{}, badRequest("InvalidRefundQuantity", "The quantity is how many units are given back, from 1 on.")
	}
	return r.find(order, id)
}

// toReturn reads which units of which reservation a body gives back.
func (r *request) toReturn() (refundBody, projections.Reservation, error) {
	sent, err := body.Decode[refundBody](r.Request)
	if err != nil {
		return sent, projections.Reservation{}, err
	}
	if s := sent.Properties.Scope; s != "" {
		if _, known := oneOf(s, "Reservation"); !known {
			return sent, projections.Reservation{}, badRequest(badRequestCode, "The scope of a refund is Reservation.")
		}
	}
	order, err := r.orderID()
	if err != nil {
		return sent, projections.Reservation{}, err
	}
	row, err := r.units(sent.Properties.ReservationToReturn)
	if err == nil && row.OrderID != order {
		err = otherOrder()
	}
	return sent, row, err
}

// calculateRefund quotes what a return would refund. It is the return itself, decided without being recorded.
func (d *Door) calculateRefund(r *request) (any, error) {
	sent, row, err := r.toReturn()
	if err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	quantity := sent.Properties.ReservationToReturn.Quantity
	answer, err := r.weigh(id, domain.ReturnReservation{CustomerID: row.CustomerID, ReservationID: row.ReservationID, Quantity: quantity})
	if err != nil {
		return nil, refundable(err)
	}
	returned, err := only[domain.ReservationReturned](answer)
	if err != nil {
		return nil, err
	}
	text, err := session{
		Key: uuid.New(), At: answer.Time, Reservation: row.ReservationID, Quantity: quantity, Quoted: amountsOf(returned),
	}.text()
	if err != nil {
		return nil, fmt.Errorf("write a session: %w", err)
	}
	billing, err := billed(row, quantity, returned.Unpaid, returned.CommitmentCancelled, answer.Time)
	return refundAnswer{reservationPath(row.OrderID, row.ReservationID), refundProperties{
		SessionID: text, Quantity: quantity, BillingRefundAmount: priceOf(returned.Refund), PricingRefundAmount: priceOf(returned.Refund),
		BillingInformation: billing,
	}}, err
}

// giveBack returns units as calculateRefund quoted it, and answers with the order.
func (d *Door) giveBack(r *request) (any, error) {
	sent, row, err := r.toReturn()
	if err != nil {
		return nil, err
	}
	text, units := sent.Properties.SessionID, sent.Properties.ReservationToReturn
	quoted, err := readSession(text, false)
	if err != nil {
		return nil, err
	}
	if quoted.Reservation != row.ReservationID || quoted.Quantity != units.Quantity {
		return nil, badRequest(invalidContent, "The sessionId was calculated for another return. Calculate this one.")
	}
	c := domain.ReturnReservation{
		CustomerID: row.CustomerID, ReservationID: row.ReservationID, Quantity: units.Quantity, Note: domain.Note{Reason: sent.Properties.ReturnReason},
	}
	_, err = r.carryOut(text, quoted, c, func(a ledger.Answer) ([]domain.Money, error) {
		returned, err := only[domain.ReservationReturned](a)
		return amountsOf(returned), err
	})
	if err != nil {
		return nil, refundable(err)
	}
	return r.orderNow(row.OrderID)
}

func amountsOf(e domain.ReservationReturned) []domain.Money {
	return []domain.Money{e.CommitmentCancelled, e.Fee, e.Refund, e.Unpaid}
}

// refundable says of a reservation whose price nobody knows that it cannot be returned here.
func refundable(err error) error {
	if unpriced, ok := errors.AsType[*domain.Error](err); ok && unpriced.Code == domain.CodePriceNotSet {
		return badRequest(selfServiceRefused, unpriced.Detail)
	}
	return err
}

// billed says what was paid for some units of a reservation by a moment: their total but for what is unpaid, of
// which all but the remaining commitment is used up.
func billed(row projections.Reservation, quantity int64, unpaid, remaining domain.Money, at time.Time) (billingInformation, error) {
	quote, err := domain.NewQuote(row.UnitPrice, quantity, row.Term, row.BillingPlan, row.StartsAt)
	if err != nil {
		return billingInformation{}, err
	}
	paid, err := less(quote.Total, unpaid)
	if err != nil {
		return billingInformation{}, err
	}
	used, err := less(quote.Total, remaining)
	return billingInformation{
		BillingPlan: row.BillingPlan, CompletedTransactions: quote.DueBy(at), TotalTransactions: len(quote.Payments),
		BillingCurrencyTotalPaidAmount: priceOf(paid), BillingCurrencyProratedAmount: priceOf(used),
		BillingCurrencyRemainingCommitmentAmount: priceOf(unpaid),
	}, err
}

// only reads the one event of an answer.
func only[E domain.Event](a ledger.Answer) (event E, err error) {
	if len(a.Events) != 1 || a.Events[0].Type != event.EventType() {
		return event, fmt.Errorf("%s led to other events than %s", a.Name, event.EventType())
	}
	err = json.Unmarshal(a.Events[0].Data, &event)
	return event, err
}
