package domain_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
)

func denials(b *domaintest.Book) (found []domain.Fact) {
	for _, f := range b.Facts {
		if _, denied := f.Event.(domain.AttemptDenied); denied {
			found = append(found, f)
		}
	}
	return found
}

func TestL7WrongRolesWrongTenantsAndRefusedPurchasesAreRecorded(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	b.Refused(domaintest.Sales, domaintest.Grant(domain.AzureReservedInstances), domain.CodeRoleNotAllowed, "S2")
	b.Refused(domaintest.Buyer, domaintest.Purchase(1), domain.CodePermissionOff, "S7")
	b.Refused(domaintest.Stranger, domaintest.Grant(domain.AzureReservedInstances), domain.CodeNotFound, "L8")
	recorded := denials(b)
	require.Len(t, recorded, 3)
	require.Equal(t, domaintest.Partner, recorded[0].Partner)
	require.Equal(t, domaintest.Partner, recorded[1].Partner, "a customer's attempt stands in its partner's book")
	require.Equal(t, domaintest.Rival, recorded[2].Partner, "a stranger's attempt stands in the stranger's own book")
	attempt := recorded[1].Event.(domain.AttemptDenied)
	require.Equal(t, "PurchaseReservation", attempt.Command)
	require.Equal(t, domaintest.Buyer.User, attempt.UserID)
	require.Len(t, attempt.Also, 1, "every rule that said no")
}

func TestL7ARefusalForTheStateOfThingsIsNoAttemptForAuditors(t *testing.T) {
	t.Parallel()
	b := domaintest.Registered(t)
	before := len(b.Facts)
	b.Refused(domaintest.Admin, domaintest.Grant(domain.AzureReservedInstances), domain.CodeNoEligible, "S5")
	require.Len(t, b.Facts, before)
}

func TestL7AnAttackerCannotFillTheLog(t *testing.T) {
	t.Parallel()
	b := domaintest.Subscribed(t)
	for range 100 {
		b.Refused(domaintest.Sales, domaintest.Grant(domain.AzureReservedInstances), domain.CodeRoleNotAllowed, "S2")
	}
	require.Len(t, denials(b), 30, "of one user in one hour")
	for i := range 600 {
		user := domaintest.Helpdesk
		user.User = domain.UserID{UUID: uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(i >> 8), byte(i)})}
		b.Refused(user, domaintest.Grant(domain.AzureReservedInstances), domain.CodeRoleNotAllowed, "S2")
	}
	require.Len(t, denials(b), 300, "of one tenant in one hour")
	b.Later(time.Hour)
	b.Refused(domaintest.Sales, domaintest.Grant(domain.AzureReservedInstances), domain.CodeRoleNotAllowed, "S2")
	require.Len(t, denials(b), 301, "a new hour begins")
}
