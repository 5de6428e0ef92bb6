package main

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"strconv"

	"permledger/domain"
)

// listing is what every list takes.
type listing struct {
	Customer string `help:"Only this customer; all of the partner's when absent." placeholder:"GUID"`
	Limit    int    `help:"Rows at most; 0 for all." default:"100"`
}

// period limits a list to what was recorded in it.
type period struct {
	Since string `help:"Recorded at this time or later (RFC 3339)." placeholder:"TIME"`
	Until string `help:"Recorded before this time (RFC 3339)." placeholder:"TIME"`
}

type permissionsCommand struct {
	listing
}

type ordersCommand struct {
	listing
	period
	Product      string `help:"Only this product: ${enum}." enum:"AzureReservedInstances,AzureSavingsPlan," default:""`
	BoughtBy     string `help:"customer or partner." enum:"customer,partner," default:""`
	Status       string `help:"Status, such as active or returned."`
	Subscription string `help:"Billed to this subscription." placeholder:"GUID"`
	Authorised   string `help:"true or false." enum:"true,false," default:""`
}

type reservationsCommand struct {
	listing
	State        string `help:"State, such as active or returned."`
	Scope        string `help:"Shared or Single." enum:"Shared,Single," default:""`
	Subscription string `help:"Reaching this subscription." placeholder:"GUID"`
	Expiring     string `help:"Expiring before this time (RFC 3339)." placeholder:"TIME"`
}

type activityCommand struct {
	listing
	period
	Action string `help:"Action, such as PurchasePermissionGranted."`
	Actor  string `help:"User principal name or object id of who did it."`
	Result string `help:"succeeded or failed." enum:"succeeded,failed," default:""`
}

type checkCommand struct {
	Customer     string `required:"" help:"The customer's tenant." placeholder:"GUID"`
	UserID       string `required:"" name:"user-id" help:"Object id of the user who would buy." placeholder:"GUID"`
	Subscription string `required:"" help:"Billing subscription." placeholder:"GUID"`
	Product      string `help:"${enum}." enum:"AzureReservedInstances,AzureSavingsPlan" default:"AzureReservedInstances"`
}

var permissionColumns = []column{
	{"Customer", "customerId"},
	{"Product", "product"},
	{"Allowed", "allowed"},
	{"Since", "since"},
	{"Granted by", "grantedBy"},
	{"Reason", "reason"},
	{"Position", "position"},
}

var orderColumns = []column{
	{"Time", "time"},
	{"Order", "orderId"},
	{"Customer", "customerId"},
	{"Bought by", "boughtBy.kind"},
	{"User", "boughtBy.userPrincipalName"},
	{"Size", "sku"},
	{"Region", "region"},
	{"Term", "term"},
	{"Units", "quantity"},
	{"Unit price", "unitPrice"},
	{"An hour", "commitment"},
	{"Total", "total"},
	{"Web Direct", "webDirectPrice"},
	{"Scope", "scope.type"},
	{"Status", "status"},
	{"Authorised", "authorised"},
	{"Position", "position"},
}

var reservationColumns = []column{
	{"Reservation", "reservationId"},
	{"Name", "displayName"},
	{"Customer", "customerId"},
	{"Size", "sku"},
	{"Region", "region"},
	{"Term", "term"},
	{"Units", "quantity"},
	{"Scope", "scope.type"},
	{"State", "state"},
	{"Expires", "expiresAt"},
	{"Auto-renew", "renew"},
}

var activityColumns = []column{
	{"Position", "position"},
	{"Time", "time"},
	{"Action", "label"},
	{"Customer", "customerId"},
	{"Actor", "actor"},
	{"Target", "target"},
	{"Result", "result"},
	{"Rule", "rule"},
}

// Run lists permissions: of one customer, or of every customer in turn.
func (c *permissionsCommand) Run(ctx context.Context, a *app) error {
	if c.Customer != "" {
		return c.list(ctx, a, "permissions", nil, permissionColumns)
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	customers, err := s.customers(ctx)
	if err != nil {
		return err
	}
	rows := func(yield func(json.RawMessage, error) bool) {
		for _, id := range customers {
			for row, err := range s.Rows(ctx, "/api/customers/"+id+"/permissions", nil) {
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
	return a.write(c.limited(a, rows), permissionColumns)
}

// Run lists orders, newest first.
func (c *ordersCommand) Run(ctx context.Context, a *app) error {
	return c.list(ctx, a, "orders", given(c.period.query(), "product", c.Product, "boughtBy", c.BoughtBy, "status", c.Status, "subscriptionId", c.Subscription, "authorised", c.Authorised), orderColumns)
}

// Run lists reservations.
func (c *reservationsCommand) Run(ctx context.Context, a *app) error {
	return c.list(ctx, a, "reservations", given(url.Values{}, "state", c.State, "scopeType", c.Scope, "reaches", c.Subscription, "expiringBefore", c.Expiring), reservationColumns)
}

// Run lists the activity log, newest first.
func (c *activityCommand) Run(ctx context.Context, a *app) error {
	return c.list(ctx, a, "activity", given(c.period.query(), "action", c.Action, "actor", c.Actor, "result", c.Result), activityColumns)
}

// Run asks the decision state. That a purchase would be refused is exit code 3.
func (c *checkCommand) Run(ctx context.Context, a *app) error {
	customer, err := domain.ParseTenantID(c.Customer)
	if err != nil {
		return usageError("--customer: %v", err)
	}
	user, err := domain.ParseUserID(c.UserID)
	if err != nil {
		return usageError("--user-id: %v", err)
	}
	subscription, err := domain.ParseSubscriptionID(c.Subscription)
	if err != nil {
		return usageError("--subscription: %v", err)
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	verdict, err := s.Check(ctx, customer, domain.Product(c.Product), user, subscription)
	if err != nil {
		return err
	}
	if err := a.writeOne(verdict, []column{{"Allowed", "allowed"}, {"Reasons", "reasons"}, {"Position", "position"}}); err != nil {
		return err
	}
	if !verdict.Allowed {
		return errNotAllowed
	}
	return nil
}

func (p period) query() url.Values { return given(url.Values{}, "since", p.Since, "until", p.Until) }

// given adds the filters that have a value, as pairs of name and value.
func given(q url.Values, pairs ...string) url.Values {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// list shows one of the lists that exist per customer and across the partner.
func (l listing) list(ctx context.Context, a *app, name string, filter url.Values, columns []column) error {
	path := "/api/" + name
	if l.Customer != "" {
		path = "/api/customers/" + url.PathEscape(l.Customer) + "/" + name
	}
	if filter == nil {
		filter = url.Values{}
	}
	if l.Limit > 0 {
		filter.Set("limit", strconv.Itoa(min(l.Limit, 500)))
	} else {
		filter.Set("limit", "500")
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	return a.write(l.limited(a, s.Rows(ctx, path, filter)), columns)
}

// limited ends a list after the limit and says so.
func (l listing) limited(a *app, rows iter.Seq2[json.RawMessage, error]) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		n := 0
		for row, err := range rows {
			if l.Limit > 0 && n == l.Limit && err == nil {
				a.remark("There are more rows: --limit 0 shows all.")
				return
			}
			if n++; !yield(row, err) {
				return
			}
		}
	}
}
