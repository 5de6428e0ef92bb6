package projections

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"permledger/projections/sqlite"
)

// Database files are named models-<fingerprint>.<generation>.db. The fingerprint names the models and
// versions that made the rows, the generation grows with each rebuild, and the newest of a fingerprint is
// the one in use. A rebuild under way has one more ending, and is worth nothing after a crash.
const (
	filePrefix = "models-"
	fileSuffix = ".db"
	building   = ".building"
)

func databasePath(dir, fingerprint string, generation int) string {
	return filepath.Join(dir, filePrefix+fingerprint+"."+strconv.Itoa(generation)+fileSuffix)
}

// databases lists the database files of a directory by fingerprint and generation, without their
// write-ahead logs.
func databases(dir string) (map[string]generation, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the read models: %w", err)
	}
	found := make(map[string]generation)
	for _, f := range files {
		name, ok := strings.CutPrefix(f.Name(), filePrefix)
		if !ok {
			continue
		}
		name, complete := strings.CutSuffix(name, fileSuffix)
		if !complete {
			if name, ok = strings.CutSuffix(name, fileSuffix+building); !ok {
				continue
			}
		}
		fingerprint, number, _ := strings.Cut(name, ".")
		if n, err := strconv.Atoi(number); err == nil {
			found[filepath.Join(dir, f.Name())] = generation{fingerprint: fingerprint, number: n, complete: complete}
		}
	}
	return found, nil
}

type generation struct {
	fingerprint string
	number      int
	complete    bool
}

// newestGeneration gives the generation to open, 1 for a new directory, and removes what a crash left
// behind: rebuilds that never ended, and generations that a newer one has replaced.
func newestGeneration(dir, fingerprint string) (int, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return 0, fmt.Errorf("make the directory of the read models: %w", err)
	}
	found, err := databases(dir)
	if err != nil {
		return 0, err
	}
	newest := 1
	for _, g := range found {
		if g.complete && g.fingerprint == fingerprint {
			newest = max(newest, g.number)
		}
	}
	for path, g := range found {
		if !g.complete || g.fingerprint == fingerprint && g.number < newest {
			if err := remove(path); err != nil {
				return 0, err
			}
		}
	}
	return newest, nil
}

// removeOthers removes the databases of other models than those that a fingerprint names.
func removeOthers(dir, fingerprint string) error {
	found, err := databases(dir)
	if err != nil {
		return err
	}
	for path, g := range found {
		if g.fingerprint != fingerprint {
			err = errors.Join(err, remove(path))
		}
	}
	return err
}

// remove removes a database file and what SQLite keeps beside it. The file itself goes last, so that a
// crash in between leaves something that the next start removes.
func remove(path string) error {
	for _, beside := range []string{"-wal", "-shm", "-journal", sealSuffix, ""} {
		if err := os.Remove(path + beside); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove old read models: %w", err)
		}
	}
	return nil
}

// publish gives a closed database its final name, at once and for good.
func publish(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("publish the rebuilt read models: %w", err)
	}
	if err := sqlite.Sync(filepath.Dir(to)); err != nil {
		return fmt.Errorf("publish the rebuilt read models: %w", err)
	}
	return nil
}
