package problem

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"time"

	"permledger/domain"
)

// The codes that the doors add to those of the domain.
const (
	CodeUnauthenticated   domain.Code = "unauthenticated"        // no token, or one that is not valid
	CodeWrongAudience     domain.Code = "wrong-audience"         // a token that is meant for another recipient
	CodeTenantNotAllowed  domain.Code = "tenant-not-allowed"     // not on the list of tenants that may become partners
	CodeNoSuchRoute       domain.Code = "no-such-route"          // the path is not part of the API
	CodeMethodNotAllowed  domain.Code = "method-not-allowed"     // the path is, with another method
	CodeInvalidRequest    domain.Code = "invalid-request"        // a parameter, a header or the body
	CodeTooLarge          domain.Code = "too-large"              // the body passes the limit
	CodeMediaType         domain.Code = "unsupported-media-type" // not application/json, or compressed
	CodeCommandIDReused   domain.Code = "command-id-reused"      // L3
	CodeRateLimited       domain.Code = "too-many-requests"      // of one principal
	CodeStreamLimited     domain.Code = "too-many-streams"       // of one principal
	CodeInternal          domain.Code = "internal-error"
	CodeBusy              domain.Code = "ledger-busy"
	CodeUnavailable       domain.Code = "ledger-unavailable"
	CodeOutcomeUnknown    domain.Code = "outcome-unknown"
	CodeIntegrity         domain.Code = "integrity-failure"
	CodePositionNotInTime domain.Code = "position-not-reached" // Ledger-Min-Position
	CodeIssuerUnavailable domain.Code = "issuer-unavailable"   // the token issuer's keys cannot be had
	CodeStopping          domain.Code = "server-stopping"
)

type line struct {
	status int
	title  string
	retry  time.Duration
}

