package webhooks

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"permledger/domain"
	cast "permledger/domain/domaintest"
	"permledger/handlers/ledger"
	"permledger/handlers/partnercenter/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds what tests wait for.
const soon = 20 * time.Second

// hands are a clock that moves when somebody waits for it, at once unless held.
type hands struct {
	mu    sync.Mutex
	ahead time.Duration
	waits []time.Duration
	held  chan struct{} // when not nil, who waits waits until it is closed
}

func (h *hands) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.ahead)
}

func (h *hands) wait(ctx context.Context, d time.Duration) error {
	h.mu.Lock()
	h.waits = append(h.waits, d)
	h.ahead += d
	held := h.held
	h.mu.Unlock()
	if held == nil {
		return ctx.Err()
	}
	select {
	case <-held:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hands) waited() []time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.waits)
}

// world is a ledger with the cast of the domain's tests, and what it delivers. Its door gives the certificate alone.
type world struct {
	*Webhooks
	t      *testing.T
	ledger *ledger.Ledger
	dir    string
	hands  *hands
	door   *httptest.Server
}

func newWorld(t *testing.T, tune ...func(*Options)) *world {
	t.Helper()
	dir := t.TempDir()
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: dir, Found: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	w := &world{t: t, ledger: l, dir: dir, hands: &hands{}}
	mux := http.NewServeMux()
	mux.HandleFunc(wire.CertificatePath, func(to http.ResponseWriter, _ *http.Request) {
		der, err := w.Certificate()
		if err == nil {
			_, _ = to.Write(der)
		}
	})
	w.door = httptest.NewServer(mux)
	t.Cleanup(w.door.Close)
	w.Webhooks = New(l, w.options(tune...))
	w.must(cast.Admin, domain.RegisterPartner{Name: "Fabrikam", Country: "TW", Currency: "USD"})
	w.must(cast.Stranger, domain.RegisterPartner{Name: "Rival", Country: "US", Currency: "USD"})
	w.must(cast.Admin, domain.RegisterCustomer{CustomerID: cast.Customer, CompanyName: "Contoso", Domain: "contoso.example"})
	w.must(cast.Admin, domain.RecordSubscription{CustomerID: cast.Customer, SubscriptionID: cast.Subscription, Kind: domain.AzurePlan, Name: "Prod"})
	w.must(cast.Admin, cast.Price(cast.Offer, "500.00", "519.00"))
	w.must(cast.Admin, cast.Assign(cast.Buyer, domain.Owner))
	return w
}

func (w *world) options(tune ...func(*Options)) Options {
	o := Options{
		Dir: filepath.Join(w.dir, "webhooks"), PublicURL: w.door.URL, Reach: Reach{Loopback: true}, Metrics: prometheus.NewRegistry(),
		clock: clock{now: w.hands.now, wait: w.hands.wait}, look: time.Millisecond,
	}
	for _, change := range tune {
		change(&o)
	}
	return o
}

// again is the world's deliveries as another process on the same directory would begin them.
func (w *world) again() {
	w.Webhooks = New(w.ledger, w.options())
}

// runs delivers until stop is called, at the end of the test at the latest.
func (w *world) runs() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func(hooks *Webhooks) { done <- hooks.Run(ctx) }(w.Webhooks)
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(w.t, <-done)
	})
	w.t.Cleanup(stop)
	return stop
}

func (w *world) must(actor domain.Actor, c domain.Command) ledger.Answer {
	w.t.Helper()
	answer, err := w.ledger.Execute(w.t.Context(), ledger.Call{ID: domain.CommandID{UUID: uuid.New()}, Actor: actor, Command: c})
	require.NoError(w.t, err, c.CommandName())
	return answer
}

// hook registers a receiver for the partner.
func (w *world) hook(address string, events ...domain.WebhookEvent) {
	w.t.Helper()
	w.must(cast.Admin, cast.Hook(address, events...))
}

// reported is a purchase of the customer that its partner reports.
func (w *world) reported() ledger.Answer {
	w.t.Helper()
	return w.must(cast.Admin, cast.SavingsPlanReport("1.50"))
}

// counted is how many deliveries had an outcome.
func (w *world) counted(e domain.WebhookEvent, o outcome) int {
	families, err := w.Webhooks.options.Metrics.Gather()
	require.NoError(w.t, err)
	n := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if l := m.GetLabel(); f.GetName() == "permledger_webhook_deliveries_total" && l[0].GetValue() == string(e) && l[1].GetValue() == string(o) {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return int(n)
}

func (w *world) eventually(condition func() bool) {
	w.t.Helper()
	require.Eventually(w.t, condition, soon, time.Millisecond)
}

// delivery is one request that a receiver got.
type delivery struct {
	header http.Header
	bytes  []byte
	body   map[string]any
}

func (d delivery) event() string { return d.body["EventName"].(string) }
func (d delivery) id() string    { return d.header.Get("Webhook-Id") }

// receiver is a real HTTP server that partners register.
type receiver struct {
	t   *testing.T
	url string
	got chan delivery

	mu     sync.Mutex
	status func(delivery) int // 200 when nil; guarded by mu
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, got: make(chan delivery, 1000)}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL + "/in?code=secret"
	return r
}

func (r *receiver) answers(status func(delivery) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	d := delivery{header: maps.Clone(q.Header)}
	d.bytes, _ = io.ReadAll(q.Body)
	_ = json.Unmarshal(d.bytes, &d.body)
	r.mu.Lock()
	status := r.status
	r.mu.Unlock()
	code := http.StatusOK
	if status != nil {
		code = status(d)
	}
	w.WriteHeader(code)
	r.got <- d
}

// next waits for a delivery.
func (r *receiver) next() delivery {
	r.t.Helper()
	select {
	case d := <-r.got:
		return d
	case <-time.After(soon):
		require.FailNow(r.t, "nothing was delivered")
		return delivery{}
	}
}

// nothingMore says that everything that was delivered was looked at.
func (r *receiver) nothingMore() { require.Empty(r.t, r.got) }

// verified checks a delivery as the manual tells receivers to.
func verified(t *testing.T, d delivery) {
	t.Helper()
	require.Equal(t, "rsa-sha256", d.header.Get("X-Ms-Signature-Algorithm"))
	answer, err := http.Get(d.header.Get("X-Ms-Certificate-Url"))
	require.NoError(t, err)
	der, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	require.NoError(t, certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature))
	signature, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(d.header.Get("Authorization"), "Signature "))
	require.NoError(t, err)
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	require.True(t, ok)
	sum := sha256.Sum256(d.bytes)
	require.NoError(t, rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature))
	sum[0]++
	require.Error(t, rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature), "the check can fail")
}
