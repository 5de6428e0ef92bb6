package eventstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/eventstoretest"
)

func replaceInFile(t *testing.T, path, old, with string) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(b), old)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(b), old, with, 1)), 0o600))
}

// TestACrashWhileTheLedgerIsCreatedIsNoLoss stops between the two writes of the
// identity: before the first record is stored, and after.
func TestACrashWhileTheLedgerIsCreatedIsNoLoss(t *testing.T) {
	t.Parallel()
	for _, stored := range []bool{false, true} {
		d := disk{t.TempDir()}
		s := d.start(t)
		log, err := eventstore.Open(t.Context(), s.JetStream(), d.founding())
		require.NoError(t, err)
		require.NoError(t, log.EnsureGenesis(t.Context()))
		first, _, _ := log.Ledger()
		require.NoError(t, errors.Join(log.Close(), s.Close()))
		replaceInFile(t, filepath.Join(d.options().Dir, "ledger.json"), "created", "creating")
		require.NoError(t, os.Remove(filepath.Join(d.options().Dir, "head.mark")))
		if !stored {
			require.NoError(t, os.RemoveAll(d.stream()))
		}
		s = d.start(t)
		log, err = eventstore.Open(t.Context(), s.JetStream(), d.founding())
		require.NoError(t, err)
		require.NoError(t, log.EnsureGenesis(t.Context()))
		again, _, _ := log.Ledger()
		require.Equal(t, stored, first == again)
		require.NoError(t, errors.Join(log.Close(), s.Close()))
	}
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	opts := store.Options(t, eventstoretest.Stream())
	opts.Dir = filepath.Join(opts.Dir, "new")
	store.Node(t, opts, nil)
	dir, err := os.Stat(opts.Dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), dir.Mode().Perm())
	files, err := os.ReadDir(opts.Dir)
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), f.Name())
	}
}

func TestATornHeadMarkLeavesTheOneBefore(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	opts := store.Options(t, eventstoretest.Stream())
	n := store.Node(t, opts, nil)
	for range 4 {
		_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
		require.NoError(t, err)
	}
	n.Close()
	const slot = 96
	for torn, want := range map[int64]uint64{0: 4, 1: 5} { // five records: the last mark lies in the first slot
		opts := opts
		dir := t.TempDir()
		require.NoError(t, os.CopyFS(dir, os.DirFS(opts.Dir)))
		opts.Dir = dir
		flip(t, filepath.Join(dir, "head.mark"), torn*slot+20)
		log, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
		require.NoError(t, err)
		report, err := log.Verify(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, want, report.Mark.Sequence)
		require.NoError(t, log.Close())
	}
}

func TestAStreamThatCouldForgetIsRefused(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	for name, spoil := range map[string]func(*jetstream.StreamConfig){
		"deletes are allowed": func(c *jetstream.StreamConfig) { c.DenyDelete = false },
		"old records expire":  func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		"another subject":     func(c *jetstream.StreamConfig) { c.Subjects = []string{c.Subjects[0] + ".>"} },
		"kept in memory":      func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
	} {
		opts := store.Options(t, eventstoretest.Stream())
		c := jetstream.StreamConfig{Name: opts.Stream, Subjects: []string{opts.Subject}, DenyDelete: true, DenyPurge: true, AllowDirect: true}
		spoil(&c)
		_, err := store.JetStream(t).CreateStream(t.Context(), c)
		require.NoError(t, err)
		_, err = eventstore.Open(t.Context(), store.JetStream(t), opts)
		require.ErrorIs(t, err, eventstore.ErrIntegrity, name)
	}
}

// cutReader ends with an error, as a file on a broken disk does.
type cutReader struct{ r io.Reader }

func (c cutReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if errors.Is(err, io.EOF) {
		err = errors.New("the disk broke")
	}
	return n, err
}

func TestAnInterruptedImportIsContinued(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	n := store.Node(t, store.Options(t, eventstoretest.Stream()), nil)
	for range 10 {
		_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
		require.NoError(t, err)
	}
	var file bytes.Buffer
	exported, err := n.Log.Export(t.Context(), &file, nil)
	require.NoError(t, err)

	opts := store.Options(t, eventstoretest.Stream())
	for _, part := range []int{file.Len() / 3, file.Len() / 2} {
		log, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
		require.NoError(t, err)
		_, err = log.Import(t.Context(), cutReader{bytes.NewReader(file.Bytes()[:part])}, nil)
		var line *eventstore.ImportError
		require.ErrorAs(t, err, &line)
		require.ErrorIs(t, log.EnsureGenesis(t.Context()), eventstore.ErrImportUnfinished)
		w := eventstore.NewWriter(log, eventstoretest.NewBook(), eventstoretest.Codec{}, nil, eventstore.WriterOptions{})
		require.ErrorIs(t, w.Start(t.Context()), eventstore.ErrImportUnfinished)
		require.NoError(t, log.Close())
	}
	log, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
	require.NoError(t, err)
	var other bytes.Buffer
	_, err = store.Node(t, store.Options(t, eventstoretest.Stream()), nil).Log.Export(t.Context(), &other, nil)
	require.NoError(t, err)
	_, err = log.Import(t.Context(), &other, nil)
	require.Error(t, err, "another ledger does not continue it")
	report, err := log.Import(t.Context(), bytes.NewReader(file.Bytes()), nil)
	require.NoError(t, err)
	require.Equal(t, exported.Head, report.Head)
	verified, err := log.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, exported.Head, verified.Head)
	require.NoError(t, log.Close())
}

