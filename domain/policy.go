package domain

import (
	"slices"
	"strings"
	"time"
)

// Policy is what Microsoft allows to be done with reservations from a date on. Policies are data: a
// change of the programme is one more entry, and a decision follows the entry in force at its own time.
type Policy struct {
	From               time.Time          // in force from this moment, UTC
	CancellationLimit  map[Currency]int64 // minor units of commitment a customer may cancel in the window; a currency without an entry is not judged here
	CancellationMonths int                // length of the rolling window
	FeePercent         int64              // early-termination fee, of the commitment cancelled
	FeeFreeDays        int                // days after the start without a fee
	ExchangeClosed     []string           // families that cannot be exchanged when bought on or after From
	RenewalDays        int                // days before expiry from which a successor may be bought
}

// computeFamilies are the families that savings plans cover.
var computeFamilies = []string{"VirtualMachines", "Virtual Machines", "AppService", "Azure App Service", "DedicatedHost"}

// Policies lists the policies of the programme, oldest first.
func Policies() []Policy {
	baseline := Policy{
		From:               time.Time{},
		CancellationLimit:  map[Currency]int64{"USD": 50_000_00},
		CancellationMonths: 12,
		FeePercent:         0,
		RenewalDays:        30,
	}
	exchangeEnd := baseline
	exchangeEnd.From = time.Date(2027, time.February, 1, 0, 0, 0, 0, time.UTC)
	exchangeEnd.ExchangeClosed = computeFamilies
	return []Policy{baseline, exchangeEnd}
}

// policy is the entry in force at the time of the decision.
func (d *decision) policy() Policy {
	inForce := d.policies[0]
	for _, p := range d.policies {
		if !p.From.After(d.at) {
			inForce = p
		}
	}
	return inForce
}

// exchangeable reports whether a reservation of a family bought at a moment may be exchanged.
func (d *decision) exchangeable(family string, bought time.Time) bool {
	for _, p := range d.policies {
		if !p.From.After(d.at) && !p.From.After(bought) && slices.Contains(p.ExchangeClosed, family) {
			return false
		}
	}
	return true
}

// familyOf is the product family of a size whose price names none: virtual machine sizes share one,
// anything else is its own.
func familyOf(sku string) string {
	if strings.HasPrefix(sku, "Standard_") || strings.HasPrefix(sku, "Basic_") {
		return "VirtualMachines"
	}
	return sku
}
