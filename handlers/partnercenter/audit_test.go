package partnercenter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/handlers/doortest"
)

const audits = "/v1/auditrecords"

// record is an audit record as it is answered.
type record struct {
	ID, PartnerID, CustomerID, CustomerName, UserPrincipalName, ApplicationID string
	ResourceType, ResourceOldValue, ResourceNewValue, OperationType           string
	OriginalCorrelationID, OperationDate, OperationStatus                     string
	CustomizedData                                                            []struct{ Key, Value string }
	Attributes                                                                struct{ ObjectType string }
}

func (r record) data() map[string]string {
	m := make(map[string]string)
	for _, p := range r.CustomizedData {
		m[p.Key] = p.Value
	}
	return m
}

// value reads a policy out of a record.
func value(t *testing.T, text string) []string {
	t.Helper()
	if text == "" {
		return nil
	}
	require.NotContains(t, text, `"permissions"`, "names of members begin with capital letters")
	var p struct {
		ID          string `json:"Id"`
		Permissions []struct{ Resource, Action string }
		Attributes  struct{ Etag string }
	}
	require.NoError(t, json.Unmarshal([]byte(text), &p), text)
	require.NotEmpty(t, p.ID)
	require.NotEmpty(t, p.Attributes.Etag)
	list := []string{}
	for _, permission := range p.Permissions {
		list = append(list, permission.Resource)
	}
	return list
}

// auditPage is a page of records.
type auditPage struct {
	TotalCount int
	Items      []record
	Links      struct {
		Self, Next *struct {
			URI, Method string
			Headers     []struct{ Key, Value string }
		}
	}
	ContinuationToken string
}

func (w *world) audit(query string, headers ...string) auditPage {
	w.t.Helper()
	var p auditPage
	w.get(audits+query, headers...).into(w.t, &p)
	require.Len(w.t, p.Items, p.TotalCount)
	return p
}

// filtered is the query of records that a filter leaves.
func filtered(field, operator, value string) string {
	return "?filter=" + url.QueryEscape(fmt.Sprintf(`{"Field":%q,"Value":%q,"Operator":%q}`, field, value, operator))
}

// either and both join two filters, joined makes a query of them.
func either(left, right string) string { return join("or", left, right) }
func both(left, right string) string   { return join("and", left, right) }

func join(by, left, right string) string {
	return fmt.Sprintf(`{"LeftFilter":%s,"Operator":%q,"RightFilter":%s}`, left, by, right)
}

func joined(by, left, right string) string {
	return "?filter=" + url.QueryEscape(join(by, left, right))
}

