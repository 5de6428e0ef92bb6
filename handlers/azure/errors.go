package azure

import (
	"cmp"
	"errors"
	"maps"
	"net/http"

	"permledger/domain"
	"permledger/handlers/problem"
)

// refusal is an error that only Azure's words know.
type refusal struct {
	status  int
	code    string
	message string
}

// Error implements error.
func (e refusal) Error() string { return e.code + ": " + e.message }

func badRequest(code, message string) error { return refusal{http.StatusBadRequest, code, message} }

// line is how the door says a code of the ledger.
type line struct {
	status  int
	code    string
	message string // instead of the ledger's words, where those are about the native API
}

// The codes that stand for several of the ledger's.
const (
	badRequestCode     = "BadRequest"
	conflict           = "Conflict"
	forbidden          = "Forbidden"
	unauthorised       = "AuthorizationFailed"
	wrongState         = "OperationCannotBePerformedInCurrentState"
	invalidContent     = "InvalidRequestContent"
	unavailable        = "ServiceUnavailable"
	selfServiceRefused = "SelfServiceRefundNotSupported"
	priceFailed        = "CalculatePriceFailed"
)

const tryAgain = "The service cannot answer now. Nothing was written; send the same request again."

// table gives every code of the ledger its status and code at this door.
var table = map[domain.Code]line{
	problem.CodeUnauthenticated: {http.StatusUnauthorized, "AuthenticationFailed", ""},
	problem.CodeWrongAudience:   {http.StatusUnauthorized, "InvalidAuthenticationTokenAudience", ""},

	domain.CodeRoleNotAllowed:      {http.StatusForbidden, unauthorised, ""},
	domain.CodeUserRequired:        {http.StatusForbidden, unauthorised, ""},
	domain.CodeOwnerMissing:        {http.StatusForbidden, unauthorised, ""},
	domain.CodePartnerOnly:         {http.StatusForbidden, forbidden, ""},
	domain.CodePermissionOff:       {http.StatusForbidden, forbidden, ""},
	domain.CodeBillingInactive:     {http.StatusForbidden, forbidden, ""},
	domain.CodeTenantNotRegistered: {http.StatusForbidden, forbidden, ""},
	problem.CodeTenantNotAllowed:   {http.StatusForbidden, forbidden, ""},

	domain.CodeNotFound:          {http.StatusNotFound, "ResourceNotFound", ""},
	problem.CodeNoSuchRoute:      {http.StatusNotFound, "InvalidResourceType", ""},
	problem.CodeMethodNotAllowed: {http.StatusMethodNotAllowed, "HttpMethodNotSupported", ""},

	domain.CodeOrderExists:          {http.StatusConflict, "ReservationOrderIdAlreadyExists", "The reservation order id is taken. Calculate the price again to get a new one."},
	domain.CodeReservationNotActive: {http.StatusConflict, wrongState, ""},
	domain.CodeSubscriptionInactive: {http.StatusConflict, wrongState, ""},
	domain.CodeSubscriptionDeleted:  {http.StatusConflict, wrongState, ""},
	domain.CodeRenewalTooEarly:      {http.StatusConflict, wrongState, ""},
	domain.CodeAlreadyRenewed:       {http.StatusConflict, wrongState, ""},
	domain.CodeChanged:              {http.StatusConflict, wrongState, quoteGone},
	domain.CodePolicyChanged:        {http.StatusConflict, conflict, ""},
	domain.CodePartnerDiffers:       {http.StatusConflict, conflict, ""},
	domain.CodeCustomerDiffers:      {http.StatusConflict, conflict, ""},
	domain.CodeSubscriptionDiffers:  {http.StatusConflict, conflict, ""},
	domain.CodePolicyExists:         {http.StatusConflict, conflict, ""},
	domain.CodePolicyMissing:        {http.StatusConflict, conflict, ""},
	domain.CodeNoEligible:           {http.StatusConflict, conflict, ""},
	domain.CodeCurrencyMismatch:     {http.StatusConflict, conflict, ""},
	problem.CodeCommandIDReused:     {http.StatusConflict, conflict, "This session was used with another request. Calculate again."},

	domain.CodeQuantityExceeded:  {http.StatusBadRequest, "InvalidRefundQuantity", ""},
	domain.CodeRefundLimit:       {http.StatusBadRequest, "RefundLimitExceeded", ""},
	domain.CodeExchangeClosed:    {http.StatusBadRequest, selfServiceRefused, ""},
	domain.CodeExchangeTooSmall:  {http.StatusBadRequest, badRequestCode, ""},
	domain.CodeExchangeFamily:    {http.StatusBadRequest, badRequestCode, ""},
	domain.CodeSplitSum:          {http.StatusBadRequest, badRequestCode, ""},
	domain.CodeMergeDiffers:      {http.StatusBadRequest, badRequestCode, ""},
	domain.CodePurchasedInFuture: {http.StatusBadRequest, badRequestCode, ""},
	domain.CodePriceNotSet:       {http.StatusBadRequest, priceFailed, ""},
	domain.CodeAmountTooLarge:    {http.StatusBadRequest, priceFailed, ""},
	domain.CodeInvalid:           {http.StatusBadRequest, invalidContent, "Correct what is listed under details and send the request again."},
	problem.CodeInvalidRequest:   {http.StatusBadRequest, invalidContent, ""},
	problem.CodeTooLarge:         {http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", ""},
	problem.CodeMediaType:        {http.StatusUnsupportedMediaType, "UnsupportedMediaType", ""},

	problem.CodeRateLimited:   {http.StatusTooManyRequests, "TooManyRequests", ""},
	problem.CodeStreamLimited: {http.StatusTooManyRequests, "TooManyRequests", ""},

	problem.CodeInternal:          {http.StatusInternalServerError, "InternalServerError", ""},
	problem.CodeOutcomeUnknown:    {http.StatusServiceUnavailable, "ServerTimeout", "Nobody confirmed in time whether the request was carried out. Send the same request again, or read what it is about."},
	problem.CodeBusy:              {http.StatusServiceUnavailable, unavailable, tryAgain},
	problem.CodeUnavailable:       {http.StatusServiceUnavailable, unavailable, tryAgain},
	problem.CodeStopping:          {http.StatusServiceUnavailable, unavailable, tryAgain},
	problem.CodeIntegrity:         {http.StatusServiceUnavailable, unavailable, ""},
	problem.CodePositionNotInTime: {http.StatusServiceUnavailable, unavailable, ""},
	problem.CodeIssuerUnavailable: {http.StatusServiceUnavailable, unavailable, ""},
}

// errorBody is an error as Azure's clients read it.
type errorBody struct {
	Error errorInfo `json:"error"`
}

type errorInfo struct {
	Code    string      `json:"code"`
	Message string      `json:"message"`
	Target  string      `json:"target,omitempty"`
	Details []errorInfo `json:"details,omitempty"`
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	if own, ok := errors.AsType[refusal](err); ok {
		problem.RequestOf(r.Context()).Code = domain.Code(own.code)
		write(w, own.status, errorBody{errorInfo{Code: own.code, Message: own.message}})
		return
	}
	d := problem.DocumentOf(r.Context(), err)
	maps.Copy(w.Header(), d.GetHeaders())
	said := table[d.Code]
	info := errorInfo{Code: said.code, Message: cmp.Or(said.message, d.Detail)}
	if d.Rule != "" {
		info.Message += " (" + d.Rule + ")"
	}
	for _, f := range d.Errors {
		info.Details = append(info.Details, errorInfo{Code: invalidContent, Target: memberOf(f.Field), Message: f.Detail})
	}
	for _, reason := range d.Also {
		info.Details = append(info.Details, errorInfo{Code: table[reason.Code].code, Message: reason.Detail + " (" + reason.Rule + ")"})
	}
	write(w, said.status, errorBody{info})
}

// members are the names that clients know for fields of the commands.
var members = map[string]string{
	"subscriptionId": "properties.billingScopeId", "sku": "sku.name", "region": "location", "term": "properties.term",
	"billingPlan": "properties.billingPlan", "quantity": "properties.quantity", "displayName": "properties.displayName",
	"scope.type": "properties.appliedScopeType", "scope.subscriptionId": "properties.appliedScopes",
	"quantities": "properties.quantities", "reservationIds": "properties.sources", "reason": "properties.returnReason",
}

func memberOf(field string) string { return cmp.Or(members[field], field) }

// noResource answers for addresses and methods that the provider does not have.
func (*Door) noResource(*request) (any, error) {
	return nil, problem.Refuse(problem.CodeNoSuchRoute, "The resource type could not be found in the namespace '"+namespace+"', or not with this method.")
}

// noProvider answers for addresses of other providers.
func (*Door) noProvider(*request) (any, error) {
	return nil, refusal{http.StatusNotFound, "InvalidResourceNamespace", "The namespace is not known here. There is '" + namespace + "' alone."}
}
