package embedded_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"permledger/eventstore/embedded"
)

const scanned = 40

// scanStore fills a stream and closes its server. Some messages have headers, and one is on another
// subject.
func scanStore(t *testing.T) (dir string, contents map[uint64]string) {
	t.Helper()
	dir, contents = t.TempDir(), map[uint64]string{}
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: dir, Unsynced: true})
	require.NoError(t, err)
	_, err = s.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s", "other"}})
	require.NoError(t, err)
	for i := range scanned {
		m := nats.NewMsg("s")
		if i == scanned/2 {
			m.Subject = "other"
		}
		if i%2 == 0 {
			m.Header.Set("Nats-Expected-Last-Sequence", strconv.Itoa(i))
		}
		m.Data = []byte(fmt.Sprint("message ", i, strings.Repeat(" s", i)))
		ack, err := s.JetStream().PublishMsg(t.Context(), m)
		require.NoError(t, err)
		if m.Subject == "s" {
			contents[ack.Sequence] = string(m.Data)
		}
	}
	require.NoError(t, s.Close())
	return dir, contents
}

// scan reads the files and gives what is whole, and the sequences of what is not.
func scan(t *testing.T, dir string) (whole map[uint64]string, broken []uint64) {
	t.Helper()
	whole = map[uint64]string{}
	require.NoError(t, embedded.ScanStream(dir, "S", "s", func(f embedded.Found) error {
		if !f.Whole {
			broken = append(broken, f.Sequence)
			return nil
		}
		b, err := os.ReadFile(f.File)
		require.NoError(t, err)
		whole[f.Sequence] = string(b[f.Offset : f.Offset+f.Length])
		return nil
	}))
	return whole, broken
}

// TestTheFilesOfAStreamAreReadAsTheServerWroteThem fails when a new server writes them in another way.
func TestTheFilesOfAStreamAreReadAsTheServerWroteThem(t *testing.T) {
	t.Parallel()
	dir, contents := scanStore(t)
	whole, broken := scan(t, dir)
	require.Equal(t, contents, whole)
	require.Empty(t, broken)
	none, _ := scan(t, t.TempDir())
	require.Empty(t, none, "a stream without files holds nothing")
}

// TestOneFlippedByteTakesOneMessageAtMost flips each byte of the file in turn.
func TestOneFlippedByteTakesOneMessageAtMost(t *testing.T) {
	t.Parallel()
	dir, contents := scanStore(t)
	blocks, err := embedded.Blocks(dir, "S")
	require.NoError(t, err)
	require.Len(t, blocks, 1)
	content, err := os.ReadFile(blocks[0].File)
	require.NoError(t, err)
	whole := func(content []byte) map[uint64]string {
		found := make(map[uint64]string)
		require.NoError(t, blocks[0].Scan(content, "s", func(f embedded.Found) error {
			if f.Whole {
				found[f.Sequence] = string(content[f.Offset : f.Offset+f.Length])
			}
			return nil
		}))
		return found
	}
	for at := range content {
		content[at] ^= 0x10
		found := whole(content)
		content[at] ^= 0x10
		require.GreaterOrEqual(t, len(found), len(contents)-1, "byte %d", at)
		for sequence, got := range found {
			if got != contents[sequence] { // ten times faster than to require it each time
				require.Equal(t, contents[sequence], got, "byte %d", at)
			}
		}
	}
	half := whole(content[:len(content)/2])
	require.Greater(t, len(half), len(contents)/4)
	require.Less(t, len(half), len(contents))
}
