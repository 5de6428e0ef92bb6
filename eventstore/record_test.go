package eventstore_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"permledger/eventstore"
)

func genID(t *rapid.T) uuid.UUID {
	return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
}

func genHash(t *rapid.T) eventstore.Hash {
	return eventstore.Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
}

func genRecord(t *rapid.T) eventstore.Record {
	text := rapid.String()
	r := eventstore.Record{
		Version: 1, Ledger: genID(t), First: rapid.Uint64Min(1).Draw(t, "first"),
		Time:     time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
		Previous: genHash(t), Commands: []eventstore.Command{},
	}
	for range rapid.IntRange(0, 3).Draw(t, "commands") {
		c := eventstore.Command{
			ID: genID(t), Name: text.Draw(t, "name"), Digest: genHash(t),
			Actor: eventstore.Actor{
				Tenant: text.Draw(t, "tenant"), ObjectID: text.Draw(t, "oid"), UPN: text.Draw(t, "upn"),
				Roles: append([]string{}, rapid.SliceOfN(text, 0, 3).Draw(t, "roles")...), App: text.Draw(t, "app"),
			},
			Reason: text.Draw(t, "reason"), CorrelationID: text.Draw(t, "correlation"), Events: []eventstore.Event{},
		}
		for range rapid.IntRange(0, 3).Draw(t, "events") {
			data, err := json.Marshal(rapid.MapOf(text, rapid.SliceOf(text)).Draw(t, "data"))
			require.NoError(t, err)
			c.Events = append(c.Events, eventstore.Event{
				Type: text.Draw(t, "type"), Version: rapid.Int().Draw(t, "v"),
				Partner: text.Draw(t, "partner"), Customer: text.Draw(t, "customer"), Data: data,
			})
		}
		r.Commands = append(r.Commands, c)
	}
	return r
}

func TestRecordsAreStoredAsEncodingJSONReadsThem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := genRecord(t)
		b := eventstore.AppendRecord(nil, &r)
		var standard eventstore.Record
		require.NoError(t, json.Unmarshal(b, &standard))
		require.Equal(t, r, standard)
		ours, err := eventstore.DecodeRecord(b)
		require.NoError(t, err)
		require.Equal(t, r, ours)

		// And what encoding/json writes is read as the same record.
		b, err = json.Marshal(&r)
		require.NoError(t, err)
		ours, err = eventstore.DecodeRecord(b)
		require.NoError(t, err)
		// It escapes data in its own way, so data is compared by meaning.
		again := eventstore.AppendRecord(nil, &ours)
		var a, c any
		require.NoError(t, json.Unmarshal(again, &a))
		require.NoError(t, json.Unmarshal(b, &c))
		require.Equal(t, c, a)
	})
}

func TestARecordHasTheFormOfItsVersionForEver(t *testing.T) {
	t.Parallel()
	const golden = `{"v":1,"ledger":"11111111-2222-4333-8444-555555555555","first":1041,"time":"2026-11-22T10:00:00.123456789Z","prev":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","commands":[{"id":"0192d3a4-0000-7000-8000-000000000001","name":"GrantPurchasePermission","digest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","actor":{"tenant":"p","objectId":"o","upn":"ann@example.com","roles":["AdminAgent"],"app":"web"},"reason":"asked \"twice\"","correlationId":"c","events":[{"type":"PurchasePermissionGranted","v":1,"partner":"p","customer":"k","data":{"n": 1}}]},{"id":"0192d3a4-0000-7000-8000-000000000002","name":"X","digest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","actor":{"tenant":"p","roles":[]},"events":[]}]}`
	r, err := eventstore.DecodeRecord([]byte(golden))
	require.NoError(t, err)
	require.Equal(t, []byte(golden), eventstore.AppendRecord(nil, &r)) //nolint:testifylint // the bytes count, not the meaning
	require.Equal(t, uint64(1041), r.Last())
	require.Equal(t, eventstore.HashOf([]byte("abc")), r.Previous)
	require.Equal(t, "asked \"twice\"", r.Commands[0].Reason)
}

func TestWhatIsNoRecordIsRefused(t *testing.T) {
	t.Parallel()
	good := eventstore.AppendRecord(nil, &eventstore.Record{Version: 1, Ledger: uuid.New(), First: 1, Time: time.Now(), Commands: []eventstore.Command{}})
	_, err := eventstore.DecodeRecord(good)
	require.NoError(t, err)
	for name, bad := range map[string]string{
		"nothing": "", "null": "null", "no object": "1", "two": string(good) + string(good), "a line end": string(good) + "\n",
		"no commands": `{"v":1,"first":1}`, "no position": `{"v":1,"commands":[]}`, "a newer version": `{"v":2,"first":1,"commands":[]}`,
		"a member too many": `{"v":1,"first":1,"commands":[],"x":1}`, "cut off": string(good[:len(good)-1]),
	} {
		_, err := eventstore.DecodeRecord([]byte(bad))
		require.Error(t, err, name)
	}
	_, err = eventstore.DecodeRecord([]byte(`{"v":2,"first":1,"commands":[],"new":1}`))
	require.ErrorContains(t, err, "version 2")
}

func TestOneHashHasOneText(t *testing.T) {
	t.Parallel()
	h := eventstore.HashOf([]byte("x"))
	again, err := eventstore.ParseHash(h.String())
	require.NoError(t, err)
	require.Equal(t, h, again)
	for _, bad := range []string{"", "00", h.String() + "0", "G" + h.String()[1:], "A" + h.String()[1:]} {
		_, err := eventstore.ParseHash(bad)
		require.Error(t, err, bad)
	}
}
