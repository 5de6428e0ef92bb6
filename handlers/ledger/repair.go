package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"permledger/eventstore"
	"permledger/eventstore/archive"
	"permledger/eventstore/dedup"
	"permledger/eventstore/embedded"
	"permledger/eventstore/repair"
	"permledger/projections"
)

// Repaired says what a repair found and did, or would do.
type Repaired struct {
	// Report is of the whole ledger that both copies hold together.
	eventstore.Report
	// Findings are damages of one copy that the other makes good, Remarks those that are of no record.
	Findings []repair.Finding `json:"findings"`
	Remarks  []string         `json:"remarks,omitempty"`
	// Replaced are the parts of the data directory that were made anew, none when all is sound. SetAside
	// are copies of another log, which the ledger makes again by itself.
	Replaced []string `json:"replaced"`
	SetAside []string `json:"setAside,omitempty"`
	// Kept is the directory that keeps what was replaced, as it was found.
	Kept string `json:"kept,omitempty"`
	// GivenUp is what the ledger lost by it; nil when that is nothing.
	GivenUp *GivenUp `json:"givenUp,omitempty"`
}

// GivenUp says what was given up because nothing better was to be had.
type GivenUp struct {
	AfterPosition uint64 `json:"afterPosition"`
	AfterRecord   uint64 `json:"afterRecord"`
	// LastRecord is the last one that the ledger is known to have had.
	LastRecord uint64 `json:"lastRecord"`
	// Lost are the records that neither copy holds intact. Those between them and after them are kept
	// aside with what was replaced, where they are whole.
	Lost []repair.Range `json:"lost"`
}

// RepairOptions say what a repair may do.
type RepairOptions struct {
	// DryRun only says what would be done.
	DryRun bool
	// GiveUpAfter is the position up to which the ledger is kept although later ones are lost. It must be
	// the one that the refusal names, so that nobody gives up more than they have been told.
	GiveUpAfter *uint64
	// Progress is told how many records have been compared; it may be nil.
	Progress func(done, total uint64)
}

// ErrNothingToGiveUp says that a repair was told to give up a part of a ledger that can be kept whole.
var ErrNothingToGiveUp = errors.New("no record is lost, so there is nothing to give up: run permledger repair without the flag")

// Repair compares the log of a data directory with its archive, record by record, and makes what is
// damaged anew from both. What it replaces is kept aside. It refuses, and changes nothing, when some
// record is intact in neither copy (a *repair.LostError), when they contradict each other (an
// *eventstore.IntegrityError), and when a file cannot be read (an *eventstore.ReadError, which matches
// eventstore.ErrUnavailable). What an interrupted start left behind is settled first.
//
// The new files are built and verified beside the old ones and then moved in place; a repair that is
// interrupted in between is completed by the next one.
func Repair(ctx context.Context, dir string, opts RepairOptions) (result Repaired, err error) {
	lock, err := embedded.LockDir(dir)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if err := embedded.Settle(ctx, dir, streamName, streamSubject); err != nil {
		return result, err
	}
	if !opts.DryRun {
		if err := finishRepairs(dir); err != nil {
			return result, err
		}
	}
	log, err := repair.ReadLog(dir, streamName, streamSubject)
	if err != nil {
		return result, err
	}
	defer log.Close() //nolint:errcheck // it was only read
	second, err := repair.ReadArchive(ArchiveDir(dir))
	if err != nil {
		return result, err
	}
	defer second.Close() //nolint:errcheck // it was only read
	p := &repairing{dir: dir, log: log, archive: second, giveUpAfter: opts.GiveUpAfter, stamp: time.Now().UTC().Format("20060102T150405.000000000Z")}
	if err := p.compare(ctx, opts.Progress); err != nil {
		return p.result, err
	}
	defer os.RemoveAll(p.staging()) //nolint:errcheck // the next repair removes what is left
	if err := p.judge(ctx); err != nil || opts.DryRun || len(p.result.Replaced)+len(p.result.SetAside) == 0 {
		return p.result, err
	}
	if opts.Progress != nil {
		p.progress = func(done uint64) { opts.Progress(done, p.result.Records) }
	}
	err = p.replace(ctx)
	return p.result, err
}

