package embedded

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
)

// guardedLog is a log of nine messages in three files, as a kill leaves it.
type guardedLog struct {
	t     *testing.T
	dir   string
	files map[string]string // of its store, by path below it
}

// patient is a context for requests on a machine that is busy with other things.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func newGuardedLog(t *testing.T) *guardedLog {
	t.Helper()
	l := &guardedLog{t: t, dir: t.TempDir()}
	s, err := Start(t.Context(), l.options())
	require.NoError(t, err)
	_, err = s.JetStream().CreateStream(patient(t), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	require.NoError(t, err)
	for i := range 9 {
		l.publish(s, i)
	}
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(l.path("msgs/index.db")))
	l.files = l.store(storeName)
	require.Contains(t, l.files, "$G/streams/S/msgs/3.blk")
	return l
}

func (l *guardedLog) options() Options {
	return Options{Dir: l.dir, StoreDir: l.dir, Unsynced: true, Stream: "S", Subject: "s", Ready: defaultReady, Logger: slog.New(slog.DiscardHandler)}
}

func (l *guardedLog) path(name string) string { return filepath.Join(StreamDir(l.dir, "S"), name) }

func (l *guardedLog) publish(s *Server, i int) {
	l.t.Helper()
	_, err := s.JetStream().Publish(patient(l.t), "s", bytes.Repeat([]byte{byte('a' + i)}, 2<<20))
	require.NoError(l.t, err)
}

// store reads the files of a store in the data directory.
func (l *guardedLog) store(name string) map[string]string {
	l.t.Helper()
	root := filepath.Join(l.dir, name)
	all := map[string]string{}
	require.NoError(l.t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, root+"/")] = string(b)
		return err
	}))
	return all
}

// opens starts a server, and requires that it knows so many messages and leaves nothing beside its store.
func (l *guardedLog) opens(messages int) {
	l.t.Helper()
	s, err := Start(l.t.Context(), l.options())
	require.NoError(l.t, err)
	stream, err := s.JetStream().Stream(patient(l.t), "S")
	require.NoError(l.t, err)
	require.EqualValues(l.t, messages, stream.CachedInfo().State.Msgs)
	for sequence := range uint64(messages) {
		_, err := stream.GetMsg(patient(l.t), sequence+1)
		require.NoError(l.t, err)
	}
	require.NoError(l.t, s.Close())
	l.alone()
}

// alone requires that nothing is beside the store.
func (l *guardedLog) alone() {
	l.t.Helper()
	entries, err := os.ReadDir(l.dir)
	require.NoError(l.t, err)
	for _, e := range entries {
		require.Contains(l.t, []string{storeName, LockFile}, e.Name())
	}
}

// interrupted is a start that ends right before its server opens the files.
func (l *guardedLog) interrupted() *guard {
	l.t.Helper()
	g := &guard{storeDir: l.dir, stream: "S", subject: "s", logger: slog.New(slog.DiscardHandler)}
	require.NoError(l.t, g.settle(l.t.Context()))
	links, err := findRoom(l.dir)
	require.NoError(l.t, err)
	if !links {
		l.t.Skip("nothing is kept aside: the file system has no hard links")
	}
	require.NoError(l.t, g.keep(l.t.Context(), links))
	require.DirExists(l.t, g.path(keptName))
	return g
}

// misfortunes are what may happen to the files once they have been read, with a server or without.
var misfortunes = map[string]func(l *guardedLog) error{
	"nothing":                    func(*guardedLog) error { return nil },
	"the store is removed":       func(l *guardedLog) error { return os.RemoveAll(filepath.Join(l.dir, storeName)) },
	"the stream is removed":      func(l *guardedLog) error { return os.RemoveAll(StreamDir(l.dir, "S")) },
	"an old file is removed":     func(l *guardedLog) error { return os.Remove(l.path("msgs/1.blk")) },
	"the newest file is removed": func(l *guardedLog) error { return os.Remove(l.path("msgs/3.blk")) },
	"the newest file is cut":     func(l *guardedLog) error { return os.Truncate(l.path("msgs/3.blk"), 3<<20) },
	"the description is removed": func(l *guardedLog) error { return os.Remove(l.path("meta.inf")) },
	"the description is cut":     func(l *guardedLog) error { return os.Truncate(l.path("meta.sum"), 3) },
	"a directory stands for 2.blk": func(l *guardedLog) error {
		return errors.Join(os.Remove(l.path("msgs/2.blk")), os.Mkdir(l.path("msgs/2.blk"), 0o700))
	},
}

// TestG1WhatAServerDropsIsPutBack lets a server open files that went bad after they had been read.
func TestG1WhatAServerDropsIsPutBack(t *testing.T) {
	t.Parallel()
	for name, happens := range misfortunes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newGuardedLog(t)
			s, g := &Server{opts: l.options()}, l.interrupted()
			require.NoError(t, happens(l))
			made, err := s.run(t.Context(), g)
			require.NotNil(t, made)
			made.Shutdown()
			made.WaitForShutdown()
			if name != "nothing" {
				var dropped *DroppedError
				require.ErrorAs(t, err, &dropped)
				require.ErrorIs(t, err, eventstore.ErrUnavailable)
				require.NoError(t, g.settle(t.Context()))
				require.Equal(t, l.files, l.store(storeName), "as before")
				l.alone()
			}
			l.opens(9)
		})
	}
}

