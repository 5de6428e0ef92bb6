package eventstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/embedded"
	"permledger/eventstore/eventstoretest"
)

// patience bounds every look at a damaged store: finding nothing for ever is as
// bad as finding nothing.
const patience = 45 * time.Second

// disk is a store on disk with a ledger of three block files.
type disk struct{ dir string }

const diskRecords = 600 // of about 34 KB

func (d disk) options() eventstore.Options {
	return eventstore.Options{Stream: "LEDGER", Subject: "ledger", Dir: filepath.Join(d.dir, "node"), Timeout: time.Second}
}

// founding are the options that make a ledger there.
func (d disk) founding() eventstore.Options {
	opts := d.options()
	opts.Found = true
	return opts
}

func (d disk) stream() string {
	return filepath.Join(d.dir, "server", "jetstream", "$G", "streams", "LEDGER")
}

func (d disk) block(n int) string { return filepath.Join(d.stream(), "msgs", fmt.Sprint(n, ".blk")) }

func (d disk) start(t *testing.T) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: filepath.Join(d.dir, "server"), Unsynced: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var templateDir atomic.Pointer[string] // removed at the end

// template is built once; each test damages its own copy.
var template = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ledger-template-")
	if err != nil {
		return "", err
	}
	templateDir.Store(&dir)
	d := disk{dir}
	s, err := embedded.Start(context.Background(), embedded.Options{Dir: filepath.Join(dir, "server"), Unsynced: true})
	if err != nil {
		return "", err
	}
	log, err := eventstore.Open(context.Background(), s.JetStream(), d.founding())
	if err != nil {
		return "", err
	}
	w := eventstore.NewWriter(log, eventstoretest.NewBook(), eventstoretest.Codec{}, nil, eventstore.WriterOptions{})
	err = w.Start(context.Background())
	pad := strings.Repeat("0123456789abcdef", 2<<10)
	for i := 1; i < diskRecords && err == nil; i++ {
		s := eventstoretest.Submit("a", 1)
		s.Command.Pad = pad
		_, err = w.Submit(context.Background(), s)
	}
	return dir, errors.Join(err, w.Close(), log.Close(), s.Close())
})

