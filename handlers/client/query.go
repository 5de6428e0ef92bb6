package client

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"net/url"
	"strconv"

	"permledger/domain"
	"permledger/projections"
)

// Rows gives every row of a list, page by page, as it was answered. It ends after the first error.
func (c *Client) Rows(ctx context.Context, path string, query url.Values) iter.Seq2[json.RawMessage, error] {
	return List[json.RawMessage](ctx, c, path, query)
}

// List gives every row of a list, page by page. It ends after the first error.
func List[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		query := maps.Clone(query)
		for {
			var page struct {
				Items      []T    `json:"items"`
				NextCursor string `json:"nextCursor"`
			}
			if _, err := c.Get(ctx, path, query, &page); err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, row := range page.Items {
				if !yield(row, nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			if query == nil {
				query = url.Values{}
			}
			query.Set("cursor", page.NextCursor)
		}
	}
}

// Customers gives the customers that the principal may see.
func (c *Client) Customers(ctx context.Context, query url.Values) iter.Seq2[projections.Customer, error] {
	return List[projections.Customer](ctx, c, "/api/customers", query)
}

// Permissions gives a customer's purchase permissions.
func (c *Client) Permissions(ctx context.Context, customer domain.TenantID, query url.Values) iter.Seq2[projections.Permission, error] {
	return List[projections.Permission](ctx, c, CustomerPath(customer, "permissions"), query)
}

// Subscriptions gives a customer's subscriptions with who holds which role on them.
func (c *Client) Subscriptions(ctx context.Context, customer domain.TenantID, query url.Values) iter.Seq2[projections.Subscription, error] {
	return List[projections.Subscription](ctx, c, CustomerPath(customer, "subscriptions"), query)
}

// Prices gives a customer's price list.
func (c *Client) Prices(ctx context.Context, customer domain.TenantID, query url.Values) iter.Seq2[projections.Price, error] {
	return List[projections.Price](ctx, c, CustomerPath(customer, "prices"), query)
}

// Orders gives the order history of a customer, or with the zero customer of all the principal may see.
func (c *Client) Orders(ctx context.Context, customer domain.TenantID, query url.Values) iter.Seq2[projections.Order, error] {
	return List[projections.Order](ctx, c, CustomerPath(customer, "orders"), query)
}

// Reservations gives the reservations of a customer, or with the zero customer all the principal may see.
func (c *Client) Reservations(ctx context.Context, customer domain.TenantID, query url.Values) iter.Seq2[projections.Reservation, error] {
	return List[projections.Reservation](ctx, c, CustomerPath(customer, "reservations"), query)
}

// Activity gives the activity log of a customer, or with the zero customer all the principal may see,
// newest first.
func (c *Client) Activity(ctx context.Context, customer domain.TenantID, query url.Values) iter.Seq2[projections.Activity, error] {
	return List[projections.Activity](ctx, c, CustomerPath(customer, "activity"), query)
}

// CustomerPath is where a list of one customer is, or with the zero customer the list across all.
func CustomerPath(customer domain.TenantID, list string) string {
	if customer.IsZero() {
		return "/api/" + list
	}
	return "/api/customers/" + customer.String() + "/" + list
}

// Verdict answers "may this user buy now?".
type Verdict struct {
	Allowed  bool            `json:"allowed"`
	Reasons  []domain.Reason `json:"reasons"`
	Position uint64          `json:"position"`
}

// Check asks whether a customer's user may buy a product now, billed to a subscription.
func (c *Client) Check(ctx context.Context, customer domain.TenantID, product domain.Product, user domain.UserID, billing domain.SubscriptionID) (Verdict, error) {
	var v Verdict
	path := CustomerPath(customer, "permissions/"+url.PathEscape(string(product))+"/check")
	_, err := c.Get(ctx, path, url.Values{"userId": {user.String()}, "subscriptionId": {billing.String()}}, &v)
	return v, err
}

// Events gives the feed after a position up to its end, oldest first.
func (c *Client) Events(ctx context.Context, after uint64, query url.Values) iter.Seq2[projections.Event, error] {
	return func(yield func(projections.Event, error) bool) {
		query := maps.Clone(query)
		if query == nil {
			query = url.Values{}
		}
		for more := true; more; {
			query.Set("after", strconv.FormatUint(after, 10))
			var page projections.EventPage
			if _, err := c.Get(ctx, "/api/events", query, &page); err != nil {
				yield(projections.Event{}, err)
				return
			}
			for _, e := range page.Items {
				if !yield(e, nil) {
					return
				}
			}
			after, more = page.Next, page.More
		}
	}
}

// position is the position of an answer.
func (r *response) position() uint64 {
	n, err := strconv.ParseUint(r.header.Get("Ledger-Position"), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// At names the least position that a query must reflect. Use it in a context for reading what was just
// written: the answer waits until the read models have come so far.
func At(ctx context.Context, position uint64) context.Context {
	return context.WithValue(ctx, minPosition{}, strconv.FormatUint(position, 10))
}

type minPosition struct{}
