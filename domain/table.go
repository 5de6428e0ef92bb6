package domain

// table is a map with a pending layer on top: a group of commands is decided on the pending layer, which
// is merged once the group is stored and forgotten when it is not.
type table[K comparable, V any] struct {
	current map[K]V
	pending map[K]change[V]
}

// change is a new value, or the removal of one.
type change[V any] struct {
	value   V
	removed bool
}

func newTable[K comparable, V any]() table[K, V] {
	return table[K, V]{current: make(map[K]V), pending: make(map[K]change[V])}
}

func (t *table[K, V]) get(k K) (V, bool) {
	if c, ok := t.pending[k]; ok {
		return c.value, !c.removed
	}
	v, ok := t.current[k]
	return v, ok
}

func (t *table[K, V]) set(k K, v V) { t.pending[k] = change[V]{value: v} }

func (t *table[K, V]) remove(k K) { t.pending[k] = change[V]{removed: true} }

func (t *table[K, V]) merge() {
	for k, c := range t.pending {
		if c.removed {
			delete(t.current, k)
		} else {
			t.current[k] = c.value
		}
	}
	clear(t.pending)
}

func (t *table[K, V]) discard() { clear(t.pending) }

// settled is the table without its pending layer, for readers beside the decider.
func (t *table[K, V]) settled() table[K, V] { return table[K, V]{current: t.current} }
