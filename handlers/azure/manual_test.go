package azure_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/require"
)

// bearer is a credential for Azure's clients that holds a token of the ledger's issuer.
type bearer string

// GetToken implements azcore.TokenCredential.
func (b bearer) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(b), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// at points Azure's clients at a ledger.
func at(address string) *arm.ClientOptions {
	return &arm.ClientOptions{ClientOptions: policy.ClientOptions{
		Cloud: cloud.Configuration{Services: map[cloud.ServiceName]cloud.ServiceConfiguration{
			cloud.ResourceManager: {Endpoint: address, Audience: "permledger"},
		}},
		InsecureAllowCredentialWithHTTP: true, // for a ledger on this machine; leave it out where there is TLS
	}}
}

func TestTheManualsExampleIsTheOneThatIsTested(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../cmd/permledger/docs/azure.md")
	require.NoError(t, err)
	source, err := os.ReadFile("manual_test.go")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(page), "```go\n")
	require.True(t, found)
	example, _, _ := strings.Cut(after, "```")
	require.Contains(t, string(source), example)
}
