package projections

import (
	"context"
	"slices"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
	cast "permledger/domain/domaintest"
)

// question is one query, asked for a page.
type question struct {
	name string
	ask  func(ctx context.Context, m *Models, s Scope, p Paging) (rows []string, next string, err error)
}

// lists are all queries that give pages. A row is told apart by the text that key makes of it.
var lists = []question{
	pages("customers", func(c Customer) string { return c.CustomerID.String() }, func(ctx context.Context, m *Models, s Scope, p Paging) (Page[Customer], error) {
		return m.Customers(ctx, s, CustomerFilter{}, p)
	}),
	pages("subscriptions", func(s Subscription) string { return s.SubscriptionID.String() }, func(ctx context.Context, m *Models, s Scope, p Paging) (Page[Subscription], error) {
		return m.Subscriptions(ctx, s, SubscriptionFilter{}, p)
	}),
	pages("permissions", func(p Permission) string { return p.CustomerID.String() + string(p.Product) }, func(ctx context.Context, m *Models, s Scope, p Paging) (Page[Permission], error) {
		return m.Permissions(ctx, s, PermissionFilter{}, p)
	}),
	pages("history", func(c PermissionChange) string { return strconv.FormatUint(c.Position, 10) }, func(ctx context.Context, m *Models, s Scope, p Paging) (Page[PermissionChange], error) {
		return m.PermissionHistory(ctx, s, PermissionFilter{}, p)
	}),
	pages("orders", func(o Order) string { return o.OrderID.String() }, func(ctx context.Context, m *Models, s Scope, p Paging) (Page[Order], error) {
		return m.Orders(ctx, s, OrderFilter{At: start}, p)
	}),
	pages("reservations", func(r Reservation) string { return r.ReservationID.String() }, func(ctx context.Context, m *Models, s Scope, p Paging) (Page[Reservation], error) {
		return m.Reservations(ctx, s, ReservationFilter{At: start}, p)
	}),
	pages("prices", func(p Price) string { return p.CustomerID.String() + p.SKU + string(p.Term) }, func(ctx context.Context, m *Models, s Scope, p Paging) (Page[Price], error) {
		return m.Prices(ctx, s, PriceFilter{}, p)
	}),
	pages("activity", func(a Activity) string { return strconv.FormatUint(a.Position, 10) }, func(ctx context.Context, m *Models, s Scope, p Paging) (Page[Activity], error) {
		return m.Activity(ctx, s, ActivityFilter{}, p)
	}),
	pages("deeds", func(d Deed) string { return d.CommandID.String() }, func(ctx context.Context, m *Models, s Scope, p Paging) (Page[Deed], error) {
		return m.Deeds(ctx, s, DeedFilter{}, p)
	}),
}

func pages[T any](name string, key func(T) string, ask func(context.Context, *Models, Scope, Paging) (Page[T], error)) question {
	return question{name, func(ctx context.Context, m *Models, s Scope, p Paging) ([]string, string, error) {
		page, err := ask(ctx, m, s, p)
		rows := make([]string, len(page.Items))
		for i, item := range page.Items {
			rows[i] = key(item)
		}
		return rows, page.NextCursor, err
	}}
}

// all reads every page of a list.
func (q question) all(t *testing.T, m *Models, s Scope, limit int) []string {
	t.Helper()
	var all []string
	for cursor := ""; ; {
		rows, next, err := q.ask(t.Context(), m, s, Paging{Limit: limit, Cursor: cursor})
		require.NoError(t, err, q.name)
		all = append(all, rows...)
		if next == "" {
			return all
		}
		require.Len(t, rows, limit, q.name)
		cursor = next
	}
}

