package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"permledger/eventstore"
)

// Where the guard puts files, beside the store. Each holds a store of its own.
const (
	keepingName  = "jetstream.keeping"  // being made; worth nothing
	keptName     = "jetstream.kept"     // the files as they were before a server opened them
	releasedName = "jetstream.released" // no longer needed
	droppedName  = "jetstream.dropped"  // what a server left of the files, to be removed
	roomName     = ".room"              // shows that the disk can be written
)

// guard keeps the files of a log aside while a server opens them. A server that
// cannot read one removes all of them, and cuts off what it cannot make sense of.
//
// What is kept are hard links, and copies of what a server changes in place: the
// newest block, to which it appends, and all small files. Nothing is acknowledged
// before the kept files are released, so that they are whatever there was: after a
// crash in between they are put back, unless the store still holds everything.
type guard struct {
	storeDir        string
	stream, subject string // no guard where they are empty
	logger          *slog.Logger

	seen   inventory // of the files before the server opens them
	linked []string  // blocks that are links, by name
	kept   bool
}

// keep reads the store and, where the file system has hard links, keeps its files
// aside.
func (g *guard) keep(ctx context.Context, links bool) error {
	reader := surveyor{storeDir: g.storeDir, stream: g.stream, subject: g.subject}
	var err error
	if g.seen, err = reader.survey(ctx); err != nil {
		return err
	}
	if there, err := exists(filepath.Join(StreamDir(g.storeDir, g.stream), messagesDir)); err != nil || !there || g.stream == "" {
		return err
	}
	if !links {
		g.logger.Warn("the files of the log are checked, but not kept while the server opens them, because the file system has no hard links", "directory", g.storeDir)
		return nil
	}
	err = g.collect()
	if err == nil {
		err = os.Rename(g.path(keepingName), g.path(keptName))
	}
	if err == nil {
		err = eventstore.SyncDir(g.storeDir)
	}
	if err == nil {
		g.kept = true
		return nil
	}
	return errors.Join(err, os.RemoveAll(g.path(keepingName)))
}

func (g *guard) path(name string) string { return filepath.Join(g.storeDir, name) }

// collect links and copies the files of the store.
func (g *guard) collect() error {
	from, to := g.path(storeName), filepath.Join(g.path(keepingName), storeName)
	messages := filepath.Join(StreamDir(g.storeDir, g.stream), messagesDir)
	dirs := []string{g.path(keepingName)}
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return &eventstore.ReadError{File: path, Err: err}
		}
		kept := to + strings.TrimPrefix(path, from)
		if e.IsDir() {
			if filepath.Base(filepath.Dir(path)) == streamsDir && strings.HasPrefix(e.Name(), ".") {
				return fs.SkipDir // a stream that is being removed
			}
			dirs = append(dirs, kept)
			return room(g.storeDir, os.MkdirAll(kept, 0o700)) //nolint:gosec // the directory is locked, and ours
		}
		if filepath.Dir(path) == messages && filepath.Ext(path) == blockFileName && e.Name() != g.seen.newest && !g.seen.blocks[e.Name()].torn {
			g.linked = append(g.linked, e.Name())
			return room(g.storeDir, os.Link(path, kept)) //nolint:gosec // as above
		}
		return g.copy(path, kept)
	})
	for _, dir := range dirs {
		if err == nil {
			err = eventstore.SyncDir(dir)
		}
	}
	return err
}

// copy copies and syncs a file.
func (g *guard) copy(from, to string) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return room(g.storeDir, err)
	}
	w := &writeErrors{to: f}
	err = readFile(nil, from, w)
	if err == nil {
		w.err = f.Sync()
	}
	if cerr := f.Close(); w.err == nil {
		w.err = cerr
	}
	if w.err != nil {
		return room(g.storeDir, w.err)
	}
	return err
}

// writeErrors remembers the error of a writer, to tell it from that of a reader.
type writeErrors struct {
	to  io.Writer
	err error
}

func (w *writeErrors) Write(b []byte) (int, error) {
	n, err := w.to.Write(b)
	w.err = err
	return n, err
}

// room says of an error of the file system that nothing could be written.
func room(dir string, err error) error {
	if err == nil {
		return nil
	}
	return &RoomError{Dir: dir, Err: err}
}

// findRoom writes to a disk and syncs, so that a full or failing one is told before
// a server opens its files: a server that cannot write removes a stream. It reports
// whether the file system has hard links.
func findRoom(dir string) (links bool, err error) {
	path := filepath.Join(dir, roomName)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return false, room(dir, err)
	}
	defer os.Remove(path)              //nolint:errcheck // the next start overwrites it
	content := make([]byte, startRoom) // random, so that no file system makes it smaller
	_, _ = rand.NewChaCha8([32]byte{}).Read(content)
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return false, room(dir, err)
	}
	second := path + ".link"
	_ = os.Remove(second) // of a start that was interrupted here
	if os.Link(path, second) != nil {
		return false, nil
	}
	return true, room(dir, os.Remove(second))
}

// opened holds what a server has opened against what the files held before.
func (g *guard) opened(made *server.Server, log *logger) error {
	if !g.kept {
		return nil
	}
	missing, err := g.missing(made)
	if err == nil && missing != "" {
		err = &DroppedError{Missing: missing, Said: log.said()}
	}
	return err
}

// missing says what a server lacks of what the files held, or nothing.
func (g *guard) missing(made *server.Server) (string, error) {
	dir := filepath.Join(StreamDir(g.storeDir, g.stream), messagesDir)
	need := make(map[string]int64) // size of a block; the server may remove one that holds nothing whole
	for _, name := range g.linked {
		need[name] = 0
	}
	for name, e := range g.seen.blocks {
		delete(need, name)
		if e.end > 0 {
			need[name] = e.end
		}
	}
	for name, size := range need {
		info, err := os.Stat(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return name + " is gone", nil
		case err != nil:
			return "", &eventstore.ReadError{File: filepath.Join(dir, name), Err: err}
		case info.Size() < size:
			return name + " was cut off", nil
		}
	}
	if g.seen.last == 0 {
		return "", nil
	}
	account, err := made.JszAccount(&server.JSzOptions{Account: server.DEFAULT_GLOBAL_ACCOUNT, Streams: true})
	if err != nil {
		return "", fmt.Errorf("ask the server for its streams: %w", err)
	}
	for _, stream := range account.Streams {
		if stream.Name == g.stream {
			return g.lacks(stream.State), nil
		}
	}
	return "stream " + g.stream + " is unknown to it", nil
}

// lacks says what the state of the stream lacks of what the files held, or nothing.
func (g *guard) lacks(st server.StreamState) string {
	if st.FirstSeq <= g.seen.first && st.LastSeq >= g.seen.last && st.Msgs > g.seen.last-g.seen.first {
		return ""
	}
	return fmt.Sprintf("%d messages from %d to %d, of %d to %d", st.Msgs, st.FirstSeq, st.LastSeq, g.seen.first, g.seen.last)
}

// release says that the kept files are no longer needed. From then on the server
// may take messages.
func (g *guard) release() error {
	if there, err := exists(g.path(keptName)); err != nil || !there {
		return err
	}
	if err := os.Rename(g.path(keptName), g.path(releasedName)); err != nil {
		return room(g.storeDir, err)
	}
	if err := eventstore.SyncDir(g.storeDir); err != nil {
		return room(g.storeDir, err)
	}
	if err := os.RemoveAll(g.path(releasedName)); err != nil {
		g.logger.Warn("files that are no longer needed were not removed; the next start will remove them", "directory", g.path(releasedName), "error", err)
	}
	return nil
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
