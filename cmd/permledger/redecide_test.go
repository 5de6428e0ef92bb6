package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unmarshal reads JSON leniently; the shapes here name only what a checker looks at.
func unmarshal(data []byte, into any) error { return json.Unmarshal(data, into) }

// finding is something that a checker found wrong.
type finding struct {
	kind string
	text string
}

// The kinds of findings.
const (
	lost       = "lost"       // acknowledged, but not in the log
	duplicated = "duplicated" // more than one effect of one command
	wrong      = "wrong"      // decided, ordered or told otherwise than the rules say
)

// reference is a second implementation of the rules of purchase permissions, written from the rules' text
// and the stored form alone. It shares no code with the domain.
type reference struct {
	partnerOf map[string]string    // by customer
	on        map[[2]string]bool   // customer, product
	billed    map[string]*billable // by subscription
	owner     map[[2]string]bool   // subscription, user
}

type billable struct {
	customer, partner string
	active            bool
}

func newReference() *reference {
	return &reference{
		partnerOf: make(map[string]string), on: make(map[[2]string]bool),
		billed: make(map[string]*billable), owner: make(map[[2]string]bool),
	}
}

// stored is a record of an export, as far as it matters here.
type stored struct {
	First    uint64 `json:"first"`
	Commands []struct {
		ID     string        `json:"id"`
		Name   string        `json:"name"`
		Actor  storedActor   `json:"actor"`
		Events []storedEvent `json:"events"`
	} `json:"commands"`
}

type storedActor struct {
	Tenant   string   `json:"tenant"`
	ObjectID string   `json:"objectId"`
	Roles    []string `json:"roles"`
}

type storedEvent struct {
	Type     string          `json:"type"`
	Partner  string          `json:"partner"`
	Customer string          `json:"customer"`
	Data     json.RawMessage `json:"data"`
}

// details are the members of all events that are looked at.
type details struct {
	Product        string `json:"product"`
	SubscriptionID string `json:"subscriptionId"`
	Status         string `json:"status"`
	UserID         string `json:"userId"`
	Role           string `json:"role"`
	Authorised     bool   `json:"authorised"`
	Reported       bool   `json:"reported"`
	BilledTo       string `json:"billedTo"`
	Command        string `json:"command"`
	Code           string `json:"code"`
	Also           []struct {
		Code string `json:"code"`
	} `json:"also"`
}

// fold takes in an event.
func (r *reference) fold(e *storedEvent, d *details) {
	switch e.Type {
	case "CustomerRegistered":
		r.partnerOf[e.Customer] = e.Partner
	case "SubscriptionRecorded":
		r.billed[d.SubscriptionID] = &billable{customer: e.Customer, partner: e.Partner, active: true}
	case "SubscriptionStatusChanged":
		r.billed[d.SubscriptionID].active = d.Status == "active"
	case "SubscriptionRoleAssigned", "SubscriptionRoleRemoved":
		if d.Role == "Owner" {
			r.owner[[2]string{d.SubscriptionID, d.UserID}] = e.Type == "SubscriptionRoleAssigned"
		}
	case "PurchasePermissionGranted", "PurchasePermissionRevoked":
		r.on[[2]string{e.Customer, d.Product}] = e.Type == "PurchasePermissionGranted"
	}
}

// against lists the codes of every rule that forbids a purchase: S1 and S7, then S7's subscription, S6.
func (r *reference) against(customer, subscription, user string) (codes []string) {
	if !r.on[[2]string{customer, "AzureReservedInstances"}] {
		codes = append(codes, "purchase-permission-off")
	}
	s := r.billed[subscription]
	if s == nil || s.customer != customer || s.partner != r.partnerOf[customer] {
		return append(codes, "billing-subscription-inactive")
	}
	if !s.active {
		codes = append(codes, "billing-subscription-inactive")
	}
	if !r.owner[[2]string{subscription, user}] {
		codes = append(codes, "owner-role-missing")
	}
	return codes
}

// eligible is S5: one active subscription of the customer's own partner.
func (r *reference) eligible(customer string) bool {
	for _, s := range r.billed {
		if s.customer == customer && s.partner == r.partnerOf[customer] && s.active {
			return true
		}
	}
	return false
}

// audit goes through an export with what clients were told, and re-decides every decision from the log
// before it. It gives what does not fit and how many purchases were accepted and refused.
func audit(t *testing.T, path string, m *market, deeds []deed) (findings []finding, accepted, refused int) {
	t.Helper()
	a := &auditor{reference: newReference(), market: m, asked: make(map[string]*deed), at: make(map[string]int)}
	for i := range deeds {
		if deeds[i].kind != check {
			a.asked[deeds[i].id] = &deeds[i]
		}
	}
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // it was read
	lines := bufio.NewReaderSize(file, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var record stored
		require.NoError(t, unmarshal(line, &record))
		a.record(&record)
	}
	a.missing(deeds)
	a.disordered(deeds)
	return a.findings, a.accepted, a.refused
}

type auditor struct {
	*reference
	market   *market
	asked    map[string]*deed
	at       map[string]int // place of a command in the log, from 1
	findings []finding
	position uint64
	accepted int
	refused  int
}

func (a *auditor) find(kind, format string, args ...any) {
	a.findings = append(a.findings, finding{kind, fmt.Sprintf(format, args...)})
}

