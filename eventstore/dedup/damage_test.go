package dedup

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"permledger/eventstore"
)

// damaged is a store over several segments of several blocks.
func damaged(t *testing.T) (dir string, l *written, keys []eventstore.CommandKey) {
	t.Helper()
	dir, l = t.TempDir(), newLog()
	for range 3 { // each run leaves a file
		for range 30 {
			batch := make([]eventstore.CommandKey, 20)
			for i := range batch {
				batch[i] = eventstore.CommandKey{Tenant: "a", ID: uuid.New()}
			}
			l.record(batch...)
		}
		require.NoError(t, opened(t, dir, l, 10_000).Close())
	}
	require.Len(t, files(t, dir), 3)
	return dir, l, l.keys
}

// TestG4NoFlippedBitIsEverANo flips bits of every kind of place, at rest and while the
// store is open, and asks for every id there is.
func TestG4NoFlippedBitIsEverANo(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(h header) int64{
		"the magic":               func(header) int64 { return 0 },
		"the ledger":              func(header) int64 { return 8 },
		"the first record":        func(header) int64 { return 24 + 7 },
		"the last record":         func(header) int64 { return 32 + 7 },
		"its hash":                func(header) int64 { return 56 },
		"the count":               func(header) int64 { return 88 + 7 },
		"zeros of block 0":        func(header) int64 { return 2000 },
		"the checksum of block 0": func(header) int64 { return blockSize - 1 },
		"the first id":            func(header) int64 { return blockSize },
		"a tag":                   func(header) int64 { return blockSize + 40*entrySize + 20 },
		"a sequence":              func(header) int64 { return blockSize + 41*entrySize + 31 },
		"the checksum of a block": func(header) int64 { return 2*blockSize - 5 },
		"the last entry":          func(h header) int64 { return h.size() - blockSize + int64(h.entries(h.blocks())-1)*entrySize + 3 },
		"zeros behind it":         func(h header) int64 { return h.size() - blockSize + int64(h.entries(h.blocks()))*entrySize + 3 },
		"the last checksum":       func(h header) int64 { return h.size() - 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, l, keys := damaged(t)
			path := files(t, dir)[0]
			_, h, err := openedAndClosed(path)
			require.NoError(t, err)

			flip(t, path, 8*at(h))
			s := opened(t, dir, l, 300) // at rest
			for _, k := range keys {
				records, _, err := s.Find(k)
				require.NoError(t, err)
				require.Equal(t, l.at[k], records)
			}
			settled(t, s)

			// Under the open store: an error or the right answer, until it is mended.
			path = files(t, dir)[0]
			_, h, err = openedAndClosed(path)
			require.NoError(t, err)
			l.fail(errors.New("the log can not be read"))
			flip(t, path, 8*at(h))
			refused := 0
			for _, k := range keys {
				records, _, err := s.Find(k)
				if err != nil {
					refused++
					require.ErrorAs(t, err, new(*DamageError))
					continue
				}
				require.Equal(t, l.at[k], records)
			}
			require.Less(t, refused, len(keys), "the ids in other blocks are known")
			if at(h) >= blockSize {
				require.Positive(t, refused)
				require.Equal(t, 1, s.Status().Damaged)
			}
			require.ErrorAs(t, s.Check(t.Context(), nil), new(*DamageError))
			l.fail(nil)
			s.rouse()
			settled(t, s)
			require.NoError(t, s.Check(t.Context(), nil))
			agree(t, s, l, rand.New(rand.NewPCG(1, 0)))
			require.NoError(t, s.Close())
			for _, path := range files(t, dir) {
				_, _, err := openedAndClosed(path)
				require.NoError(t, err)
			}
		})
	}
}

func openedAndClosed(path string) (*segment, header, error) {
	g, h, err := openSegment(path)
	if g != nil {
		err = errors.Join(err, g.retire())
	}
	return g, h, err
}

