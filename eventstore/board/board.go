// Package board keeps small notes that the nodes of a ledger share, and lets one of them at a time hold an
// office. Nothing in it is part of the ledger: a board that is lost costs what its users say it costs.
//
// A board is one JetStream stream; the newest message of a subject is the note of that name. A note is replaced
// only by somebody who names the revision that it replaces, so that nobody overwrites what they have not seen.
package board

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"permledger/eventstore"
)

// requestTimeout bounds one request to the servers.
const requestTimeout = time.Second

// MaxNote bounds a note, in bytes.
const MaxNote = 64 << 10

// Options say where a board is.
type Options struct {
	// Stream is the name of its stream, Prefix that of its subjects: the note N
	// is the newest message of the subject Prefix.N.
	Stream, Prefix string
	// Replicas is the number of replicas of a new stream, 1 when zero.
	Replicas int
}

// Board is a board. Its methods may be called from several goroutines at once.
type Board struct {
	js   jetstream.JetStream
	opts Options
}

// New returns the board; its stream is created by the first request that finds none.
func New(js jetstream.JetStream, opts Options) *Board { return &Board{js: js, opts: opts} }

// Note is what stands under a name.
type Note struct {
	Value    []byte
	Revision uint64 // 0 where nothing has ever stood
}

// Read asks the stream's leader for a note. The zero Note says that there is none. It returns
// eventstore.ErrUnavailable when nobody could be asked.
func (b *Board) Read(ctx context.Context, name string) (Note, error) {
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Sequence uint64 `json:"seq"`
			Data     []byte `json:"data"`
		} `json:"message"`
	}
	for try := 0; ; try++ {
		ask, err := json.Marshal(map[string]string{"last_by_subj": b.subject(name)})
		if err != nil {
			return Note{}, err
		}
		err = b.api(ctx, "STREAM.MSG.GET."+b.opts.Stream, ask, &answer)
		switch {
		case err != nil:
			return Note{}, err
		case answer.Message != nil:
			return Note{answer.Message.Data, answer.Message.Sequence}, nil
		case answer.Error == nil:
			return Note{}, fmt.Errorf("read the note %s: %w: the answer says nothing", name, eventstore.ErrUnavailable)
		case answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
			return Note{}, nil
		case answer.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound && try == 0:
			if err := b.create(ctx); err != nil {
				return Note{}, err
			}
			answer.Error = nil
		default:
			return Note{}, fmt.Errorf("read the note %s: %w: %w", name, eventstore.ErrUnavailable, answer.Error)
		}
	}
}

// Write replaces the note of a revision and returns the new one's. It returns eventstore.ErrConflict when
// another note stands there, and eventstore.ErrOutcomeUnknown when nobody answered: it may stand there, now or
// later, and Read tells.
func (b *Board) Write(ctx context.Context, name string, value []byte, revision uint64) (uint64, error) {
	if len(value) > MaxNote {
		return 0, fmt.Errorf("a note of %d bytes, at most %d: %w", len(value), MaxNote, eventstore.ErrTooLarge)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m := nats.NewMsg(b.subject(name))
	m.Data = value
	ack, err := b.js.PublishMsg(ctx, m,
		jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithExpectStream(b.opts.Stream), jetstream.WithRetryAttempts(0))
	var refused *jetstream.APIError
	switch {
	case err == nil:
		return ack.Sequence, nil
	case errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant):
		return 0, fmt.Errorf("write the note %s: %w", name, eventstore.ErrConflict)
	default:
		return 0, fmt.Errorf("write the note %s: %w: %w", name, eventstore.ErrOutcomeUnknown, err)
	}
}

func (b *Board) subject(name string) string { return b.opts.Prefix + "." + name }

// create makes the stream. Several nodes may do so at once.
func (b *Board) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*requestTimeout)
	defer cancel()
	_, err := b.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: b.opts.Stream, Description: "notes that the nodes of a ledger share; not part of the ledger",
		Subjects: []string{b.opts.Prefix + ".>"}, Storage: jetstream.FileStorage, Replicas: max(b.opts.Replicas, 1),
		MaxMsgsPerSubject: 1, MaxMsgSize: MaxNote + 4<<10, Discard: jetstream.DiscardOld, Duplicates: 100 * time.Millisecond,
	})
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("create stream %s: %w: %w", b.opts.Stream, eventstore.ErrUnavailable, err)
	}
	return nil
}

func (b *Board) api(ctx context.Context, subject string, body []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := b.js.Conn().RequestWithContext(ctx, eventstore.APIPrefix(b.js)+subject, body)
	if err == nil {
		err = json.Unmarshal(m.Data, answer)
	}
	if err != nil {
		return fmt.Errorf("ask the server (%s): %w: %w", subject, eventstore.ErrUnavailable, err)
	}
	return nil
}
