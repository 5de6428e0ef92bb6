package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// exchangedByClient is one request of Microsoft's own .NET client, as it was recorded, with an answer that it
// accepted. Long answers are recorded in part.
type exchangedByClient struct {
	method, path string
	headers      []string
	body         string
	status       int
	answer       string
}

// recordedScenario reads what the client sent in one scenario.
func recordedScenario(t *testing.T) (list []exchangedByClient) {
	t.Helper()
	text, err := os.ReadFile("../../handlers/partnercenter/testdata/sdk-wire.log")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch first, rest, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case first == ">>>":
			method, path, _ := strings.Cut(rest, " ")
			list = append(list, exchangedByClient{method: method, path: path})
		case first == "<<<":
			e := &list[len(list)-1]
			status, answer, _ := strings.Cut(rest, " ")
			e.status, err = strconv.Atoi(status)
			require.NoError(t, err)
			e.answer = answer
		case first == "BODY":
			list[len(list)-1].body = rest
		case first != "":
			e := &list[len(list)-1]
			e.headers = append(e.headers, strings.TrimSpace(line))
		}
	}
	return list
}

// shape lists the members of a JSON text by their paths, each with its type and, for texts, their form. All
// items of a list share one path. A text that ends in the middle gives those before its end.
func shape(text string) map[string]map[string]bool {
	found := make(map[string]map[string]bool)
	note := func(path, kind string) {
		if found[path] == nil {
			found[path] = make(map[string]bool)
		}
		found[path][kind] = true
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	var walk func(path string) bool
	walk = func(path string) bool {
		token, err := decoder.Token()
		if err != nil {
			return false
		}
		switch v := token.(type) {
		case json.Delim:
			note(path, v.String())
			for decoder.More() {
				inner := path + "[]"
				if v == '{' {
					name, err := decoder.Token()
					if err != nil {
						return false
					}
					inner = path + "." + name.(string)
				}
				if !walk(inner) {
					return false
				}
			}
			_, err = decoder.Token()
			return err == nil
		case string:
			note(path, "text")
			note(path, formOf(v))
		default:
			note(path, fmt.Sprintf("%T", v))
		}
		return true
	}
	walk("")
	return found
}

var (
	guidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	pairForm = regexp.MustCompile(`^[0-9a-f-]{36}_[0-9a-f-]{36}$`)
	timeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`)
)

func formOf(text string) string {
	switch {
	case guidForm.MatchString(text):
		return "guid"
	case pairForm.MatchString(text):
		return "pair of guids"
	case timeForm.MatchString(text):
		return "time"
	default:
		return "text"
	}
}

// replay sends a recorded request byte for byte on a connection of its own. changed are what a client would
// have learnt from this server instead of the recorded one.
func (e exchangedByClient) replay(t *testing.T, s *server, changed *strings.Replacer) answer {
	t.Helper()
	address, err := url.Parse(s.url)
	require.NoError(t, err)
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", address.Host)
	require.NoError(t, err)
	defer connection.Close() //nolint:errcheck // it was read
	require.NoError(t, connection.SetDeadline(time.Now().Add(30*time.Second)))
	body := changed.Replace(e.body)
	require.Len(t, body, len(e.body), "Content-Length stays what it was")
	_, err = io.WriteString(connection, changed.Replace(e.method+" "+e.path+" HTTP/1.1\r\n"+strings.Join(e.headers, "\r\n")+"\r\n\r\n")+body)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: e.method})
	require.NoError(t, err)
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return answer{response.StatusCode, response.Header, data}
}

// relecloud is the recorded partner with its customer, and what lets the customer have a policy.
func relecloud(t *testing.T, dir string) (*server, string) {
	t.Helper()
	s := serve(t, dir, "--init")
	admin := mint(t, dir, "--role", "AdminAgent", "--partner", fabrikam, "--upn", "mei@fabrikam.example")
	s.accepted(admin, "RegisterPartner", map[string]any{"name": "Fabrikam", "country": "TW", "currency": "USD"})
	s.accepted(admin, "RegisterCustomer", map[string]any{"customerId": contoso, "companyName": "Relecloud", "domain": "relecloud.example"})
	s.accepted(admin, "RecordSubscription", subscription)
	s.accepted(admin, "SetReservationPrice", listPrice)
	return s, admin
}

func TestTheRecordedClientIsServed(t *testing.T) {
	t.Parallel()
	s, admin := relecloud(t, t.TempDir())
	for i := range 10 { // so that the audit records have a second page, as the recorded ones
		s.accepted(admin, "AssignSubscriptionRole", map[string]any{
			"customerId": contoso, "subscriptionId": prod, "userId": named("owner %d", i), "userPrincipalName": "owner@relecloud.example", "role": "Owner",
		})
	}
	now := time.Now().UTC()
	var etag, token string
	for _, e := range recordedScenario(t) {
		// Only what the client has from elsewhere is another: the token of its user, what this server told it in
		// earlier answers, and the dates. Those are moved, since the API reaches no more than 90 days back and
		// lists 30 at once: the recorded ones would soon be too old.
		a := e.replay(t, s, strings.NewReplacer(
			"tok-adminagent", admin,
			"e3eaa76c-9f5d-4ab2-bd6a-023876da959d", etag,
			"TOK1", token,
			"11/01/2026%2000:00:00", now.AddDate(0, 0, -21).Format("01/02/2006")+"%2000:00:00",
			"11/22/2026%2010:01:22", time.Now().UTC().Format("01/02/2006")+"%20"+time.Now().UTC().Format("15:04:05"),
		))
		name := e.method + " " + e.path
		require.Equal(t, e.status, a.status, "%s: %s", name, a.body)
		for _, header := range e.headers {
			if key, value, _ := strings.Cut(header, ": "); key == "MS-RequestId" || key == "MS-CorrelationId" {
				require.Equal(t, value, a.header.Get(key), name)
			}
		}
		got := shape(string(a.body))
		for path, kinds := range shape(e.answer) {
			for kind := range kinds {
				require.Contains(t, got[path], kind, "%s: %s in %s", name, path, a.body)
			}
		}
		switch {
		case a.status == http.StatusCreated:
			etag = strings.Trim(a.decoded(t)["attributes"].(map[string]any)["etag"].(string), `"`)
		case strings.Contains(e.path, "size=10"):
			token, _ = a.decoded(t)["continuationToken"].(string)
		case a.status == http.StatusNoContent:
			require.Empty(t, a.body)
		case a.status >= 400:
			var recorded map[string]any
			require.NoError(t, json.Unmarshal([]byte(e.answer), &recorded))
			require.Equal(t, recorded["code"], a.decoded(t)["code"], name)
			require.Equal(t, recorded["description"], a.decoded(t)["description"], name)
		}
	}
}