// table gives every code its status and title in the native API.
var table = map[domain.Code]line{
	CodeUnauthenticated: {http.StatusUnauthorized, "A valid token is needed", 0},
	CodeWrongAudience:   {http.StatusUnauthorized, "The token is meant for another recipient", 0},

	domain.CodeRoleNotAllowed:      {http.StatusForbidden, "The role may not do this", 0},
	domain.CodeUserRequired:        {http.StatusForbidden, "A signed-in user is needed", 0},
	domain.CodePartnerOnly:         {http.StatusForbidden, "Only the partner may do this", 0},
	domain.CodeTenantNotRegistered: {http.StatusForbidden, "The tenant is not registered", 0},
	domain.CodePermissionOff:       {http.StatusForbidden, "The purchase permission is off", 0},
	domain.CodeBillingInactive:     {http.StatusForbidden, "The billing subscription cannot be billed", 0},
	domain.CodeOwnerMissing:        {http.StatusForbidden, "The role Owner is missing", 0},
	CodeTenantNotAllowed:           {http.StatusForbidden, "The tenant may not become a partner", 0},

	domain.CodeNotFound:  {http.StatusNotFound, "Not found", 0},
	CodeNoSuchRoute:      {http.StatusNotFound, "No such route", 0},
	CodeMethodNotAllowed: {http.StatusMethodNotAllowed, "The method is not allowed here", 0},

	domain.CodePartnerDiffers:       {http.StatusConflict, "The partner is registered otherwise", 0},
	domain.CodeCustomerDiffers:      {http.StatusConflict, "The customer cannot be registered", 0},
	domain.CodeSubscriptionDiffers:  {http.StatusConflict, "The subscription is recorded otherwise", 0},
	domain.CodeSubscriptionDeleted:  {http.StatusConflict, "The subscription is deleted", 0},
	domain.CodeSubscriptionInactive: {http.StatusConflict, "The subscription is not active", 0},
	domain.CodePolicyExists:         {http.StatusConflict, "The customer has purchase permissions", 0},
	domain.CodePolicyMissing:        {http.StatusConflict, "The customer has no purchase permission", 0},
	domain.CodeNoEligible:           {http.StatusConflict, "No eligible subscription", 0},
	domain.CodePriceNotSet:          {http.StatusConflict, "No price is set", 0},
	domain.CodeCurrencyMismatch:     {http.StatusConflict, "The currency differs", 0},
	domain.CodeAmountTooLarge:       {http.StatusConflict, "The amount is too large", 0},
	domain.CodeOrderExists:          {http.StatusConflict, "The order exists already", 0},
	domain.CodeReservationNotActive: {http.StatusConflict, "The reservation is not active", 0},
	domain.CodeQuantityExceeded:     {http.StatusConflict, "The quantity is exceeded", 0},
	domain.CodeExchangeTooSmall:     {http.StatusConflict, "The new commitment is too small", 0},
	domain.CodeExchangeFamily:       {http.StatusConflict, "The product family differs", 0},
	domain.CodeExchangeClosed:       {http.StatusConflict, "The exchange is no longer offered", 0},
	domain.CodeRefundLimit:          {http.StatusConflict, "The refund limit is exceeded", 0},
	domain.CodeRenewalTooEarly:      {http.StatusConflict, "The renewal is too early", 0},
	domain.CodeAlreadyRenewed:       {http.StatusConflict, "The reservation is renewed already", 0},
	domain.CodeSplitSum:             {http.StatusConflict, "The parts do not sum to the whole", 0},
	domain.CodeMergeDiffers:         {http.StatusConflict, "The reservations differ", 0},
	domain.CodePurchasedInFuture:    {http.StatusConflict, "The purchase lies in the future", 0},
	CodeCommandIDReused:             {http.StatusConflict, "The command id was used before", 0},

	domain.CodePolicyChanged: {http.StatusPreconditionFailed, "The purchase permissions have changed since", 0},
	domain.CodeChanged:       {http.StatusPreconditionFailed, "The customer has changed since", 0},

	CodeTooLarge:       {http.StatusRequestEntityTooLarge, "The request is too large", 0},
	CodeMediaType:      {http.StatusUnsupportedMediaType, "The media type is not supported", 0},
	domain.CodeInvalid: {http.StatusUnprocessableEntity, "The command is invalid", 0},
	CodeInvalidRequest: {http.StatusUnprocessableEntity, "The request is invalid", 0},

	CodeRateLimited:   {http.StatusTooManyRequests, "Too many requests", time.Second},
	CodeStreamLimited: {http.StatusTooManyRequests, "Too many streams", 10 * time.Second},

	CodeInternal:          {http.StatusInternalServerError, "Internal error", 0},
	CodeBusy:              {http.StatusServiceUnavailable, "The ledger is busy", time.Second},
	CodeUnavailable:       {http.StatusServiceUnavailable, "The ledger is unavailable", time.Second},
	CodeOutcomeUnknown:    {http.StatusServiceUnavailable, "The outcome is unknown", time.Second},
	CodeIntegrity:         {http.StatusServiceUnavailable, "Integrity failure", time.Minute},
	CodePositionNotInTime: {http.StatusServiceUnavailable, "The position is not reached yet", time.Second},
	CodeIssuerUnavailable: {http.StatusServiceUnavailable, "The token issuer is unavailable", 5 * time.Second},
	CodeStopping:          {http.StatusServiceUnavailable, "The server is stopping", time.Second},
}

// Kind is a line of the table, for documentation.
type Kind struct {
	Code   domain.Code
	Status int
	Title  string
}

// Kinds lists the table by status, then by code.
func Kinds() []Kind {
	list := make([]Kind, 0, len(table))
	for _, code := range slices.Sorted(maps.Keys(table)) {
		list = append(list, Kind{Code: code, Status: table[code].status, Title: table[code].title})
	}
	slices.SortStableFunc(list, func(a, b Kind) int { return cmp.Compare(a.Status, b.Status) })
	return list
}
