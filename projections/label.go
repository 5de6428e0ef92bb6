package projections

import "permledger/domain"

// label names an action for people.
type label struct{ english, chinese string }

// PermissionsSet is the action of an attempt to set a customer's permissions together: which of them it would
// have turned on or off is not known.
const PermissionsSet = "PurchasePermissionsSet"

// labels name what happened by event type. The two of the purchase permission are Microsoft's own (S12).
var labels = map[string]label{
	"PartnerRegistered":            {"Register Partner", "註冊合作夥伴"},
	"CustomerRegistered":           {"Add Customer", "新增客戶"},
	"SubscriptionRecorded":         {"Record Subscription", "記錄訂用帳戶"},
	"SubscriptionStatusChanged":    {"Change Subscription Status", "變更訂用帳戶狀態"},
	"SubscriptionRoleAssigned":     {"Assign Subscription Role", "指派訂用帳戶角色"},
	"SubscriptionRoleRemoved":      {"Remove Subscription Role", "移除訂用帳戶角色"},
	"ReservationPriceSet":          {"Set Reservation Price", "設定保留價格"},
	"PurchasePermissionGranted":    {"Create Customer Purchase Permissions", "建立客戶購買許可權"},
	"PurchasePermissionRevoked":    {"Delete Customer Purchase Permissions", "刪除客戶購買許可權"},
	"CustomerPurchasedReservation": {"Customer Purchased Reservation", "客戶購買保留"},
	"PartnerPurchasedReservation":  {"Partner Purchased Reservation", "合作夥伴購買保留"},
	"CustomerPurchasedSavingsPlan": {"Customer Purchased Savings Plan", "客戶購買節省方案"},
	"PartnerPurchasedSavingsPlan":  {"Partner Purchased Savings Plan", "合作夥伴購買節省方案"},
	"ReservationExchanged":         {"Exchange Reservation", "交換保留"},
	"ReservationReturned":          {"Return Reservation", "退回保留"},
	"ReservationRenewed":           {"Renew Reservation", "續訂保留"},
	"ReservationScopeChanged":      {"Change Reservation Scope", "變更保留範圍"},
	"ReservationRenamed":           {"Rename Reservation", "重新命名保留"},
	"ReservationSplit":             {"Split Reservation", "分割保留"},
	"ReservationsMerged":           {"Merge Reservations", "合併保留"},
	PermissionsSet:                 {"Change Customer Purchase Permissions", "變更客戶購買許可權"},
	"WebhookRegistered":            {"Register Webhook", "註冊 Webhook"},
	"WebhookRemoved":               {"Remove Webhook", "移除 Webhook"},
	"AttemptDenied":                {"Denied Attempt", "已拒絕的嘗試"},
}

// attempts says what a denied command would have led to, whoever sends it.
var attempts = map[string]string{
	"RegisterPartner":              "PartnerRegistered",
	"RegisterCustomer":             "CustomerRegistered",
	"RecordSubscription":           "SubscriptionRecorded",
	"ChangeSubscriptionStatus":     "SubscriptionStatusChanged",
	"AssignSubscriptionRole":       "SubscriptionRoleAssigned",
	"RemoveSubscriptionRole":       "SubscriptionRoleRemoved",
	"SetReservationPrice":          "ReservationPriceSet",
	"GrantPurchasePermission":      "PurchasePermissionGranted",
	"RevokePurchasePermission":     "PurchasePermissionRevoked",
	"SetPurchasePermissions":       PermissionsSet,
	"CustomerPurchasedReservation": "CustomerPurchasedReservation",
	"CustomerPurchasedSavingsPlan": "CustomerPurchasedSavingsPlan",
	"ExchangeReservation":          "ReservationExchanged",
	"ReturnReservation":            "ReservationReturned",
	"RenewReservation":             "ReservationRenewed",
	"ChangeReservationScope":       "ReservationScopeChanged",
	"RenameReservation":            "ReservationRenamed",
	"SplitReservation":             "ReservationSplit",
	"MergeReservations":            "ReservationsMerged",
	"RegisterWebhook":              "WebhookRegistered",
	"RemoveWebhook":                "WebhookRemoved",
}

// purchaseAttempts says it of purchases, which are the customer's or the partner's by who sends them.
var purchaseAttempts = map[string]purchaseAttempt{
	"PurchaseReservation": {"CustomerPurchasedReservation", "PartnerPurchasedReservation"},
	"PurchaseSavingsPlan": {"CustomerPurchasedSavingsPlan", "PartnerPurchasedSavingsPlan"},
}

type purchaseAttempt struct{ customers, partners string }

func (p purchaseAttempt) by(a domain.Actor) string {
	if a.OnPartnerSide() {
		return p.partners
	}
	return p.customers
}

// Label names an action of the activity log for people, in Traditional Chinese for "zh-TW" and in English
// for any other language. An action without a label is its own.
func Label(action, language string) string {
	l, known := labels[action]
	switch {
	case !known:
		return action
	case language == "zh-TW":
		return l.chinese
	default:
		return l.english
	}
}
