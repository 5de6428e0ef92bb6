package partnercenter_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
)

func TestAPolicyIsTheCustomersPurchasePermissionsSeenTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Empty(t, w.items(policies+"?entity_id="+w.customer), "off by default (S1)")
	send(t, http.MethodGet, policies+"/"+w.policyID(), w.admin, "").refused(t, 404, "600039")

	created := w.create(reserved)
	require.Equal(t, w.policyID(), created.ID)
	require.Equal(t, "customer", created.SelfServeEntity.SelfServeEntityType)
	require.Equal(t, w.customer, created.SelfServeEntity.TenantID)
	require.Equal(t, "billToPartner", created.Grantor.GrantorType)
	require.Equal(t, w.partner, created.Grantor.TenantID)
	require.Equal(t, []string{reserved}, created.resources())
	require.Regexp(t, `^"[0-9a-f-]{36}"$`, created.Attributes.ETag)

	var got, updated policy
	w.get(policies+"/"+w.policyID()).into(t, &got)
	require.Equal(t, created, got)
	require.Len(t, w.items(policies+"?Entity_ID="+strings.ToUpper(w.customer)), 1)
	require.Len(t, w.items(policies), 1, "all policies of the partner")

	send(t, http.MethodPost, policies, w.admin, w.body("", "", savings)).refused(t, 409, "600041")

	a := send(t, http.MethodPut, policies+"/"+w.policyID(), w.admin, w.body(w.policyID(), created.Attributes.ETag, savings, reserved))
	a.into(t, &updated)
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, []string{reserved, savings}, updated.resources())
	require.NotEqual(t, created.Attributes.ETag, updated.Attributes.ETag)

	a = send(t, http.MethodPut, policies, w.admin, w.body(w.policyID(), "", savings))
	require.Equal(t, http.StatusOK, a.status, "the id in the body will do, and no etag is needed: %s", a.body)

	require.Equal(t, http.StatusOK, send(t, http.MethodPut, policies, w.admin, w.body(w.policyID(), "")).status)
	require.Empty(t, w.items(policies+"?entity_id="+w.customer), "no permissions, no policy")
	send(t, http.MethodPut, policies, w.admin, w.body(w.policyID(), "", reserved)).refused(t, 404, "600039")

	w.create(savings)
	a = send(t, http.MethodDelete, policies+"/"+w.policyID(), w.admin, "")
	require.Equal(t, http.StatusNoContent, a.status)
	require.Empty(t, a.body)
	send(t, http.MethodDelete, policies+"/"+w.policyID(), w.admin, "").refused(t, 404, "600039")
}

func TestAStaleEtagIsRefusedTheWayItWasSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.create(reserved).Attributes.ETag
	path := policies + "/" + w.policyID()
	var current policy
	send(t, http.MethodPut, path, w.admin, w.body(w.policyID(), old, savings)).into(t, &current)
	tag := current.Attributes.ETag

	before := w.newest()
	for _, stale := range []string{old, `"` + uuid.NewString() + `"`, `"` + uuid.Nil.String() + `"`, "nonsense", tag + "x"} {
		send(t, http.MethodPut, path, w.admin, w.body(w.policyID(), stale, reserved)).refused(t, 400, "2055")
		send(t, http.MethodPut, path, w.admin, w.body(w.policyID(), "", reserved), "If-Match", stale).refused(t, 412, "2055")
		send(t, http.MethodDelete, path, w.admin, "", "If-Match", stale).refused(t, 412, "2055")
	}
	send(t, http.MethodPut, path, w.admin, w.body(w.policyID(), old, reserved), "If-Match", tag).refused(t, 400, "2055")
	require.Equal(t, before, w.newest(), "nothing is written")

	require.Equal(t, http.StatusOK, send(t, http.MethodPut, path, w.admin, w.body(w.policyID(), tag, savings), "If-Match", tag).status)
	require.Equal(t, before, w.newest(), "it is already so (L2)")
	require.Equal(t, http.StatusNoContent, send(t, http.MethodDelete, path, w.admin, "", "If-Match", tag).status)
}

func TestARequestThatIsRepeatedGetsItsFirstAnswerAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := uuid.NewString()
	first := send(t, http.MethodPost, policies, w.admin, w.body("", "", reserved), "MS-RequestId", id)
	require.Equal(t, http.StatusCreated, first.status, "%s", first.body)
	require.Equal(t, id, first.header.Get("MS-RequestId"))
	head := w.newest()
	again := send(t, http.MethodPost, policies, w.admin, w.body("", "", reserved), "MS-RequestId", id)
	require.Equal(t, first.status, again.status)
	require.Equal(t, string(first.body), string(again.body))
	require.Equal(t, first.header.Get("Ledger-Position"), again.header.Get("Ledger-Position"))
	require.Equal(t, head, w.newest())
	send(t, http.MethodPost, policies, w.admin, w.body("", "", savings), "MS-RequestId", id).refused(t, 409, "409")

	var created policy
	first.into(t, &created)
	update := w.body(w.policyID(), created.Attributes.ETag, savings)
	id = uuid.NewString()
	first = send(t, http.MethodPut, policies, w.admin, update, "MS-RequestId", id)
	require.Equal(t, http.StatusNoContent, send(t, http.MethodDelete, policies+"/"+w.policyID(), w.admin, "").status)
	again = send(t, http.MethodPut, policies, w.admin, update, "MS-RequestId", id)
	require.Equal(t, http.StatusOK, again.status, "its own etag is not stale for a repeated update")
	require.Equal(t, string(first.body), string(again.body))
}

func TestOfUpdatesWithTheSameEtagOneWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tag := w.create(reserved).Attributes.ETag
	statuses := make([]int, 32)
	var working sync.WaitGroup
	for i := range statuses {
		working.Go(func() {
			resources := [][]string{{savings}, {reserved, savings}}[i%2]
			statuses[i] = send(t, http.MethodPut, policies, w.admin, w.body(w.policyID(), tag, resources...)).status
		})
	}
	working.Wait()
	won := 0
	for _, status := range statuses {
		if status == http.StatusOK {
			won++
		} else {
			require.Equal(t, http.StatusBadRequest, status)
		}
	}
	require.Equal(t, 1, won)
}

func TestAPolicyAndTheNativePermissionsAreTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	allowed := func() []any {
		list := []any{}
		for _, p := range w.nativeItems("/api/customers/" + w.customer + "/permissions") {
			if p["allowed"] == true {
				list = append(list, p["product"])
			}
		}
		return list
	}
	w.create(reserved, savings)
	require.Equal(t, []any{reserved, savings}, allowed())
	w.command(w.admin, "RevokePurchasePermission", `{"customerId":%q,"product":"AzureSavingsPlan"}`, w.customer)
	var p policy
	w.get(policies+"/"+w.policyID()).into(t, &p)
	require.Equal(t, []string{reserved}, p.resources())
	w.command(w.admin, "RevokePurchasePermission", `{"customerId":%q,"product":"AzureReservedInstances"}`, w.customer)
	require.Empty(t, w.items(policies+"?entity_id="+w.customer))
	w.command(w.admin, "GrantPurchasePermission", `{"customerId":%q,"product":"AzureSavingsPlan"}`, w.customer)
	require.Len(t, w.items(policies+"?entity_id="+w.customer), 1)
	require.Equal(t, http.StatusNoContent, send(t, http.MethodDelete, policies+"/"+w.policyID(), w.admin, "").status)
	require.Empty(t, allowed())
}

func TestWithoutAnEligibleSubscriptionThereIsNoPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.command(w.admin, "ChangeSubscriptionStatus", `{"customerId":%q,"subscriptionId":%q,"status":"suspended"}`, w.customer, w.subscription)
	f := send(t, http.MethodPost, policies, w.admin, w.body("", "", reserved)).refused(t, 400, "900318")
	require.Contains(t, f.Description, "Buy one")
}

func TestWordsCountInAnyCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := strings.NewReplacer("SelfServeEntity", "SELFSERVEENTITY", "TenantID", "tenantId", "AzureReservedInstances", "azurereservedinstances", `"Purchase"`, `"PURCHASE"`).
		Replace(w.body("", "", reserved))
	require.Equal(t, http.StatusCreated, send(t, http.MethodPost, "/V1/selfservepolicy", w.admin, body).status)
	require.Len(t, w.items("/v1/SELFSERVEPOLICY?ENTITY_id="+w.customer), 1)
	require.Equal(t, http.StatusNoContent, send(t, http.MethodDelete, "/v1/selfServePolicy/"+strings.ToUpper(w.policyID()), w.admin, "").status)
}

func TestARequestGetsTheIdsThatItLacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.get(policies + "?entity_id=" + w.customer)
	for _, name := range []string{"MS-RequestId", "MS-CorrelationId"} {
		_, err := uuid.Parse(a.header.Get(name))
		require.NoError(t, err, name)
	}
	correlation := uuid.NewString()
	a = send(t, http.MethodPost, policies, w.admin, w.body("", "", reserved), "MS-CorrelationId", correlation, "MS-RequestId", "not-a-guid")
	require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
	require.Equal(t, correlation, a.header.Get("MS-CorrelationId"))
	require.Equal(t, "not-a-guid", a.header.Get("MS-RequestId"))
	require.Equal(t, correlation, w.nativeItems("/api/customers/" + w.customer + "/activity?limit=1")[0]["correlationId"])
}

func TestOnlyAnAdminAgentWhoIsSignedInChangesAPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct{ token, code string }{
		"sales":         {w.sales, "900150"},
		"helpdesk":      {w.helpdesk, "900150"},
		"auditor":       {w.auditor, "900150"},
		"app only":      {w.appOnly, "900329"},
		"app, no admin": {mint(t, w.partner, "", domain.SalesAgent), "900329"},
		"customer":      {w.user, "900150"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, a := range []answer{
				send(t, http.MethodPost, policies, c.token, w.body("", "", reserved)),
				send(t, http.MethodPut, policies, c.token, w.body(w.policyID(), "", reserved)),
				send(t, http.MethodDelete, policies+"/"+w.policyID(), c.token, ""),
			} {
				a.refused(t, 403, c.code)
			}
			require.Equal(t, "AttemptDenied", w.nativeItems("/api/customers/" + w.customer + "/activity?limit=1")[0]["type"], "auditors see it (L7)")
		})
	}
	for _, token := range []string{w.sales, w.helpdesk, w.auditor} {
		require.Equal(t, http.StatusOK, send(t, http.MethodGet, policies+"?entity_id="+w.customer, token, "").status)
	}
	send(t, http.MethodGet, policies+"?entity_id="+w.customer, w.appOnly, "").refused(t, 403, "900329")
	send(t, http.MethodGet, policies+"?entity_id="+w.customer, w.user, "").refused(t, 403, "900150")
}
