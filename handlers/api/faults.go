package api

import (
	"cmp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"permledger/domain"
	"permledger/handlers/body"
)

// schemaFaults lists what a schema finds wrong with a body, one fault a field, without repeating values.
func schemaFaults(schemas huma.Registry, schema *huma.Schema, value any) []domain.FieldError {
	var result huma.ValidateResult
	path := huma.NewPathBuffer(nil, 0)
	huma.Validate(schemas, schema, path, huma.ModeWriteToServer, value, &result)
	faults := make([]domain.FieldError, 0, len(result.Errors))
	for _, err := range result.Errors {
		faults = append(faults, faultOf(err))
	}
	slices.SortStableFunc(faults, func(a, b domain.FieldError) int { return cmp.Compare(a.Field, b.Field) })
	return slices.CompactFunc(faults, func(a, b domain.FieldError) bool { return a.Field == b.Field })
}

// faultOf words a fault that huma found. Its value stays out of the answer.
func faultOf(err error) domain.FieldError {
	detailed, ok := err.(huma.ErrorDetailer)
	if !ok {
		return domain.FieldError{Field: "request", Detail: "is not valid"}
	}
	d := detailed.ErrorDetail()
	field, detail := d.Location, d.Message
	if name, isMissing := missing(detail); isMissing {
		field, detail = strings.TrimPrefix(field+"."+name, "."), "is required"
	}
	return domain.FieldError{Field: body.Clip(cmp.Or(field, "body")), Detail: detail}
}

// missing reads the name out of huma's words for a member that is not there.
func missing(detail string) (name string, ok bool) {
	rest, begins := strings.CutPrefix(detail, "expected required property ")
	name, ends := strings.CutSuffix(rest, " to be present")
	return name, begins && ends
}

// merge adds the faults of fields that have none yet.
func merge(faults, more []domain.FieldError) []domain.FieldError {
	for _, m := range more {
		if !slices.ContainsFunc(faults, func(f domain.FieldError) bool { return f.Field == m.Field }) {
			faults = append(faults, m)
		}
	}
	return faults
}
