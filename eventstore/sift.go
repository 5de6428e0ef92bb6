package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

// Foreign is a message in the stream of a ledger that is no record of it.
type Foreign struct {
	// Sequence and Time are those of the message in the stream.
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	// Header and Data are what it consists of.
	Header []byte `json:"header,omitempty"`
	Data   []byte `json:"data"`
	// Reason says why it is no record of the ledger.
	Reason string `json:"reason"`
}

// String describes the message in a few words.
func (f *Foreign) String() string {
	unit := "bytes"
	if len(f.Data) == 1 {
		unit = "byte"
	}
	return fmt.Sprintf("message %d was not written by permledger: %d %s, %.40q, stored at %s",
		f.Sequence, len(f.Data), unit, f.Data, f.Time.UTC().Format(time.RFC3339))
}

// Sifted says what a stream consists of.
type Sifted struct {
	// Report is of the records of the ledger, numbered without the rest.
	Report
	// Foreign is how many messages are none.
	Foreign uint64 `json:"foreign"`
	// Replicas and Created are those of the stream.
	Replicas int       `json:"replicas"`
	Created  time.Time `json:"created"`
}

// Sift reads a whole stream and tells the records of its ledger, which continue
// each other, from messages that somebody else has published. known is what the
// directory knows of the ledger; the records must reach its head. It returns an
// *IntegrityError when records of the ledger are missing.
func Sift(ctx context.Context, js jetstream.JetStream, opts Options, known Marks, own func(Stored) error, foreign func(Foreign) error) (Sifted, error) {
	l := reader(js, opts)
	var sifted Sifted
	info, err := l.info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return sifted, l.gone()
	}
	if err != nil {
		return sifted, err
	}
	if !quorate(info.Cluster) {
		return sifted, fmt.Errorf("%w: the leader of stream %s has no majority", ErrUnavailable, opts.Stream)
	}
	sifted.Replicas, sifted.Created = info.Config.Replicas, info.Created
	f, err := l.newFetcher()
	if err != nil {
		return sifted, err
	}
	defer f.close()
	s := sieve{known: known, own: own, foreign: foreign, sifted: &sifted, chain: chain{ledger: known.Ledger, genesis: known.Genesis}}
	for next := uint64(1); next <= info.State.LastSeq; {
		raws, err := f.fetch(ctx, next, info.State.LastSeq)
		if errors.Is(err, ErrIntegrity) { // it has been deleted
			s.gap, next = next, next+1
			continue
		}
		if err != nil {
			return sifted, err
		}
		for _, r := range raws {
			if err := s.take(ctx, l, r); err != nil {
				return sifted, err
			}
		}
		next += uint64(len(raws))
	}
	return sifted, s.end()
}

// reader returns a log that is only read, whatever state it is in.
func reader(js jetstream.JetStream, opts Options) *Log {
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultTimeout
	}
	l := &Log{
		js: js, opts: opts, prefix: APIPrefix(js), clock: newClock(opts.Clock), line: ownLine{}, bell: make(chan struct{}), inspecting: true,
		largest: min(MaxRecordBytes, int(js.Conn().MaxPayload())-headerRoom),
	}
	l.life, l.die = context.WithCancel(context.Background())
	return l
}

// sieve tells records from messages.
type sieve struct {
	known   Marks
	own     func(Stored) error
	foreign func(Foreign) error
	sifted  *Sifted
	chain   chain
	gap     uint64 // a message that is missing since the last record; 0 when none is
}

func (s *sieve) take(ctx context.Context, l *Log, r raw) error {
	before := s.chain
	stored, err := s.chain.next(s.chain.at.Sequence+1, r.data)
	if err == nil {
		if mark := s.known.Head; stored.Sequence == mark.Sequence && stored.Hash != mark.Hash {
			return &IntegrityError{
				Position: stored.Record.First, Sequence: r.sequence,
				Reason: fmt.Sprintf("it has hash %s, the head mark says %s", stored.Hash, mark.Hash),
			}
		}
		s.gap = 0
		s.sifted.Take(&stored)
		return s.own(stored)
	}
	s.chain = before
	if s.gap > 0 && s.chain.ledger != uuid.Nil {
		if record, derr := DecodeRecord(r.data); derr == nil && record.Ledger == s.chain.ledger {
			return s.missing()
		}
	}
	message := Foreign{Sequence: r.sequence, Data: r.data, Reason: err.Error()}
	m, err := l.whole(ctx, r.sequence)
	if err != nil {
		return err
	}
	message.Time, message.Header = m.Time, m.Header
	s.sifted.Foreign++
	return s.foreign(message)
}

func (s *sieve) missing() error {
	return &IntegrityError{
		Position: s.chain.at.Position + 1, Sequence: s.gap,
		Reason: "the message was deleted, and no record after it says what it was",
	}
}

func (s *sieve) end() error {
	switch {
	case s.gap > 0:
		return s.missing()
	case s.chain.at.Sequence < s.known.Head.Sequence:
		return &IntegrityError{
			Position: s.chain.at.Position + 1, Sequence: s.chain.at.Sequence + 1,
			Reason: fmt.Sprintf("the ledger's records end with record %d, but record %d had been stored", s.chain.at.Sequence, s.known.Head.Sequence),
		}
	case s.sifted.Records == 0:
		return &IntegrityError{Position: 1, Sequence: 1, Reason: "the stream holds no record of the ledger"}
	}
	return nil
}

// wholeMessage is a message as the API gives it.
type wholeMessage struct {
	Sequence uint64    `json:"seq"`
	Time     time.Time `json:"time"`
	Header   []byte    `json:"hdrs"`
	Data     []byte    `json:"data"`
}

// whole reads a message with everything that belongs to it.
func (l *Log) whole(ctx context.Context, sequence uint64) (wholeMessage, error) {
	var resp struct {
		Error   *jetstream.APIError `json:"error"`
		Message wholeMessage        `json:"message"`
	}
	if err := l.api(ctx, "STREAM.MSG.GET."+l.opts.Stream, fmt.Appendf(nil, `{"seq":%d}`, sequence), &resp); err != nil {
		return wholeMessage{}, err
	}
	if resp.Error != nil {
		return wholeMessage{}, fmt.Errorf("read message %d: %w: %w", sequence, ErrUnavailable, resp.Error)
	}
	return resp.Message, nil
}

// Inspect says what lies where a record should be: nil when the message there
// has the form of a record, or cannot be read.
func (l *Log) Inspect(ctx context.Context, sequence uint64) *Foreign {
	if sequence == 0 {
		return nil
	}
	m, err := l.whole(ctx, sequence)
	if err != nil || m.Sequence != sequence {
		return nil
	}
	if _, err = DecodeRecord(m.Data); err == nil {
		return nil
	}
	return &Foreign{Sequence: sequence, Time: m.Time, Header: m.Header, Data: m.Data, Reason: err.Error()}
}
