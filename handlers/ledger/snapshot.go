package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"permledger/domain"
	"permledger/eventstore"
)

const (
	snapshotFile = "snapshot"
	// snapshotEvents is how many events make a new snapshot worth its writing: about as many as are folded
	// in half a second.
	snapshotEvents = 50_000
	// snapshotPeriod is how often it is looked whether there are so many.
	snapshotPeriod = time.Minute
)

// errNoSnapshot says that there is no snapshot to start from; the log is folded from its beginning.
var errNoSnapshot = errors.New("no usable snapshot")

// snapshotHeader is the first line of a snapshot. What follows is the state, then the SHA-256 of all before.
type snapshotHeader struct {
	Ledger   uuid.UUID       `json:"ledger"`
	Sequence uint64          `json:"sequence"`
	Position uint64          `json:"position"`
	Hash     eventstore.Hash `json:"hash"`
	Time     time.Time       `json:"time"`
}

// readSnapshot restores the decision state as it was at a cursor of a ledger's log. A snapshot is a copy
// that saves time: one that is absent, damaged or another ledger's is errNoSnapshot.
func readSnapshot(dir string, ledger uuid.UUID) (*domain.Book, eventstore.Cursor, error) {
	data, err := os.ReadFile(filepath.Join(dir, snapshotFile))
	if err != nil {
		return nil, eventstore.Cursor{}, fmt.Errorf("%w: %w", errNoSnapshot, err)
	}
	content, sum, long := data, []byte(nil), len(data) > sha256.Size
	if long {
		content, sum = data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	}
	if computed := sha256.Sum256(content); !long || !bytes.Equal(computed[:], sum) {
		return nil, eventstore.Cursor{}, fmt.Errorf("%w: its checksum differs", errNoSnapshot)
	}
	line, state, _ := bytes.Cut(content, []byte("\n"))
	var h snapshotHeader
	if err := json.Unmarshal(line, &h); err != nil {
		return nil, eventstore.Cursor{}, fmt.Errorf("%w: %w", errNoSnapshot, err)
	}
	if h.Ledger != ledger {
		return nil, eventstore.Cursor{}, fmt.Errorf("%w: it is of ledger %s", errNoSnapshot, h.Ledger)
	}
	book := domain.NewBook()
	if err := book.Restore(bytes.NewReader(state)); err != nil {
		return nil, eventstore.Cursor{}, fmt.Errorf("%w: %w", errNoSnapshot, err)
	}
	return book, eventstore.Cursor{Sequence: h.Sequence, Position: h.Position, Hash: h.Hash, Time: h.Time}, nil
}

// writeSnapshot replaces the snapshot by the state as of now.
func (l *Ledger) writeSnapshot(ctx context.Context) (eventstore.Cursor, error) {
	before := l.writer.Head()
	state := l.book.Snapshot()
	cursor, err := l.cursorAt(ctx, before, state.Head())
	if err != nil {
		return eventstore.Cursor{}, err
	}
	ledger, _, _ := l.store.Log.Ledger()
	header, err := json.Marshal(snapshotHeader{Ledger: ledger, Sequence: cursor.Sequence, Position: cursor.Position, Hash: cursor.Hash, Time: cursor.Time})
	if err != nil {
		return eventstore.Cursor{}, fmt.Errorf("write the snapshot: %w", err)
	}
	err = eventstore.ReplaceFile(filepath.Join(l.config.Dir, snapshotFile), func(w io.Writer) error {
		return writeChecked(w, header, state)
	})
	if err != nil {
		return eventstore.Cursor{}, err
	}
	return cursor, nil
}

// cursorAt finds the record that ends with a position at or soon after a cursor.
func (l *Ledger) cursorAt(ctx context.Context, from eventstore.Cursor, position uint64) (eventstore.Cursor, error) {
	if from.Position == position {
		return from, nil
	}
	for s, err := range l.store.Log.Read(ctx, from) {
		if err != nil {
			return eventstore.Cursor{}, err
		}
		if c := s.Cursor(); c.Position == position {
			return c, nil
		}
	}
	return eventstore.Cursor{}, fmt.Errorf("no record ends with position %d", position)
}

// writeChecked writes header and state, and the checksum of both.
func writeChecked(w io.Writer, header []byte, state io.WriterTo) error {
	sum := sha256.New()
	to := io.MultiWriter(w, sum)
	if _, err := to.Write(append(header, '\n')); err != nil {
		return err
	}
	if _, err := state.WriteTo(to); err != nil {
		return err
	}
	_, err := w.Write(sum.Sum(nil))
	return err
}

// keepSnapshots writes a snapshot whenever enough has happened since the last one, and once more at the
// end.
func (l *Ledger) keepSnapshots(ctx context.Context, last uint64) {
	ticker := time.NewTicker(snapshotPeriod)
	defer ticker.Stop()
	for ended := false; ; {
		if l.writer.Head().Position >= last+snapshotEvents {
			cursor, err := l.writeSnapshot(context.WithoutCancel(ctx))
			if err != nil {
				l.logger().Warn("no snapshot was written; the next start folds more of the log", "error", err)
			} else {
				last = cursor.Position
			}
		}
		if ended {
			return
		}
		select {
		case <-ctx.Done():
			ended = true
		case <-ticker.C:
		}
	}
}

// recall gives the book to start with: restored from the snapshot, or empty.
func (l *Ledger) recall(ctx context.Context) (*domain.Book, eventstore.Cursor) {
	ledger, _, known := l.store.Log.Ledger()
	if !known {
		return domain.NewBook(), eventstore.Cursor{}
	}
	book, cursor, err := readSnapshot(l.config.Dir, ledger)
	if err == nil {
		err = l.indexed(ctx, cursor)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			l.logger().Warn("the whole log is folded", "why", err)
		}
		return domain.NewBook(), eventstore.Cursor{}
	}
	return book, cursor
}

// indexed waits until the read models know every command up to a cursor, for the writer then does not.
// Where they are far behind, folding the log is faster than waiting for them.
func (l *Ledger) indexed(ctx context.Context, cursor eventstore.Cursor) error {
	if l.models.Checkpoint().Position+snapshotEvents < cursor.Position {
		return fmt.Errorf("%w: the read models are far behind it", errNoSnapshot)
	}
	if err := l.models.WaitForRecord(ctx, cursor.Sequence); err != nil {
		return fmt.Errorf("%w: %w", errNoSnapshot, err)
	}
	return nil
}

// scrub verifies the part of the log that a start from a snapshot has not read. A fault stops the ledger: the
// log keeps it.
func (l *Ledger) scrub(ctx context.Context) {
	if _, err := l.store.Log.Verify(ctx, nil); err != nil && ctx.Err() == nil {
		l.logger().Warn("the log was not verified to its end", "error", err)
	}
}
