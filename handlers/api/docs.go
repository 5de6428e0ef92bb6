package api

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"permledger/domain"
	"permledger/handlers/problem"
)

//go:embed docs.html docs.css
var docsFiles embed.FS

// pagePolicy lets the documentation page load its own style sheet and nothing else.
const pagePolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// publish renders the description of the API once and serves it.
func (a *API) publish() {
	description := a.huma.OpenAPI()
	bodies := map[string]bool{}
	for _, item := range description.Paths {
		if item.Post != nil {
			reachable(description.Components.Schemas, item.Post.RequestBody.Content["application/json"].Schema, bodies)
		}
	}
	tidySchemas(description.Components.Schemas, bodies)
	machine, err := json.MarshalIndent(description, "", "  ")
	if err != nil {
		panic(fmt.Errorf("api: describe the API: %w", err))
	}
	var people strings.Builder
	if err := template.Must(template.ParseFS(docsFiles, "docs.html")).Execute(&people, pageOf(description)); err != nil {
		panic(fmt.Errorf("api: render the documentation: %w", err))
	}
	style, err := docsFiles.ReadFile("docs.css")
	if err != nil {
		panic(fmt.Errorf("api: %w", err))
	}
	a.HandleFunc("GET /openapi.json", file("application/json", machine))
	a.HandleFunc("GET /docs", file("text/html; charset=utf-8", []byte(people.String())))
	a.HandleFunc("GET /docs.css", file("text/css; charset=utf-8", style))
}

// file serves bytes that do not change while the program runs.
func file(kind string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Security-Policy", pagePolicy)
		_, _ = w.Write(content) // the client is gone, if at all
	}
}

func (a *API) metricsPage() http.HandlerFunc {
	return promhttp.HandlerFor(a.options.Metrics, promhttp.HandlerOpts{}).ServeHTTP
}

// page is what the documentation shows.
type page struct {
	Title, Description string
	Groups             []group
	Schemas            []schemaRow
	Problems           []problem.Kind
	Events             []domain.EventKind
}

type group struct {
	Name, Description string
	Operations        []*huma.Operation
}

type schemaRow struct {
	Name   string
	Fields []fieldRow
}

type fieldRow struct {
	Name, Kind, Description string
	Required                bool
}

func pageOf(d *huma.OpenAPI) page {
	p := page{Title: d.Info.Title, Description: d.Info.Description, Problems: problem.Kinds(), Events: domain.EventKinds()}
	for _, tag := range d.Tags {
		g := group{Name: tag.Name, Description: tag.Description}
		for _, item := range d.Paths {
			for _, op := range []*huma.Operation{item.Get, item.Post} {
				if op != nil && slices.Contains(op.Tags, tag.Name) {
					g.Operations = append(g.Operations, op)
				}
			}
		}
		slices.SortFunc(g.Operations, func(x, y *huma.Operation) int { return cmp.Compare(x.Path, y.Path) })
		p.Groups = append(p.Groups, g)
	}
	for name, s := range d.Components.Schemas.Map() {
		p.Schemas = append(p.Schemas, schemaRow{Name: name, Fields: fieldsOf(s)})
	}
	slices.SortFunc(p.Schemas, func(x, y schemaRow) int { return cmp.Compare(x.Name, y.Name) })
	return p
}

func fieldsOf(s *huma.Schema) []fieldRow {
	var fields []fieldRow
	for name, f := range s.Properties {
		fields = append(fields, fieldRow{Name: name, Kind: kindOf(f), Description: f.Description, Required: slices.Contains(s.Required, name)})
	}
	slices.SortFunc(fields, func(x, y fieldRow) int { return cmp.Compare(x.Name, y.Name) })
	return fields
}

// kindOf says in a few words what a member holds.
func kindOf(s *huma.Schema) string {
	switch {
	case s.Ref != "":
		return s.Ref[strings.LastIndex(s.Ref, "/")+1:]
	case len(s.AnyOf) > 0:
		return kindOf(s.AnyOf[0]) + " or null"
	case s.Items != nil:
		return "list of " + kindOf(s.Items)
	case len(s.Enum) > 0:
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Enum), " ", " | "), "[]")
	default:
		return strings.TrimSpace(s.Type + " " + s.Format)
	}
}