// repairing is a repair under way.
type repairing struct {
	dir          string
	log, archive *repair.Copy
	plan         *repair.Plan
	reached      map[string]eventstore.Cursor // of the log by what is made from it: read models, command ids, snapshot
	unmarked     bool                         // the identity is missing or damaged
	giveUpAfter  *uint64
	stamp        string
	progress     func(done uint64) // of building the log; may be nil
	result       Repaired
}

const (
	stagingPrefix  = "repairing-" // being built; worth nothing
	readyPrefix    = "repaired-"  // built and verified, to be moved in place
	evidencePrefix = "damaged-"   // what was replaced; never removed

	givenUpFile = "given-up.json" // beside what was replaced: a GivenUp
)

func (p *repairing) staging() string { return filepath.Join(p.dir, stagingPrefix+p.stamp) }

// compare finds out what both copies hold together.
func (p *repairing) compare(ctx context.Context, progress func(done, total uint64)) error {
	marks, err := eventstore.ReadMarks(p.dir)
	if errors.Is(err, eventstore.ErrIntegrity) {
		p.remark("%v", err)
	} else if err != nil {
		return err
	}
	p.unmarked = marks.Genesis.IsZero()
	if p.unmarked && err == nil {
		p.remark("the identity file %s is missing", eventstore.IdentityFile)
	}
	p.reached = map[string]eventstore.Cursor{ModelsDir(""): p.modelsReached(ctx)}
	if _, at, err := readSnapshot(p.dir, marks.Ledger); err == nil {
		p.reached[snapshotFile] = at
	}
	reached, err := dedup.Reached(CommandIDsDir(p.dir), marks.Ledger)
	if err != nil {
		return err
	}
	p.reached[CommandIDsDir("")] = reached
	known := repair.Known{Marks: marks, Reached: slices.Collect(maps.Values(p.reached))}
	p.plan, err = repair.Compare(ctx, p.log, p.archive, known, progress)
	if p.giveUpAfter != nil {
		err = p.giveUp(err)
	}
	if err != nil {
		return err
	}
	p.result.Report, p.result.Findings = p.plan.Report, p.plan.Findings
	p.result.Remarks = slices.Concat(p.result.Remarks, p.log.Remarks, p.archive.Remarks)
	return nil
}

// giveUp goes on with the records before a loss, if that is the loss that somebody has been told of.
func (p *repairing) giveUp(refusal error) error {
	lost, ok := errors.AsType[*repair.LostError](refusal)
	switch {
	case refusal == nil:
		return ErrNothingToGiveUp
	case !ok:
		return refusal
	case lost.Prefix == nil || lost.Prefix.Report.Head.Position != *p.giveUpAfter:
		return fmt.Errorf("%d is not the position to give: %w", *p.giveUpAfter, refusal)
	}
	p.plan = lost.Prefix
	at := p.plan.Report.Head
	p.result.GivenUp = &GivenUp{AfterPosition: at.Position, AfterRecord: at.Sequence, LastRecord: lost.Last, Lost: lost.Ranges}
	return nil
}

func (p *repairing) remark(format string, args ...any) {
	p.result.Remarks = append(p.result.Remarks, fmt.Sprintf(format, args...))
}

// modelsReached says how far the read models have taken in the log. Read models that can not be opened
// know nothing.
func (p *repairing) modelsReached(ctx context.Context) eventstore.Cursor {
	if there, err := exists(ModelsDir(p.dir)); err != nil || !there {
		return eventstore.Cursor{}
	}
	models, err := projections.Open(ctx, ModelsDir(p.dir), projections.Options{})
	if err != nil {
		p.remark("the read models cannot be opened: %v", err)
		return eventstore.Cursor{}
	}
	defer models.Close() //nolint:errcheck // nothing was written
	if dropped := models.Witness(); dropped.Sequence > 0 {
		return dropped
	}
	return models.Checkpoint()
}

