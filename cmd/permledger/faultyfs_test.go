package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
)

// trouble is what is wrong with a disk now. It concerns the log's own files; the zero value is none.
type trouble struct {
	name  string
	file  string        // the only file it concerns, by its name; all blocks when empty
	sync  int           // the n-th sync from now fails
	write int           // the n-th write from now fails
	read  int           // the n-th read from now fails
	open  int           // opening it fails for the n-th time from now
	stays bool          // and so does every later one
	errno syscall.Errno // what it fails with
	slow  time.Duration // every sync takes so long
}

// faultyDisk is a directory whose files fail on demand.
type faultyDisk struct {
	mu      sync.Mutex
	trouble trouble // guarded by mu
	struck  int     // calls that failed or were slow; guarded by mu
}

func (d *faultyDisk) set(now trouble) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble, d.struck = now, 0
}

func (d *faultyDisk) strikes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.struck
}

// fate says what becomes of a call, which counts down to its failure.
func (d *faultyDisk) fate(path string, countdown func(*trouble) *int) (time.Duration, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if file := d.trouble.file; file != "" && filepath.Base(path) != file || file == "" && !strings.HasSuffix(path, ".blk") {
		return 0, 0
	}
	n := countdown(&d.trouble)
	if *n > 1 {
		*n--
		return 0, 0
	}
	if *n == 1 {
		d.struck++
		if !d.trouble.stays {
			*n = 0
		}
		return 0, d.trouble.errno
	}
	if d.trouble.slow > 0 {
		d.struck++
	}
	return d.trouble.slow, 0
}

// faultyNode and faultyFile pass everything on to the files below, but for what the disk's trouble says.
type faultyNode struct {
	*fs.LoopbackNode
	disk *faultyDisk
}

type faultyFile struct {
	*fs.LoopbackFile
	disk *faultyDisk
	path string
}

var (
	_ fs.NodeOpener          = (*faultyNode)(nil)
	_ fs.NodeCreater         = (*faultyNode)(nil)
	_ fs.FileReader          = (*faultyFile)(nil)
	_ fs.FileWriter          = (*faultyFile)(nil)
	_ fs.FileFsyncer         = (*faultyFile)(nil)
	_ fs.FilePassthroughFder = (*faultyFile)(nil)
)

func (n *faultyNode) WrapChild(_ context.Context, below fs.InodeEmbedder) fs.InodeEmbedder {
	return &faultyNode{below.(*fs.LoopbackNode), n.disk}
}

func (n *faultyNode) wrap(h fs.FileHandle, name string) fs.FileHandle {
	if f, ok := h.(*fs.LoopbackFile); ok {
		return &faultyFile{f, n.disk, name}
	}
	return h
}

func (n *faultyNode) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if _, errno := n.disk.fate(n.Path(n.Root()), func(t *trouble) *int { return &t.open }); errno != 0 {
		return nil, 0, errno
	}
	h, flags, errno := n.LoopbackNode.Open(ctx, flags)
	return n.wrap(h, n.Path(n.Root())), flags, errno
}

func (n *faultyNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	inode, h, flags, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	return inode, n.wrap(h, name), flags, errno
}

func (f *faultyFile) PassthroughFd() (int, bool) { return 0, false } // no way around the faults

func (f *faultyFile) Read(ctx context.Context, buf []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if _, errno := f.disk.fate(f.path, func(t *trouble) *int { return &t.read }); errno != 0 {
		return nil, errno
	}
	return f.LoopbackFile.Read(ctx, buf, off)
}

func (f *faultyFile) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	if _, errno := f.disk.fate(f.path, func(t *trouble) *int { return &t.write }); errno != 0 {
		return 0, errno
	}
	return f.LoopbackFile.Write(ctx, data, off)
}

func (f *faultyFile) Fsync(ctx context.Context, flags uint32) syscall.Errno {
	slow, errno := f.disk.fate(f.path, func(t *trouble) *int { return &t.sync })
	if errno != 0 {
		return errno
	}
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
		}
	}
	return f.LoopbackFile.Fsync(ctx, flags)
}

// mountFaulty mounts a disk that can be told to fail, or skips the test where that is not possible.
func mountFaulty(t *testing.T) (*faultyDisk, string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("no disk fails: mounting one needs root")
	}
	disk := &faultyDisk{}
	below, mount := t.TempDir(), t.TempDir()
	unmounted(t, mount)
	var st syscall.Stat_t
	require.NoError(t, syscall.Stat(below, &st))
	data := &fs.LoopbackRoot{Path: below, Dev: st.Dev}
	root := &faultyNode{&fs.LoopbackNode{RootData: data}, disk}
	data.RootNode = root
	server, err := fs.Mount(mount, root, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "faulty", Name: "faulty"}})
	if err != nil {
		t.Skipf("no disk fails: FUSE can not be mounted here: %v", err)
	}
	t.Cleanup(func() {
		disk.set(trouble{})
		_ = server.Unmount() // where it is busy, it is unmounted all the same
	})
	return disk, mount
}

// attempt is a request and how long its answer took.
type attempt struct {
	id     string
	status int
	code   string
	body   []byte
	took   time.Duration
}