// TestG4RandomDamageIsFound does to the files whatever a disk may do.
func TestG4RandomDamageIsFound(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir, l, keys := damaged(t)
	for range 60 {
		list := files(t, dir)
		path := list[random.IntN(len(list))]
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		switch random.IntN(6) {
		case 0:
			content[random.IntN(len(content))] ^= 1 << random.IntN(8)
		case 1:
			content = content[:random.IntN(len(content))]
		case 2:
			content = append(content, make([]byte, 1+random.IntN(2*blockSize))...)
		case 3: // two blocks change places
			a, b := random.IntN(len(content)/blockSize), random.IntN(len(content)/blockSize)
			block := append([]byte(nil), content[a*blockSize:][:blockSize]...)
			copy(content[a*blockSize:], content[b*blockSize:][:blockSize])
			copy(content[b*blockSize:], block)
		case 4: // a file under the name of another
			content, err = os.ReadFile(list[random.IntN(len(list))])
			require.NoError(t, err)
		case 5: // a block of another file in the same place
			other, err := os.ReadFile(list[random.IntN(len(list))])
			require.NoError(t, err)
			n := random.IntN(min(len(content), len(other)) / blockSize)
			copy(content[n*blockSize:], other[n*blockSize:][:blockSize])
		}
		require.NoError(t, os.WriteFile(path, content, 0o600))
		s := opened(t, dir, l, 300)
		for range 100 {
			k := keys[random.IntN(len(keys))]
			records, _, err := s.Find(k)
			require.NoError(t, err)
			require.Equal(t, l.at[k], records)
		}
		settled(t, s)
		require.NoError(t, s.Close())
	}
}

// TestACrashBetweenTheStepsOfAMergeLeavesAllIDs keeps the files that a merge replaced, or
// only part of what it wrote.
func TestACrashBetweenTheStepsOfAMergeLeavesAllIDs(t *testing.T) {
	t.Parallel()
	dir, l, _ := damaged(t)
	var segments []*segment
	for _, path := range files(t, dir) {
		g, _, err := openSegment(path)
		require.NoError(t, err)
		segments = append(segments, g)
	}
	h := header{ledger: l.ledger, first: segments[0].first, through: throughOf(segments)}
	for _, g := range segments {
		h.count += g.count
	}
	both := t.TempDir() // after the rename, before the old files are removed
	require.NoError(t, os.CopyFS(filepath.Join(both, "ids"), os.DirFS(dir)))
	g, err := writeSegment(filepath.Join(both, "ids"), h, merged(segments))
	require.NoError(t, err)
	require.NoError(t, g.retire())
	half := t.TempDir() // before the rename
	require.NoError(t, os.CopyFS(filepath.Join(half, "ids"), os.DirFS(dir)))
	require.NoError(t, os.WriteFile(filepath.Join(half, "ids", temporary+"1"), []byte("half"), 0o600))
	for _, g := range segments {
		require.NoError(t, g.retire())
	}
	for _, crashed := range []string{both, half} {
		s := opened(t, filepath.Join(crashed, "ids"), l, 300)
		require.Equal(t, len(l.keys), int(s.Status().IDs))
		agree(t, s, l, rand.New(rand.NewPCG(1, 0)))
		settled(t, s)
		entries, err := os.ReadDir(filepath.Join(crashed, "ids"))
		require.NoError(t, err)
		require.Len(t, entries, s.Status().Segments)
	}
}

func TestALargeSegmentIsMadeAgainInParts(t *testing.T) {
	t.Parallel()
	dir, l, _ := damaged(t)
	s := opened(t, dir, l, 300)
	g := s.view.Load().segments[0]
	fresh, err := s.rebuild(t.Context(), eventstore.Cursor{}, g, 100)
	require.NoError(t, err)
	require.Greater(t, len(fresh), 3)
	require.Equal(t, g.first, fresh[0].first)
	require.Equal(t, g.through, throughOf(fresh))
	var count uint64
	for i, f := range fresh {
		count += f.count
		if i > 0 {
			require.Equal(t, fresh[i-1].through.Sequence+1, f.first)
		}
	}
	require.Equal(t, g.count, count)
	require.NoError(t, s.exchange([]*segment{g}, fresh))
	agree(t, s, l, rand.New(rand.NewPCG(1, 0)))
	s.rouse()
	settled(t, s)
	agree(t, s, l, rand.New(rand.NewPCG(1, 0)))
}

func TestAFilterForgetsNothingAndSeldomGuessesWrong(t *testing.T) {
	t.Parallel()
	const ids = 200_000
	f := newFilter(ids)
	held := make([]uint64, ids)
	for i := range held {
		held[i] = hashOf(uuid.New())
		f.add(held[i])
	}
	for _, h := range held {
		require.True(t, f.mayHold(h))
	}
	wrong := 0
	for range ids {
		if f.mayHold(hashOf(uuid.New())) {
			wrong++
		}
	}
	t.Logf("%d of %d ids that are not there look as if they were", wrong, ids)
	require.Less(t, wrong, ids/100)
}
