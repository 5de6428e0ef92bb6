package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// MinVersion is the oldest server this program works with.
const MinVersion = "2.15.2"

// ErrNotSynced says that an external server is not known to sync every write
// before it acknowledges it, so an acknowledged record could be lost when it
// loses power.
var ErrNotSynced = errors.New("the NATS server is not known to sync every write: set sync_interval: always on every server and give --nats-sync-always")

// ErrUnreachable says that no server of a URL could be connected to in time.
var ErrUnreachable = errors.New("no NATS server can be reached")

const (
	// connectTry bounds one try to connect: a server that is stopped takes the
	// connection and says nothing.
	connectTry = 2 * time.Second
	// connectAgain is how long to wait before the next one.
	connectAgain = 500 * time.Millisecond
)

// ConnectOptions say what to demand of an external server.
type ConnectOptions struct {
	// SyncAlways is the operator's word that every server of the cluster runs
	// with "sync_interval: always". A client can see that setting only with
	// access to the system account, so this word is needed in general.
	SyncAlways bool
	// AllowUnsynced accepts a server that does not sync every write, or does
	// not say. It must be shown to whoever looks at the health of the node.
	AllowUnsynced bool
	// Wait is how long to wait for a server, none when zero; Waiting, when given,
	// is told once what for.
	Wait    time.Duration
	Waiting func(why error)
	// APIPrefix is that of the JetStream API, the usual one when empty.
	APIPrefix string
	// NATS are further options of the connection: credentials, name.
	NATS []nats.Option
	// Transport are those of how a server is reached, such as TLS.
	Transport []nats.Option
}

// Sync says how it is known that the server syncs every write.
type Sync string

// The answers to whether a server syncs every write.
const (
	SyncSeen     Sync = "seen"     // the server said so
	SyncAsserted Sync = "asserted" // the operator said so
	SyncOff      Sync = "off"      // the server said no
	SyncUnknown  Sync = "unknown"  // nobody said
)

// External is a connection to an external server.
type External struct {
	urls string
	open []nats.Option // of a connection without credentials
	conn *nats.Conn
	js   jetstream.JetStream
	sync Sync
	line *line
}

// Connect connects to an external server, and refuses one that is too old or
// not known to sync every write. The connection reconnects for ever but never
// buffers what is published meanwhile: a record is sent now or not at all. A
// server that falls silent is left for another within about a second. It returns
// ErrUnreachable when there is no server.
func Connect(ctx context.Context, urls string, opts ConnectOptions) (*External, error) {
	line := &line{failed: make(map[string]time.Time), left: make(map[string]time.Time)}
	all := slices.Concat([]nats.Option{
		nats.Name("permledger"),
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // who asked gets no answer, and says so
	}, line.options(), opts.NATS, opts.Transport)
	conn, err := connect(ctx, urls, opts, all)
	if err != nil {
		return nil, err
	}
	e := &External{urls: urls, open: opts.Transport, conn: conn, line: line}
	if err := e.check(ctx, opts); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	line.begin(conn)
	return e, nil
}

// connect tries until a server is there or the time is over.
func connect(ctx context.Context, urls string, opts ConnectOptions, all []nats.Option) (*nats.Conn, error) {
	for began, told := time.Now(), false; ; {
		conn, err := nats.Connect(urls, all...)
		if err == nil {
			return conn, nil
		}
		if !passing(err) {
			return nil, fmt.Errorf("connect to NATS at %s: %w", Redacted(urls), err)
		}
		err = fmt.Errorf("%w at %s: %w", ErrUnreachable, Redacted(urls), err)
		if time.Since(began) >= opts.Wait {
			return nil, err
		}
		if !told && opts.Waiting != nil {
			opts.Waiting(err)
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(connectAgain):
		}
	}
}

// passing reports whether an error of a connection may be another one later:
// nobody is there, or not ready yet. One of the credentials will not.
func passing(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, nats.ErrNoServers) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, io.EOF) || errors.Is(err, nats.ErrConnectionClosed)
}

// Redacted is a URL, or several with commas between them, without passwords.
func Redacted(urls string) string {
	list := strings.Split(urls, ",")
	for i, one := range list {
		if parsed, err := url.Parse(strings.TrimSpace(one)); err == nil {
			list[i] = parsed.Redacted()
		} else {
			list[i] = "(an address that cannot be parsed)"
		}
	}
	return strings.Join(list, ",")
}

func (e *External) check(ctx context.Context, opts ConnectOptions) error {
	if version := e.conn.ConnectedServerVersion(); !atLeast(version, MinVersion) {
		return fmt.Errorf("the server has version %s, at least %s is needed", version, MinVersion)
	}
	e.sync = seeSync(ctx, e.conn)
	if e.sync == SyncUnknown && opts.SyncAlways {
		e.sync = SyncAsserted
	}
	if !e.Synced() && !opts.AllowUnsynced {
		return ErrNotSynced
	}
	var err error
	if opts.APIPrefix != "" {
		e.js, err = jetstream.NewWithAPIPrefix(e.conn, opts.APIPrefix)
	} else {
		e.js, err = jetstream.New(e.conn)
	}
	return err
}

// seeSync asks the server for its setting, which answers only to the system
// account.
func seeSync(ctx context.Context, conn *nats.Conn) Sync {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	m, err := conn.RequestWithContext(ctx, "$SYS.REQ.SERVER."+conn.ConnectedServerId()+".JSZ", []byte(`{"config":true}`))
	if err != nil {
		return SyncUnknown
	}
	var answer struct {
		Data *struct {
			Config *struct {
				SyncAlways bool `json:"sync_always"`
			} `json:"config"`
		} `json:"data"`
	}
	if json.Unmarshal(m.Data, &answer) != nil || answer.Data == nil || answer.Data.Config == nil {
		return SyncUnknown
	}
	if answer.Data.Config.SyncAlways {
		return SyncSeen
	}
	return SyncOff
}

// JetStream returns the JetStream API over Conn.
func (e *External) JetStream() jetstream.JetStream { return e.js }

// Sync returns how it is known that the server syncs every write.
func (e *External) Sync() Sync { return e.sync }

// Synced reports whether the server is known to sync every write.
func (e *External) Synced() bool { return e.sync == SyncSeen || e.sync == SyncAsserted }

// Up reports whether a server is connected now. It never waits.
func (e *External) Up() bool { return e.line.Up() }

// Leave goes to another server of the cluster, because this one answers nothing
// that matters. It returns at once.
func (e *External) Leave() { e.line.Leave() }

// Close closes the connection.
func (e *External) Close() error {
	e.line.end()
	return nil
}

// atLeast compares versions such as 2.15.2 or 2.16.0-beta.1 by their numbers.
func atLeast(version, oldest string) bool {
	have, want := numbers(version), numbers(oldest)
	for i := range want {
		if have[i] != want[i] {
			return have[i] > want[i]
		}
	}
	return true
}

func numbers(version string) (n [3]int) {
	version, _, _ = strings.Cut(strings.TrimPrefix(version, "v"), "-")
	for i, part := range strings.SplitN(version, ".", 3) {
		n[i], _ = strconv.Atoi(part)
	}
	return n
}
