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
		Replicas:          max(l.opts.Replicas, 1),
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

// createStream creates the stream. Two nodes may do so at once. A cluster that
// has no leader yet is waited for.
func (l *Log) createStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, createWait)
	defer cancel()
	for {
		err := l.createOnce(ctx)
		if err == nil || errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return nil
		}
		refused, answered := errors.AsType[*jetstream.APIError](err)
		if answered && refused.Code < 500 || sleep(ctx, confirmWait) != nil {
			return fmt.Errorf("create stream %s: %w", l.opts.Stream, unavailable(err))
		}
	}
}

func (l *Log) createOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, createTry)
	defer cancel()
	_, err := l.js.CreateStream(ctx, l.streamConfig())
	return err
}

// state asks the stream's leader for its state, and checks its settings. Its
// last sequence counts only what has been written completely: a record whose
// sync failed can be read back by sequence, but is not counted.
func (l *Log) state(ctx context.Context) (jetstream.StreamState, error) {
	info, err := l.info(ctx)
	if err != nil {
		return jetstream.StreamState{}, err
	}
	if err := l.checkConfig(&info.Config); err != nil {
		return jetstream.StreamState{}, err
	}
	return info.State, l.checkCreated(info.Created)
}

// checkReplicas compares the replicas of the stream with those asked for.
func (l *Log) checkReplicas(ctx context.Context) error {
	if l.opts.Replicas == 0 {
		return nil
	}
	info, err := l.info(ctx)
	if err != nil || info.Config.Replicas == l.opts.Replicas {
		return err
	}
	return fmt.Errorf("%w: stream %s has %d, not %d; change it with: nats stream edit %s --replicas %d",
		ErrReplicas, l.opts.Stream, info.Config.Replicas, l.opts.Replicas, l.opts.Stream, l.opts.Replicas)
}

// checkCreated notices a stream that is not the one that was there before.
// Whether it holds the same records, only reading all of them tells.
func (l *Log) checkCreated(created time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.created.IsZero() {
		l.created = created
	}
	if l.opts.Shared && !l.inspecting && !l.created.Equal(created) {
		return &IntegrityError{Reason: fmt.Sprintf("stream %s was replaced by another of that name", l.opts.Stream)}
	}
	return nil
}

// info asks the stream's leader for everything about it.
func (l *Log) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	var resp struct {
		Error *jetstream.APIError `json:"error"`
		jetstream.StreamInfo
	}
	asked := l.clock.opts.Elapsed()
	if err := l.api(ctx, "STREAM.INFO."+l.opts.Stream, nil, &resp); err != nil {
		return nil, err
	}
	if l.opts.Shared { // a server of our own has the same clock
		l.clock.compare(resp.TimeStamp, asked)
	}
	if resp.Error != nil {
		if resp.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound {
			return nil, jetstream.ErrStreamNotFound
		}
		return nil, fmt.Errorf("ask for stream %s: %w: %w", l.opts.Stream, ErrUnavailable, resp.Error)
	}
	return &resp.StreamInfo, nil
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
		return &IntegrityError{Reason: fmt.Sprintf("stream %s cannot hold a ledger: %s", l.opts.Stream, wrong)}
	}
	return nil
}

// last returns the last sequence of the stream. A stream that is gone, or
// shorter than what is known to be stored, is an integrity failure.
func (l *Log) last(ctx context.Context) (uint64, error) {
	known := l.known.Load()
	state, err := l.state(ctx)
	// A leader may count a record a moment later than a replica has told of it.
	for try := 0; err == nil && state.LastSeq < known && l.opts.Shared && try < behindTries; try++ {
		if err = sleep(ctx, behindWait); err == nil {
			state, err = l.state(ctx)
		}
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = l.gone()
	}
	if err == nil && state.LastSeq < known {
		err = l.shorter(state.LastSeq, known)
	}
	if err != nil {
		return 0, l.fail(err)
	}
	l.ring(state.LastSeq)
	return state.LastSeq, nil
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
	if l.hung.lately() {
		return nil, fmt.Errorf("record %d: a replica hangs: %w", sequence, ErrUnavailable)
	}
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
			unread = &IntegrityError{Sequence: sequence, Reason: "the record is missing or cannot be read"}
		case resp.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound:
			unread = l.gone()
		default:
			return nil, fmt.Errorf("read record %d: %w: %w", sequence, ErrUnavailable, resp.Error)
		}
		// Silence may be that of a server that has just been left; an answer of a
		// shared one is confirmed elsewhere.
		if try > 0 || err == nil && l.opts.Shared {
			if l.opts.Reread != nil && (resp.Error == nil || resp.Error.ErrorCode != jetstream.JSErrCodeStreamNotFound) {
				if err := l.opts.Reread(sequence); err != nil {
					return nil, err
				}
			}
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