// single asks for one row of each kind, of a customer's book that has them all.
func singles(b *told, bought domain.Bought) map[string]func(s Scope) error {
	ctx := b.t.Context()
	return map[string]func(s Scope) error{
		"customer":     func(s Scope) error { _, _, err := b.Customer(ctx, s); return err },
		"subscription": func(s Scope) error { _, _, err := b.Subscription(ctx, s, cast.Subscription); return err },
		"order":        func(s Scope) error { _, _, err := b.Order(ctx, s, bought.OrderID, b.now); return err },
		"reservation":  func(s Scope) error { _, _, err := b.Reservation(ctx, s, bought.ReservationID, b.now); return err },
		"coverage": func(s Scope) error {
			_, err := b.Coverage(ctx, s, bought.ReservationID, b.now, Paging{})
			return err
		},
		"activity entry": func(s Scope) error { _, _, err := b.ActivityAt(ctx, s, 3); return err },
		"event":          func(s Scope) error { _, _, err := b.EventAt(ctx, s, 3); return err },
		"events":         func(s Scope) error { _, err := b.Events(ctx, s, EventFilter{}, 0); return err },
	}
}

func TestAnotherPartnerSeesNothingOfABook_L8(t *testing.T) {
	t.Parallel()
	b := ready(t)
	bought := b.buys(cast.Buyer, 1)
	b.after(cast.Stranger, cast.Grant(domain.AzureSavingsPlan)) // leaves a trace in both books
	nobody := domain.TenantID{UUID: uuid.NewSHA1(uuid.NameSpaceOID, []byte("nobody"))}

	for _, q := range lists {
		require.NotEmpty(t, q.all(t, b.Models, contoso, 2), q.name)
		_, _, foreign := q.ask(t.Context(), b.Models, OfCustomer(cast.Rival, cast.Customer), Paging{})
		_, _, unknown := q.ask(t.Context(), b.Models, OfCustomer(cast.Rival, nobody), Paging{})
		require.ErrorIs(t, foreign, ErrNotFound, q.name)
		require.ErrorIs(t, unknown, ErrNotFound, q.name)
		_, _, empty := q.ask(t.Context(), b.Models, Scope{}, Paging{})
		require.Error(t, empty, q.name)
		rows := q.all(t, b.Models, OfPartner(cast.Rival), 2)
		if q.name == "activity" || q.name == "deeds" {
			require.Len(t, rows, 2, "its own registration and attempt")
		} else {
			require.Empty(t, rows, q.name)
		}
	}
	for name, ask := range singles(b, bought) {
		require.NoError(t, ask(contoso), name)
		require.ErrorIs(t, ask(OfCustomer(cast.Rival, cast.Customer)), ErrNotFound, name)
		require.ErrorIs(t, ask(OfCustomer(cast.Partner, nobody)), ErrNotFound, name)
		require.Error(t, ask(Scope{}), name)
		if name != "events" {
			require.ErrorIs(t, ask(OfPartner(cast.Rival)), ErrNotFound, name)
		}
	}
	feed, err := b.Events(t.Context(), OfPartner(cast.Rival), EventFilter{}, 0)
	require.NoError(t, err)
	require.Len(t, feed.Items, 2)
	feed, err = b.Events(t.Context(), OfPartner(cast.Rival), EventFilter{CustomerID: cast.Customer}, 0)
	require.NoError(t, err)
	require.Len(t, feed.Items, 1, "what it attempted itself")
}

func TestOneCustomerSeesNothingOfAnother(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	h := newHistory(l, 41)
	h.play(400)
	m := folded(t, l)
	for _, q := range lists {
		seen := map[string]domain.TenantID{}
		whole := q.all(t, m, OfPartner(partnerA), 7)
		for _, c := range h.customers {
			if owner, _ := h.book.PartnerOf(c); owner != partnerA {
				continue
			}
			for _, row := range q.all(t, m, OfCustomer(partnerA, c), 7) {
				require.NotContains(t, seen, row, q.name)
				require.Contains(t, whole, row, q.name)
				seen[row] = c
			}
		}
		require.NotEmpty(t, seen, q.name)
	}
}

