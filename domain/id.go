// Package domain holds the rules of the permission ledger: which events exist, which commands there
// are, and how a command is judged against everything that happened before it.
//
// It is pure. Nothing in it reads a clock, draws a random number, logs or does I/O; time and ids arrive
// with the command. A rule is cited by its number (S1…S16 from Microsoft's description of customer
// purchase permissions, L1…L8 the ledger's own); the manual's page "rules" lists them all.
package domain

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 9562 names by it
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"
)

// TenantID names a company: a partner or a customer.
type TenantID struct{ uuid.UUID }

// UserID is the object id of a person in a tenant.
type UserID struct{ uuid.UUID }

// SubscriptionID names an Azure subscription.
type SubscriptionID struct{ uuid.UUID }

// OrderID names one purchase, exchange or renewal; an order holds one or more reservations, or one savings plan.
type OrderID struct{ uuid.UUID }

// ReservationID names one reservation.
type ReservationID struct{ uuid.UUID }

// CommandID names one command of a tenant for ever: the same id never has a second effect (L3).
type CommandID struct{ uuid.UUID }

// IsZero reports whether no tenant is named.
func (id TenantID) IsZero() bool { return id.UUID == uuid.Nil }

// IsZero reports whether no user is named.
func (id UserID) IsZero() bool { return id.UUID == uuid.Nil }

// IsZero reports whether no subscription is named.
func (id SubscriptionID) IsZero() bool { return id.UUID == uuid.Nil }

// IsZero reports whether no order is named.
func (id OrderID) IsZero() bool { return id.UUID == uuid.Nil }

// IsZero reports whether no reservation is named.
func (id ReservationID) IsZero() bool { return id.UUID == uuid.Nil }

// ParseTenantID reads a GUID in its 36 character form. The zero GUID names nobody and is refused.
func ParseTenantID(s string) (TenantID, error) {
	id, err := parseGUID(s)
	return TenantID{id}, err
}

// ParseUserID reads a GUID in its 36 character form. The zero GUID names nobody and is refused.
func ParseUserID(s string) (UserID, error) {
	id, err := parseGUID(s)
	return UserID{id}, err
}

// ParseSubscriptionID reads a GUID in its 36 character form. The zero GUID is refused.
func ParseSubscriptionID(s string) (SubscriptionID, error) {
	id, err := parseGUID(s)
	return SubscriptionID{id}, err
}

// ParseOrderID reads a GUID in its 36 character form. The zero GUID is refused.
func ParseOrderID(s string) (OrderID, error) {
	id, err := parseGUID(s)
	return OrderID{id}, err
}

// ParseReservationID reads a GUID in its 36 character form. The zero GUID is refused.
func ParseReservationID(s string) (ReservationID, error) {
	id, err := parseGUID(s)
	return ReservationID{id}, err
}

// ParseCommandID reads a GUID in its 36 character form. The zero GUID and the ids of the ledger's own
// commands are refused.
func ParseCommandID(s string) (CommandID, error) {
	guid, err := parseGUID(s)
	id := CommandID{guid}
	if err == nil && id.Reserved() {
		err = errReserved
	}
	return id, err
}

// reservedSpace is how the ids of the ledger's own commands begin. They are of version 8 of RFC 9562, which
// leaves the rest to whoever makes them.
const reservedSpace = "plid"

var errReserved = fmt.Errorf("ids of version 8 that begin with %x are the ledger's own: make another one", reservedSpace)

// Reserved reports whether an id is of the space in which the ledger names the commands it sends itself.
// Nobody else may use it, or a command of the ledger's could be kept from being carried out.
func (id CommandID) Reserved() bool {
	return string(id.UUID[:len(reservedSpace)]) == reservedSpace && id.Version() == 8
}

// CheckSent refuses an id that is reserved for the ledger itself (L3).
func (id CommandID) CheckSent() error {
	if !id.Reserved() {
		return nil
	}
	return InvalidCommand([]FieldError{{Field: "commandId", Detail: errReserved.Error()}})
}

// reserved is the id of one of the ledger's own commands: always the same one for the same name.
func reserved(name ...[]byte) (id CommandID) {
	sum := sha256.Sum256(bytes.Join(name, nil))
	copy(id.UUID[:], sum[:])
	copy(id.UUID[:], reservedSpace)
	id.UUID[6], id.UUID[8] = id.UUID[6]&0x0f|0x80, id.UUID[8]&0x3f|0x80
	return id
}

func parseGUID(s string) (uuid.UUID, error) {
	if len(s) != 36 {
		return uuid.Nil, fmt.Errorf("%q is not a GUID: write 36 characters such as 0431a72c-7d8a-4393-b25e-ef63f5efb415", clip(s))
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, fmt.Errorf("%q is not a GUID: write 36 characters such as 0431a72c-7d8a-4393-b25e-ef63f5efb415", clip(s))
	}
	if id == uuid.Nil {
		return uuid.Nil, errors.New("the zero GUID names nothing: give the real id")
	}
	return id, nil
}

// clip keeps a caller's text short enough to be repeated in an error.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// Order is the id of the order that a tenant's command creates. The same command always creates the same ids,
// so that deciding it again gives the same events, and those of another tenant's command with the same id
// differ. Releases before this rule left the tenant out; what they recorded keeps its ids.
func (id CommandID) Order(sender TenantID) OrderID {
	return OrderID{derived(id.UUID, nameOf(sender, "order/", 0))}
}

// Reservation is the id of the n-th reservation, from 0, that a tenant's command creates.
func (id CommandID) Reservation(sender TenantID, n int) ReservationID {
	return ReservationID{derived(id.UUID, nameOf(sender, "reservation/", n))}
}

// nameOf names the n-th of what a tenant's command creates: the tenant's bytes, then text.
func nameOf(sender TenantID, kind string, n int) []byte {
	name := append(append(make([]byte, 0, 48), sender.UUID[:]...), kind...)
	return strconv.AppendInt(name, int64(n), 10)
}

// derived is the GUID of a name within the space of another GUID: version 5 of RFC 9562.
func derived(space uuid.UUID, name []byte) (id uuid.UUID) {
	sum := sha1.Sum(append(append(make([]byte, 0, 64), space[:]...), name...)) //nolint:gosec // a name, not a secret
	copy(id[:], sum[:])
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80
	return id
}