func TestEveryCommandThatDidSomethingIsOneRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	correlation := uuid.NewString()
	created := w.create(reserved, savings)
	send(t, http.MethodPut, policies, w.admin, w.body(w.policyID(), created.Attributes.ETag, savings), "MS-CorrelationId", correlation)
	w.command(w.admin, "GrantPurchasePermission", `{"customerId":%q,"product":"AzureReservedInstances","reason":"asked by phone"}`, w.customer)
	w.command(w.admin, "GrantPurchasePermission", `{"customerId":%q,"product":"AzureReservedInstances"}`, w.customer) // already so
	order := uuid.NewString()
	w.command(w.user, "PurchaseReservation", `{"customerId":%q,"subscriptionId":%q,"sku":"Standard_D2s_v5","region":"eastus","term":"P1Y","billingPlan":"Upfront","quantity":2,"scope":{"type":"Shared"},"displayName":"Web servers","orderId":%q}`, w.customer, w.subscription, order)
	send(t, http.MethodPost, policies, w.sales, w.body("", "", reserved)).refused(t, 403, "900150")
	native(t, w.sales, "RevokePurchasePermission", fmt.Sprintf(`{"customerId":%q,"product":"AzureSavingsPlan"}`, w.customer))
	require.Equal(t, http.StatusNoContent, send(t, http.MethodDelete, policies+"/"+w.policyID(), w.admin, "").status)

	records := w.audit("").Items
	want := []struct {
		operation, resource, status string
		before, after               []string
	}{
		{"delete_self_serve_policy", "self_serve_policy", "succeeded", []string{reserved, savings}, nil},
		{"delete_self_serve_policy", "self_serve_policy", "failed", nil, nil},
		{"update_self_serve_policy", "self_serve_policy", "failed", nil, nil},
		{"create_order", "order", "succeeded", nil, nil},
		{"update_self_serve_policy", "self_serve_policy", "succeeded", []string{savings}, []string{reserved, savings}},
		{"update_self_serve_policy", "self_serve_policy", "succeeded", []string{reserved, savings}, []string{savings}},
		{"create_self_serve_policy", "self_serve_policy", "succeeded", nil, []string{reserved, savings}},
		{"update_price", "price", "succeeded", nil, nil},
		{"update_subscription", "subscription", "succeeded", nil, nil},
		{"create_subscription", "subscription", "succeeded", nil, nil},
		{"add_customer", "customer", "succeeded", nil, nil},
		{"create_partner", "partner", "succeeded", nil, nil},
	}
	require.Len(t, records, len(want))
	for i, r := range records {
		require.Equal(t, want[i].operation, r.OperationType)
		require.Equal(t, want[i].resource, r.ResourceType)
		require.Equal(t, want[i].status, r.OperationStatus)
		if r.ResourceType == "self_serve_policy" {
			require.Equal(t, want[i].before, value(t, r.ResourceOldValue))
			require.Equal(t, want[i].after, value(t, r.ResourceNewValue))
		}
		require.Equal(t, w.partner, r.PartnerID)
		require.Equal(t, doortest.App, r.ApplicationID)
		require.NotEmpty(t, r.UserPrincipalName)
		require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$`, r.OperationDate)
		require.Equal(t, "AuditRecord", r.Attributes.ObjectType)
		if r.ResourceType != "partner" {
			require.Equal(t, w.customer, r.CustomerID)
			require.Equal(t, "Relecloud", r.CustomerName)
			require.Regexp(t, "^"+w.partner+"_"+w.customer+"_[0-9a-f-]{36}_"+strings.ReplaceAll(r.OperationType, "_", "")+`_\d{18}$`, r.ID)
		}
		var one record
		w.get(audits+"/"+r.ID).into(t, &one)
		require.Equal(t, r, one)
	}
	require.Contains(t, records[5].OriginalCorrelationID, correlation)
	require.Contains(t, records[6].ResourceNewValue, strings.ReplaceAll(created.Attributes.ETag, `"`, `\"`))
	require.Equal(t, records[6].ResourceNewValue, records[5].ResourceOldValue)
	require.Equal(t, "asked by phone", records[4].data()["Reason"])
	require.Contains(t, records[3].ID, order)
	bought := records[3].data()
	require.Equal(t, order, bought["OrderId"])
	require.Equal(t, "Web servers", bought["SubscriptionName-0"])
	require.Equal(t, w.subscription, bought["SubscriptionId-0"])
	require.Equal(t, "2", bought["Quantity-0"])
	require.Contains(t, records[3].ResourceNewValue, `"OrderId":"`+order)
	require.Equal(t, "S2", records[1].data()["Rule"])
	require.Equal(t, "role-not-allowed", records[2].data()["ErrorCode"])
}