func (a *auditor) record(r *stored) {
	if r.First != a.position+1 {
		a.find(lost, "a record begins with position %d after position %d", r.First, a.position)
	}
	a.position = r.First - 1
	for i := range r.Commands {
		c := &r.Commands[i]
		if a.at[c.ID] != 0 {
			a.find(duplicated, "command %s is recorded twice", c.ID)
		}
		a.at[c.ID] = len(a.at) + 1
		d := a.asked[c.ID]
		data := make([]details, len(c.Events))
		for j := range c.Events {
			if err := unmarshal(c.Events[j].Data, &data[j]); err != nil {
				a.find(wrong, "position %d: %v", a.position+uint64(j)+1, err)
			}
		}
		if d != nil {
			a.compare(d, c.Events, data)
		}
		if c.Name == "PurchaseReservation" && slices.Equal(c.Actor.Roles, []string{"CustomerUser"}) {
			a.decision(d, &c.Actor, c.Events, data)
		} else if d != nil {
			a.changed(d, c.Events)
		}
		for j := range c.Events {
			a.fold(&c.Events[j], &data[j])
		}
		a.position += uint64(len(c.Events))
	}
}

// compare holds the answer that a client got against what is recorded.
func (a *auditor) compare(d *deed, events []storedEvent, data []details) {
	if !d.known {
		return
	}
	var said struct {
		Position uint64 `json:"position"`
		Events   []struct {
			Type string          `json:"type"`
			Data json.RawMessage `json:"data"`
		} `json:"events"`
	}
	if d.code != "" {
		if len(events) != 1 || events[0].Type != "AttemptDenied" || data[0].Code != d.code {
			a.find(wrong, "command %s was answered with %s, but is recorded as %v", d.id, d.code, types(events))
		}
		return
	}
	if err := unmarshal(d.body, &said); err != nil || said.Position != a.position+uint64(len(events)) || len(said.Events) != len(events) {
		a.find(wrong, "command %s was told position %d and %d events, recorded are %d events up to position %d", d.id, said.Position, len(said.Events), len(events), a.position+uint64(len(events)))
		return
	}
	for j := range events {
		if said.Events[j].Type != events[j].Type || !bytes.Equal(said.Events[j].Data, events[j].Data) {
			a.find(wrong, "command %s was told of %s, recorded is %s", d.id, said.Events[j].Type, events[j].Type)
		}
	}
}

// decision re-decides a customer's purchase.
func (a *auditor) decision(d *deed, actor *storedActor, events []storedEvent, data []details) {
	if len(events) != 1 {
		a.find(wrong, "position %d: a purchase of %d events", a.position+1, len(events))
		return
	}
	switch e := events[0]; e.Type {
	case "CustomerPurchasedReservation":
		a.accepted++
		codes := a.against(e.Customer, data[0].SubscriptionID, actor.ObjectID)
		if len(codes) > 0 || e.Customer != actor.Tenant || !data[0].Authorised || data[0].Reported || data[0].UserID != actor.ObjectID || data[0].BilledTo != a.partnerOf[e.Customer] {
			a.find(wrong, "position %d: a purchase was accepted against %s", a.position+1, strings.Join(codes, ", "))
		}
	case "AttemptDenied":
		a.refused++
		if d == nil {
			return // the log does not say for which subscription it was
		}
		codes := a.against(e.Customer, a.market.parties[d.party].subscription, actor.ObjectID)
		said := []string{data[0].Code}
		for _, also := range data[0].Also {
			said = append(said, also.Code)
		}
		if !slices.Equal(codes, said) {
			a.find(wrong, "position %d: a purchase was refused for %v, the rules say %v", a.position+1, said, codes)
		}
	default:
		a.find(wrong, "position %d: a purchase became %s", a.position+1, e.Type)
	}
}

// changed re-decides a change of the permission (S5, L2).
func (a *auditor) changed(d *deed, events []storedEvent) {
	customer := a.market.parties[d.party].customer
	on := a.on[[2]string{customer, "AzureReservedInstances"}]
	var want []string
	switch {
	case d.kind == grant && !on && a.eligible(customer):
		want = []string{"PurchasePermissionGranted"}
	case d.kind == revoke && on:
		want = []string{"PurchasePermissionRevoked"}
	case d.kind == grant && !on:
		a.find(wrong, "position %d: granted without an eligible subscription", a.position+1)
		return
	case d.kind != grant && d.kind != revoke:
		return
	}
	if !slices.Equal(types(events), want) {
		a.find(wrong, "position %d: %s became %v, the rules say %v", a.position+1, verb[d.kind], types(events), want)
	}
}

// missing finds what was acknowledged and is not in the log.
func (a *auditor) missing(deeds []deed) {
	for i := range deeds {
		if d := &deeds[i]; d.accepted() && a.at[d.id] == 0 {
			a.find(lost, "command %s (%s) was acknowledged and is not in the log", d.id, verb[d.kind])
		}
	}
}

// disordered finds commands that were sent after another's answer and stand before it in the log.
func (a *auditor) disordered(deeds []deed) {
	var sent, answered []*deed
	for i := range deeds {
		if d := &deeds[i]; d.accepted() && a.at[d.id] != 0 {
			sent, answered = append(sent, d), append(answered, d)
		}
	}
	slices.SortFunc(sent, func(x, y *deed) int { return int(x.called - y.called) })
	slices.SortFunc(answered, func(x, y *deed) int { return int(x.returned - y.returned) })
	var last *deed
	next := 0
	for _, d := range sent {
		for ; next < len(answered) && answered[next].returned < d.called; next++ {
			if last == nil || a.at[answered[next].id] > a.at[last.id] {
				last = answered[next]
			}
		}
		if last != nil && a.at[last.id] > a.at[d.id] {
			a.find(wrong, "command %s was sent after the answer to %s and stands before it", d.id, last.id)
		}
	}
}

func types(events []storedEvent) (names []string) {
	for i := range events {
		names = append(names, events[i].Type)
	}
	return names
}
