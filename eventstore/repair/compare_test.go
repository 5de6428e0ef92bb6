package repair

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"permledger/eventstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// chain gives the stored bytes of a ledger's records with one event each, after the first. From the
// record fork on, its events carry another customer.
func chain(ledger uuid.UUID, count, fork int) [][]byte {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var records [][]byte
	r := eventstore.Record{Version: 1, Ledger: ledger, First: 1, Time: at, Commands: []eventstore.Command{}}
	for n := 1; n <= count; n++ {
		if n > 1 {
			r.Previous, r.First = eventstore.HashOf(records[n-2]), uint64(n-1)
			e := eventstore.Event{Type: "Happened", Version: 1, Partner: "p", Customer: "k", Data: []byte(`{}`)}
			if n >= fork {
				e.Customer = "other"
			}
			r.Commands = []eventstore.Command{{Name: "Do", Events: []eventstore.Event{e}}}
		}
		records = append(records, eventstore.AppendRecord(nil, &r))
	}
	return records
}

const never = 1 << 30

// holding is a copy of records; a nil one is missing.
func holding(t *testing.T, name string, records [][]byte) *Copy {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, bytes.Join(records, nil), 0o600))
	c := newCopy(name)
	offset := 0
	for i, b := range records {
		if b != nil {
			c.add(uint64(i+1), file, int64(offset), int64(len(b)), true, false)
		}
		offset += len(b)
	}
	c.finish()
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func without(records [][]byte, sequences ...int) [][]byte {
	records = slices.Clone(records)
	for _, s := range sequences {
		records[s-1] = nil
	}
	return records
}

func cursor(records [][]byte, sequence int) eventstore.Cursor {
	return eventstore.Cursor{Sequence: uint64(sequence), Position: uint64(sequence - 1), Hash: eventstore.HashOf(records[sequence-1])}
}

func known(ledger uuid.UUID, records [][]byte) Known {
	return Known{Marks: eventstore.Marks{Ledger: ledger, Genesis: eventstore.HashOf(records[0])}}
}

func TestTwoCopiesMakeOneLedger(t *testing.T) {
	t.Parallel()
	ledger := uuid.New()
	whole := chain(ledger, 12, never)
	edited := slices.Clone(whole)
	edited[4] = bytes.Replace(whole[4], []byte(`"k"`), []byte(`"x"`), 1)
	lastEdited := slices.Clone(whole)
	lastEdited[11] = bytes.Replace(whole[11], []byte(`"k"`), []byte(`"x"`), 1)
	for name, c := range map[string]struct {
		log, archive [][]byte
		known        func(*Known)
		findings     []string
	}{
		"both whole":                        {log: whole, archive: whole},
		"an archive a moment behind":        {log: whole, archive: whole[:9]},
		"an archive that is not there":      {log: whole},
		"a log that is gone":                {archive: whole, findings: []string{"log 1-12 missing"}},
		"a log without its end":             {log: whole[:9], archive: whole, findings: []string{"log 10-12 missing"}},
		"different records missing":         {log: without(whole, 3, 7, 8), archive: without(whole, 1, 2, 12), findings: []string{"archive 1-2 missing", "log 3-3 missing", "log 7-8 missing"}},
		"a hole, and an end only here":      {log: without(whole, 3), archive: whole[:10], findings: []string{"log 3-3 missing"}},
		"an edited record in the log":       {log: edited, archive: whole, findings: []string{"log 5-5 not the record that the chain names"}},
		"an edited record in the archive":   {log: whole, archive: edited, findings: []string{"archive 5-5 not the record that the chain names"}},
		"an edited end that is marked":      {log: whole, archive: lastEdited, known: func(k *Known) { k.Marks.Head = cursor(whole, 12) }, findings: []string{"archive 12-12 not the record that the chain names"}},
		"no identity, but an archive":       {log: whole, archive: whole, known: func(k *Known) { *k = Known{} }},
		"a mark and models that it reaches": {log: whole, archive: whole, known: func(k *Known) { k.Marks.Head, k.Reached = cursor(whole, 12), []eventstore.Cursor{cursor(whole, 8)} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := known(ledger, whole)
			if c.known != nil {
				c.known(&k)
			}
			plan, err := Compare(t.Context(), holding(t, "log", c.log), holding(t, "archive", c.archive), k, nil)
			require.NoError(t, err)
			require.Equal(t, eventstore.HashOf(whole[11]), plan.Report.Head.Hash)
			var got [][]byte
			for s, err := range plan.Records() {
				require.NoError(t, err)
				got = append(got, s.Bytes)
			}
			require.Equal(t, whole, got)
			var findings []string
			for _, f := range plan.Findings {
				findings = append(findings, f.Copy+" "+text(f.Range)+" "+f.Reason)
			}
			require.Equal(t, c.findings, findings)
			holds, err := plan.Holds(cursor(whole, 7))
			require.NoError(t, err)
			require.True(t, holds)
			holds, err = plan.Holds(cursor(chain(ledger, 12, 2), 7))
			require.NoError(t, err)
			require.False(t, holds)
		})
	}
}