// stubborn sends purchases, whatever the answers are, until it is told to stop.
func stubborn(ctx context.Context, s *server, token string, writers int) (stop func() []attempt) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	var mu sync.Mutex
	var all []attempt
	for range writers {
		running.Go(func() {
			for ctx.Err() == nil {
				a := attempt{id: uuid.NewString()}
				sent := time.Now()
				got, err := exchange(context.WithoutCancel(ctx), s.url+"/api/commands/PurchaseReservation", http.MethodPost, token, a.id, wanted(1))
				a.took, a.status, a.body = time.Since(sent), got.status, got.body
				if err != nil {
					a.code = err.Error()
				} else if got.status != http.StatusOK {
					var said struct{ Code string }
					_ = unmarshal(got.body, &said)
					a.code = said.Code
				}
				mu.Lock()
				all = append(all, a)
				mu.Unlock()
				if a.status == http.StatusServiceUnavailable { // as Retry-After would have it, but sooner
					select {
					case <-time.After(20 * time.Millisecond):
					case <-ctx.Done():
					}
				}
			}
		})
	}
	return func() []attempt {
		cancel()
		running.Wait()
		return all
	}
}

// toldOf sorts attempts into what was acknowledged and what was left open, and finds answers that no disk
// excuses. It gives the longest wait as well, and how often each answer came.
func toldOf(attempts []attempt) (w *written, findings []finding, longest time.Duration, codes map[string]int) {
	w = &written{answers: make(map[string][]byte)}
	codes = make(map[string]int)
	for _, a := range attempts {
		longest = max(longest, a.took)
		switch {
		case a.status == http.StatusOK:
			w.answers[a.id] = a.body
			codes["accepted"]++
			continue
		case a.status == http.StatusServiceUnavailable && slices.Contains([]string{"outcome-unknown", "ledger-unavailable", "ledger-busy", "integrity-failure"}, a.code):
		case a.code == "internal-error": // the caller says what it thinks of it

		default:
			findings = append(findings, finding{wrong, fmt.Sprintf("answer %d %s %s", a.status, a.code, a.body)})
		}
		codes[a.code]++
		w.open = append(w.open, a.id)
	}
	return w, findings, longest, codes
}

// mentioning gives the lines of a log that hold a text.
func mentioning(log, text string) string {
	var lines []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// honestWithin is how long an answer may take while the disk fails, 503 rather than silence: two seconds,
// and a half for processors that other tests use as well.
const honestWithin = 2500 * time.Millisecond

func TestG5AFailingDiskIsAnsweredHonestlyAndLosesNothing(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	disk, mount := mountFaulty(t)
	count := newTally(t)
	dir := filepath.Join(mount, "data")
	s, admin, buyer := prepared(t, dir)
	slowest := make(map[string]time.Duration)
	for round := range rounds(5, 50) {
		now := troubles(random)[round%5]
		var r strain
		s, r = disk.strain(t, program, dir, admin, buyer, s, now)
		slowest[now.name] = max(slowest[now.name], r.longest)
		count.add(r.acknowledged, r.findings)
		require.Empty(t, r.findings, now.name)
		if n := r.codes["integrity-failure"] + r.codes["internal-error"]; n > 0 {
			t.Errorf("%s is told as an integrity failure or an internal error %d times", now.name, n)
		}
	}
	s.stop()
	verified(t, dir)
	for _, name := range slices.Sorted(maps.Keys(slowest)) {
		if slowest[name] > honestWithin {
			late(t, "%s: an answer took %s, promised are %s", name, slowest[name].Round(time.Millisecond), honestWithin)
		}
	}
}

// strain is what came of a trouble.
type strain struct {
	acknowledged int
	longest      time.Duration
	codes        map[string]int // how often each answer came
	findings     []finding
}

// strain lets a disk fail under load, kills the program, starts it again on a disk that is well, and
// compares.
func (d *faultyDisk) strain(t *testing.T, binary, dir, admin, buyer string, s *server, now trouble) (*server, strain) {
	t.Helper()
	stop := stubborn(t.Context(), s, buyer, 8)
	d.set(now)
	require.Eventually(t, func() bool { return d.strikes() > 0 }, patience, time.Millisecond, now.name)
	time.Sleep(3 * time.Second) // how the program behaves while the trouble lasts is what is looked at
	attempts := stop()
	d.set(trouble{})
	s.kill()
	w, findings, longest, codes := toldOf(attempts)
	t.Logf("%s: %v, longest answer %s", now.name, codes, longest.Round(time.Millisecond))
	s = relaunched(t, binary, dir)
	return s, strain{w.count(), longest, codes, append(findings, w.compare(s, admin)...)}
}

// TestG5AProgramThatTakesSilenceForSuccessIsCaught breaks the store: an append without a clear answer
// counts as stored.
func TestG5AProgramThatTakesSilenceForSuccessIsCaught(t *testing.T) {
	t.Parallel()
	disk, mount := mountFaulty(t)
	binary := brokenProgram(t, change{"eventstore/append.go", "\t\t\tinFlight = true\n", "\t\t\treturn stored, nil\n"})
	dir := filepath.Join(mount, "data")
	s, admin, buyer := prepared(t, dir)
	s.stop()
	_, r := disk.strain(t, binary, dir, admin, buyer, relaunched(t, binary, dir), troubles(seeded(t))[3])
	require.Contains(t, kinds(r.findings), lost)
}

// troubles are what may happen to a disk, at a random moment.
func troubles(random *rand.Rand) []trouble {
	soon := 1 + random.IntN(50)
	return []trouble{
		{name: "one sync fails", sync: soon, errno: syscall.EIO},
		{name: "one write fails", write: soon, errno: syscall.EIO},
		{name: "every sync fails", sync: soon, stays: true, errno: syscall.EIO},
		{name: "no space left", write: soon, stays: true, errno: syscall.ENOSPC},
		{name: "every sync takes three seconds", slow: 3 * time.Second},
	}
}
