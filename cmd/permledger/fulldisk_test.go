package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// smallDisk mounts a file system of 24 MB, or skips the test where that is not possible.
func smallDisk(t *testing.T) (mount string) {
	t.Helper()
	mount = t.TempDir()
	mountSmall(t, mount, "24m")
	return mount
}

// mountSmall mounts a small file system on a directory, or skips the test where that is not possible.
func mountSmall(t *testing.T, where, size string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("no disk is full: mounting a small one needs root")
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", where).CombinedOutput(); err != nil {
		t.Skipf("no disk is full: tmpfs cannot be mounted here: %s", out)
	}
	unmounted(t, where)
}

// room is how much of a disk is free, in bytes.
func room(t *testing.T, mount string) uint64 {
	t.Helper()
	var st syscall.Statfs_t
	require.NoError(t, syscall.Statfs(mount, &st))
	return st.Bfree * uint64(st.Bsize)
}

// ballast takes all room of a disk but so many bytes, and gives the file that does.
func ballast(t *testing.T, mount string, free uint64) string {
	t.Helper()
	path := filepath.Join(mount, "ballast")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	require.NoError(t, err)
	defer f.Close() //nolint:errcheck // what it takes is what counts
	for chunk := make([]byte, 64<<10); room(t, mount) > free; {
		n := min(uint64(len(chunk)), room(t, mount)-free)
		if _, err := f.Write(chunk[:n]); err != nil {
			return path // the server took the last of it
		}
	}
	return path
}

// promptly is how long a program may take to say that a disk is full.
const promptly = 5 * time.Second

// TestG5AFullDiskAtAStartIsToldAtOnce fills a disk while nothing serves: whoever opens the ledger says so,
// changes nothing, and works again as soon as there is room.
func TestG5AFullDiskAtAStartIsToldAtOnce(t *testing.T) {
	t.Parallel()
	mount := smallDisk(t)
	dir := filepath.Join(mount, "data")
	s, admin, buyer := prepared(t, dir)
	w := &written{answers: make(map[string][]byte)}
	for range 20 {
		id := uuid.NewString()
		got, err := exchange(t.Context(), s.url+"/api/commands/PurchaseReservation", http.MethodPost, buyer, id, wanted(1))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, got.status, "%s", got.body)
		w.answers[id] = got.body
	}
	s.kill()
	before := contents(t, dir)
	for _, free := range []uint64{0, 4 << 10, 64 << 10, 600 << 10} {
		full := ballast(t, mount, free)
		for _, args := range [][]string{{"serve", "--listen", "127.0.0.1:0"}, {"verify"}, {"export", filepath.Join(t.TempDir(), "export")}, {"replay"}} {
			began := time.Now()
			r := invoke(t, dir, args...)
			require.Equal(t, exitUnavailable, r.code, "%d bytes free, %v: %s%s", free, args, r.stdout, r.stderr)
			require.Contains(t, r.stderr, "make room")
			if took := time.Since(began); took > promptly {
				late(t, "%v on a full disk: the error took %s, promised are %s", args, took.Round(time.Millisecond), promptly)
			}
		}
		require.NoError(t, os.Remove(full))
	}
	require.Equal(t, before, contents(t, dir), "nothing was changed")
	s = relaunched(t, program, dir)
	require.Empty(t, w.compare(s, admin))
	s.stop()
	verified(t, dir)
}

// TestG5AServerWhoseDiskWasFullServesAgainByItself takes the room away for longer than the first restarts of
// the embedded server last, and gives it back.
func TestG5AServerWhoseDiskWasFullServesAgainByItself(t *testing.T) {
	t.Parallel()
	mount := smallDisk(t)
	count := newTally(t)
	dir := filepath.Join(mount, "data")
	s, admin, buyer := prepared(t, dir)
	for range rounds(1, 5) {
		stop := stubborn(t.Context(), s, buyer, 8)
		full := ballast(t, mount, 0)
		failed := len(mentioning(s.logs.String(), "did not start again"))
		require.Eventually(t, func() bool { return len(mentioning(s.logs.String(), "did not start again")) > failed }, 2*time.Minute, 100*time.Millisecond, "a restart is tried, and finds no room")
		w, findings, _, _ := toldOf(stop())
		require.NoError(t, os.Remove(full))
		require.Eventually(t, func() bool {
			status, h := s.health()
			return status == http.StatusOK && len(h.Warnings) == 0
		}, 2*time.Minute, 100*time.Millisecond, "it is ready again, its archive included")
		position, _ := s.accepted(buyer, "PurchaseReservation", wanted(1))
		s.archives(position)
		findings = append(findings, w.compare(s, admin)...)
		count.add(w.count(), findings)
		require.Empty(t, findings)
	}
	s.stop()
	verified(t, dir)
}

// TestG5AFullDiskIsAnsweredHonestlyAndLosesNothing fills a small file system by buying.
func TestG5AFullDiskIsAnsweredHonestlyAndLosesNothing(t *testing.T) {
	t.Parallel()
	mount := smallDisk(t)
	count := newTally(t)
	dir := filepath.Join(mount, "data")
	s, admin, buyer := prepared(t, dir)
	for round := range rounds(1, 5) {
		stop := stubborn(t.Context(), s, buyer, 64)
		require.Eventually(t, func() bool { return room(t, mount) < 128<<10 }, 2*time.Minute, 10*time.Millisecond)
		time.Sleep(3 * time.Second) // how the program behaves while the disk is full is what is looked at
		ready, err := exchange(t.Context(), s.url+"/readyz", http.MethodGet, "", "", nil)
		require.NoError(t, err)
		w, findings, longest, codes := toldOf(stop())
		s.kill()
		t.Logf("%v, longest answer %s, %s", codes, longest.Round(time.Millisecond), ready.body)
		if codes["integrity-failure"] > 0 {
			t.Errorf("a full disk is told as an integrity failure: %s", ready.body)
		}
		if codes["internal-error"] > 0 {
			t.Errorf("a full disk is told as an internal error:\n%s", mentioning(s.logs.String(), "internal-error"))
		}
		if longest > honestWithin {
			late(t, "full disk: an answer took %s, promised are %s", longest.Round(time.Millisecond), honestWithin)
		}
		out, err := exec.Command("mount", "-o", fmt.Sprintf("remount,size=%dm", 24*(round+2)), mount).CombinedOutput()
		require.NoError(t, err, "%s", out)
		s = relaunched(t, program, dir)
		findings = append(findings, w.compare(s, admin)...)
		count.add(w.count(), findings)
		require.Empty(t, findings)
	}
	s.stop()
	verified(t, dir)
}
