package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// disk is a file system in a file, on a loop device, that can lose its power.
type disk struct {
	t            *testing.T
	image, mount string
}

// imageBytes is the size of a disk: xfs wants no less than 300 MB. The file is sparse.
const imageBytes = 512 << 20

// newDisk makes a file system and mounts it, or skips the test where that is not possible.
func newDisk(t *testing.T, kind string) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("power is not cut: mounting a disk image needs root")
	}
	maker, err := exec.LookPath("mkfs." + kind)
	if err != nil {
		t.Skipf("power is not cut on %s: there is no mkfs.%s here", kind, kind)
	}
	d := &disk{t: t, image: filepath.Join(t.TempDir(), "image"), mount: t.TempDir()}
	unmounted(t, d.mount)
	require.NoError(t, os.WriteFile(d.image, nil, 0o600))
	require.NoError(t, os.Truncate(d.image, imageBytes))
	out, err := exec.Command(maker, "-q", d.image).CombinedOutput()
	require.NoError(t, err, "%s", out)
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.mount).CombinedOutput(); err != nil {
		t.Skipf("power is not cut on %s: the image can not be mounted here: %s", kind, out)
	}
	return d
}

// data is a data directory on the disk.
func (d *disk) data() string { return filepath.Join(d.mount, "data") }

// cut switches the file system off: what was not written out is lost.
func (d *disk) cut() {
	d.t.Helper()
	const shutdown, withoutLog = 0x8004587d, 2 // FS_IOC_SHUTDOWN, FS_SHUTDOWN_FLAGS_NOLOGFLUSH
	root, err := os.Open(d.mount)
	require.NoError(d.t, err)
	err = unix.IoctlSetPointerInt(int(root.Fd()), shutdown, withoutLog)
	require.NoError(d.t, errors.Join(err, root.Close()))
}

// restore mounts the disk again, as after the power came back.
func (d *disk) restore() {
	d.t.Helper()
	out, err := exec.Command("umount", d.mount).CombinedOutput()
	require.NoError(d.t, err, "%s", out)
	out, err = exec.Command("mount", "-o", "loop", d.image, d.mount).CombinedOutput()
	require.NoError(d.t, err, "%s", out)
}

// written is what writers were told: the body of each acknowledged command by its id.
type written struct {
	mu      sync.Mutex
	answers map[string][]byte // guarded by mu
	open    []string          // ids without an answer; guarded by mu
	last    string            // an answer that was none; guarded by mu
	dark    bool              // the power is gone: what is answered now, nobody hears; guarded by mu
}

// write keeps so many purchases in flight until the server answers no more.
func (w *written) write(s *server, token string, writers int) *sync.WaitGroup {
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for {
				id := uuid.NewString()
				got, err := exchange(context.Background(), s.url+"/api/commands/PurchaseReservation", http.MethodPost, token, id, wanted(1))
				w.mu.Lock()
				dark := w.dark
				if err == nil && got.status == http.StatusOK && !dark {
					w.answers[id] = got.body
				} else {
					w.open, w.last = append(w.open, id), fmt.Sprintf("%d %s %v", got.status, got.body, err)
				}
				w.mu.Unlock()
				if err != nil || dark {
					return
				}
				if got.status != http.StatusOK {
					time.Sleep(20 * time.Millisecond) // as Retry-After would have it, but sooner
				}
			}
		})
	}
	return &running
}

// darken ends what counts as acknowledged. A sync that overlaps the cut may say yes on the file systems
// used here although nothing was written, which a machine without power would not live to tell.
func (w *written) darken() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dark = true
}

func (w *written) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.answers)
}

