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

// identityFile is the name of the file beside the data that says which ledger
// belongs here. It guards against a foreign, reset or missing stream.
const identityFile = "ledger.json"

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
	b, err := os.ReadFile(filepath.Join(dir, identityFile))
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
		return nil, &IntegrityError{Reason: fmt.Sprintf("the identity file %s is damaged: %v", identityFile, err)}
	}
	known := id.Stage == stageCreating || id.Stage == stageImporting || id.Stage == stageCreated
	if id.Version != 1 || !known || id.Ledger == uuid.Nil || id.Genesis.IsZero() || id.Stream == "" {
		return nil, &IntegrityError{Reason: fmt.Sprintf("the identity file %s is damaged or of a newer release", identityFile)}
	}
	return &id, nil
}

// write stores the identity durably.
func (id *identity) write(dir string) error {
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return fmt.Errorf("write the identity of the ledger: %w", err)
	}
	return writeFile(filepath.Join(dir, identityFile), append(b, '\n'))
}
