package archive_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"permledger/eventstore"
	"permledger/eventstore/archive"
	"permledger/eventstore/eventstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is a deadline that only a follower that has stopped misses.
const patience = 30 * time.Second

// world is an embedded server for several ledgers.
type world struct {
	store eventstoretest.Store
	js    jetstream.JetStream
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{js: eventstoretest.Embedded(t, t.TempDir()).JetStream()}
	w.store = eventstoretest.Store{Replicas: 1, JetStream: func(testing.TB) jetstream.JetStream { return w.js }}
	return w
}

// options are those of a ledger of its own.
func (w *world) options(t *testing.T) eventstore.Options {
	t.Helper()
	o := w.store.Options(t, eventstoretest.Stream())
	o.Shared = false
	return o
}

func (w *world) node(t *testing.T) *eventstoretest.Node {
	t.Helper()
	return w.store.Node(t, w.options(t), nil)
}

func submit(t *testing.T, n *eventstoretest.Node, count int) {
	t.Helper()
	for range count {
		_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
		require.NoError(t, err)
	}
}

func export(t *testing.T, log *eventstore.Log) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := log.Export(t.Context(), &b, nil)
	require.NoError(t, err)
	return b.Bytes()
}

// follow starts a follower with small segments; it is closed with the test at the latest.
func follow(t *testing.T, log *eventstore.Log, dir string) *archive.Follower {
	t.Helper()
	f, err := archive.Start(t.Context(), log, archive.Options{Dir: dir, SyncEvery: time.Millisecond, SegmentBytes: 2000})
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close(context.Background()) })
	return f
}

// caughtUp waits until an archive holds the whole log.
func caughtUp(t *testing.T, f *archive.Follower, log *eventstore.Log) {
	t.Helper()
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	require.NoError(t, f.Wait(patient(t), head.Sequence))
	require.Equal(t, head, f.Status().At)
}

// archived is the archive of a ledger with some records, closed.
func archived(t *testing.T, n *eventstoretest.Node, records int) (dir string) {
	t.Helper()
	submit(t, n, records)
	dir = filepath.Join(t.TempDir(), "archive")
	f := follow(t, n.Log, dir)
	caughtUp(t, f, n.Log)
	require.NoError(t, f.Close(t.Context()))
	return dir
}

// files reads a directory.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		all[path], err = os.ReadFile(path)
		return err
	}))
	return all
}

// names are the paths of the segments, in order.
func names(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	require.NoError(t, err)
	slices.Sort(list)
	return list
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "archive")
	require.NoError(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}