// judge decides what has to be made anew.
func (p *repairing) judge(ctx context.Context) error {
	logDamaged, archiveDamaged, err := p.damaged(ctx)
	if err != nil {
		return err
	}
	if err := p.setAside(); err != nil {
		return err
	}
	if archiveDamaged {
		p.result.Replaced = append(p.result.Replaced, ArchiveDir(""))
	}
	if logDamaged {
		p.result.Replaced = append(p.result.Replaced, logNames...)
	}
	return nil
}

// derived are copies of the log that the ledger makes again by itself.
var derived = []string{ModelsDir(""), CommandIDsDir(""), snapshotFile}

// setAside finds what was made from another log than the one that is kept.
func (p *repairing) setAside() error {
	for _, name := range derived {
		at, known := p.reached[name]
		fits, err := p.plan.Holds(at)
		if err != nil {
			return err
		}
		there, err := exists(filepath.Join(p.dir, name))
		if err != nil {
			return err
		}
		switch {
		case !there:
			continue
		case p.result.GivenUp != nil:
			p.remark("%s may depend on what is given up; it is built again at the next start", name)
		case known && !fits:
			p.remark("%s was made from another log; it is built again at the next start", name)
		default:
			continue
		}
		p.result.SetAside = append(p.result.SetAside, name)
	}
	return nil
}

// damaged says which copies have to be made anew. Where the records of a copy are all there, its other
// files may still be damaged; that shows when it is opened.
func (p *repairing) damaged(ctx context.Context) (log, second bool, err error) {
	if p.result.GivenUp != nil {
		return true, true, nil
	}
	if log = p.unmarked || p.plan.Damaged(p.log); !log {
		err := p.try(ctx)
		if err != nil && !errors.Is(err, eventstore.ErrIntegrity) {
			return false, false, err
		}
		if log = err != nil; log {
			p.remark("all records of the log are whole, but it cannot be opened: %v", err)
		}
	}
	if second = p.plan.Damaged(p.archive); !second {
		_, err := archive.Verify(ctx, ArchiveDir(p.dir), nil)
		if err != nil && !errors.Is(err, eventstore.ErrIntegrity) {
			return false, false, err
		}
		if second = err != nil; second {
			p.remark("%v", err)
		}
	}
	return log, second, nil
}

// try opens a copy of the log and verifies it; opening may change what is damaged.
func (p *repairing) try(ctx context.Context) error {
	trial := filepath.Join(p.staging(), "trial")
	defer os.RemoveAll(trial) //nolint:errcheck // removed again with everything around it
	if err := os.CopyFS(trial, logFiles{os.DirFS(p.dir)}); err != nil {
		return fmt.Errorf("copy the log: %w", p.unread(trial, err))
	}
	_, err := verified(ctx, trial)
	return err
}

// unread tells a file that could not be read from a copy of it that could not be written.
func (p *repairing) unread(trial string, err error) error {
	at, ok := errors.AsType[*fs.PathError](err)
	if !ok {
		return err
	}
	for inner, ok := errors.AsType[*fs.PathError](at.Err); ok; inner, ok = errors.AsType[*fs.PathError](at.Err) {
		at = inner // the reading is inside the copying
	}
	if strings.HasPrefix(at.Path, trial) {
		return err
	}
	file := at.Path
	if !filepath.IsAbs(file) {
		file = filepath.Join(p.dir, file)
	}
	return &eventstore.ReadError{File: file, Err: at.Err}
}

// logFiles are the files of a log in a data directory.
type logFiles struct{ fs.FS }

// ReadDir leaves out what is not of the log.
func (f logFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(f.FS, name)
	if name == "." {
		entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !slices.Contains(logNames, e.Name()) })
	}
	return entries, err
}

