package embedded

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// probeWait is how long to wait for an answer that should not come. A server
// that refuses a publish says nothing to whoever waits for the answer.
const probeWait = time.Second

// probe is a request that the configuration of the servers should refuse. None
// can change anything: each asks for what the stream denies whoever asks, or
// names a stream that does not exist.
type probe struct {
	subject, body string
	means         string
}

func probesOf(stream string) []probe {
	const nothing = "-NOTHING" // no stream has such a name
	return []probe{
		{"STREAM.PURGE." + stream, "", "purge the stream of the log"},
		{"STREAM.MSG.DELETE." + stream, `{"seq":1}`, "delete records"},
		{"STREAM.DELETE." + stream + nothing, "", "remove streams"},
		{"STREAM.UPDATE." + stream + nothing, "{}", "change streams"},
	}
}

// Exposures tries, with this program's credentials and without any, what the
// configuration of the servers should refuse, and says in plain words what was
// possible; the stream must deny purges and deletes. It waits about a second
// for answers that should not come.
func (e *External) Exposures(ctx context.Context, stream, subject string) []string {
	list := probesOf(stream)
	possible := make([]bool, len(list))
	var asking sync.WaitGroup
	for i, p := range list {
		asking.Go(func() { possible[i] = answered(ctx, e.conn, "$JS.API."+p.subject, p.body) })
	}
	anybody := ""
	asking.Go(func() { anybody = e.anybody(ctx, stream, subject) })
	asking.Wait()
	var found []string
	if anybody != "" {
		found = append(found, anybody)
	}
	var may []string
	for i, p := range list {
		if possible[i] {
			may = append(may, p.means)
		}
	}
	if len(may) > 0 {
		found = append(found, "the NATS user of this node is allowed to "+strings.Join(may, ", ")+", which it never needs")
	}
	return found
}

// answered reports whether a request is answered by JetStream, if only with a
// refusal of its own: then the request was allowed.
func answered(ctx context.Context, conn *nats.Conn, subject, body string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	m, err := conn.RequestWithContext(ctx, subject, []byte(body))
	if err != nil {
		return false
	}
	var answer struct {
		Error struct {
			Code int `json:"err_code"`
		} `json:"error"`
	}
	const noJetStream = 10039 // for this account
	return json.Unmarshal(m.Data, &answer) == nil && answer.Error.Code != noJetStream
}

// anybody says what somebody without credentials can do.
func (e *External) anybody(ctx context.Context, stream, subject string) string {
	conn, err := nats.Connect(withoutUser(e.conn.ConnectedUrl()), append([]nats.Option{
		nats.Timeout(connectTry), nats.NoReconnect(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, e.open...)...)
	if err != nil {
		return ""
	}
	defer conn.Close()
	// No stream has a last record of that number, so this stores nothing.
	m := nats.NewMsg(subject)
	m.Header.Set("Nats-Expected-Stream", stream+"-NOTHING")
	m.Header.Set("Nats-Expected-Last-Sequence", strconv.FormatUint(1<<62, 10))
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	if _, err := conn.RequestMsgWithContext(ctx, m); err == nil {
		return "anybody who can reach the NATS servers can write into the log, because they require no password"
	}
	if answered(ctx, conn, "$JS.API.STREAM.INFO."+stream, "") {
		return "anybody who can reach the NATS servers can read the log and have answers delivered into it, because they require no password"
	}
	return ""
}

// withoutUser removes the credentials from a URL.
func withoutUser(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return address
	}
	parsed.User = nil
	return parsed.String()
}