func TestAuditRecordsAreFiltered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := uuid.NewString()
	w.command(w.admin, "RegisterCustomer", `{"customerId":%q,"companyName":"Contoso","domain":"contoso.example"}`, other)
	w.create(reserved)
	for query, want := range map[string]int{
		"": 7,
		filtered("ResourceType", "equals", "SelfServePolicy"):   1,
		filtered("resourcetype", "EQUALS", "self_serve_policy"): 1,
		filtered("ResourceType", "equals", "Customer"):          2,
		filtered("ResourceType", "equals", "License"):           0,
		filtered("CompanyName", "substring", "lec"):             5,
		filtered("CompanyName", "substring", "%"):               0,
		filtered("CustomerId", "equals", other):                 1,
		filtered("CustomerId", "equals", uuid.NewString()):      0,
		joined("and", `{"Field":"ResourceType","Value":"Customer","Operator":"equals"}`, `{"Field":"CompanyName","Value":"Con","Operator":"starts_with"}`): 1,
		joined("or", `{"Field":"CompanyName","Value":"rele","Operator":"starts_with"}`, `{"Field":"CompanyName","Value":"contoso","Operator":"equals"}`):   6,
	} {
		require.Len(t, w.audit(query).Items, want, query)
	}
	for _, query := range []string{
		filtered("OperationType", "equals", "x"), filtered("CustomerId", "substring", "x"), filtered("CompanyName", "like", "x"),
		"?filter=%7B", "?filter=[]", joined("or", `{}`, `{}`),
		joined("or", `{"Field":"ResourceType","Value":"Customer","Operator":"equals"}`, `{"Field":"CompanyName","Value":"Con","Operator":"starts_with"}`),
		joined("and", `{"Field":"ResourceType","Value":"Customer","Operator":"equals"}`, `{"Field":"ResourceType","Value":"Order","Operator":"equals"}`),
		"?filter=" + url.QueryEscape(`{"Field":"CompanyName","Value":"a","field":"CompanyName","Operator":"equals"}`),
	} {
		send(t, http.MethodGet, audits+query, w.admin, "").refused(t, 400, "3000")
	}
	send(t, http.MethodGet, audits+filtered("CustomerId", "equals", "x"), w.admin, "").refused(t, 400, "900118")
}

func TestDatesAreReadInEveryFormThatClientsWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now().UTC()
	yesterday, tomorrow := now.AddDate(0, 0, -1), now.AddDate(0, 0, 1)
	for _, layout := range []string{
		"2006-01-02", time.RFC3339, time.RFC3339Nano, "1/2/2006", "01/02/2006", "01/02/2006 15:04:05", "1/2/2006 3:04:05 PM", "1/2/2006 3:04:05 pm",
		"2006-01-02T15:04:05", "2006-01-02T15:04:05.0000000Z",
	} {
		query := func(from, until time.Time) string {
			return "?startDate=" + url.QueryEscape(from.Format(layout)) + "&endDate=" + url.QueryEscape(until.Format(layout))
		}
		require.Len(t, w.audit(query(yesterday, tomorrow)).Items, 5, layout)
		require.Empty(t, w.audit(query(yesterday.AddDate(0, 0, -8), yesterday)).Items, layout)
	}
	require.Len(t, w.audit("?endDate="+now.Format("2006-01-02")).Items, 5, "the last day counts whole")
	require.Empty(t, w.audit("?startDate="+tomorrow.Format("2006-01-02")).Items)
	require.Empty(t, w.audit("?startDate="+now.AddDate(0, 0, -80).Format("2006-01-02")).Items, "the window ends 30 days later")
	for _, query := range []string{
		"?startDate=" + now.AddDate(0, 0, -91).Format("2006-01-02"),
		"?startDate=" + now.AddDate(0, 0, -40).Format("2006-01-02") + "&endDate=" + now.Format("2006-01-02"),
		"?startDate=2026-13-01", "?startDate=yesterday", "?endDate=22/11/2026", "?startDate=%00", "?startDate=" + strings.Repeat("9", 500),
		"?startDate=" + now.Format("2006-01-02") + "&endDate=" + yesterday.AddDate(0, 0, -1).Format("2006-01-02"),
		"?size=-1", "?size=ten", "?size=99999999999999999999", "?seekOperation=Next", "?seekOperation=Last", "?size=1&Size=2",
	} {
		send(t, http.MethodGet, audits+query, w.admin, "").refused(t, 400, "800002")
	}
}

func TestTheOtherAddressOfAuditRecordsIsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var p auditPage
	w.get("/AuditActivity/v1/AuditRecords?size=2").into(t, &p)
	require.Len(t, p.Items, 2)
	require.Equal(t, "/auditrecords?size=2", p.Links.Self.URI)
	require.Equal(t, "/auditrecords?size=2&seekOperation=Next", p.Links.Next.URI)
	w.get("/auditactivity/v1/auditrecords/" + p.Items[0].ID)
	for _, id := range []string{"x", p.Items[0].ID + "0", strings.Replace(p.Items[0].ID, w.customer, uuid.NewString(), 1), "a_b_c_d_638000000000000000"} {
		send(t, http.MethodGet, audits+"/"+id, w.admin, "").refused(t, 404, "1000")
	}
}