func newDisk(t *testing.T) disk {
	t.Helper()
	from, err := template()
	require.NoError(t, err)
	d := disk{t.TempDir()}
	require.NoError(t, os.CopyFS(d.dir, os.DirFS(from)))
	blocks, err := filepath.Glob(filepath.Join(d.stream(), "msgs", "*.blk"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(blocks), 3)
	return d
}

// inspect opens the store and looks at it in both ways, each on a server of its
// own, as after a restart.
func (d disk) inspect(t *testing.T) map[string]error {
	t.Helper()
	found := map[string]error{}
	looks := map[string]func(context.Context, *eventstore.Log) error{
		"verify": func(ctx context.Context, log *eventstore.Log) error {
			_, err := log.Verify(ctx, nil)
			return err
		},
		"start": func(ctx context.Context, log *eventstore.Log) error {
			w := eventstore.NewWriter(log, eventstoretest.NewBook(), eventstoretest.Codec{}, nil, eventstore.WriterOptions{})
			defer func() { _ = w.Close() }()
			err := w.Start(ctx)
			if err != nil {
				require.ErrorIs(t, w.Err(), eventstore.ErrIntegrity)
				_, serr := w.Submit(ctx, eventstoretest.Submit("a", 1))
				require.ErrorIs(t, serr, eventstore.ErrUnavailable, "nothing is written on a damaged ledger")
			}
			return err
		},
	}
	for _, name := range []string{"verify", "start"} { // the first on a copy: opening repairs
		copied := d
		if name == "verify" {
			copied = disk{t.TempDir()}
			require.NoError(t, os.CopyFS(copied.dir, os.DirFS(d.dir)))
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		s := copied.start(t)
		log, err := eventstore.Open(ctx, s.JetStream(), copied.options())
		if err == nil {
			err = looks[name](ctx, log)
			require.NoError(t, log.Close())
		}
		cancel()
		require.NoError(t, s.Close())
		found[name] = err
	}
	return found
}

// requireDamage demands an integrity failure from every way of looking, and
// that it says where.
func requireDamage(t *testing.T, found map[string]error) {
	t.Helper()
	for name, err := range found {
		require.ErrorIs(t, err, eventstore.ErrIntegrity, name)
		var e *eventstore.IntegrityError
		require.ErrorAs(t, err, &e, name)
		require.NotZero(t, e.Position, "%s: %v", name, err)
		require.NotZero(t, e.Sequence, "%s: %v", name, err)
		t.Logf("%s: %v", name, err)
	}
}

func TestAWholeStoreIsFoundWhole(t *testing.T) {
	t.Parallel()
	for name, err := range newDisk(t).inspect(t) {
		require.NoError(t, err, name)
	}
}

func TestDamagedFilesAreFound(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, d disk){
		"a flipped byte in the first block":    func(t *testing.T, d disk) { flip(t, d.block(1), 1<<20) },
		"a flipped byte in the last block":     func(t *testing.T, d disk) { flip(t, d.block(3), 1<<20) },
		"a flipped length in the first record": func(t *testing.T, d disk) { flip(t, d.block(1), 0) },
		"a first block cut short":              func(t *testing.T, d disk) { truncate(t, d.block(1), 4<<20) },
		"a last block cut short":               func(t *testing.T, d disk) { truncate(t, d.block(3), 1<<20) },
		"a block gone":                         func(t *testing.T, d disk) { require.NoError(t, os.Remove(d.block(2))) },
		"the last block gone":                  func(t *testing.T, d disk) { require.NoError(t, os.Remove(d.block(3))) },
		"a block in the place of another": func(t *testing.T, d disk) {
			b, err := os.ReadFile(d.block(1))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(d.block(2), b, 0o600))
		},
	} {
		for _, index := range []string{"kept", "lost"} {
			t.Run(name+", index "+index, func(t *testing.T) {
				t.Parallel()
				d := newDisk(t)
				damage(t, d)
				if index == "lost" { // as after a kill
					require.NoError(t, os.Remove(filepath.Join(d.stream(), "msgs", "index.db")))
				}
				requireDamage(t, d.inspect(t))
			})
		}
	}
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	require.NoError(t, err)
	b[0] ^= 4
	_, err = f.WriteAt(b[:], at)
	require.NoError(t, err)
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Greater(t, info.Size(), size)
	require.NoError(t, os.Truncate(path, size))
}

func TestWhatDoesNotBelongTogetherIsRefused(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, d disk){
		"the stream is gone": func(t *testing.T, d disk) { require.NoError(t, os.RemoveAll(d.stream())) },
		"the whole store of the server is gone": func(t *testing.T, d disk) {
			require.NoError(t, os.RemoveAll(filepath.Join(d.dir, "server")))
		},
		"the identity is gone": func(t *testing.T, d disk) {
			require.NoError(t, os.Remove(filepath.Join(d.options().Dir, "ledger.json")))
		},
		"identity and head mark are gone": func(t *testing.T, d disk) { require.NoError(t, os.RemoveAll(d.options().Dir)) },
		"the identity is damaged": func(t *testing.T, d disk) {
			require.NoError(t, os.WriteFile(filepath.Join(d.options().Dir, "ledger.json"), []byte("{}"), 0o600))
		},
		"the identity is of another ledger": func(t *testing.T, d disk) {
			other := disk{t.TempDir()}
			s := other.start(t)
			log, err := eventstore.Open(t.Context(), s.JetStream(), other.founding())
			require.NoError(t, err)
			require.NoError(t, log.EnsureGenesis(t.Context()))
			require.NoError(t, errors.Join(log.Close(), s.Close()))
			require.NoError(t, os.RemoveAll(d.options().Dir))
			require.NoError(t, os.CopyFS(d.options().Dir, os.DirFS(other.options().Dir)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDisk(t)
			damage(t, d)
			for look, err := range d.inspect(t) {
				require.ErrorIs(t, err, eventstore.ErrIntegrity, look)
			}
		})
	}
}

