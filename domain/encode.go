package domain

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// appender is an event or a command that writes its own JSON. Purchases are most of what a busy ledger stores,
// and writing them by reflection would be most of what a group of commands costs. What it writes is, byte for
// byte, what encoding/json writes.
type appender interface {
	appendJSON(b []byte) []byte
}

func (c PurchaseReservation) appendJSON(b []byte) []byte {
	b = appendID(append(b, `{"customerId":`...), c.CustomerID.UUID)
	b = appendID(append(b, `,"subscriptionId":`...), c.SubscriptionID.UUID)
	b = c.Offer.appendMembers(b)
	b = strconv.AppendInt(append(b, `,"quantity":`...), c.Quantity, 10)
	b = c.Scope.appendJSON(append(b, `,"scope":`...))
	if c.DisplayName != "" {
		b = appendText(append(b, `,"displayName":`...), c.DisplayName)
	}
	if !c.OrderID.IsZero() {
		b = appendID(append(b, `,"orderId":`...), c.OrderID.UUID)
	}
	if c.Reason != "" {
		b = appendText(append(b, `,"reason":`...), c.Reason)
	}
	return append(b, '}')
}

// appendMembers writes the members of an offer, each after a comma.
func (o Offer) appendMembers(b []byte) []byte {
	b = appendText(append(b, `,"sku":`...), o.SKU)
	b = appendText(append(b, `,"region":`...), o.Region)
	b = appendText(append(b, `,"term":`...), string(o.Term))
	return appendText(append(b, `,"billingPlan":`...), string(o.BillingPlan))
}

func (s Scope) appendJSON(b []byte) []byte {
	b = appendText(append(b, `{"type":`...), string(s.Type))
	if !s.SubscriptionID.IsZero() {
		b = appendID(append(b, `,"subscriptionId":`...), s.SubscriptionID.UUID)
	}
	return append(b, '}')
}

func (e CustomerPurchasedReservation) appendJSON(b []byte) []byte {
	b = e.Bought.appendMembers(append(b, '{'))
	b = appendID(append(b, `,"userId":`...), e.UserID.UUID)
	b = appendText(append(b, `,"userPrincipalName":`...), e.UserPrincipalName)
	b = appendTime(append(b, `,"purchasedAt":`...), e.PurchasedAt)
	b = strconv.AppendBool(append(b, `,"reported":`...), e.Reported)
	b = strconv.AppendBool(append(b, `,"authorised":`...), e.Authorised)
	if len(e.Broke) > 0 {
		b = append(b, `,"broke":[`...)
		for i, r := range e.Broke {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(append(b, `{"rule":`...), r.Rule)
			b = appendText(append(b, `,"code":`...), string(r.Code))
			b = append(appendText(append(b, `,"detail":`...), r.Detail), '}')
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func (e PartnerPurchasedReservation) appendJSON(b []byte) []byte {
	b = e.Bought.appendMembers(append(b, '{'))
	if !e.UserID.IsZero() {
		b = appendID(append(b, `,"userId":`...), e.UserID.UUID)
	}
	if e.UserPrincipalName != "" {
		b = appendText(append(b, `,"userPrincipalName":`...), e.UserPrincipalName)
	}
	b = appendTime(append(b, `,"purchasedAt":`...), e.PurchasedAt)
	return append(b, '}')
}

// appendMembers writes the members of a purchased reservation, without braces around them.
func (r Bought) appendMembers(b []byte) []byte {
	b = appendID(append(b, `"orderId":`...), r.OrderID.UUID)
	b = appendID(append(b, `,"reservationId":`...), r.ReservationID.UUID)
	b = appendID(append(b, `,"subscriptionId":`...), r.SubscriptionID.UUID)
	b = r.Offer.appendMembers(b)
	b = appendText(append(b, `,"family":`...), r.Family)
	b = strconv.AppendInt(append(b, `,"quantity":`...), r.Quantity, 10)
	b = r.Scope.appendJSON(append(b, `,"scope":`...))
	b = appendText(append(b, `,"displayName":`...), r.DisplayName)
	for _, m := range []struct {
		name   string
		amount Money
	}{{`,"unitPrice":`, r.UnitPrice}, {`,"total":`, r.Total}, {`,"webDirectPrice":`, r.WebDirectPrice}} {
		if !m.amount.IsZero() {
			b = m.amount.appendJSON(append(b, m.name...))
		}
	}
	b = appendID(append(b, `,"billedTo":`...), r.BilledTo.UUID)
	b = appendTime(append(b, `,"startsAt":`...), r.StartsAt)
	return appendTime(append(b, `,"expiresAt":`...), r.ExpiresAt)
}

func appendID(b []byte, id uuid.UUID) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for i, c := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, hexDigits[c>>4], hexDigits[c&0xf])
	}
	return append(b, '"')
}

func appendTime(b []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

// appendText writes a string; one that needs an escape is left to encoding/json.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic("domain: a string cannot be encoded: " + err.Error())
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
