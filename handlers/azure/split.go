package azure

import (
	"slices"

	"permledger/domain"
	"permledger/handlers/body"
)

type splitBody struct {
	Properties struct {
		ReservationID string  `json:"reservationId"`
		Quantities    []int64 `json:"quantities"`
	} `json:"properties"`
}

type mergeBody struct {
	Properties struct {
		Sources []string `json:"sources"`
	} `json:"properties"`
}

// split makes two reservations of one, and answers with them and what they come from. A reservation is split once,
// so that the same request sent again gets the same answer.
func (d *Door) split(r *request) (any, error) {
	sent, err := body.Decode[splitBody](r.Request)
	if err != nil {
		return nil, err
	}
	ids, customer, err := r.named(sent.Properties.ReservationID)
	if err != nil {
		return nil, err
	}
	return r.reshape(domain.SplitReservation{CustomerID: customer, ReservationID: ids[0], Quantities: sent.Properties.Quantities}, ids)
}

// merge makes one reservation of several of an order, and answers with it and what it comes from.
func (d *Door) merge(r *request) (any, error) {
	sent, err := body.Decode[mergeBody](r.Request)
	if err != nil {
		return nil, err
	}
	ids, customer, err := r.named(sent.Properties.Sources...)
	if err != nil {
		return nil, err
	}
	return r.reshape(domain.MergeReservations{CustomerID: customer, ReservationIDs: ids}, ids)
}

// named finds the reservations that a body names, which are of the order in the address, and whose they are.
func (r *request) named(paths ...string) (ids []domain.ReservationID, customer domain.TenantID, err error) {
	order, err := r.orderID()
	if err != nil {
		return nil, customer, err
	}
	if len(paths) == 0 || len(paths) > domain.MaxMerged {
		return nil, customer, badRequest(badRequestCode, "Name 2 to 10 reservations to merge.")
	}
	for _, path := range paths {
		in, id, err := reservationAt(path)
		if err != nil {
			return nil, customer, err
		}
		if in != order {
			return nil, customer, otherOrder()
		}
		row, err := r.find(order, id)
		if err != nil {
			return nil, customer, err
		}
		ids, customer = append(ids, id), row.CustomerID
	}
	return ids, customer, nil
}

func otherOrder() error {
	return badRequest("ReservationIdNotInReservationOrder", "The body names a reservation of another order than the address.")
}

// reshape sends a split or a merge, and answers with the reservations it made and those it took.
func (r *request) reshape(c domain.Command, taken []domain.ReservationID) (any, error) {
	order, err := r.orderID()
	if err != nil {
		return nil, err
	}
	id, err := r.idOf("", c)
	if err != nil {
		return nil, err
	}
	if _, err := r.execute(id, c, 0); err != nil {
		return nil, err
	}
	whole, err := r.find(order, taken[0])
	if err != nil {
		return nil, err
	}
	var out []resource[reservationProperties]
	for _, part := range slices.Concat(whole.Lineage.SplitInto, whole.Lineage.MergedInto, taken) {
		one, err := r.reservationNow(order, part)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}