func TestALostHeadMarkIsStartedAnew(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	mark := filepath.Join(d.options().Dir, "head.mark")
	require.NoError(t, os.WriteFile(mark, []byte("torn"), 0o600))
	for name, err := range d.inspect(t) {
		require.NoError(t, err, name)
	}
}

// TestEditedLedgersAreFound stores lines of an export, edited, as somebody with
// access to the server could, and looks at them as a new node.
func TestEditedLedgersAreFound(t *testing.T) {
	t.Parallel()
	store := eventstoretest.Store{Replicas: 1}
	js := eventstoretest.Embedded(t, t.TempDir()).JetStream()
	store.JetStream = func(testing.TB) jetstream.JetStream { return js }
	n := store.Node(t, store.Options(t, eventstoretest.Stream()), nil)
	for range 20 {
		_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
		require.NoError(t, err)
	}
	var file bytes.Buffer
	_, err := n.Log.Export(t.Context(), &file, nil)
	require.NoError(t, err)
	whole := bytes.Split(bytes.TrimSuffix(file.Bytes(), []byte("\n")), []byte("\n"))
	require.Len(t, whole, 21)
	ledger, _, _ := n.Log.Ledger()

	for name, edit := range map[string]struct {
		lines func(lines [][]byte) [][]byte
		at    uint64
	}{
		"an event was changed": {func(l [][]byte) [][]byte {
			l[9] = bytes.Replace(l[9], []byte(`"amount":1`), []byte(`"amount":2`), 1)
			return l
		}, 11},
		"a record was removed":      {func(l [][]byte) [][]byte { return append(l[:9], l[10:]...) }, 10},
		"two records were swapped":  {func(l [][]byte) [][]byte { l[9], l[10] = l[10], l[9]; return l }, 10},
		"a record was stored twice": {func(l [][]byte) [][]byte { return append(l[:10], l[9:]...) }, 11},
		"a record is no JSON":       {func(l [][]byte) [][]byte { l[9] = []byte("x"); return l }, 10},
		"a record has no content":   {func(l [][]byte) [][]byte { l[9] = nil; return l }, 10},
		"a record has a member too many": {func(l [][]byte) [][]byte {
			l[20] = bytes.Replace(l[20], []byte(`{"v":1`), []byte(`{"x":1,"v":1`), 1)
			return l
		}, 21},
		"a record is of a newer version": {func(l [][]byte) [][]byte {
			l[20] = bytes.Replace(l[20], []byte(`{"v":1`), []byte(`{"v":2`), 1)
			return l
		}, 21},
		"the first record is missing": {func(l [][]byte) [][]byte { return l[1:] }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := edit.lines(append([][]byte{}, whole...))
			opts := store.Options(t, eventstoretest.Stream())
			empty, err := eventstore.Open(t.Context(), js, opts) // creates the stream
			require.NoError(t, err)
			for _, line := range lines {
				_, err := js.Publish(t.Context(), opts.Subject, line)
				require.NoError(t, err)
			}
			report, err := empty.Verify(t.Context(), nil)
			require.NoError(t, empty.Close())
			var e *eventstore.IntegrityError
			require.ErrorAs(t, err, &e)
			require.Equal(t, edit.at, e.Sequence, "%v", err)
			require.Equal(t, edit.at-1, report.Records)
			require.Equal(t, max(edit.at, 2)-1, e.Position)

			log, err := eventstore.Open(t.Context(), js, store.Joining(t, opts.Stream, ledger))
			if err == nil {
				t.Cleanup(func() { _ = log.Close() })
				w := eventstore.NewWriter(log, eventstoretest.NewBook(), eventstoretest.Codec{}, nil, eventstore.WriterOptions{})
				err = w.Start(t.Context())
			}
			require.ErrorIs(t, err, eventstore.ErrIntegrity)

			target, err := eventstore.Open(t.Context(), js, store.Options(t, eventstoretest.Stream()))
			require.NoError(t, err)
			t.Cleanup(func() { _ = target.Close() })
			_, err = target.Import(t.Context(), bytes.NewReader(append(bytes.Join(lines, []byte("\n")), '\n')), nil)
			var line *eventstore.ImportError
			require.ErrorAs(t, err, &line)
			require.Equal(t, edit.at, line.Line)
		})
	}
}
