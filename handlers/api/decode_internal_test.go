package api

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/domain"
)

func TestWhatIsReadWithoutItsSchemaFitsIt(t *testing.T) {
	t.Parallel()
	schemas := registry()
	fitted := []string{
		fit[domain.RegisterPartner](t, schemas), fit[domain.RegisterCustomer](t, schemas),
		fit[domain.RecordSubscription](t, schemas), fit[domain.ChangeSubscriptionStatus](t, schemas),
		fit[domain.AssignSubscriptionRole](t, schemas), fit[domain.RemoveSubscriptionRole](t, schemas),
		fit[domain.SetReservationPrice](t, schemas), fit[domain.GrantPurchasePermission](t, schemas),
		fit[domain.RevokePurchasePermission](t, schemas), fit[domain.SetPurchasePermissions](t, schemas),
		fit[domain.PurchaseReservation](t, schemas), fit[domain.ReportCustomerPurchase](t, schemas),
		fit[domain.PurchaseSavingsPlan](t, schemas), fit[domain.ReportCustomerSavingsPlan](t, schemas),
		fit[domain.ExchangeReservation](t, schemas), fit[domain.ReturnReservation](t, schemas),
		fit[domain.RenewReservation](t, schemas), fit[domain.ChangeReservationScope](t, schemas), fit[domain.RenameReservation](t, schemas),
		fit[domain.SplitReservation](t, schemas), fit[domain.MergeReservations](t, schemas),
		fit[domain.RegisterWebhook](t, schemas), fit[domain.RemoveWebhook](t, schemas),
	}
	for _, c := range domain.Commands() {
		require.Contains(t, fitted, c.CommandName())
	}
}

// fit reads bodies of a command, a good one and all that differ from it in one place, in both ways.
func fit[C domain.Command](t *testing.T, schemas huma.Registry) (name string) {
	t.Helper()
	var zero C
	name = zero.CommandName()
	schema := schemas.Schema(reflect.TypeFor[C](), true, name)
	if asksMore(schemas.SchemaFromRef(schema.Ref)) {
		return name
	}
	taken := 0
	for _, body := range variants(schemas, schema, example(schemas, schema)) {
		text, err := json.Marshal(body)
		require.NoError(t, err)
		want, err := decodeWithSchema[C](schemas, schema, text)
		got, ok := decodePlain[C](text)
		if !ok {
			continue
		}
		taken++
		require.NoError(t, err, "%s: %s", name, text)
		require.Equal(t, want, got, "%s: %s", name, text)
	}
	require.Positive(t, taken, "%s: nothing was read without the schema", name)
	return name
}

// example is a good value of a schema with every member there is.
func example(schemas huma.Registry, s *huma.Schema) any {
	switch s = referred(schemas, s); {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Format == "uuid":
		return uuid.NewString()
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Format == "date-time":
		return "2026-01-01T00:00:00Z"
	case s.Format == "uri":
		return "https://example.com/hook"
	case strings.HasSuffix(s.Pattern, "{2}$"):
		return "US"
	case strings.HasSuffix(s.Pattern, "{3}$"):
		return "USD"
	case s.Type == huma.TypeString:
		return "text"
	case s.Type == huma.TypeInteger:
		return 1
	case s.Type == huma.TypeBoolean:
		return true
	case s.Type == huma.TypeArray:
		list := make([]any, 0, 2)
		for range max(1, *cmp.Or(s.MinItems, new(int))) {
			list = append(list, example(schemas, s.Items))
		}
		return list
	default:
		object := map[string]any{}
		for name, property := range s.Properties {
			object[name] = example(schemas, property)
		}
		return object
	}
}

func referred(schemas huma.Registry, s *huma.Schema) *huma.Schema {
	if s.Ref != "" {
		return schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// odd are values that hardly any member takes.
var odd = []any{
	nil, "", " ", "null", "x", "\x00", strings.Repeat("x", 3000), "P9Y", "usd", "1e3", "-1.00", "99999999999999999999", "1.001",
	uuid.Nil.String(), "{0431a72c-7d8a-4393-b25e-ef63f5efb415}", "0431a72c7d8a4393b25eef63f5efb415", "0431A72C-7D8A-4393-B25E-EF63F5EFB415",
	"2026-01-01", "2026-01-01T00:00:00+25:00", "0001-01-01T00:00:00Z", "ftp://example.com", "http://127.0.0.1/",
	true, false, 0, 1, -1, 1.5, 1e18,
	[]any{},
	[]any{nil},
	[]any{""},
	map[string]any{},
	map[string]any{"x": 1},
}

// variants gives a value itself and what differs from it in one place.
func variants(schemas huma.Registry, s *huma.Schema, good any) []any {
	all := append([]any{good}, odd...)
	switch s = referred(schemas, s); good := good.(type) {
	case string:
		all = append(all, s.Enum...)
		return append(all, good+" ", strings.ToUpper(good), strings.ToLower(good), strings.Repeat("é", 128), strings.Repeat("é", 129), strings.Repeat("é", 256), strings.Repeat("é", 257))
	case []any:
		all = append(all, slices.Repeat(good, 20), good[1:], append(slices.Clone(good), example(schemas, s.Items)))
		for i, element := range good {
			for _, other := range variants(schemas, s.Items, element) {
				changed := slices.Clone(good)
				changed[i] = other
				all = append(all, changed)
			}
		}
	case map[string]any:
		with := func(name string, value any) {
			changed := maps.Clone(good)
			changed[name] = value
			all = append(all, changed)
		}
		with("unknown", 1)
		for name, value := range good {
			without := maps.Clone(good)
			delete(without, name)
			all = append(all, without)
			for _, other := range variants(schemas, s.Properties[name], value) {
				with(name, other)
			}
		}
	}
	return all
}
