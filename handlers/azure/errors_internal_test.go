package azure

import (
	"testing"

	"github.com/stretchr/testify/require"

	"permledger/handlers/problem"
)

func TestEveryCodeOfTheLedgerHasALineAtThisDoor(t *testing.T) {
	t.Parallel()
	for _, k := range problem.Kinds() {
		said, known := table[k.Code]
		require.True(t, known, "code %s has no line", k.Code)
		require.NotEmpty(t, said.code)
		require.Equal(t, k.Status >= 500, said.status >= 500, k.Code)
	}
	require.Len(t, table, len(problem.Kinds()))
}
