package partnercenter

import "permledger/handlers/partnercenter/wire"

// routes lists the door's API. Who may use what is in access.go.
func (d *Door) routes() {
	d.handle("GET /v1/SelfServePolicy", d.listPolicies)
	d.handle("GET /v1/SelfServePolicy/{id}", d.getPolicy)
	d.handle("POST /v1/SelfServePolicy", d.createPolicy)
	d.handle("PUT /v1/SelfServePolicy", d.updatePolicy)
	d.handle("PUT /v1/SelfServePolicy/{id}", d.updatePolicy)
	d.handle("DELETE /v1/SelfServePolicy/{id}", d.deletePolicy)

	for _, root := range []string{"/v1", "/auditactivity/v1"} {
		d.handle("GET "+root+"/auditrecords", d.listAuditRecords)
		d.handle("GET "+root+"/auditrecords/{id}", d.getAuditRecord)
	}

	d.handle("GET /v1/customers", d.listCustomers)
	d.handle("POST /v1/customers", d.createCustomer)
	d.handle("GET /v1/customers/{customerId}", d.getCustomer)
	d.handle("GET /v1/customers/{customerId}/subscriptions", d.listSubscriptions)
	d.handle("GET /v1/customers/{customerId}/subscriptions/{subscriptionId}", d.getSubscription)
	d.handle("GET /v1/customers/{customerId}/subscriptions/{subscriptionId}/azureEntitlements", d.listAzureEntitlements)
	d.handle("GET /v1/customers/{customerId}/orders", d.listOrders)
	d.handle("GET /v1/customers/{customerId}/orders/{orderId}", d.getOrder)
	d.handle("GET /v1/customers/{customerId}/entitlements", d.listEntitlements)
	d.handle("GET /v1/customers/{customerId}/artifacts/reservedinstances/{artifactId}", d.getArtifact)

	d.handle("GET /webhooks/v1/registration", d.getRegistration)
	d.handle("POST /webhooks/v1/registration", d.register)
	d.handle("PUT /webhooks/v1/registration", d.register)
	d.handle("DELETE /webhooks/v1/registration", d.removeRegistration)
	d.handle("GET /webhooks/v1/registration/events", d.listWebhookEvents)
	d.handle("POST /webhooks/v1/registration/validationEvents", d.sendTestEvent)
	d.handle("GET /webhooks/v1/registration/validationEvents/{id}", d.getTestEvent)
	d.handle("GET "+wire.CertificatePath, d.getCertificate)

	for _, root := range roots {
		d.handle(root, nothing)
		d.handle(root+"/", nothing)
	}
}

// nothing answers for addresses that the door does not know.
func nothing(*request) (answer, error) { return answer{}, errNothingHere }
