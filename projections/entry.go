package projections

import (
	"encoding/json"
	"fmt"

	"permledger/domain"
	"permledger/eventstore"
)

// Entry is one event as a read model is given it: what happened, where in the log, and by whose command.
type Entry struct {
	domain.Fact
	Command       domain.CommandID
	CommandName   string
	Actor         domain.Actor
	Reason        string
	CorrelationID string
	Version       int             // of the stored event
	Data          json.RawMessage // the stored event itself
}

// delivery is one record of the log, decoded.
type delivery struct {
	cursor   eventstore.Cursor // where a reader stands that has taken it
	previous eventstore.Hash
	first    uint64
	events   []Entry
}

// decode reads everything in a record. Whatever it does not understand is an error: a read model that
// skips an event answers wrongly for ever.
func decode(s *eventstore.Stored) (delivery, error) {
	r := &s.Record
	d := delivery{cursor: s.Cursor(), previous: r.Previous, first: r.First, events: make([]Entry, 0, s.Cursor().Position+1-r.First)}
	position := r.First
	for i := range r.Commands {
		c := &r.Commands[i]
		actor, err := DecodeActor(c.Actor)
		if err != nil {
			return delivery{}, fmt.Errorf("record %d: command %s: %w", s.Sequence, c.ID, err)
		}
		id := domain.CommandID{UUID: c.ID}
		for _, stored := range c.Events {
			fact, err := Codec{}.Decode(stored, position, r.Time)
			if err != nil {
				return delivery{}, fmt.Errorf("record %d: %w", s.Sequence, err)
			}
			d.events = append(d.events, Entry{
				Fact: fact, Command: id, CommandName: c.Name, Actor: actor, Reason: c.Reason,
				CorrelationID: c.CorrelationID, Version: stored.Version, Data: stored.Data,
			})
			position++
		}
	}
	return d, nil
}