// replace builds what has to be made anew and moves it in place.
func (p *repairing) replace(ctx context.Context) error {
	staging := p.staging()
	if err := os.MkdirAll(staging, 0o700); err != nil {
		return fmt.Errorf("make room: %w", err)
	}
	if slices.Contains(p.result.Replaced, logDir) {
		if _, err := build(ctx, staging, archive.Bytes(p.plan.Records()), p.progress); err != nil {
			return fmt.Errorf("build the log anew: %w", err)
		}
	}
	if slices.Contains(p.result.Replaced, ArchiveDir("")) {
		if err := p.archiveAnew(ctx, ArchiveDir(staging)); err != nil {
			return fmt.Errorf("build the archive anew: %w", err)
		}
	}
	if err := eventstore.SyncTree(staging); err != nil {
		return err
	}
	if err := os.Rename(staging, filepath.Join(p.dir, readyPrefix+p.stamp)); err != nil {
		return fmt.Errorf("finish the repair: %w", err)
	}
	if err := eventstore.SyncDir(p.dir); err != nil {
		return fmt.Errorf("finish the repair: %w", err)
	}
	p.result.Kept = evidencePrefix + p.stamp
	if err := finishRepairs(p.dir); err != nil {
		return err
	}
	for _, name := range p.result.SetAside {
		if err := os.Rename(filepath.Join(p.dir, name), filepath.Join(p.dir, p.result.Kept, name)); err != nil {
			return fmt.Errorf("set aside what is not of this log: %w", err)
		}
	}
	if p.result.GivenUp != nil {
		note := filepath.Join(p.dir, p.result.Kept, givenUpFile)
		if err := eventstore.ReplaceFile(note, func(w io.Writer) error { return json.NewEncoder(w).Encode(p.result.GivenUp) }); err != nil {
			return err
		}
	}
	return eventstore.SyncDir(p.dir)
}

func (p *repairing) archiveAnew(ctx context.Context, dir string) error {
	if _, err := archive.Write(dir, p.plan.Records()); err != nil {
		return err
	}
	report, err := archive.Verify(ctx, dir, nil)
	if err == nil && report.Head != p.result.Head {
		err = &archive.DamageError{Reason: fmt.Sprintf("it ends with record %d, not with record %d", report.Head.Sequence, p.result.Head.Sequence)}
	}
	return err
}

// finishRepairs removes what interrupted repairs had not built completely, and moves in place what they
// had.
func finishRepairs(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for interrupted repairs: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), stagingPrefix) {
			err = os.RemoveAll(filepath.Join(dir, e.Name()))
		} else if stamp, ready := strings.CutPrefix(e.Name(), readyPrefix); ready {
			err = moveInPlace(dir, filepath.Join(dir, e.Name()), filepath.Join(dir, evidencePrefix+stamp))
		}
		if err != nil {
			return fmt.Errorf("finish the repair: %w", err)
		}
	}
	return nil
}

// moveInPlace moves everything in ready to where it belongs, and what was there to evidence. The identity
// comes last, so that a directory in between is refused by everything but a repair.
func moveInPlace(dir, ready, evidence string) error {
	if err := os.MkdirAll(evidence, 0o700); err != nil {
		return err
	}
	for _, name := range append([]string{ArchiveDir("")}, logNames...) {
		if there, err := exists(filepath.Join(ready, name)); err != nil {
			return err
		} else if !there {
			continue
		}
		err := os.Rename(filepath.Join(dir, name), unused(filepath.Join(evidence, name)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Rename(filepath.Join(ready, name), filepath.Join(dir, name)); err != nil {
			return err
		}
		for _, changed := range []string{evidence, dir, ready} {
			if err := eventstore.SyncDir(changed); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(ready); err != nil {
		return err
	}
	return eventstore.SyncDir(dir)
}

// unused gives a path that nothing has yet.
func unused(path string) string {
	free := path
	for n := 2; ; n++ {
		if there, err := exists(free); err != nil || !there {
			return free
		}
		free = fmt.Sprintf("%s.%d", path, n)
	}
}
