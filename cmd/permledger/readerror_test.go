package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// unopened is a ledger whose server was killed, with a log of two files, and nobody has opened it since.
type unopened struct {
	dir          string
	acknowledged int
	head         string // as verify finds it on a disk that is well
}

func newUnopened(t *testing.T) *unopened {
	t.Helper()
	u := &unopened{dir: filepath.Join(t.TempDir(), "ledger")}
	s, _, buyer := prepared(t, u.dir)
	second := filepath.Join(filepath.Dir(block(t, u.dir)), "2.blk")
	var running sync.WaitGroup
	var mu sync.Mutex
	deadline := time.Now().Add(5 * time.Minute)
	for range 64 {
		running.Go(func() {
			body := wanted(1)
			body["reason"] = strings.Repeat("long ", 99) // so that a file of the log is soon full
			for time.Now().Before(deadline) {
				if _, err := os.Stat(second); err == nil {
					return
				}
				got, err := exchange(context.Background(), s.url+"/api/commands/PurchaseReservation", http.MethodPost, buyer, uuid.NewString(), body)
				if err == nil && got.status == http.StatusOK {
					mu.Lock()
					u.acknowledged++
					mu.Unlock()
				}
			}
		})
	}
	running.Wait()
	s.accepted(buyer, "PurchaseReservation", wanted(1))
	u.acknowledged++
	s.kill()
	require.FileExists(t, second)
	require.NoError(t, os.RemoveAll(filepath.Join(u.dir, "readmodels"))) // they are made again, and only take time to copy
	u.head = headHash(t, copied(t, u.dir))
	return u
}

// headHash verifies a directory and gives the hash of its last record.
func headHash(t *testing.T, dir string) string {
	t.Helper()
	r := invoke(t, dir, "-q", "-o", "json", "verify")
	require.Zero(t, r.code, "%s%s", r.stdout, r.stderr)
	return hashIn(t, r.stdout)
}

func hashIn(t *testing.T, report string) string {
	t.Helper()
	var verified struct {
		Head struct{ Hash string } `json:"head"`
	}
	require.NoError(t, unmarshal([]byte(report), &verified))
	return verified.Head.Hash
}

// firstOpener runs a program on a directory that nobody has opened since the kill, while something is wrong,
// and finds what is told wrongly about it.
func firstOpener(t *testing.T, words []string, dir, command string) (code int, said string, findings []finding) {
	t.Helper()
	switch command {
	case "serve":
		s, err := launchAs(t, words, dir, 3*patience)
		if err != nil {
			code, said = s.cmd.ProcessState.ExitCode(), err.Error()
			break
		}
		ready, err := exchange(t.Context(), s.url+"/readyz", http.MethodGet, "", "", nil)
		if err == nil {
			said = string(ready.body)
		}
		s.kill()
		if strings.Contains(said, "integrity failure") {
			code = exitIntegrity
		}
	case "export":
		r := invokeAs(t, words, dir, "export", filepath.Join(t.TempDir(), uuid.NewString()))
		code, said = r.code, r.stderr
	default:
		r := invokeAs(t, words, dir, command)
		code, said = r.code, r.stderr
	}
	if code == exitIntegrity {
		findings = append(findings, finding{wrong, command + ": a read error is told as an integrity failure: " + said})
	}
	return code, said, findings
}

// after verifies a directory once the fault is over, and finds what is lost.
func (u *unopened) after(t *testing.T, dir string) (findings []finding) {
	t.Helper()
	r := invoke(t, dir, "-q", "-o", "json", "verify")
	switch {
	case r.code != 0:
		return []finding{{lost, r.stderr}}
	case hashIn(t, r.stdout) != u.head:
		return []finding{{lost, "the log ends otherwise: " + r.stdout}}
	}
	for _, name := range []string{"jetstream.keeping", "jetstream.kept", "jetstream.released", "jetstream.dropped"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			findings = append(findings, finding{wrong, name + " is left"})
		}
	}
	return findings
}

// openers are the commands that may be the first to open a ledger.
var openers = []string{"serve", "verify", "export", "repair"}