func text(r Range) string { return fmt.Sprintf("%d-%d", r.FirstRecord, r.LastRecord) }

func TestWhatNoCopyHoldsIsNamed(t *testing.T) {
	t.Parallel()
	ledger := uuid.New()
	whole := chain(ledger, 12, never)
	edited := slices.Clone(whole)
	edited[4] = bytes.Replace(whole[4], []byte(`"k"`), []byte(`"x"`), 1)
	for name, c := range map[string]struct {
		log, archive [][]byte
		known        func(*Known)
		lost         []Range
		broken       uint64 // in the log
	}{
		"the same record":                  {log: without(whole, 5), archive: without(whole, 5), lost: []Range{{5, 5, 4, 4, false}}},
		"two runs":                         {log: without(whole, 3, 4, 9), archive: without(whole, 3, 4, 5, 9), lost: []Range{{3, 4, 2, 3, false}, {9, 9, 8, 8, false}}},
		"the first record":                 {log: without(whole, 1), archive: without(whole, 1), lost: []Range{{1, 1, 1, 0, false}}},
		"an end that was marked":           {log: whole[:9], archive: whole[:8], known: func(k *Known) { k.Marks.Head = cursor(whole, 12) }, lost: []Range{{10, 12, 9, 11, false}}},
		"an end that models have read":     {log: whole[:9], archive: whole[:8], known: func(k *Known) { k.Reached = []eventstore.Cursor{cursor(whole, 10), cursor(whole, 3)} }, lost: []Range{{10, 10, 9, 9, false}}},
		"an end that was there, not whole": {log: whole[:9], archive: whole[:8], lost: []Range{{10, 10, 9, 0, true}}, broken: 10},
		"a record edited in the only copy": {log: edited, archive: without(whole, 5), lost: []Range{{5, 5, 4, 4, false}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := known(ledger, whole)
			if c.known != nil {
				c.known(&k)
			}
			log := holding(t, "log", c.log)
			if c.broken > 0 {
				log.add(c.broken, "", 0, 0, false, false)
				log.finish()
			}
			_, err := Compare(t.Context(), log, holding(t, "archive", c.archive), k, nil)
			var lost *LostError
			require.ErrorAs(t, err, &lost)
			require.ErrorIs(t, err, eventstore.ErrIntegrity)
			require.Equal(t, c.lost, lost.Ranges, "%v", err)
		})
	}
}

func TestContradictionsAreForAPerson(t *testing.T) {
	t.Parallel()
	ledger := uuid.New()
	whole := chain(ledger, 12, never)
	for name, c := range map[string]struct {
		log, archive [][]byte
		known        func(*Known)
		says         string
	}{
		"a fork":                          {log: whole, archive: chain(ledger, 12, 6), says: "record 6, position 5"},
		"a fork at the end":               {log: whole, archive: chain(ledger, 12, 12), says: "record 12, position 11"},
		"a foreign archive":               {log: whole, archive: chain(uuid.New(), 12, never), says: "the archive belongs to ledger"},
		"a foreign log":                   {log: chain(uuid.New(), 12, never), archive: whole, says: "the log belongs to ledger"},
		"a foreign archive and no log":    {archive: chain(uuid.New(), 12, never), says: "the archive belongs to ledger"},
		"no identity and two ledgers":     {log: whole, archive: chain(uuid.New(), 12, never), known: func(k *Known) { *k = Known{} }, says: "belongs to ledger"},
		"no identity and no archive":      {log: whole, known: func(k *Known) { *k = Known{} }, says: "nothing proves"},
		"nothing at all":                  {known: func(k *Known) { *k = Known{} }, says: "neither"},
		"a head mark that says otherwise": {log: whole, archive: whole, known: func(k *Known) { k.Marks.Head = cursor(chain(ledger, 12, 4), 6) }, says: "the head mark says"},
		"an identity that says otherwise": {log: whole, archive: whole, known: func(k *Known) { k.Marks.Genesis = eventstore.HashOf(whole[1]) }, says: "the identity file says"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := known(ledger, whole)
			if c.known != nil {
				c.known(&k)
			}
			_, err := Compare(t.Context(), holding(t, "log", c.log), holding(t, "archive", c.archive), k, nil)
			var e *eventstore.IntegrityError
			require.ErrorAs(t, err, &e)
			require.ErrorContains(t, err, c.says)
		})
	}
}
