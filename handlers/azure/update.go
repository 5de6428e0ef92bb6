package azure

import (
	"strings"

	"permledger/domain"
	"permledger/handlers/body"
	"permledger/handlers/problem"
	"permledger/projections"
)

type patchBody struct {
	Properties struct {
		AppliedScope
		Renew          *bool   `json:"renew"`
		Name           *string `json:"name"`
		BillingScopeID string  `json:"billingScopeId"`
	} `json:"properties"`
}

// update changes where a discount applies, whether the reservation is renewed automatically, and its name; all are the
// partner's alone (S9). Each is a command of its own, sent one after the other: a request that was refused half way
// can be sent again.
func (d *Door) update(r *request) (any, error) {
	sent, err := body.Decode[patchBody](r.Request)
	if err != nil {
		return nil, err
	}
	row, err := r.addressed()
	if err != nil {
		return nil, err
	}
	commands, err := sent.commands(row)
	if err != nil {
		return nil, err
	}
	name, events := r.name(), 0
	for _, c := range commands {
		id, err := r.idOf(name, c)
		if err != nil {
			return nil, err
		}
		answer, err := r.execute(id, c, 0)
		if err != nil {
			return nil, err
		}
		events += len(answer.Events)
	}
	if events == 0 {
		return nil, badRequest("PatchValuesSameAsExisting", "The reservation is so already.")
	}
	return r.reservationNow(row.OrderID, row.ReservationID)
}

// commands are what a patch asks for.
func (b patchBody) commands(row projections.Reservation) (list []domain.Command, err error) {
	p := b.Properties
	if p.BillingScopeID != "" && !strings.EqualFold(p.BillingScopeID, subscriptionPath(row.SubscriptionID)) {
		return nil, badRequest("BillingScopeIdCannotBeChanged", "The subscription that is billed cannot be changed. Exchange the reservation instead.")
	}
	if p.AppliedScopeType != "" || len(p.AppliedScopes) > 0 || p.AppliedScopeProperties != nil {
		scope, err := p.scope()
		if err != nil {
			return nil, err
		}
		list = append(list, domain.ChangeReservationScope{CustomerID: row.CustomerID, ReservationID: row.ReservationID, Scope: scope})
	}
	if p.Renew != nil {
		list = append(list, domain.RenewReservation{CustomerID: row.CustomerID, ReservationID: row.ReservationID, Enabled: p.Renew})
	}
	if p.Name != nil {
		list = append(list, domain.RenameReservation{CustomerID: row.CustomerID, ReservationID: row.ReservationID, DisplayName: *p.Name})
	}
	if len(list) == 0 {
		return nil, problem.Refuse(problem.CodeInvalidRequest, "Nothing that can be changed is given: appliedScopeType, renew or name.")
	}
	return list, nil
}

// reservationNow is the answer to a command that changed a reservation: the operation succeeded, whatever the
// reservation has become meanwhile.
func (r *request) reservationNow(order domain.OrderID, id domain.ReservationID) (resource[reservationProperties], error) {
	row, err := r.find(order, id)
	if err != nil {
		return resource[reservationProperties]{}, err
	}
	out, err := r.reservationBody(row)
	out.Properties.ProvisioningState = succeeded
	return out, err
}
