package eventstore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
	"permledger/eventstore/eventstoretest"
)

// TestADirectoryWithoutAnIdentityBecomesNothingByItself opens an absent directory on a shared stream in every
// state, with every permission there is.
func TestADirectoryWithoutAnIdentityBecomesNothingByItself(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	held := eventstoretest.Stream()
	ledger, _, _ := store.Node(t, store.Options(t, held), nil).Log.Ledger()
	empty := eventstoretest.Stream()
	log, err := eventstore.Open(t.Context(), store.JetStream(t), store.Options(t, empty))
	require.NoError(t, err)
	require.NoError(t, log.Close())

	other := uuid.New()
	for name, c := range map[string]struct {
		stream string
		found  bool
		join   uuid.UUID
		err    any // an error to be, or a *JoinError to equal
	}{
		"no stream":                         {eventstoretest.Stream(), false, uuid.Nil, eventstore.ErrNoLedger},
		"no stream, to be joined":           {eventstoretest.Stream(), false, other, eventstore.ErrNoLedger},
		"an empty stream":                   {empty, false, uuid.Nil, eventstore.ErrNoLedger},
		"an empty stream, to be joined":     {empty, false, other, eventstore.ErrNoLedger},
		"a ledger":                          {held, false, uuid.Nil, &eventstore.JoinError{Ledger: ledger}},
		"a ledger, another to be joined":    {held, false, other, &eventstore.JoinError{Ledger: ledger, Asked: other}},
		"a ledger, another to be founded":   {held, true, uuid.Nil, &eventstore.JoinError{Ledger: ledger}},
		"a ledger, to be joined":            {held, false, ledger, nil},
		"an empty stream, to be founded on": {empty, true, uuid.Nil, nil},
		"no stream, to be founded on":       {eventstoretest.Stream(), true, uuid.Nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := store.Options(t, c.stream)
			opts.Dir = filepath.Join(opts.Dir, "absent")
			opts.Found, opts.Join = c.found, c.join
			log, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
			switch want := c.err.(type) {
			case nil:
				require.NoError(t, err)
				require.NoError(t, log.Close())
				return
			case *eventstore.JoinError:
				var join *eventstore.JoinError
				require.ErrorAs(t, err, &join)
				require.Equal(t, want, join)
			case error:
				require.ErrorIs(t, err, want)
			}
			if !c.found && c.join == uuid.Nil {
				require.NoDirExists(t, opts.Dir)
			}
			require.NoFileExists(t, filepath.Join(opts.Dir, eventstore.IdentityFile))
			if c.stream != held && c.stream != empty {
				_, err := store.JetStream(t).Stream(t.Context(), c.stream)
				require.Error(t, err, "no stream was made")
			}
		})
	}
}

func TestANodeKeepsToItsLedger(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	opts := store.Options(t, eventstoretest.Stream())
	n := store.Node(t, opts, nil)
	ledger, _, _ := n.Log.Ledger()
	n.Close()
	reopened := func(found bool, join uuid.UUID) error {
		opts := opts
		opts.Found, opts.Join = found, join
		log, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
		if err == nil {
			id, _, _ := log.Ledger()
			require.Equal(t, ledger, id)
			require.NoError(t, log.Close())
		}
		return err
	}
	require.NoError(t, reopened(false, uuid.Nil))
	require.NoError(t, reopened(true, uuid.Nil))
	require.NoError(t, reopened(false, ledger))
	other := uuid.New()
	var join *eventstore.JoinError
	require.ErrorAs(t, reopened(false, other), &join)
	require.Equal(t, &eventstore.JoinError{Ledger: ledger, Asked: other, Own: true}, join)
	require.Error(t, reopened(true, ledger), "one or the other")

	require.NoError(t, store.JetStream(t).DeleteStream(t.Context(), opts.Stream))
	for _, found := range []bool{false, true} {
		require.ErrorIs(t, reopened(found, uuid.Nil), eventstore.ErrIntegrity, "a ledger that lost its stream is not founded anew")
	}
	require.NoError(t, os.Remove(filepath.Join(opts.Dir, eventstore.IdentityFile)))
	require.ErrorIs(t, reopened(true, uuid.Nil), eventstore.ErrIntegrity, "the head mark knows it still")
}

// TestAFoundingOnAClusterThatWasInterruptedIsFinished stops between the identity and the first record, and
// after that record; meanwhile another node may have founded.
func TestAFoundingOnAClusterThatWasInterruptedIsFinished(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ stored, foreign bool }{
		"before its record": {}, "after its record": {stored: true}, "before that of another": {foreign: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := embeddedStore(t)
			opts := store.Options(t, eventstoretest.Stream())
			founder := store.Node(t, opts, nil)
			first, _, _ := founder.Log.Ledger()
			founder.Close()
			replaceInFile(t, filepath.Join(opts.Dir, eventstore.IdentityFile), "created", "creating")
			require.NoError(t, os.Remove(filepath.Join(opts.Dir, eventstore.HeadMarkFile)))
			js := store.JetStream(t)
			if !c.stored {
				require.NoError(t, js.DeleteStream(t.Context(), opts.Stream))
			}
			if c.foreign {
				first, _, _ = store.Node(t, store.Options(t, opts.Stream), nil).Log.Ledger()
			}
			plain := opts
			plain.Found = false
			_, err := eventstore.Open(t.Context(), js, plain)
			require.ErrorIs(t, err, eventstore.ErrFoundingUnfinished)
			_, err = eventstore.ReadMarks(opts.Dir)
			require.ErrorIs(t, err, eventstore.ErrFoundingUnfinished)

			log, err := eventstore.Open(t.Context(), js, opts)
			if c.foreign {
				var join *eventstore.JoinError
				require.ErrorAs(t, err, &join)
				plain.Join = join.Ledger
				log, err = eventstore.Open(t.Context(), js, plain)
			}
			require.NoError(t, err)
			require.NoError(t, log.EnsureGenesis(t.Context()))
			id, _, _ := log.Ledger()
			require.Equal(t, c.stored || c.foreign, id == first)
			require.NoError(t, log.Close())
		})
	}
}

func TestAnUnfinishedImportIsForImportsAlone(t *testing.T) {
	t.Parallel()
	store := embeddedStore(t)
	n := store.Node(t, store.Options(t, eventstoretest.Stream()), nil)
	var file bytes.Buffer
	_, err := n.Log.Export(t.Context(), &file, nil)
	require.NoError(t, err)
	opts := store.Options(t, eventstoretest.Stream())
	log, err := eventstore.Open(t.Context(), store.JetStream(t), opts)
	require.NoError(t, err)
	_, err = log.Import(t.Context(), cutReader{bytes.NewReader(file.Bytes())}, nil)
	require.Error(t, err)
	require.NoError(t, log.Close())
	opts.Found = false
	_, err = eventstore.Open(t.Context(), store.JetStream(t), opts)
	require.ErrorIs(t, err, eventstore.ErrImportUnfinished)
}
