package partnercenter

import (
	"context"
	"strconv"
	"strings"
	"time"

	"permledger/domain"
	"permledger/handlers/partnercenter/wire"
	"permledger/projections"
)

// listAuditRecords gives who did what and what was refused, newest first.
func (d *Door) listAuditRecords(in *request) (answer, error) {
	size, err := in.query.size()
	if err != nil {
		return answer{}, err
	}
	filter, nobody, err := auditFilter(in.query)
	if err != nil {
		return answer{}, err
	}
	at, err := in.auditPlace(time.Now())
	if err != nil {
		return answer{}, err
	}
	if nobody {
		return page(in, []auditRecord{}, ""), nil
	}
	filter.Since, filter.Until = at.Since, at.Until
	m, err := d.models(in.Context())
	if err != nil {
		return answer{}, err
	}
	rows, err := m.Deeds(in.Context(), in.Scope, filter, projections.Paging{Limit: size, Cursor: at.cursor})
	if err != nil {
		return answer{}, err
	}
	items := make([]auditRecord, len(rows.Items))
	for i := range rows.Items {
		if items[i], err = recordOf(in.partner, &rows.Items[i]); err != nil {
			return answer{}, err
		}
	}
	if rows.NextCursor != "" {
		at.cursor = rows.NextCursor
		return page(in, items, at.token()), nil
	}
	return page(in, items, ""), nil
}

// auditFilter reads the filter of a query. nobody says that no record can meet it.
func auditFilter(q query) (f projections.DeedFilter, nobody bool, err error) {
	conditions, err := q.conditions()
	if err != nil {
		return f, false, err
	}
	for _, c := range conditions {
		equals := strings.EqualFold(c.Operator, "equals")
		text, known, err := c.texts(map[string]projections.TextColumn{"companyname": projections.CompanyName})
		switch {
		case err != nil:
			return f, false, err
		case known:
			f.Texts = append(f.Texts, text)
		case c.is("CustomerId") && equals && f.CustomerID.IsZero():
			if f.CustomerID, err = parseCustomer(c.Value); err != nil {
				return f, false, err
			}
		case c.is("ResourceType") && equals && f.Actions == nil:
			f.Actions = actionsOn(c.Value)
			nobody = len(f.Actions) == 0
		default:
			return f, false, badProperty("Audit records are filtered by CompanyName in any way, and by CustomerId and ResourceType with equals, once each, joined by and.")
		}
	}
	return f, nobody, nil
}

// auditPlace is where in which list of records a page begins. The token holds the whole of it: a list that is
// read page by page stays the one it was, whatever is recorded and however the clock moves meanwhile.
type auditPlace struct {
	span
	cursor string
}

func (in *request) auditPlace(now time.Time) (auditPlace, error) {
	token, err := in.continuation()
	if err != nil {
		return auditPlace{}, err
	}
	if token == "" {
		s, err := spanOf(in.query, now)
		return auditPlace{span: s}, err
	}
	parts := strings.SplitN(token, ".", 3)
	if len(parts) < 3 {
		return auditPlace{}, projections.ErrBadCursor
	}
	since, first := strconv.ParseInt(parts[0], 10, 64)
	until, second := strconv.ParseInt(parts[1], 10, 64)
	if first != nil || second != nil {
		return auditPlace{}, projections.ErrBadCursor
	}
	at := auditPlace{span: span{Since: time.Unix(0, since).UTC()}, cursor: parts[2]}
	if until != 0 {
		at.Until = time.Unix(0, until).UTC()
	}
	return at, nil
}

func (p auditPlace) token() string {
	until := int64(0)
	if !p.Until.IsZero() {
		until = p.Until.UnixNano()
	}
	return strconv.FormatInt(p.Since.UnixNano(), 10) + "." + strconv.FormatInt(until, 10) + "." + p.cursor
}

// getAuditRecord finds a record by its id, which holds the time at which it was recorded.
func (d *Door) getAuditRecord(in *request) (answer, error) {
	id := in.PathValue("id")
	at, found := wire.RecordTime(id)
	if !found {
		return answer{}, errNothingHere
	}
	m, err := d.models(in.Context())
	if err != nil {
		return answer{}, err
	}
	filter := projections.DeedFilter{Since: at, Until: at.Add(wire.Tick)}
	if parts := strings.Split(id, "_"); len(parts) == 5 {
		if filter.CustomerID, err = domain.ParseTenantID(parts[1]); err != nil {
			return answer{}, errNothingHere
		}
	}
	return findRecord(in.Context(), m, in.Scope, filter, strings.ToLower(id))
}

// findRecord looks for a record among those of one moment.
func findRecord(ctx context.Context, m *projections.Models, s projections.Scope, f projections.DeedFilter, id string) (answer, error) {
	for cursor := ""; ; {
		rows, err := m.Deeds(ctx, s, f, projections.Paging{Limit: projections.MaxLimit, Cursor: cursor})
		if err != nil {
			return answer{}, err
		}
		for i := range rows.Items {
			r, err := recordOf(s.Partner(), &rows.Items[i])
			if err != nil {
				return answer{}, err
			}
			if r.ID == id {
				return ok(r), nil
			}
		}
		if cursor = rows.NextCursor; cursor == "" {
			return answer{}, errNothingHere
		}
	}
}
