package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"permledger/eventstore"
	"permledger/eventstore/archive"
	"permledger/eventstore/dedup"
	"permledger/eventstore/embedded"
)

// repairIt is what to do about damage that the ledger cannot make good itself.
const repairIt = "stop the ledger and run permledger repair"

// scrubbed lists everything on the disk that decisions or proofs rest on.
func (l *Ledger) scrubbed() []part {
	dir := l.config.Dir
	size := func(of string) func() int64 { return func() int64 { return sizeOf(filepath.Join(dir, of)) } }
	parts := []part{
		{"head mark", size(eventstore.HeadMarkFile), l.checkMark},
		{"identity", size(eventstore.IdentityFile), l.checkIdentity},
		{"snapshot", size(snapshotFile), l.checkSnapshot},
		{"command ids", size(CommandIDsDir("")), l.checkIDs},
	}
	if l.config.External.URL != "" {
		return append(parts, part{"log", l.sizeOnServers, l.checkServersLog})
	}
	return append(parts,
		part{"settings of the stream", func() int64 { return 0 }, l.checkSettings},
		part{"index of the stream", func() int64 { return 0 }, l.checkIndex},
		part{"log", size(logDir), l.checkLog},
		part{"archive", size(ArchiveDir("")), l.checkArchive},
	)
}

// sizeOf is how many bytes a file, or everything below a directory, has.
func sizeOf(path string) (size int64) {
	_ = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil //nolint:nilerr // whoever reads it says so
		}
		if info, err := e.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size
}

func (l *Ledger) sizeOnServers() int64 {
	bytes, err := l.store.Log.StoredBytes(context.Background())
	if err != nil {
		return 0 // whoever reads it says so
	}
	return int64(bytes)
}

func (l *Ledger) checkMark(_ context.Context, p *pass) error {
	differs, err := l.store.Log.CheckMark()
	if differs {
		p.found("%s did not hold what had been written into it; it was written again: check the disk", eventstore.HeadMarkFile)
	}
	return err
}

func (l *Ledger) checkIdentity(ctx context.Context, p *pass) error {
	fits, err := certain(ctx, func() (bool, error) {
		differs, err := l.store.Log.CheckIdentity()
		return !differs, err
	})
	if err == nil && !fits {
		p.found("%s does not say which ledger this is; before the next start, %s", eventstore.IdentityFile, repairIt)
	}
	return err
}

// checkSnapshot compares the snapshot with its checksum, and has a damaged one written again from the state.
func (l *Ledger) checkSnapshot(ctx context.Context, p *pass) error {
	whole, err := certain(ctx, func() (bool, error) {
		return snapshotWhole(filepath.Join(l.config.Dir, snapshotFile), p.each)
	})
	if err == nil && !whole {
		p.found("the snapshot does not match its checksum; it is being written again: check the disk")
		select {
		case l.resnap <- struct{}{}:
		default: // it was asked for already
		}
	}
	return err
}

func snapshotWhole(path string, each func(int) error) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // it only saves time
	}
	if err != nil {
		return false, err
	}
	f, err := eventstore.OpenUncached(path, each)
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	computed := sha256.New()
	if _, err := io.CopyN(computed, f, max(info.Size()-sha256.Size, 0)); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	sum, err := io.ReadAll(f)
	return bytes.Equal(sum, computed.Sum(nil)), err
}

// checkIDs reads the segments of command ids. One that is damaged is made again from the log in the background.
func (l *Ledger) checkIDs(ctx context.Context, p *pass) error {
	err := l.ids.Check(ctx, p.each)
	if _, damaged := errors.AsType[*dedup.DamageError](err); damaged {
		p.found("%v; they are being built again from the log: check the disk", err)
		return nil
	}
	return err
}

func (l *Ledger) checkSettings(ctx context.Context, p *pass) error {
	fits, err := certain(ctx, l.undisturbed(func() (bool, error) {
		return embedded.SettingsFit(l.config.Dir, streamName, p.read)
	}))
	if err == nil && !fits {
		p.found("the settings of the log's stream, meta.inf, do not match their checksum, meta.sum; before the next start, %s", repairIt)
	}
	return err
}

func (l *Ledger) checkIndex(ctx context.Context, p *pass) error {
	fits, err := certain(ctx, l.undisturbed(func() (bool, error) {
		return embedded.IndexFits(l.config.Dir, streamName, p.read)
	}))
	if err == nil && !fits {
		p.found("the index of the log's stream, index.db, does not match its checksum; the server will write it again: check the disk")
	}
	return err
}

// errRestarted says that nobody can tell damage from a file that is moved.
var errRestarted = errors.New("the embedded server was restarted meanwhile")