// TestG1AStartThatWasInterruptedIsSettledByTheNextOne leaves a start right before its server opens the
// files, or with whatever the server did to them.
func TestG1AStartThatWasInterruptedIsSettledByTheNextOne(t *testing.T) {
	t.Parallel()
	for name, happens := range misfortunes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newGuardedLog(t)
			l.interrupted()
			require.NoError(t, happens(l))
			if strings.HasPrefix(name, "a directory") {
				var unreadable *eventstore.ReadError
				_, err := Start(t.Context(), l.options())
				require.ErrorAs(t, err, &unreadable, "it may yet be read")
				require.Equal(t, l.files, l.store(filepath.Join(keptName, storeName)))
				require.NoError(t, os.RemoveAll(StreamDir(l.dir, "S")))
			}
			l.opens(9)
		})
	}
}

// TestG1EachStepOfPuttingBackMayBeTheLast stops between any two steps.
func TestG1EachStepOfPuttingBackMayBeTheLast(t *testing.T) {
	t.Parallel()
	move := func(l *guardedLog, from, to string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(l.dir, to)), 0o700))
		require.NoError(t, os.Rename(filepath.Join(l.dir, from), filepath.Join(l.dir, to)))
	}
	for name, arrange := range map[string]func(l *guardedLog){
		"a part is kept": func(l *guardedLog) {
			l.interrupted()
			move(l, keptName, keepingName)
			require.NoError(t, os.Remove(filepath.Join(StreamDir(filepath.Join(l.dir, keepingName), "S"), "msgs/1.blk")))
		},
		"a part is released": func(l *guardedLog) {
			l.interrupted()
			move(l, keptName, releasedName)
			require.NoError(t, os.Remove(filepath.Join(StreamDir(filepath.Join(l.dir, releasedName), "S"), "msgs/1.blk")))
		},
		"the store is set aside": func(l *guardedLog) {
			l.interrupted()
			require.NoError(t, os.RemoveAll(StreamDir(l.dir, "S")))
			move(l, storeName, droppedName)
		},
		"the store is back": func(l *guardedLog) {
			l.interrupted()
			move(l, storeName, droppedName)
			move(l, filepath.Join(keptName, storeName), storeName)
		},
		"the kept directory is gone": func(l *guardedLog) {
			l.interrupted()
			move(l, storeName, droppedName)
			move(l, filepath.Join(keptName, storeName), storeName)
			require.NoError(t, os.Remove(filepath.Join(l.dir, keptName)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newGuardedLog(t)
			arrange(l)
			l.opens(9)
		})
	}
}

// TestG1KeptFilesNeverReplaceWhatWasAcknowledgedSince: a power cut may bring back a directory that was
// already released.
func TestG1KeptFilesNeverReplaceWhatWasAcknowledgedSince(t *testing.T) {
	t.Parallel()
	l := newGuardedLog(t)
	l.interrupted()
	aside := filepath.Join(t.TempDir(), keptName)
	require.NoError(t, os.CopyFS(aside, os.DirFS(filepath.Join(l.dir, keptName))))
	s, err := Start(t.Context(), l.options())
	require.NoError(t, err)
	l.publish(s, 9)
	require.NoError(t, s.Close())
	require.NoError(t, os.CopyFS(filepath.Join(l.dir, keptName), os.DirFS(aside)))
	l.opens(10)

	require.NoError(t, os.CopyFS(filepath.Join(l.dir, keptName), os.DirFS(aside)))
	require.NoError(t, os.Remove(l.path("msgs/1.blk")))
	before := []map[string]string{l.store(storeName), l.store(keptName)}
	for range 2 {
		_, err = Start(t.Context(), l.options())
		require.ErrorIs(t, err, eventstore.ErrIntegrity, "each holds what the other lacks")
		after := []map[string]string{l.store(storeName), l.store(keptName)}
		require.Equal(t, before, after, "both stay")
	}
}

// TestTheGuardCopiesNoOldFile shows what is a link, which costs nothing, and what a copy.
func TestTheGuardCopiesNoOldFile(t *testing.T) {
	t.Parallel()
	l := newGuardedLog(t)
	require.NoError(t, os.Mkdir(filepath.Join(filepath.Dir(StreamDir(l.dir, "S")), ".R"), 0o700), "a stream that is being removed")
	g := l.interrupted()
	for name, linked := range map[string]bool{"msgs/1.blk": true, "msgs/2.blk": true, "msgs/3.blk": false, "meta.inf": false, "meta.sum": false} {
		a, err := os.Stat(l.path(name))
		require.NoError(t, err)
		b, err := os.Stat(filepath.Join(StreamDir(g.path(keptName), "S"), name))
		require.NoError(t, err)
		require.Equal(t, linked, os.SameFile(a, b), name)
	}
	require.Equal(t, l.files, l.store(filepath.Join(keptName, storeName)))
	require.NoDirExists(t, filepath.Join(g.path(keptName), storeName, "$G", streamsDir, ".R"))
}

func TestAStartThatIsCalledOffLosesNothing(t *testing.T) {
	t.Parallel()
	l := newGuardedLog(t)
	for at := range 20 {
		ctx := &impatient{Context: t.Context(), left: at}
		s, err := Start(ctx, l.options())
		if err == nil {
			require.NoError(t, s.Close())
			continue
		}
		require.ErrorIs(t, err, context.Canceled, "after %d looks", at)
	}
	l.opens(9)
}

// impatient is a context that has ended when it was asked so often.
type impatient struct {
	context.Context
	left int
}

func (c *impatient) Err() error {
	c.left--
	if c.left < 0 {
		return context.Canceled
	}
	return nil
}
