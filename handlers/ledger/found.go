package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"permledger/eventstore"
)

var (
	// ErrFounded says that a ledger was not founded because there is one.
	ErrFounded = errors.New("there is a ledger already")

	// ErrLoadUnfinished says that Load was interrupted. The same records, loaded again, finish it.
	ErrLoadUnfinished = errors.New("a restore or import did not finish")
)

// RefusedError says that there is no complete ledger to open, or one that was not to be met, and what to do.
type RefusedError struct {
	Err error  // what was found, one of this package's or eventstore's
	Do  string // what the operator can do about it
}

// Error says both.
func (e *RefusedError) Error() string { return e.Err.Error() + ": " + e.Do }

// Unwrap gives what was found.
func (e *RefusedError) Unwrap() error { return e.Err }

// Founded is a new ledger.
type Founded struct {
	Ledger  uuid.UUID       `json:"ledger"`
	Genesis eventstore.Hash `json:"genesis"` // hash of the first record
	Dir     string          `json:"directory"`
}

// Found founds a ledger in a data directory, or on a cluster, that holds none, or finishes what an earlier
// Found began. A ledger that is there is ErrFounded and stays as it is.
func Found(ctx context.Context, config Config) (Founded, error) {
	founded := Founded{Dir: config.Dir}
	marks, err := eventstore.ReadMarks(config.Dir)
	switch {
	case errors.Is(err, eventstore.ErrFoundingUnfinished):
	case err != nil:
		return founded, config.explain(err)
	case marks.Ledger != uuid.Nil:
		return founded, &RefusedError{ErrFounded, fmt.Sprintf("%s holds ledger %s: start it with permledger serve, or name another directory with --data", config.Dir, marks.Ledger)}
	}
	config.Found = true
	store, err := OpenStore(ctx, config)
	if err != nil {
		return founded, err
	}
	err = config.explain(store.Log.EnsureGenesis(ctx))
	founded.Ledger, founded.Genesis, _ = store.Log.Ledger()
	return founded, errors.Join(err, store.Close())
}

// Check says whether a data directory holds a ledger that can be opened, by its files alone. It changes
// nothing. It returns a *RefusedError where there is no ledger or an unfinished one, and an
// *eventstore.IntegrityError where the identity of one that must be there is missing or damaged.
func Check(dir string) error {
	marks, err := eventstore.ReadMarks(dir)
	switch {
	case err != nil:
		return Config{Dir: dir}.explain(err)
	case marks.Ledger != uuid.Nil:
		return nil
	}
	// The identity of a load moves last, and a load begins only where no record is.
	loaded, err := exists(filepath.Join(dir, loadedDir, eventstore.IdentityFile))
	switch {
	case err != nil:
		return fmt.Errorf("look at the data directory: %w", err)
	case loaded:
		return Config{Dir: dir}.explain(ErrLoadUnfinished)
	}
	left, err := remains(dir)
	switch {
	case err != nil:
		return fmt.Errorf("look at the data directory: %w", err)
	case left != "":
		return &eventstore.IntegrityError{Reason: fmt.Sprintf("the identity file %s is missing, but %s belongs to a ledger: run permledger repair", eventstore.IdentityFile, left)}
	case marks.Head.Sequence > 0:
		return &eventstore.IntegrityError{Reason: fmt.Sprintf("the identity file %s is missing, but the head mark is of a ledger of %d records: run permledger repair", eventstore.IdentityFile, marks.Head.Sequence)}
	}
	for _, begun := range []struct {
		name string
		what error
	}{{loadingDir, ErrLoadUnfinished}, {logDir, eventstore.ErrFoundingUnfinished}} {
		there, err := exists(filepath.Join(dir, begun.name))
		switch {
		case err != nil:
			return fmt.Errorf("look at the data directory: %w", err)
		case there:
			return Config{Dir: dir}.explain(begun.what)
		}
	}
	return Config{Dir: dir}.explain(eventstore.ErrNoLedger)
}

// remains names something in a data directory that only a ledger leaves there, empty when nothing is.
func remains(dir string) (name string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == ModelsDir(""), name == CommandIDsDir(""), name == snapshotFile, strings.HasPrefix(name, readyPrefix), strings.HasPrefix(name, evidencePrefix):
			return name, nil
		}
	}
	// These may be there before the ledger is, as an empty log or a file system of their own, but hold no record.
	for part, extension := range map[string]string{logDir: ".blk", ArchiveDir(""): ".seg"} {
		err := filepath.WalkDir(filepath.Join(dir, part), func(path string, e fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != extension {
				return err
			}
			info, err := e.Info()
			if err != nil || info.Size() == 0 {
				return err
			}
			name = part
			return fs.SkipAll
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) || name != "" {
			return name, err
		}
	}
	return "", nil
}

// admit refuses a data directory that may not be opened as it is, before anything is written into it.
func (c Config) admit() error {
	if c.External.URL != "" {
		return nil // what the directory lacks the cluster may have
	}
	err := Check(c.Dir)
	if c.Found && (errors.Is(err, eventstore.ErrNoLedger) || errors.Is(err, eventstore.ErrFoundingUnfinished)) {
		return nil
	}
	return err
}

// explain adds to what was found what can be done about it. Other errors pass through.
func (c Config) explain(err error) error {
	if _, already := errors.AsType[*RefusedError](err); already {
		return err
	}
	join, _ := errors.AsType[*eventstore.JoinError](err)
	external := c.External.URL != ""
	switch {
	case join != nil && join.Own:
		return &RefusedError{err, "leave out --join, or name an empty directory with --data"}
	case join != nil && join.Asked != uuid.Nil:
		return &RefusedError{err, fmt.Sprintf("check --nats and --join; to join that ledger, give --join %s", join.Ledger)}
	case join != nil && c.Found:
		return &RefusedError{err, fmt.Sprintf("no second one is founded there; to make %s a node of it, serve with --join %s and without --init", c.Dir, join.Ledger)}
	case join != nil:
		return &RefusedError{err, fmt.Sprintf("to make %s a node of it, add --join %s", c.Dir, join.Ledger)}
	case errors.Is(err, eventstore.ErrNoLedger) && external:
		return &RefusedError{err, "if this cluster held one, restore its stream; otherwise found one with permledger init, or fill it with permledger import, both with the same --nats"}
	case errors.Is(err, eventstore.ErrNoLedger):
		return &RefusedError{fmt.Errorf("%w in %s", eventstore.ErrNoLedger, c.Dir), "check --data; found a ledger with permledger init, or restore one from a backup with permledger restore"}
	case errors.Is(err, eventstore.ErrFoundingUnfinished):
		return &RefusedError{fmt.Errorf("%s: %w", c.Dir, err), "run permledger init again, or serve with --init"}
	case errors.Is(err, eventstore.ErrImportUnfinished):
		return &RefusedError{fmt.Errorf("%s: %w", c.Dir, err), "run permledger import again with the same --data, --nats and file"}
	case errors.Is(err, ErrLoadUnfinished):
		return &RefusedError{fmt.Errorf("%s: %w", c.Dir, err), "run the same command again with the same file to finish it, or remove the directory to give it up"}
	}
	return err
}
