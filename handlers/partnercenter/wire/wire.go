// Package wire holds the names and forms of Partner Center's API that more than its door writes: webhooks point to
// its policies, orders and audit records.
package wire

import (
	"strconv"
	"strings"
	"time"

	"permledger/domain"
)

// The operations that the ids of audit records tell apart further.
const (
	CreatePolicy = "create_self_serve_policy"
	UpdatePolicy = "update_self_serve_policy"
	DeletePolicy = "delete_self_serve_policy"
	CreateOrder  = "create_order"
)

// PolicyOperation says what a change made of a policy: the permissions that were on before and after it, together.
func PolicyOperation(before, after []domain.Product) string {
	switch {
	case len(before) == 0:
		return CreatePolicy
	case len(after) == 0:
		return DeletePolicy
	default:
		return UpdatePolicy
	}
}

// PolicyID names the one policy of a partner's customer.
func PolicyID(partner, customer domain.TenantID) string {
	return partner.String() + "_" + customer.String()
}

// PolicyPath is the address of a policy, below the host.
func PolicyPath(partner, customer domain.TenantID) string {
	return "/v1/SelfServePolicy/" + PolicyID(partner, customer)
}

// OrderPath is the address of an order, below the host.
func OrderPath(customer domain.TenantID, order domain.OrderID) string {
	return "/v1/customers/" + customer.String() + "/orders/" + order.String()
}

// The addresses about webhooks themselves, below the host.
const (
	CertificatePath = "/webhooks/v1/certificate.cer"
	TestEventsPath  = "/webhooks/v1/registration/validationEvents/" // and the id of a test event
)

// RecordPath is the address of an audit record, below the host.
func RecordPath(id string) string { return "/auditactivity/v1/auditrecords/" + id }

// RecordID names the audit record of a command, with a zero customer where it is about none. Commands that were
// decided together share one time: the resource, which is the order that was made or else the command, tells them
// apart.
func RecordID(partner, customer domain.TenantID, resource, operation string, at time.Time) string {
	parts := []string{partner.String()}
	if !customer.IsZero() {
		parts = append(parts, customer.String())
	}
	parts = append(parts, strings.ToLower(resource), strings.ReplaceAll(operation, "_", ""), strconv.FormatInt(ticks(at), 10))
	return strings.Join(parts, "_")
}

// RecordTime reads the moment at which a record was made, to the tick, out of its id.
func RecordTime(id string) (at time.Time, found bool) {
	n, err := strconv.ParseInt(id[strings.LastIndexByte(id, '_')+1:], 10, 64)
	if err != nil || n < ticksUntil1970 {
		return time.Time{}, false
	}
	return time.Unix(0, (n-ticksUntil1970)*int64(Tick)).UTC(), true
}

// Tick is the unit in which ids of audit records count time, since the year 1.
const Tick = 100 * time.Nanosecond

const ticksUntil1970 = 621_355_968_000_000_000

func ticks(at time.Time) int64 { return ticksUntil1970 + at.UnixNano()/int64(Tick) }
