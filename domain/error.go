package domain

import "fmt"

// Code says why a command was refused. Codes are a closed set and part of the API; the doors translate
// each into a status of their own.
type Code string

// The codes, by what a caller can do about them.
const (
	CodeInvalid              Code = "invalid-command"             // correct the named fields (L5)
	CodeTenantNotRegistered  Code = "tenant-not-registered"       // register the caller's tenant first
	CodePartnerDiffers       Code = "partner-already-registered"  // registered with other content
	CodeRoleNotAllowed       Code = "role-not-allowed"            // the role may not do this (S2, S15, …)
	CodeUserRequired         Code = "user-required"               // an application alone may not do this
	CodePartnerOnly          Code = "partner-only"                // a customer must ask the partner (S9)
	CodeNotFound             Code = "not-found"                   // unknown, or another partner's (L8)
	CodeCustomerDiffers      Code = "customer-already-registered" // registered with other content, or not available
	CodeSubscriptionDiffers  Code = "subscription-already-recorded"
	CodeSubscriptionDeleted  Code = "subscription-deleted"
	CodeSubscriptionInactive Code = "subscription-not-active"       // billing subscription of a partner's purchase
	CodeNoEligible           Code = "no-eligible-subscription"      // S5
	CodePolicyExists         Code = "policy-exists"                 // purchase permissions were to be off
	CodePolicyMissing        Code = "policy-missing"                // at least one was to be on
	CodePolicyChanged        Code = "policy-changed"                // their entity tag is no longer the newest
	CodePermissionOff        Code = "purchase-permission-off"       // S1, S7
	CodeBillingInactive      Code = "billing-subscription-inactive" // S7
	CodeOwnerMissing         Code = "owner-role-missing"            // S6
	CodePriceNotSet          Code = "price-not-set"                 // S13
	CodeCurrencyMismatch     Code = "currency-mismatch"             // L4
	CodeAmountTooLarge       Code = "amount-too-large"              // L4
	CodeOrderExists          Code = "order-already-exists"          // another command used this order id
	CodeReservationNotActive Code = "reservation-not-active"        // returned, exchanged, split, merged or expired
	CodeQuantityExceeded     Code = "quantity-exceeded"             // more units than the reservation holds
	CodeExchangeTooSmall     Code = "exchange-commitment-too-small" // new commitment below the remaining one
	CodeExchangeFamily       Code = "exchange-family-differs"       // exchanges stay within a product family
	CodeExchangeClosed       Code = "exchange-not-available"        // policy no longer lets this one be exchanged
	CodeRefundLimit          Code = "refund-limit-exceeded"         // rolling twelve-month limit
	CodeRenewalTooEarly      Code = "renewal-too-early"             // more than the policy's days before expiry
	CodeAlreadyRenewed       Code = "reservation-already-renewed"   // its successor exists
	CodeSplitSum             Code = "split-sum-differs"             // parts do not sum to the whole
	CodeMergeDiffers         Code = "merge-parts-differ"            // only equal reservations merge
	CodePurchasedInFuture    Code = "purchased-in-future"           // a report of what has not happened
	CodeChanged              Code = "changed-since"                 // If-Match position is no longer the newest
)

// FieldError names a field of a command and what is wrong with it.
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Reason is one rule that says no.
type Reason struct {
	Rule   string `json:"rule"`
	Code   Code   `json:"code"`
	Detail string `json:"detail"`
}

// Error is a refusal: the command had no effect.
type Error struct {
	Code   Code
	Rule   string       // the rule that says no, such as "S6"; empty where none has a number
	Detail string       // what is wrong and what to do about it, for people
	Fields []FieldError // for CodeInvalid
	Also   []Reason     // further rules that say no as well
}

// Error implements error.
func (e *Error) Error() string {
	if e.Rule == "" {
		return fmt.Sprintf("%s: %s", e.Code, e.Detail)
	}
	return fmt.Sprintf("%s (%s): %s", e.Code, e.Rule, e.Detail)
}

// Is matches any Error of the same code, so that errors.Is(err, &Error{Code: CodeOwnerMissing}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

func refuse(code Code, rule, format string, args ...any) *Error {
	return &Error{Code: code, Rule: rule, Detail: fmt.Sprintf(format, args...)}
}

// unknown is the one answer for what does not exist and for what belongs to somebody else (L8).
func unknown(what string, id fmt.Stringer) *Error {
	return refuse(CodeNotFound, "L8", "No %s %s is known here. Check the id, or register it first.", what, id)
}

// audited reports whether a refusal is an attempt that auditors want to see (L7): a wrong role, a wrong
// tenant, or a customer's purchase that was not allowed.
func (c Code) audited() bool {
	switch c {
	case CodeRoleNotAllowed, CodeUserRequired, CodePartnerOnly, CodeNotFound,
		CodePermissionOff, CodeBillingInactive, CodeOwnerMissing:
		return true
	default:
		return false
	}
}
