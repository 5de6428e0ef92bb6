package partnercenter

import "permledger/domain"

// offerID names what was bought the way Partner Center does, in three parts: product, size and where.
func offerID(product domain.Product, sku, region string) string {
	return string(product) + ":" + sku + ":" + region
}