// undisturbed is a look at the files of the embedded server that calls nothing damaged while it is restarted.
func (l *Ledger) undisturbed(look func() (fits bool, err error)) func() (bool, error) {
	return func() (bool, error) {
		before := l.store.server.Generation()
		fits, err := look()
		if err == nil && !fits && (before%2 == 1 || l.store.server.Generation() != before) {
			err = errRestarted
		}
		return fits, err
	}
}

// checkLog reads the files of the log, record by record up to the head as it is now, and asks the server how
// many it counts. What a record says must fit the server's checksum and the one before it. Damage stops the
// ledger: it must not go on writing behind a record that is not there any more.
func (l *Ledger) checkLog(ctx context.Context, p *pass) error {
	err := l.checkBlocks(ctx, p)
	if err == nil {
		err = l.store.Log.CheckCounts(ctx)
	}
	if errors.Is(err, eventstore.ErrIntegrity) {
		l.fail(err)
		p.found("%v; %s", err, repairIt)
		return nil
	}
	return err
}

func (l *Ledger) checkBlocks(ctx context.Context, p *pass) error {
	head := l.writer.Head()
	var blocks []embedded.Block
	there, err := certain(ctx, l.undisturbed(func() (_ bool, err error) {
		blocks, err = embedded.Blocks(l.config.Dir, streamName)
		return len(blocks) > 0, err
	}))
	if err != nil {
		return err
	}
	if !there {
		return &eventstore.IntegrityError{Position: 1, Sequence: 1, Reason: "the log has no files"}
	}
	at := eventstore.Cursor{}
	for i := 0; i < len(blocks) && at.Sequence < head.Sequence; i++ {
		var end eventstore.Cursor
		var wrong string
		whole, err := certain(ctx, l.undisturbed(func() (_ bool, err error) {
			end, wrong, err = l.checkBlock(blocks[i], at, head, i == len(blocks)-1, p)
			return wrong == "", err
		}))
		if err != nil {
			return err
		}
		if !whole {
			return &eventstore.IntegrityError{Position: end.Position + 1, Sequence: end.Sequence + 1, Reason: wrong}
		}
		at = end
	}
	return nil
}

// checkBlock reads the records of one file, from one on up to the head. It returns where they end, and what
// is wrong with the one after that.
func (l *Ledger) checkBlock(b embedded.Block, from, head eventstore.Cursor, last bool, p *pass) (eventstore.Cursor, string, error) {
	name := filepath.Base(b.File)
	content, err := p.read(b.File)
	if errors.Is(err, fs.ErrNotExist) {
		return from, fmt.Sprintf("its file %s is gone", name), nil
	}
	if err != nil {
		return from, "", err
	}
	ledger, genesis, _ := l.store.Log.Ledger()
	checker := eventstore.NewChecker(from, ledger)
	wrong, damaged := "", "records are missing before the next one that is whole"
	err = b.Scan(content, streamSubject, func(f embedded.Found) error {
		next := checker.At().Sequence + 1
		switch {
		case wrong != "" || next > head.Sequence || f.Whole && f.Sequence < next:
			return nil
		case !f.Whole:
			damaged = "its checksum in the server's file does not hold"
			return nil
		case f.Sequence > next:
			wrong = damaged
			return nil
		}
		s, err := checker.Next(content[f.Offset : f.Offset+f.Length])
		fault, isFault := errors.AsType[*eventstore.IntegrityError](err)
		switch {
		case isFault:
			wrong = fault.Reason
		case err == nil && next == 1 && s.Hash != genesis:
			wrong = "it is not the first record of this ledger"
		}
		return nil
	})
	if at := checker.At(); wrong == "" && last && at.Sequence < head.Sequence {
		wrong = damaged
	}
	if wrong != "" {
		wrong += " (" + name + ")"
	}
	return checker.At(), wrong, err
}

// checkServersLog reads the log through the servers of a cluster, each of which checks and heals its own
// files. What it finds is the log's to doubt and to confirm.
func (l *Ledger) checkServersLog(ctx context.Context, p *pass) error {
	for s, err := range l.store.Log.Outlines(ctx, eventstore.Cursor{}) {
		if err == nil {
			err = p.each(len(s.Bytes))
		}
		if err != nil {
			return err
		}
	}
	return l.store.Log.CheckCounts(ctx)
}

// checkArchive reads the archive and looks whether it still reaches as far as it did.
func (l *Ledger) checkArchive(ctx context.Context, p *pass) error {
	must := l.archive.Status().At
	damaged := false
	at, err := archive.Check(ctx, ArchiveDir(l.config.Dir), p.each, func(e *archive.DamageError) {
		damaged = true
		p.found("%v; %s", e, repairIt)
	})
	if err == nil && !damaged && at.Sequence < must.Sequence {
		p.found("the archive ends with record %d, but record %d had been archived; %s", at.Sequence, must.Sequence, repairIt)
	}
	return err
}