// compare asks a server for every command by its id, with the token of an agent, and once more for the ones
// it lacks before it calls them lost: what was acknowledged has the same answer, and what was not has all of
// its events or none.
func (w *written) compare(s *server, token string) (findings []finding) {
	for id, body := range w.answers {
		path := s.url + "/api/commands/" + id
		got, err := exchange(context.Background(), path, http.MethodGet, token, "", nil)
		if err != nil || got.status != http.StatusOK {
			got, err = exchange(context.Background(), path, http.MethodGet, token, "", nil)
		}
		var was, is struct {
			Position uint64           `json:"position"`
			Events   []map[string]any `json:"events"`
		}
		switch {
		case err != nil || got.status != http.StatusOK:
			findings = append(findings, finding{lost, fmt.Sprintf("%s was told %.100s, is %d %s at position %s: %v", id, body, got.status, got.body, got.header.Get("Ledger-Position"), err)})
		case unmarshal(body, &was) != nil || unmarshal(got.body, &is) != nil || was.Position != is.Position || len(was.Events) != len(is.Events):
			findings = append(findings, finding{wrong, id + " was told " + string(body) + ", is " + string(got.body)})
		}
	}
	for _, id := range w.open {
		got, err := exchange(context.Background(), s.url+"/api/commands/"+id, http.MethodGet, token, "", nil)
		if err != nil || got.status == http.StatusOK && strings.Count(string(got.body), `"type":"CustomerPurchasedReservation"`) != 1 {
			findings = append(findings, finding{wrong, id + " has a part of its events: " + string(got.body)})
		}
	}
	return findings
}

// outage is a round: load, a cut of the power at a random moment, and what is there afterwards.
func (d *disk) outage(binary, buyer string, s *server, atLeast int) (*server, *written) {
	d.t.Helper()
	w := &written{answers: make(map[string][]byte)}
	running := w.write(s, buyer, 64)
	for deadline := time.Now().Add(patience); w.count() < atLeast; {
		if time.Now().After(deadline) {
			w.darken()
			s.kill()
			running.Wait()
			d.t.Fatalf("%d of %d are acknowledged; the last other answer: %s\n%s", w.count(), atLeast, w.last, s.logs)
		}
		time.Sleep(time.Millisecond)
	}
	w.darken()
	d.cut()
	s.kill()
	running.Wait()
	d.restore()
	again, err := launch(d.t, binary, d.data(), patience)
	if err != nil {
		d.t.Logf("after the power came back: %v", err)
		return nil, w
	}
	return again, w
}

func TestG1NothingAcknowledgedIsMissingAfterAPowerLoss(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			random := seeded(t)
			d := newDisk(t, kind)
			count := newTally(t)
			s, admin, buyer := prepared(t, d.data())
			all := &written{answers: make(map[string][]byte)}
			for round := range rounds(2, 50) {
				var w *written
				s, w = d.outage(program, buyer, s, 1+random.IntN(1000))
				require.NotNil(t, s, "it starts")
				findings := w.compare(s, admin)
				count.add(w.count(), findings)
				require.Empty(t, findings)
				maps.Copy(all.answers, w.answers)
				t.Logf("round %d: %d acknowledged", round, w.count())
				s.kill()
				succeeds(t, d.data(), "-q", "verify")
				s = relaunched(t, program, d.data())
			}
			require.Empty(t, all.compare(s, admin), "what was acknowledged before any of the cuts")
			s.stop()
			verified(t, d.data())
		})
	}
}

// TestG1AStoreThatDoesNotSyncIsCaughtByAPowerLoss shows that the disk really loses what was not synced.
func TestG1AStoreThatDoesNotSyncIsCaughtByAPowerLoss(t *testing.T) {
	t.Parallel()
	d := newDisk(t, "ext4")
	binary := brokenProgram(t, change{"eventstore/embedded/server.go", "!opts.Unsynced,", "false,"})
	s, admin, buyer := prepared(t, d.data())
	s.stop()
	s = relaunched(t, binary, d.data())
	s, w := d.outage(binary, buyer, s, 1000)
	require.NotNil(t, s, "it starts, ready or not")
	findings := w.compare(s, admin)
	t.Logf("%d of %d acknowledged commands are lost", len(findings), w.count())
	require.Contains(t, kinds(findings), lost)
}
