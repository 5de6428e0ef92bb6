package domain

// table is a map with two pending layers on top: that of the group of commands being decided, and below it
// the sealed one of the group decided before, while that is being stored. A layer is merged once its group
// is stored, and forgotten when it is not.
type table[K comparable, V any] struct {
	current map[K]V
	sealed  map[K]change[V]
	pending map[K]change[V]
}

// change is a new value, or the removal of one.
type change[V any] struct {
	value   V
	removed bool
}

// layered is a table of any kind.
type layered interface {
	seal()
	merge()
	retract()
	discard()
}

func newTable[K comparable, V any]() table[K, V] {
	return table[K, V]{current: make(map[K]V), sealed: make(map[K]change[V]), pending: make(map[K]change[V])}
}

func (t *table[K, V]) get(k K) (V, bool) {
	if c, ok := t.pending[k]; ok {
		return c.value, !c.removed
	}
	if c, ok := t.sealed[k]; ok {
		return c.value, !c.removed
	}
	v, ok := t.current[k]
	return v, ok
}

func (t *table[K, V]) set(k K, v V) { t.pending[k] = change[V]{value: v} }

func (t *table[K, V]) remove(k K) { t.pending[k] = change[V]{removed: true} }

// seal makes the pending layer the sealed one, which must be empty.
func (t *table[K, V]) seal() { t.sealed, t.pending = t.pending, t.sealed }

// merge makes the sealed layer current.
func (t *table[K, V]) merge() {
	for k, c := range t.sealed {
		if c.removed {
			delete(t.current, k)
		} else {
			t.current[k] = c.value
		}
	}
	clear(t.sealed)
}

// retract forgets the pending layer.
func (t *table[K, V]) retract() { clear(t.pending) }

// discard forgets both layers.
func (t *table[K, V]) discard() {
	clear(t.pending)
	clear(t.sealed)
}

// settled is the table without its layers, for readers beside the decider.
func (t *table[K, V]) settled() table[K, V] { return table[K, V]{current: t.current} }
