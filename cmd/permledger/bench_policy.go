package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"permledger/domain"
	"permledger/handlers/auth"
)

// policyLanes read and change customers' purchase permissions: through the door for Partner Center clients as
// policies, and through the native one. All requests are an admin agent's, and every change changes something.
func (d *benchDoor) policyLanes(w *benchWorld, keys *auth.Dev, customers int) ([]benchLane, error) {
	admin := w.admin()
	token, err := keys.Mint(auth.Token{Tenant: admin.Tenant, User: admin.User, UPN: admin.UPN, Roles: admin.Roles, App: admin.App})
	if err != nil {
		return nil, err
	}
	reads, changes := newTurns(customers, httpClients), newTurns(customers, httpClients)
	both := make([]bool, customers) // whether both permissions are on; a customer's belongs to its client
	change := func(client int, put func(customer domain.TenantID, products []domain.Product) []byte) []byte {
		n := changes.take(client)
		both[n] = !both[n]
		products := domain.Products()
		if !both[n] {
			products = products[:1]
		}
		return put(w.customer(n), products)
	}
	return []benchLane{
		lane("http policies", d.clients(d.address, func(client int) []byte {
			return request(http.MethodGet, "/v1/SelfServePolicy?entity_id="+w.customer(reads.take(client)).String(), token, "", nil)
		})),
		lane("http policy changes", d.clients(d.address, func(client int) []byte {
			return change(client, func(customer domain.TenantID, products []domain.Product) []byte {
				return request(http.MethodPut, "/v1/SelfServePolicy", token, "", policyBody(admin.Tenant, customer, products))
			})
		})),
		lane("http permission changes", d.clients(d.address, func(client int) []byte {
			return change(client, func(customer domain.TenantID, products []domain.Product) []byte {
				body, _ := json.Marshal(domain.SetPurchasePermissions{CustomerID: customer, Products: products}) // ids and words always encode
				return request(http.MethodPost, "/api/commands/SetPurchasePermissions", token, w.commandID().String(), body)
			})
		})),
	}, nil
}

// policyBody is a policy as Microsoft's client writes it.
func policyBody(partner, customer domain.TenantID, products []domain.Product) []byte {
	permissions := ""
	for _, p := range products {
		if permissions != "" {
			permissions += ","
		}
		permissions += `{"Resource":"` + string(p) + `","Action":"Purchase"}`
	}
	return fmt.Appendf(nil, `{"Id":"%[1]s_%[2]s","SelfServeEntity":{"SelfServeEntityType":"customer","TenantID":"%[2]s"},"Grantor":{"GrantorType":"billToPartner","TenantID":"%[1]s"},"Permissions":[%[3]s],"Attributes":{"ObjectType":"SelfServePolicy"}}`,
		partner, customer, permissions)
}
