package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"permledger/domain"
	"permledger/domain/domaintest"
	"permledger/eventstore"
	"permledger/projections"
)

// writeLog writes an export of a ledger with at least n events, decided by the real rules: customers that
// are prepared and buy, a hundred commands a record.
func writeLog(t *testing.T, path string, n int) {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	w := bufio.NewWriter(file)
	b := domaintest.NewBook(t)
	ledger := uuid.MustParse("11111111-2222-4333-8444-555555555555")
	record := eventstore.Record{Version: eventstore.RecordVersion, Ledger: ledger, First: 1, Time: domaintest.Start}
	next := uint64(1)
	flush := func() {
		line := eventstore.AppendRecord(nil, &record)
		_, err := fmt.Fprintf(w, "%s\n", line)
		require.NoError(t, err)
		b.Later(time.Second)
		record = eventstore.Record{Version: eventstore.RecordVersion, Ledger: ledger, First: next, Time: b.Now, Previous: eventstore.HashOf(line)}
	}
	flush() // genesis
	send := func(actor domain.Actor, command domain.Command) {
		before := len(b.Facts)
		_, err := b.Send(actor, command)
		require.NoError(t, err)
		request := eventstore.Command{ID: uuid.NewSHA1(ledger, fmt.Append(nil, before)), Name: command.CommandName(), Actor: projections.EncodeActor(actor)}
		for _, f := range b.Facts[before:] {
			e, err := projections.Codec{}.Encode(f)
			require.NoError(t, err)
			request.Events = append(request.Events, e)
			next++
		}
		record.Commands = append(record.Commands, request)
		if len(record.Commands) == 100 {
			flush()
		}
	}
	send(domaintest.Admin, domain.RegisterPartner{Name: "Fabrikam", Country: "TW", Currency: "USD"})
	for c := 0; len(b.Facts) < n; c++ {
		customer := domain.TenantID{UUID: domaintest.ID(fmt.Sprint("customer", c))}
		subscription := domain.SubscriptionID{UUID: domaintest.ID(fmt.Sprint("subscription", c))}
		buyer := domaintest.Buyer
		buyer.Tenant = customer
		send(domaintest.Admin, domain.RegisterCustomer{CustomerID: customer, CompanyName: fmt.Sprint("Customer ", c), Domain: "customer.example"})
		send(domaintest.Admin, domain.RecordSubscription{CustomerID: customer, SubscriptionID: subscription, Kind: domain.AzurePlan, Name: "Prod"})
		send(domaintest.Admin, domain.AssignSubscriptionRole{RoleAssignment: domain.RoleAssignment{CustomerID: customer, SubscriptionID: subscription, UserID: buyer.User, UserPrincipalName: buyer.UPN, Role: domain.Owner}})
		send(domaintest.Admin, domain.SetReservationPrice{CustomerID: customer, Offer: domaintest.Offer, CustomerPrice: domaintest.USD("500.00"), WebDirectPrice: domaintest.USD("519.00")})
		send(domaintest.Admin, domain.GrantPurchasePermission{PermissionChange: domain.PermissionChange{CustomerID: customer, Product: domain.AzureReservedInstances}})
		for range 15 {
			wanted := domaintest.Want(domaintest.Offer, 1)
			wanted.SubscriptionID = subscription
			send(buyer, domain.PurchaseReservation{CustomerID: customer, Wanted: wanted})
		}
	}
	flush()
	require.NoError(t, w.Flush())
	require.NoError(t, file.Close())
}

// rebuilt is what replay says.
type rebuilt struct {
	Position        uint64  `json:"position"`
	Hash            string  `json:"hash"`
	EventsPerSecond float64 `json:"eventsPerSecond"`
}

func TestG7AHundredThousandEventsAreReplayedToTheSameContent(t *testing.T) {
	t.Parallel()
	const events = 100_000
	base := t.TempDir()
	export, dir := filepath.Join(base, "ledger.jsonl"), filepath.Join(base, "ledger")
	writeLog(t, export, events)
	succeeds(t, dir, "import", export)

	var first, again rebuilt
	require.NoError(t, json.Unmarshal([]byte(succeeds(t, dir, "-o", "json", "replay")), &first))
	require.GreaterOrEqual(t, first.Position, uint64(events))
	require.Positive(t, first.EventsPerSecond)
	screen := onTerminal(t, dir, "replay", "--to", strconv.FormatUint(first.Position, 10), "--into", filepath.Join(base, "again"), "-o", "json")
	require.Contains(t, screen, "events replayed", "a bar shows how far it has come")
	require.Regexp(t, `[\d.]+K?/s`, screen, "and how fast")
	require.NoError(t, json.Unmarshal([]byte(regexp.MustCompile(`(?s)\{.*\}`).FindString(screen)), &again))
	require.Equal(t, first.Hash, again.Hash)

	half := rebuilt{}
	require.NoError(t, json.Unmarshal([]byte(succeeds(t, dir, "-o", "json", "replay", "--to", "50000", "--into", filepath.Join(base, "half"))), &half))
	require.Equal(t, uint64(50_000), half.Position)
	require.NotEqual(t, first.Hash, half.Hash)

	back := filepath.Join(base, "back.jsonl")
	succeeds(t, dir, "export", back)
	want, err := os.ReadFile(export)
	require.NoError(t, err)
	got, err := os.ReadFile(back)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "an export is the stored bytes")
	t.Logf("%d events, %.0f events/s", first.Position, first.EventsPerSecond)
}

// onTerminal runs the program on a pseudo terminal and gives what was shown.
func onTerminal(t *testing.T, dir string, args ...string) string {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	defer control.Close() //nolint:errcheck // it was read
	require.NoError(t, unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(control.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 160}))
	terminal, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR, 0)
	require.NoError(t, err)
	cmd := exec.Command(program, append([]string{"--data", dir}, args...)...)
	cmd.Env = append(environment(), "TERM=xterm")
	cmd.Stdout, cmd.Stderr = terminal, terminal
	require.NoError(t, cmd.Start())
	require.NoError(t, terminal.Close())
	var screen []byte
	buffer := make([]byte, 4096)
	for {
		n, err := control.Read(buffer)
		screen = append(screen, buffer[:n]...)
		if err != nil { // the terminal closes with its last program
			break
		}
	}
	require.NoError(t, cmd.Wait(), string(screen))
	return string(screen)
}
