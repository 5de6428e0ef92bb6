package main

import (
	"errors"
	"iter"

	"permledger/eventstore"
)

// soundPart yields the records before a damage and remembers it.
type soundPart struct {
	records iter.Seq2[eventstore.Stored, error]
	// ends says that a damage ends the records as their end would, once there is one.
	ends   bool
	last   eventstore.Cursor
	damage error // nil while none was met
}

func (p *soundPart) all(yield func(eventstore.Stored, error) bool) {
	for s, err := range p.records {
		if errors.Is(err, eventstore.ErrIntegrity) {
			p.damage = err
			if p.ends && p.last.Sequence > 0 {
				return
			}
		}
		if !yield(s, err) {
			return
		}
		p.last = s.Cursor()
	}
}

// report says how much came before the damage.
func (p *soundPart) report() eventstore.Report {
	return eventstore.Report{Records: p.last.Sequence, Head: p.last}
}
