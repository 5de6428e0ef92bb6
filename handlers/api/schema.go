package api

import (
	"errors"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"permledger/domain"
	"permledger/handlers/ledger"
	"permledger/handlers/problem"
)

// guid is an id in its 36 character form. It stands for the domain's ids in schemas and in parameters.
type guid struct{ uuid.UUID }

// guidPattern is stricter than the format uuid, which also means braces, a urn: prefix and no hyphens.
const guidPattern = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

// Schema implements huma.SchemaProvider.
func (guid) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Format: "uuid", Pattern: guidPattern, PatternDescription: "a GUID of 36 characters",
		Examples: []any{"0431a72c-7d8a-4393-b25e-ef63f5efb415"},
	}
}

// UnmarshalText reads a parameter.
func (g *guid) UnmarshalText(text []byte) error {
	if !g.parse(string(text)) {
		return errors.New("write a GUID of 36 characters, not the zero one")
	}
	return nil
}

func (g *guid) parse(text string) bool {
	id, err := uuid.Parse(text)
	g.UUID = id
	return err == nil && len(text) == 36 && id != uuid.Nil
}

// money stands for domain.Money in schemas.
type money struct {
	Amount   string `json:"amount" pattern:"^-?[0-9]+(\\.[0-9]+)?$" patternDescription:"plain digits such as 519.00" maxLength:"21" example:"519.00" doc:"Decimal with at most the digits of the currency"`
	Currency string `json:"currency" pattern:"^[A-Z]{3}$" patternDescription:"an ISO 4217 code in capitals" example:"USD"`
}

// flag is a parameter that may be true, false or absent.
type flag string

// Schema implements huma.SchemaProvider.
func (flag) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{"true", "false"}}
}

// value gives nil when the parameter is absent.
func (f flag) value() *bool {
	if f == "" {
		return nil
	}
	is := f == "true"
	return &is
}

// registry makes the schemas of the API. The ids of the domain are strings in it.
func registry() huma.Registry {
	r := huma.NewMapRegistry("#/components/schemas/", schemaName)
	id := reflect.TypeFor[guid]()
	for _, t := range []reflect.Type{
		reflect.TypeFor[domain.TenantID](), reflect.TypeFor[domain.UserID](), reflect.TypeFor[domain.SubscriptionID](),
		reflect.TypeFor[domain.OrderID](), reflect.TypeFor[domain.ReservationID](), reflect.TypeFor[domain.CommandID](),
	} {
		r.RegisterTypeAlias(t, id)
	}
	r.RegisterTypeAlias(reflect.TypeFor[domain.Money](), reflect.TypeFor[money]())
	return r
}

// schemaNames are the names of schemas that are not those of their types, where people would ask what is
// meant or two types share a name.
var schemaNames = map[reflect.Type]string{
	reflect.TypeFor[domain.ReportCustomerPurchase]():    domain.ReportCustomerPurchase{}.CommandName(),
	reflect.TypeFor[domain.ReportCustomerSavingsPlan](): domain.ReportCustomerSavingsPlan{}.CommandName(),
	reflect.TypeFor[problem.Document]():                 "Problem",
	reflect.TypeFor[ledger.Event]():                     "AnswerEvent",
}

func schemaName(t reflect.Type, hint string) string {
	if name, ok := schemaNames[t]; ok {
		return name
	}
	return huma.DefaultSchemaNamer(t, hint)
}

// tidySchemas makes the schemas say what answers are like: members may be added to them at any time, and
// money that is not known is null. Bodies of commands stay closed.
func tidySchemas(schemas huma.Registry, closed map[string]bool) {
	amount := "#/components/schemas/" + huma.DefaultSchemaNamer(reflect.TypeFor[domain.Money](), "")
	for name, s := range schemas.Map() {
		if closed[name] {
			continue
		}
		s.AdditionalProperties = nil
		for member, property := range s.Properties {
			if property.Ref == amount {
				s.Properties[member] = &huma.Schema{Description: property.Description, AnyOf: []*huma.Schema{{Ref: amount}, {Type: "null"}}}
			}
		}
	}
}

// reachable notes the names of all schemas that a schema consists of.
func reachable(schemas huma.Registry, s *huma.Schema, names map[string]bool) {
	if s == nil {
		return
	}
	if s.Ref != "" {
		name := s.Ref[strings.LastIndex(s.Ref, "/")+1:]
		if names[name] {
			return
		}
		names[name] = true
		s = schemas.SchemaFromRef(s.Ref)
	}
	reachable(schemas, s.Items, names)
	for _, property := range s.Properties {
		reachable(schemas, property, names)
	}
}
