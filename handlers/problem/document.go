package problem

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"permledger/domain"
)

// ContentType is the media type of a Document.
const ContentType = "application/problem+json"

// Document is a problem as the native API shows it (RFC 9457).
type Document struct { //nolint:errname // it is a document first; the framework wants an error
	Type      string              `json:"type" format:"uri-reference" doc:"Where the code is described"`
	Title     string              `json:"title" doc:"What kind of problem it is; the same for every problem of the code"`
	Status    int                 `json:"status" doc:"HTTP status"`
	Detail    string              `json:"detail" doc:"What is wrong and what to do about it, for people"`
	Code      domain.Code         `json:"code" doc:"What is wrong, for programs: one of a closed set"`
	Rule      string              `json:"rule,omitempty" doc:"Number of the business rule that says no"`
	RequestID string              `json:"requestId,omitempty" doc:"Tell it to the operator when you ask for help"`
	Errors    []domain.FieldError `json:"errors,omitempty" doc:"Every field at fault"`
	Also      []domain.Reason     `json:"also,omitempty" doc:"Further rules that say no as well"`

	retry time.Duration
}

// DocumentOf classifies an error for the client of a request. The cause of a failure of the server's
// own is noted with the request, which logs it once.
func DocumentOf(ctx context.Context, err error) *Document {
	p := Of(err)
	request := RequestOf(ctx)
	if p.cause != nil {
		request.Note(p.cause)
	}
	request.Code = p.Code
	return &Document{
		Type: "/docs#" + string(p.Code), Title: p.Title, Status: p.Status, Detail: p.Detail, Code: p.Code, Rule: p.Rule,
		RequestID: request.ID, Errors: p.Fields, Also: p.Also, retry: p.Retry,
	}
}

// Error implements error.
func (d *Document) Error() string { return string(d.Code) + ": " + d.Detail }

// GetStatus gives the HTTP status.
func (d *Document) GetStatus() int { return d.Status }

// ContentType gives the media type, whatever was negotiated.
func (d *Document) ContentType(string) string { return ContentType }

// GetHeaders gives the headers that belong to the answer.
func (d *Document) GetHeaders() http.Header {
	h := http.Header{}
	if d.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((d.retry+time.Second-1)/time.Second)))
	}
	if d.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="permledger"`)
	}
	return h
}

// Write answers a request with the problem document of an error.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	d := DocumentOf(r.Context(), err)
	maps.Copy(w.Header(), d.GetHeaders())
	w.Header().Set("Content-Type", ContentType)
	w.WriteHeader(d.Status)
	_ = json.MarshalWrite(w, d) // the client is gone, if at all
}
