package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/domain"
	"permledger/domain/domaintest"
)

// purchased is the event that a busy ledger holds most of.
func purchased(b *testing.B) domain.Event {
	book := domaintest.Ready(b)
	events := book.Accepted(domaintest.Buyer, domaintest.Purchase(3))
	return events[0]
}

func BenchmarkEncodePurchase(b *testing.B) {
	e := purchased(b)
	b.ReportAllocs()
	for b.Loop() {
		_, _, _, err := domain.EncodeEvent(e)
		require.NoError(b, err)
	}
}

func BenchmarkDecodePurchase(b *testing.B) {
	name, version, data, err := domain.EncodeEvent(purchased(b))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, err := domain.DecodeEvent(name, version, data)
		require.NoError(b, err)
	}
}
