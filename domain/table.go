package domain

import "maps"

// table is a map with a pending layer on top: a group of commands is decided on the pending layer, which
// is merged once the group is stored and forgotten when it is not.
type table[K comparable, V any] struct {
	current map[K]V
	pending map[K]V
}

func newTable[K comparable, V any]() table[K, V] {
	return table[K, V]{current: make(map[K]V), pending: make(map[K]V)}
}

func (t *table[K, V]) get(k K) (V, bool) {
	if v, ok := t.pending[k]; ok {
		return v, true
	}
	v, ok := t.current[k]
	return v, ok
}

func (t *table[K, V]) set(k K, v V) { t.pending[k] = v }

func (t *table[K, V]) merge() {
	maps.Copy(t.current, t.pending)
	clear(t.pending)
}

func (t *table[K, V]) discard() { clear(t.pending) }

// settled is the table without its pending layer, for readers beside the decider.
func (t *table[K, V]) settled() table[K, V] { return table[K, V]{current: t.current} }
