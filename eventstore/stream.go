package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// duplicateWindow is short because the server's duplicate detection is not
// used, and a damaged block inside the window makes its start slow.
const duplicateWindow = 100 * time.Millisecond

// streamConfig returns the settings of the stream: nothing in it may ever be
// dropped, deleted or written later than acknowledged.
func (l *Log) streamConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              l.opts.Stream,
		Description:       "append-only ledger; one message is one commit record",
		Subjects:          []string{l.opts.Subject},
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew,
		Storage:           jetstream.FileStorage,
		Replicas:          l.opts.Replicas,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxConsumers:      -1,
		MaxMsgSize:        -1,
		MaxMsgsPerSubject: -1,
		Duplicates:        duplicateWindow,
		DenyDelete:        true,
		DenyPurge:         true,
		AllowDirect:       true,
		PersistMode:       jetstream.DefaultPersistMode,
	}
}

// createStream creates the stream. Two nodes may do so at once.
func (l *Log) createStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.opts.Timeout)
	defer cancel()
	_, err := l.js.CreateStream(ctx, l.streamConfig())
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("create stream %s: %w", l.opts.Stream, unavailable(err))
	}
	return nil
}

// state asks the stream's leader for its state, and checks its settings. Its
// last sequence counts only what has been written completely: a record whose
// sync failed can be read back by sequence, but is not counted.
func (l *Log) state(ctx context.Context) (jetstream.StreamState, error) {
	var resp struct {
		Error *jetstream.APIError `json:"error"`
		jetstream.StreamInfo
	}
	if err := l.api(ctx, "STREAM.INFO."+l.opts.Stream, nil, &resp); err != nil {
		return jetstream.StreamState{}, err
	}
	if resp.Error != nil {
		if resp.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound {
			return jetstream.StreamState{}, jetstream.ErrStreamNotFound
		}
		return jetstream.StreamState{}, fmt.Errorf("ask for stream %s: %w: %w", l.opts.Stream, ErrUnavailable, resp.Error)
	}
	if err := l.checkConfig(&resp.Config); err != nil {
		return jetstream.StreamState{}, err
	}
	return resp.State, nil
}

// checkConfig refuses a stream that could forget records.
func (l *Log) checkConfig(c *jetstream.StreamConfig) error {
	wrong := ""
	switch {
	case len(c.Subjects) != 1 || c.Subjects[0] != l.opts.Subject:
		wrong = fmt.Sprintf("its subjects are %v, not %s alone", c.Subjects, l.opts.Subject)
	case c.Retention != jetstream.LimitsPolicy || c.MaxMsgs > 0 || c.MaxBytes > 0 || c.MaxAge > 0 || c.MaxMsgsPerSubject > 0:
		wrong = "its retention drops records"
	case c.Storage != jetstream.FileStorage:
		wrong = "it is not stored in files"
	case c.PersistMode != jetstream.DefaultPersistMode:
		wrong = "it acknowledges before it writes"
	case !c.DenyDelete || !c.DenyPurge || c.AllowRollup || c.AllowMsgTTL:
		wrong = "it allows records to be deleted"
	case !c.AllowDirect:
		wrong = "it does not allow direct reads"
	case c.Mirror != nil || len(c.Sources) > 0 || c.SubjectTransform != nil:
		wrong = "it takes records from elsewhere"
	case c.Sealed:
		wrong = "it is sealed"
	}
	if wrong != "" {
		return &IntegrityError{Reason: fmt.Sprintf("stream %s can not hold a ledger: %s", l.opts.Stream, wrong)}
	}
	return nil
}

// last returns the last sequence of the stream. A stream that is gone, or
// shorter than what is known to be stored, is an integrity failure.
func (l *Log) last(ctx context.Context) (uint64, error) {
	known := l.known.Load()
	for try := 0; ; try++ {
		state, err := l.state(ctx)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = &IntegrityError{Reason: fmt.Sprintf("stream %s is gone", l.opts.Stream)}
		}
		if err != nil {
			return 0, l.fail(err)
		}
		if state.LastSeq >= known {
			l.ring(state.LastSeq)
			return state.LastSeq, nil
		}
		if !l.opts.Shared || try >= lagConfirmations {
			return 0, l.fail(l.shorter(state.LastSeq, known))
		}
		if err := sleep(ctx, confirmWait); err != nil {
			return 0, err
		}
	}
}

