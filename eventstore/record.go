package eventstore

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// RecordVersion is the version of the record format this package writes.
const RecordVersion = 1

// Actor says who sent a command. The store keeps it and never judges it.
type Actor struct {
	Tenant   string   `json:"tenant"`
	ObjectID string   `json:"objectId,omitempty"`
	UPN      string   `json:"upn,omitempty"`
	Roles    []string `json:"roles"`
	App      string   `json:"app,omitempty"`
}

// Event is one stored event. Data is one JSON value; its shape is named by
// Type and Version and known to the Codec alone.
type Event struct {
	Type     string          `json:"type"`
	Version  int             `json:"v"`
	Partner  string          `json:"partner"`
	Customer string          `json:"customer,omitempty"`
	Data     json.RawMessage `json:"data"`
}

// Command is one recorded command with the events it led to. Events may be
// empty: a command that found its wish fulfilled is recorded too, so that its
// id keeps its first answer for ever.
type Command struct {
	ID            uuid.UUID `json:"id"`
	Name          string    `json:"name"`
	Digest        Hash      `json:"digest"`
	Actor         Actor     `json:"actor"`
	Reason        string    `json:"reason,omitempty"`
	CorrelationID string    `json:"correlationId,omitempty"`
	Events        []Event   `json:"events"`
}

// Key is what makes the command the same.
func (c *Command) Key() CommandKey { return CommandKey{c.Actor.Tenant, c.ID} }

// Record is one commit: the commands that were decided together, stored as one
// JetStream message. The first record of a ledger is its genesis; it has no
// commands and fixes the ledger's id.
type Record struct {
	// Version is the version of this format, 1.
	Version int `json:"v"`
	// Ledger is the id of the ledger, the same in all its records.
	Ledger uuid.UUID `json:"ledger"`
	// First is the position its first event has, or would have: one more than
	// the last position before it.
	First uint64 `json:"first"`
	// Time is when its commands were decided, in UTC. It never goes back from
	// one record to the next.
	Time time.Time `json:"time"`
	// Previous is the hash of the stored bytes of the record before it, zero
	// in the genesis.
	Previous Hash `json:"prev"`
	// Commands are in the order in which they were decided.
	Commands []Command `json:"commands"`
}

// Count returns how many events the record holds.
func (r *Record) Count() uint64 {
	var n uint64
	for i := range r.Commands {
		n += uint64(len(r.Commands[i].Events))
	}
	return n
}

// Last returns the position of the record's last event, First-1 when it holds
// none.
func (r *Record) Last() uint64 { return r.First + r.Count() - 1 }

// Stored is a record as it lies in the log.
type Stored struct {
	// Sequence is its number in the stream, from 1 without gaps.
	Sequence uint64
	// Hash is the SHA-256 of Bytes.
	Hash Hash
	// Bytes are exactly the stored bytes: one line of JSON without a line end.
	Bytes []byte
	// Record is Bytes decoded; an outline has no Commands.
	Record Record

	outline size // of a record without its Commands
}

// Cursor returns where a reader stands that has taken this record.
func (s *Stored) Cursor() Cursor {
	return Cursor{Sequence: s.Sequence, Position: s.Record.First + s.size().events - 1, Hash: s.Hash, Time: s.Record.Time}
}

// CommandKeys lists the commands of the record by what makes them the same.
func (s *Stored) CommandKeys() []CommandKey {
	keys := make([]CommandKey, len(s.Record.Commands))
	for i := range s.Record.Commands {
		keys[i] = s.Record.Commands[i].Key()
	}
	return keys
}

// size counts what a record holds.
type size struct {
	commands, events uint64
	prints           []uint64 // fingerprints of its commands, where they were asked for
}

func (r *Record) size() size { return size{commands: uint64(len(r.Commands)), events: r.Count()} }

func (s *Stored) size() size {
	if len(s.Record.Commands) > 0 {
		return s.Record.size()
	}
	return s.outline
}

// Cursor says where a reader stands: it names the last record taken. The zero
// value stands before the first record.
type Cursor struct {
	// Sequence is the sequence of the last record taken, 0 before the first.
	Sequence uint64 `json:"sequence"`
	// Position is the position of the last event up to and including it.
	Position uint64 `json:"position"`
	// Hash is the hash of that record's stored bytes. A reader checks the next
	// record against it.
	Hash Hash `json:"hash"`
	// Time is that record's time.
	Time time.Time `json:"time"`
}
