package eventstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"
)

// IdentityFile is the name of the file beside the data that says which ledger
// belongs here. It guards against a foreign, reset or missing stream.
const IdentityFile = "ledger.json"

// The stages of an identity. It is written before the first record is stored,
// so a crash between the two is not mistaken for a lost stream.
const (
	stageCreating  = "creating"
	stageImporting = "importing"
	stageCreated   = "created"
)

// identity says which ledger a directory belongs to.
type identity struct {
	Version int       `json:"v"`
	Stream  string    `json:"stream"`
	Ledger  uuid.UUID `json:"ledger"`
	Genesis Hash      `json:"genesis"`
	Stage   string    `json:"stage"`
}

// readIdentity returns nil when there is none. A file that can not be
// understood is an integrity failure: it must not be taken for no file.
func readIdentity(dir string) (*identity, error) {
	b, err := os.ReadFile(filepath.Join(dir, IdentityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the identity of the ledger: %w", err)
	}
	var id identity
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&id); err != nil {
		return nil, &IntegrityError{Reason: fmt.Sprintf("the identity file %s is damaged: %v", IdentityFile, err)}
	}
	known := id.Stage == stageCreating || id.Stage == stageImporting || id.Stage == stageCreated
	if id.Version != 1 || !known || id.Ledger == uuid.Nil || id.Genesis.IsZero() || id.Stream == "" {
		return nil, &IntegrityError{Reason: fmt.Sprintf("the identity file %s is damaged or of a newer release", IdentityFile)}
	}
	return &id, nil
}

// Marks are what a directory says about its ledger besides the log itself.
type Marks struct {
	// Ledger is the id of the ledger and Genesis the hash of its first record;
	// both are zero when there is no identity file.
	Ledger  uuid.UUID
	Genesis Hash
	// Head is the newest head that was noted, zero when none can be read. The
	// log reaches it.
	Head Cursor
}

// ReadMarks reads the identity and the head mark of a directory and changes
// nothing. It returns an *IntegrityError when the identity is damaged, with the
// rest of the marks, and ErrFoundingUnfinished or ErrImportUnfinished when the
// ledger is not complete.
func ReadMarks(dir string) (Marks, error) {
	var marks Marks
	var err error
	if marks.Head, err = peekMark(dir); err != nil {
		return marks, err
	}
	id, err := readIdentity(dir)
	switch {
	case err != nil:
		return marks, err
	case id == nil:
	case id.Stage == stageCreating:
		return marks, ErrFoundingUnfinished
	case id.Stage == stageImporting:
		return marks, ErrImportUnfinished
	default:
		marks.Ledger, marks.Genesis = id.Ledger, id.Genesis
	}
	return marks, nil
}

// write stores the identity durably.
func (id *identity) write(dir string) error {
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return fmt.Errorf("write the identity of the ledger: %w", err)
	}
	return writeFile(filepath.Join(dir, IdentityFile), append(b, '\n'))
}

// removeIdentity makes a directory one of no ledger again.
func removeIdentity(dir string) error {
	if err := os.Remove(filepath.Join(dir, IdentityFile)); err != nil {
		return fmt.Errorf("remove the identity of the ledger: %w", err)
	}
	return SyncDir(dir)
}