func TestPagesShowEveryRowOnceWhileRowsAreWritten(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	h := newHistory(l, 43)
	h.play(300)
	m := folded(t, l)
	for _, q := range lists {
		before := q.all(t, m, OfPartner(partnerA), MaxLimit)
		var paged []string
		for cursor := ""; ; {
			rows, next, err := q.ask(t.Context(), m, OfPartner(partnerA), Paging{Limit: 3, Cursor: cursor})
			require.NoError(t, err, q.name)
			paged = append(paged, rows...)
			if cursor = next; next == "" {
				break
			}
			h.play(2)
			caughtUp(t, m, l)
		}
		unique := slices.Compact(slices.Sorted(slices.Values(paged)))
		require.Len(t, unique, len(paged), "%s: no row twice", q.name)
		require.Subset(t, unique, before, "%s: no row left out", q.name)
	}
}

func TestACursorBelongsToOneListScopeAndFilter(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	newHistory(l, 47).play(1500)
	m := folded(t, l)
	var cursors []string
	for _, q := range lists {
		_, next, err := q.ask(t.Context(), m, OfPartner(partnerA), Paging{Limit: 1})
		require.NoError(t, err)
		require.NotEmpty(t, next, q.name)
		cursors = append(cursors, next)
	}
	for i, q := range lists {
		foreign := cursors[(i+1)%len(cursors)]
		for _, bad := range []string{foreign, "no cursor", cursors[i][:12], cursors[i] + "AA"} {
			_, _, err := q.ask(t.Context(), m, OfPartner(partnerA), Paging{Cursor: bad})
			require.ErrorIs(t, err, ErrBadCursor, "%s: %s", q.name, bad)
		}
		_, _, err := q.ask(t.Context(), m, OfPartner(partnerB), Paging{Cursor: cursors[i]})
		require.ErrorIs(t, err, ErrBadCursor, q.name)
	}
	_, err := m.Customers(t.Context(), OfPartner(partnerA), CustomerFilter{Text: "x"}, Paging{Cursor: cursors[0]})
	require.ErrorIs(t, err, ErrBadCursor)
}

func TestAFilterForACustomerStaysWithinTheScope(t *testing.T) {
	t.Parallel()
	b := ready(t)
	bought := b.buys(cast.Buyer, 1)
	other := domain.TenantID{UUID: uuid.NewSHA1(uuid.NameSpaceOID, []byte("northwind"))}
	b.after(cast.Admin, domain.RegisterCustomer{CustomerID: other, CompanyName: "Northwind", Domain: "northwind.example"})
	for _, ask := range []struct {
		scope  Scope
		filter domain.TenantID
		found  int
	}{
		{OfPartner(cast.Partner), other, 1},
		{OfCustomer(cast.Partner, other), other, 1},
		{contoso, other, 0},
		{OfPartner(cast.Rival), other, 0},
	} {
		log, err := b.Activity(t.Context(), ask.scope, ActivityFilter{CustomerID: ask.filter}, Paging{})
		require.NoError(t, err)
		require.Len(t, log.Items, ask.found)
		feed, err := b.Events(t.Context(), ask.scope, EventFilter{CustomerID: ask.filter}, 0)
		require.NoError(t, err)
		require.Len(t, feed.Items, ask.found)
	}
	for scope, found := range map[Scope]int{
		OfPartner(cast.Partner): 1, contoso: 1, OfCustomer(cast.Partner, other): 0, OfPartner(cast.Rival): 0,
	} {
		page, err := b.Reservations(t.Context(), scope, ReservationFilter{At: b.now, OrderID: bought.OrderID, ScopeType: domain.Shared}, Paging{})
		require.NoError(t, err)
		require.Len(t, page.Items, found)
		_, _, err = b.Order(t.Context(), scope, bought.OrderID, b.now)
		require.Equal(t, found == 1, err == nil)
	}
}

func TestAPageHoldsAtMostItsLimit(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{DefaultLimit, DefaultLimit, 1, MaxLimit, MaxLimit}, []int{limit(0), limit(-1), limit(1), limit(MaxLimit), limit(MaxLimit + 1)})
}