// shorter describes a stream that has lost its tail.
func (l *Log) shorter(last, known uint64) *IntegrityError {
	e := &IntegrityError{Sequence: last + 1, Reason: fmt.Sprintf("the stream ends with record %d, but record %d had been stored", last, known)}
	if mark := l.mark.get(); mark.Sequence > last {
		e.Position = mark.Position
		e.Reason += fmt.Sprintf(" (the last known position was %d)", mark.Position)
	}
	return e
}

// tries returns how often a bad finding is looked at again. A server of our
// own has nobody to catch up with.
func (l *Log) tries() int {
	if l.opts.Shared {
		return confirmations
	}
	return 1
}

// replicaTimeout is how long a replica that happens to be asked may take. One
// that hangs is still asked, so in a cluster the leader is asked soon instead.
func (l *Log) replicaTimeout() time.Duration {
	if l.opts.Shared {
		return min(leaveReplica, l.opts.Timeout)
	}
	return l.opts.Timeout
}

// direct reads a record from whichever replica answers. Any error means "ask
// the leader".
func (l *Log) direct(ctx context.Context, sequence uint64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, l.replicaTimeout())
	defer cancel()
	m, err := l.js.Conn().RequestWithContext(ctx, l.prefix+"DIRECT.GET."+l.opts.Stream, fmt.Appendf(nil, `{"seq":%d}`, sequence))
	if err != nil {
		return nil, err
	}
	if got := m.Header.Get(jetstream.SequenceHeader); got != strconv.FormatUint(sequence, 10) {
		return nil, fmt.Errorf("record %d: %w", sequence, ErrNotFound)
	}
	return m.Data, nil
}

// message reads a record that is known to be stored from the stream's leader.
// Its answer is definite: the bytes, an *IntegrityError when the record is
// missing or unreadable, or ErrUnavailable when nobody could be asked.
func (l *Log) message(ctx context.Context, sequence uint64) ([]byte, error) {
	var unread error
	for try := 0; ; try++ {
		var resp struct {
			Error   *jetstream.APIError `json:"error"`
			Message *struct {
				Sequence uint64 `json:"seq"`
				Data     []byte `json:"data"`
			} `json:"message"`
		}
		err := l.api(ctx, "STREAM.MSG.GET."+l.opts.Stream, fmt.Appendf(nil, `{"seq":%d}`, sequence), &resp)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			// Whether it is this record or the server, the state tells.
			if _, serr := l.state(ctx); serr != nil && !errors.Is(serr, jetstream.ErrStreamNotFound) {
				return nil, serr
			}
			unread = &IntegrityError{Sequence: sequence, Reason: "the server does not answer for this record"}
		case resp.Message != nil && resp.Message.Sequence == sequence:
			return resp.Message.Data, nil
		case resp.Error == nil:
			unread = &IntegrityError{Sequence: sequence, Reason: "the server answered with another record"}
		case resp.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
			unread = &IntegrityError{Sequence: sequence, Reason: "the record is missing or can not be read"}
		case resp.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound:
			unread = &IntegrityError{Sequence: sequence, Reason: fmt.Sprintf("stream %s is gone", l.opts.Stream)}
		default:
			return nil, fmt.Errorf("read record %d: %w: %w", sequence, ErrUnavailable, resp.Error)
		}
		if try >= l.tries() {
			return nil, unread
		}
		if err := sleep(ctx, confirmWait); err != nil {
			return nil, err
		}
	}
}

// APIPrefix returns the prefix of the subjects of a JetStream API, with its dot.
func APIPrefix(js jetstream.JetStream) string {
	o := js.Options()
	switch {
	case o.APIPrefix != "" && o.APIPrefix[len(o.APIPrefix)-1] == '.':
		return o.APIPrefix
	case o.APIPrefix != "":
		return o.APIPrefix + "."
	case o.Domain != "":
		return "$JS." + o.Domain + ".API."
	}
	return jetstream.DefaultAPIPrefix
}

// unavailable marks an error of the connection as one.
func unavailable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("%w: nobody answers", ErrUnavailable)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// sleep waits, but not longer than the context lives.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
