package ledger

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"permledger/eventstore"
)

// Cleaned says what a repair of a cluster's log found and did, or would do.
type Cleaned struct {
	// Report is of the records of the ledger, all of which are kept.
	eventstore.Report
	// Foreign are the messages that somebody else had published among them.
	Foreign []eventstore.Foreign `json:"foreign"`
	// Kept is the directory that keeps them, and a copy of the records; empty when nothing was changed.
	Kept string `json:"kept,omitempty"`
}

// The files of a repair of a cluster's log, in a directory of its own.
const (
	cleaningPrefix = "foreign-"
	ownFile        = "records.jsonl" // an export of the ledger
	foreignFile    = "foreign.jsonl"
	cleaningFile   = "repair.json" // says what is to be done; written when the others are complete
)

// cleaning is what an interrupted repair needs to go on.
type cleaning struct {
	Sifted eventstore.Sifted `json:"sifted"`
	Done   bool              `json:"done"`
}

// RepairCluster takes what was not written by the ledger out of its log on a cluster. The records are first
// copied into the data directory, then the stream is made anew from the copy; the foreign messages are kept
// there too. Nodes that serve the ledger go on by themselves once the stream is complete. With dryRun it only
// says what it would do. A repair that is interrupted is continued by the next one.
//
// It returns an *eventstore.IntegrityError, and changes nothing, when records of the ledger are missing.
func RepairCluster(ctx context.Context, config Config, dryRun bool, progress func(done, total uint64)) (result Cleaned, err error) {
	s := &Store{}
	js, _, err := s.carry(ctx, config)
	if err != nil {
		return result, errors.Join(err, s.Close())
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	options := config.options()
	r := &clusterRepair{dir: config.Dir, result: &result}
	begun, err := r.begun()
	if err != nil {
		return result, err
	}
	if begun == nil {
		marks, err := eventstore.ReadMarks(config.Dir)
		if err != nil {
			return result, err
		}
		if err := r.open(dryRun); err != nil {
			return result, err
		}
		sifted, err := eventstore.Sift(ctx, js, options, marks, r.own, r.foreign)
		result.Report = sifted.Report
		if err == nil {
			begun, err = r.finishCopy(sifted, dryRun)
		}
		if err != nil || begun == nil {
			return result, errors.Join(err, r.discard())
		}
	}
	result.Report, result.Kept = begun.Sifted.Report, filepath.Base(r.into)
	if dryRun {
		return result, nil
	}
	file, err := os.Open(filepath.Join(r.into, ownFile))
	if err != nil {
		return result, fmt.Errorf("read the copy of the log: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	var done func(uint64)
	if progress != nil {
		done = func(n uint64) { progress(n, begun.Sifted.Records) }
	}
	if err := eventstore.Rebuild(ctx, js, options, begun.Sifted, eventstore.Lines(file), done); err != nil {
		return result, fmt.Errorf("create the stream again; run the same command again with the same --data to continue from the copy in %s: %w", r.into, err)
	}
	begun.Done = true
	return result, r.note(begun)
}

// clusterRepair writes down what a stream holds.
type clusterRepair struct {
	dir, into string
	files     [2]*os.File
	out       [2]*bufio.Writer // own records, foreign messages
	result    *Cleaned
}

// begun looks for a repair that was not finished.
func (r *clusterRepair) begun() (*cleaning, error) {
	found, err := filepath.Glob(filepath.Join(r.dir, cleaningPrefix+"*", cleaningFile))
	if err != nil {
		return nil, fmt.Errorf("look for interrupted repairs: %w", err)
	}
	for _, path := range found {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read an interrupted repair: %w", err)
		}
		var c cleaning
		if err := json.Unmarshal(b, &c); err != nil {
			return nil, fmt.Errorf("read an interrupted repair: %s: %w", path, err)
		}
		if c.Done {
			continue
		}
		r.into = filepath.Dir(path)
		return &c, r.recall()
	}
	return nil, nil
}

// recall reads the foreign messages that an interrupted repair has kept.
func (r *clusterRepair) recall() error {
	file, err := os.Open(filepath.Join(r.into, foreignFile))
	if err != nil {
		return fmt.Errorf("read an interrupted repair: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	for d := json.NewDecoder(file); ; {
		var f eventstore.Foreign
		if err := d.Decode(&f); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an interrupted repair: %w", err)
		}
		r.result.Foreign = append(r.result.Foreign, f)
	}
}

// open makes the directory for the copy; a dry run writes nothing.
func (r *clusterRepair) open(dryRun bool) error {
	if dryRun {
		return nil
	}
	r.into = filepath.Join(r.dir, cleaningPrefix+strings.ReplaceAll(time.Now().UTC().Format("20060102T150405.000000000"), ".", "-"))
	if err := os.Mkdir(r.into, 0o700); err != nil {
		return fmt.Errorf("make room for a copy of the log: %w", err)
	}
	for i, name := range []string{ownFile, foreignFile} {
		file, err := os.OpenFile(filepath.Join(r.into, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("copy the log: %w", err)
		}
		r.files[i], r.out[i] = file, bufio.NewWriterSize(file, 1<<18)
	}
	return nil
}

func (r *clusterRepair) own(s eventstore.Stored) error { return r.line(0, s.Bytes) }

func (r *clusterRepair) foreign(f eventstore.Foreign) error {
	r.result.Foreign = append(r.result.Foreign, f)
	b, err := json.Marshal(&f)
	if err != nil {
		return fmt.Errorf("keep a foreign message: %w", err)
	}
	return r.line(1, b)
}

func (r *clusterRepair) line(file int, b []byte) error {
	out := r.out[file]
	if out == nil {
		return nil
	}
	_, _ = out.Write(b) // the writer keeps the error
	if err := out.WriteByte('\n'); err != nil {
		return fmt.Errorf("copy the log: %w", err)
	}
	return nil
}

// finishCopy makes the copy durable, reads it again and notes what is to be done. It gives nothing when there
// is nothing to do.
func (r *clusterRepair) finishCopy(sifted eventstore.Sifted, dryRun bool) (*cleaning, error) {
	if dryRun || sifted.Foreign == 0 {
		return nil, nil
	}
	for i := range r.files {
		if err := errors.Join(r.out[i].Flush(), r.files[i].Sync(), r.files[i].Close()); err != nil {
			return nil, fmt.Errorf("copy the log: %w", err)
		}
		r.files[i] = nil
	}
	if err := r.check(sifted); err != nil {
		return nil, err
	}
	c := &cleaning{Sifted: sifted}
	if err := r.note(c); err != nil {
		return nil, err
	}
	return c, eventstore.SyncDir(r.dir)
}

// check reads the copy: the stream is removed on the strength of it.
func (r *clusterRepair) check(sifted eventstore.Sifted) error {
	file, err := os.Open(filepath.Join(r.into, ownFile))
	if err != nil {
		return fmt.Errorf("read the copy of the log: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	checker := eventstore.NewChecker(eventstore.Cursor{}, sifted.Ledger)
	for b, err := range eventstore.Lines(file) {
		if err == nil {
			_, err = checker.Next(b)
		}
		if err != nil {
			return fmt.Errorf("read the copy of the log: %w", err)
		}
	}
	if checker.At() != sifted.Head {
		return fmt.Errorf("the copy of the log ends with record %d, not with record %d", checker.At().Sequence, sifted.Head.Sequence)
	}
	return nil
}

func (r *clusterRepair) note(c *cleaning) error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("note the repair: %w", err)
	}
	return eventstore.ReplaceFile(filepath.Join(r.into, cleaningFile), func(w io.Writer) error {
		_, err := w.Write(append(b, '\n'))
		return err
	})
}

// discard removes a copy that is not needed.
func (r *clusterRepair) discard() error {
	for _, f := range r.files {
		if f != nil {
			_ = f.Close()
		}
	}
	if r.into == "" {
		return nil
	}
	return os.RemoveAll(r.into)
}
