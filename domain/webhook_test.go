package domain_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
)

const receiver = "https://hooks.fabrikam.example/in"

func TestS10NobodyIsToldOfAnythingUnlessAWebhookIsRegistered(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	_, registered := b.Webhook(domaintest.Partner)
	require.False(t, registered)
	e := domaintest.One[domain.WebhookRegistered](t, b.Accepted(domaintest.Admin, domaintest.Hook(receiver, domain.PurchaseCreated, domain.PolicyCreated)))
	require.Equal(t, domain.WebhookRegistered{URL: receiver, Events: []domain.WebhookEvent{domain.PolicyCreated, domain.PurchaseCreated}}, e)
	require.True(t, b.Facts[len(b.Facts)-1].Customer.IsZero(), "it is about the partner itself")
	w, registered := b.Webhook(domaintest.Partner)
	require.True(t, registered)
	require.True(t, w.Wants(domain.PurchaseCreated))
	require.False(t, w.Wants(domain.PolicyDeleted))
	_, registered = b.Webhook(domaintest.Rival)
	require.False(t, registered, "each partner has its own")
}

func TestS10OnlyASignedInAdminAgentSaysWhereEventsGo(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	for _, c := range []domain.Command{domaintest.Hook(receiver), domain.RemoveWebhook{}} {
		for _, actor := range []domain.Actor{domaintest.Sales, domaintest.Helpdesk, domaintest.Auditor, domaintest.Buyer} {
			b.Refused(actor, c, domain.CodeRoleNotAllowed, "S10")
			require.IsType(t, domain.AttemptDenied{}, b.Facts[len(b.Facts)-1].Event)
		}
		b.Refused(domaintest.App, c, domain.CodeUserRequired, "S10")
	}
	nobody := domaintest.Admin
	nobody.Tenant = domain.TenantID{UUID: domaintest.ID("nobody")}
	b.Refused(nobody, domaintest.Hook(receiver), domain.CodeTenantNotRegistered, "L8")
}

func TestAWebhookReplacesTheOneBefore(t *testing.T) {
	t.Parallel()
	b := domaintest.Ready(t)
	b.Given(domaintest.Admin, domaintest.Hook(receiver))
	first := uint64(len(b.Facts))
	require.Empty(t, b.Accepted(domaintest.Admin, domaintest.Hook(receiver)), "L2")
	b.Given(domaintest.Admin, domaintest.Hook(receiver+"/2", domain.PolicyCreated))
	require.Equal(t, map[domain.TenantID]domain.Webhook{
		domaintest.Partner: {URL: receiver + "/2", Events: []domain.WebhookEvent{domain.PolicyCreated}, Since: first, Changed: first + 1},
	}, b.Webhooks())

	domaintest.One[domain.WebhookRemoved](t, b.Accepted(domaintest.Admin, domain.RemoveWebhook{}))
	require.Empty(t, b.Accepted(domaintest.Admin, domain.RemoveWebhook{}), "L2")
	require.Empty(t, b.Webhooks())
	b.Given(domaintest.Admin, domaintest.Hook(receiver))
	w, _ := b.Webhook(domaintest.Partner)
	require.Equal(t, uint64(len(b.Facts)), w.Since, "what happened without a webhook is never sent")
}

func TestAWebhookIsAnAddressThatCanBeCalled(t *testing.T) {
	t.Parallel()
	for url, good := range map[string]bool{
		"https://hooks.example/in?token=a": true, "https://hooks.example": true, "https://203.0.113.7:8443/": true,
		"http://localhost:8080/in": true, "http://127.0.0.1/": true, "http://[::1]:80/": true,
		"": false, "hooks.example": false, "https:///in": false, "https:hooks.example": false, "ftp://hooks.example/": false,
		"http://hooks.example/": false, "http://10.0.0.1/": false, "http://localhost.example/": false,
		"https://user:pass@hooks.example/": false, "https://hooks.example/#in": false, "https://hooks.example/\n": false, "file:///etc/passwd": false,
		"https://hooks.example/台": false, "https://hooks.example/a b": false,
		"https://hooks.example/" + strings.Repeat("x", 2026): true, "https://hooks.example/" + strings.Repeat("x", 2027): false,
	} {
		_, err := domain.NewRequest(domain.CommandID{UUID: uuid.Max}, domaintest.Admin, domaintest.Hook(url))
		require.Equal(t, good, err == nil, url)
	}
}
