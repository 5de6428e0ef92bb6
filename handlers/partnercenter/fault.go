package partnercenter

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"permledger/domain"
	"permledger/handlers/problem"
)

// fault is a refusal in the words of Partner Center.
type fault struct {
	status      int
	code        string
	description string
}

// Error implements error.
func (f *fault) Error() string { return f.code + ": " + f.description }

func refuse(status int, code, description string) error {
	return &fault{status: status, code: code, description: description}
}

func badInput(description string) error {
	return refuse(http.StatusBadRequest, "800002", description)
}

func badProperty(description string) error {
	return refuse(http.StatusBadRequest, "3000", description)
}

// missing is the refusal of what is not there.
func missing(description string) error { return refuse(http.StatusNotFound, "1000", description) }

// absent gives what is not there the words of its kind.
func absent(err, words error) error {
	if err != nil && problem.Of(err).Code == domain.CodeNotFound {
		return words
	}
	return err
}

// The refusals that do not depend on a code of the domain.
var (
	errPolicyMissing = refuse(http.StatusNotFound, "600039", "Self-serve policy not found.")
	errPolicyDiffers = refuse(http.StatusNotFound, "600040", "The ids of the self-serve policy do not match.")
	errNothingHere   = missing("Not found.")
	errStaleInBody   = refuse(http.StatusBadRequest, "2055", "The etag is no longer valid. Get the resource again, then change it.")
	errStaleInHeader = refuse(http.StatusPreconditionFailed, "2055", "The etag is no longer valid. Get the resource again, then change it.")
)

// again is added where nothing is known about a command or nothing was written.
const again = " Send it again with the same MS-RequestId: it never has a second effect."

// faults says what a code of the ledger is called here. A line without a status has that of the native API,
// one without a code that number, and one without a description the ledger's own. What is not listed is
// all three. Bodies that are too large are no 413, nor invalid ones 422: clients repeat those.
var faults = map[domain.Code]fault{
	problem.CodeUnauthenticated: {code: "800001"},
	problem.CodeWrongAudience:   {code: "900420"},

	domain.CodeRoleNotAllowed:      {code: "900150"},
	domain.CodePartnerOnly:         {code: "900150"},
	domain.CodeUserRequired:        {code: "900329"},
	problem.CodeTenantNotAllowed:   {code: "900308"},
	domain.CodeTenantNotRegistered: {status: http.StatusNotFound, code: "60003"},
	domain.CodeNotFound:            {status: http.StatusForbidden, code: "20002"},

	domain.CodePolicyExists:  {code: "600041", description: "Self-serve policy already exists."},
	domain.CodePolicyMissing: {status: http.StatusNotFound, code: "600039", description: "Self-serve policy not found."},
	domain.CodePolicyChanged: {status: http.StatusBadRequest, code: "2055", description: "The etag is no longer valid. Get the resource again, then change it."},
	domain.CodeNoEligible:    {status: http.StatusBadRequest, code: "900318"},

	domain.CodeInvalid:         {status: http.StatusBadRequest, code: "800002"},
	problem.CodeInvalidRequest: {status: http.StatusBadRequest, code: "800002"},
	problem.CodeTooLarge:       {status: http.StatusBadRequest, code: "800002"},
	problem.CodeMediaType:      {status: http.StatusBadRequest, code: "800002"},

	problem.CodeCommandIDReused: {description: "This MS-RequestId was used before with other content. Use a new one for a new request."},
	problem.CodeOutcomeUnknown:  {description: "Nobody confirmed in time whether this was recorded." + again},
	problem.CodeBusy:            {description: "Too many requests are waiting. Nothing was written." + again},
	problem.CodeUnavailable:     {description: "The ledger cannot be reached now. Nothing was written." + again},
}

// faultBody is a refusal as clients read it.
type faultBody struct {
	Code        string   `json:"code"`
	Description string   `json:"description"`
	Data        []string `json:"data"`
	Source      string   `json:"source"`
}

// limitBody is the answer to too many requests, which has a form of its own.
type limitBody struct {
	StatusCode int    `json:"statusCode"`
	Message    string `json:"message"`
}

// source names this server in refusals.
const source = "permledger"

// writeFault answers with a refusal.
func writeFault(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Content-Type", contentType)
	if own, is := errors.AsType[*fault](err); is {
		problem.RequestOf(r.Context()).Code = domain.Code(own.code)
		w.WriteHeader(own.status)
		_ = json.MarshalWrite(w, faultBody{Code: own.code, Description: own.description, Source: source})
		return
	}
	p := problem.DocumentOf(r.Context(), err)
	maps.Copy(w.Header(), p.GetHeaders())
	if p.Status == http.StatusTooManyRequests {
		w.WriteHeader(p.Status)
		_ = json.MarshalWrite(w, limitBody{p.Status, fmt.Sprintf("Rate limit is exceeded. Try again in %s seconds.", w.Header().Get("Retry-After"))})
		return
	}
	f := faults[p.Code]
	status := cmp.Or(f.status, p.Status)
	data := make([]string, len(p.Errors))
	for i, e := range p.Errors {
		data[i] = e.Field + " " + e.Detail
	}
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, faultBody{
		Code: cmp.Or(f.code, strconv.Itoa(status)), Description: cmp.Or(f.description, p.Detail), Data: data, Source: source,
	})
}