func TestAPartnerCenterClientAndTheCommandLineSeeTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, admin := relecloud(t, dir)
	policy := func(method, path string, body any) answer {
		a, err := s.request(t.Context(), method, "/v1/"+path, admin, "", body)
		require.NoError(t, err)
		return a
	}
	shown := func() string {
		return succeeds(t, dir, "--token", admin, "-o", "json", "permissions", "--customer", contoso)
	}
	allowed := func() (list []string) {
		var rows []struct {
			Product string
			Allowed bool
		}
		require.NoError(t, json.Unmarshal([]byte(shown()), &rows))
		for _, r := range rows {
			if r.Allowed {
				list = append(list, r.Product)
			}
		}
		return list
	}
	a := policy(http.MethodPost, "SelfServePolicy", map[string]any{
		"SelfServeEntity": map[string]any{"SelfServeEntityType": "customer", "TenantID": contoso},
		"Grantor":         map[string]any{"GrantorType": "billToPartner", "TenantID": fabrikam},
		"Permissions":     []map[string]any{{"Resource": "AzureReservedInstances", "Action": "Purchase"}},
	})
	require.Equal(t, http.StatusCreated, a.status, string(a.body))
	require.Contains(t, string(policy(http.MethodGet, "auditrecords?size=1", nil).body), `"create_self_serve_policy"`)
	require.Equal(t, []string{"AzureReservedInstances"}, allowed())

	succeeds(t, dir, "--token", admin, "grant", "--customer", contoso, "--product", "AzureSavingsPlan")
	id := "SelfServePolicy/" + fabrikam + "_" + contoso
	require.Equal(t, 2, bytes.Count(policy(http.MethodGet, id, nil).body, []byte(`"action":"Purchase"`)))
	require.Contains(t, string(policy(http.MethodGet, "auditrecords?size=1", nil).body), `"update_self_serve_policy"`)

	require.Equal(t, http.StatusNoContent, policy(http.MethodDelete, id, nil).status)
	require.Contains(t, string(policy(http.MethodGet, "auditrecords?size=1", nil).body), `"delete_self_serve_policy"`)
	require.Empty(t, allowed())
	require.Contains(t, succeeds(t, dir, "--token", admin, "activity"), "Delete Customer Purchase Permissions")
}