func TestAPageSaysWhereTheNextOneBegins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.audit("?size=3")
	require.NotEmpty(t, first.ContinuationToken)
	require.Equal(t, http.MethodGet, first.Links.Next.Method)
	require.Equal(t, "MS-ContinuationToken", first.Links.Next.Headers[0].Key)
	require.Equal(t, first.ContinuationToken, first.Links.Next.Headers[0].Value)
	second := w.audit("?size=3&seekOperation=Next", "MS-ContinuationToken", first.ContinuationToken)
	require.Len(t, second.Items, 2)
	require.Nil(t, second.Links.Next)
	require.Empty(t, second.ContinuationToken)
	require.Len(t, w.audit("?size=0").Items, 5, "0 is the default")
	require.Len(t, w.audit("?size=1000000000").Items, 5)

	for _, token := range []string{"x", "1.2", "1.2.3", "a.b.c", first.ContinuationToken + "x"} {
		send(t, http.MethodGet, audits+"?size=3&seekOperation=Next", w.admin, "", "MS-ContinuationToken", token).refused(t, 400, "800002")
	}
	stranger := newWorld(t)
	send(t, http.MethodGet, audits+"?size=3&seekOperation=Next", stranger.admin, "", "MS-ContinuationToken", first.ContinuationToken).refused(t, 400, "800002")
}

func TestPagesHoldEveryRecordOnceWhileOthersAreWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const records = 5000
	write := func(n int) {
		switch n % 8 {
		case 0:
			send(t, http.MethodPost, policies, w.admin, w.body("", "", reserved, savings))
		case 1:
			send(t, http.MethodPut, policies, w.admin, w.body(w.policyID(), "", reserved))
		default:
			native(t, w.admin, "SetReservationPrice", fmt.Sprintf(`{"customerId":%q,"sku":"Standard_D%ds_v5","region":"eastus","term":"P1Y","billingPlan":"Upfront","customerPrice":{"amount":"500.00","currency":"USD"},"webDirectPrice":{"amount":"519.00","currency":"USD"}}`, w.customer, n))
		}
		if n%16 == 3 {
			send(t, http.MethodDelete, policies+"/"+w.policyID(), w.admin, "")
		}
	}
	var working sync.WaitGroup
	next := atomic.Int64{}
	for range 64 {
		working.Go(func() {
			for n := int(next.Add(1)); n < records*4/3; n = int(next.Add(1)) {
				write(n)
			}
		})
	}
	working.Wait()
	written := w.commands()
	require.Greater(t, len(written), records)

	stop := make(chan struct{})
	working.Go(func() {
		for n := 3; ; n += 8 {
			select {
			case <-stop:
				return
			default:
				write(2*records + n)
			}
		}
	})
	seen := make(map[string]bool)
	var newer *record
	pages := 1
	for p := w.audit("?size=500"); ; p = w.audit("?size=500&seekOperation=Next", "MS-ContinuationToken", p.ContinuationToken) {
		for i, r := range p.Items {
			require.False(t, seen[r.ID], "twice: %s", r.ID)
			seen[r.ID] = true
			delete(written, r.data()["CommandId"])
			if r.ResourceType != "self_serve_policy" {
				continue
			}
			if newer != nil {
				require.Equal(t, r.ResourceNewValue, newer.ResourceOldValue, "each begins where the one before it ended")
			}
			newer = &p.Items[i]
		}
		if p.Links.Next == nil {
			break
		}
		require.Len(t, p.Items, 500)
		pages++
	}
	close(stop)
	working.Wait()
	require.Greater(t, pages, records/500)
	require.Empty(t, written, "no record is left out")
}

// commands lists the commands that led to an event in the partner's book.
func (w *world) commands() map[string]bool {
	w.t.Helper()
	found := make(map[string]bool)
	for after := 0; ; {
		var page struct {
			Items []struct{ CommandID string }
			Next  int
			More  bool
		}
		send(w.t, http.MethodGet, fmt.Sprint("/api/events?limit=500&after=", after), w.admin, "", "Ledger-Min-Position", strconv.FormatUint(book.Book().Head(), 10)).into(w.t, &page)
		for _, e := range page.Items {
			found[e.CommandID] = true
		}
		if after = page.Next; !page.More {
			return found
		}
	}
}