func TestAnImportCutOffInsideALineIsRefused(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	n := store.Node(t, store.Options(t, eventstoretest.Stream()), nil)
	var file bytes.Buffer
	_, err := n.Log.Export(t.Context(), &file, nil)
	require.NoError(t, err)
	for name, content := range map[string]string{
		"nothing": "", "an empty line": "\n", "no line end": strings.TrimSuffix(file.String(), "\n"),
		"windows line ends": strings.ReplaceAll(file.String(), "\n", "\r\n"),
	} {
		log, err := eventstore.Open(t.Context(), store.JetStream(t), store.Options(t, eventstoretest.Stream()))
		require.NoError(t, err)
		_, err = log.Import(t.Context(), strings.NewReader(content), nil)
		var line *eventstore.ImportError
		require.ErrorAs(t, err, &line, name)
		require.NoError(t, log.EnsureGenesis(t.Context()), "%s: nothing was begun", name)
		require.NoError(t, log.Close())
	}
}

// strictCodec knows no event at all, as an old release facing a new one.
type strictCodec struct{ eventstoretest.Codec }

func (strictCodec) Decode(eventstore.Event, uint64, time.Time) (eventstoretest.Changed, error) {
	return eventstoretest.Changed{}, errors.New("not known")
}

func TestAnUnknownEventStopsTheStart(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	opts := store.Options(t, eventstoretest.Stream())
	n := store.Node(t, opts, nil)
	_, err := n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
	require.NoError(t, err)
	n.Close()
	log, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
	require.NoError(t, err)
	w := eventstore.NewWriter(log, eventstoretest.NewBook(), strictCodec{}, nil, eventstore.WriterOptions{})
	require.ErrorContains(t, w.Start(t.Context()), "position 1")
	require.Error(t, w.Err())
	require.NoError(t, errors.Join(w.Close(), log.Close()))
}

func TestAFollowerOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	server, err := url.Parse(eventstoretest.External(t).ClientURL())
	require.NoError(t, err)
	proxy := eventstoretest.NewProxy(t, server.Host)
	direct := eventstoretest.Store{Replicas: 1, JetStream: func(tb testing.TB) jetstream.JetStream { return eventstoretest.Connect(tb, "nats://"+server.Host) }}
	opts := direct.Options(t, eventstoretest.Stream())
	n := direct.Node(t, opts, nil)

	ledger, _, _ := n.Log.Ledger()
	reader := direct.Joining(t, opts.Stream, ledger)
	reader.Timeout = 300 * time.Millisecond
	log, err := eventstore.Open(t.Context(), eventstoretest.Connect(t, proxy.URL()), reader)
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	got := make(chan uint64, 100)
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	wg.Go(func() {
		for s, err := range log.Follow(ctx, eventstore.Cursor{}) {
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("the follower ended: %v", err)
				}
				return
			}
			got <- s.Sequence
		}
	})
	submit := func(count int) {
		for range count {
			_, err := n.Writer.Submit(ctx, eventstoretest.Submit("a", 1))
			require.NoError(t, err)
		}
	}
	submit(3)
	for i := range uint64(4) {
		require.Equal(t, i+1, <-got)
	}
	proxy.Hold(true, true)
	submit(3)
	proxy.Cut()
	submit(3)
	proxy.Hold(false, false)
	submit(3)
	for i := range uint64(9) {
		require.Equal(t, i+5, <-got)
	}
}

// TestAFollowerOfAnOwnServerHearsAtOnce needs no notice from the server: every
// append goes through this process, and rings the bell itself.
func TestAFollowerOfAnOwnServerHearsAtOnce(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	opts := store.Options(t, eventstoretest.Stream())
	opts.Shared = false
	n := store.Node(t, opts, nil)
	next, stop := iter.Pull2(n.Log.Follow(t.Context(), eventstore.Cursor{}))
	defer stop()
	started := time.Now()
	for i := range uint64(5) {
		s, err, ok := next()
		require.True(t, ok)
		require.NoError(t, err)
		require.Equal(t, i+1, s.Sequence)
		_, err = n.Writer.Submit(t.Context(), eventstoretest.Submit("a", 1))
		require.NoError(t, err)
	}
	require.Less(t, time.Since(started), 5*time.Second, "not by asking for the head now and then")
}