// unreadable is something that keeps a file from being read.
func unreadable(random *rand.Rand) trouble {
	now := trouble{file: []string{"1.blk", "2.blk", "meta.inf", "meta.sum"}[random.IntN(4)], stays: random.IntN(2) == 0}
	if random.IntN(2) == 0 {
		now.open = 1 + random.IntN(6)
		now.errno = []syscall.Errno{syscall.EIO, syscall.EACCES, syscall.ENOMEM, syscall.EMFILE}[random.IntN(4)]
		now.name = fmt.Sprintf("opening %s fails the %d. time with %v, for good: %v", now.file, now.open, now.errno, now.stays)
		return now
	}
	now.read, now.errno = 1+random.IntN(4), syscall.EIO
	if strings.HasSuffix(now.file, ".blk") {
		now.read = 1 + random.IntN(200)
	}
	now.name = fmt.Sprintf("reading %s fails the %d. time with %v, for good: %v", now.file, now.read, now.errno, now.stays)
	return now
}

// TestG1AReadErrorNeverDeletes lets a file of the log fail to be read, or the process run out of files, when
// a ledger is first opened after a kill.
func TestG1AReadErrorNeverDeletes(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	disk, mount := mountFaulty(t)
	count := newTally(t)
	u := newUnopened(t)
	struck, codes := 0, map[int]int{}
	for round := range rounds(8, 120) {
		dir := filepath.Join(mount, fmt.Sprint("round-", round))
		copiedTo(t, u.dir, dir)
		command, words := openers[random.IntN(len(openers))], []string{program}
		var what string
		if round%4 == 3 {
			files := 6 + random.IntN(30)
			words = []string{"sh", "-c", `ulimit -n "$0" && exec "$@"`, strconv.Itoa(files), program}
			what = fmt.Sprintf("%d open files are allowed", files)
		} else {
			now := unreadable(random)
			what = now.name
			disk.set(now)
		}
		code, said, findings := firstOpener(t, words, dir, command)
		codes[code]++
		if disk.strikes() > 0 {
			struck++
			if now := code; now != 0 && now != exitUnavailable {
				findings = append(findings, finding{wrong, fmt.Sprintf("%s ends with %d: %s", command, now, said)})
			}
		}
		disk.set(trouble{})
		findings = append(findings, u.after(t, dir)...)
		count.add(u.acknowledged, findings)
		t.Logf("%s, %s: exit %d %s", command, what, code, lastLine(said))
		require.Empty(t, findings, "%s, %s", command, what)
		require.NoError(t, os.RemoveAll(dir))
	}
	t.Logf("%d acknowledged; the disk failed in %d rounds; exit codes %v", u.acknowledged, struck, codes)
	require.Positive(t, struck, "the disk failed")
}

// layered builds a program whose two layers against read errors that delete can be taken away.
func layered(t *testing.T) string {
	t.Helper()
	return brokenProgram(t,
		change{"eventstore/embedded/guard.go", "g.seen, err = reader.survey(ctx); err != nil {", `g.seen, err = reader.survey(ctx); err != nil && os.Getenv("SURVEY") != "off" {`},
		change{"eventstore/embedded/server.go", "g.keep(ctx, links)", `g.keep(ctx, links && os.Getenv("GUARD") != "off")`})
}

// TestG1EachOfTwoLayersKeepsAReadErrorFromDeleting takes one away, then the other, then both; without both the
// embedded server removes the log.
func TestG1EachOfTwoLayersKeepsAReadErrorFromDeleting(t *testing.T) {
	t.Parallel()
	disk, mount := mountFaulty(t)
	count := newTally(t)
	u := newUnopened(t)
	binary := layered(t)
	for name, c := range map[string]struct {
		env   []string
		loses bool
	}{
		"the files are read first":      {[]string{"env", "GUARD=off"}, false},
		"the files are kept aside":      {[]string{"env", "SURVEY=off"}, false},
		"neither, as the server itself": {[]string{"env", "GUARD=off", "SURVEY=off"}, true},
	} {
		for _, stays := range []bool{false, true} {
			command := map[bool]string{false: "verify", true: "serve"}[stays]
			what := fmt.Sprintf("%s, %s, for good: %v", name, command, stays)
			dir := filepath.Join(mount, uuid.NewString())
			copiedTo(t, u.dir, dir)
			now := trouble{file: "1.blk", open: 1, errno: syscall.EIO, stays: stays}
			if c.env[len(c.env)-1] == "SURVEY=off" && !stays {
				now.open = 2 // what the survey finds is passed over, and the server opens it next
			}
			disk.set(now)
			_, said, _ := firstOpener(t, append(c.env, binary), dir, command)
			require.Positive(t, disk.strikes(), what)
			disk.set(trouble{})
			findings := u.after(t, dir)
			if c.loses {
				require.Contains(t, kinds(findings), lost, "%s: %s", what, said)
				continue
			}
			count.add(u.acknowledged, findings)
			require.Empty(t, findings, "%s: %s", what, said)
		}
	}
}
