package ledger

import "context"

// checkAccess finds out what the servers of a cluster allow that they should not, and warns.
func (l *Ledger) checkAccess(ctx context.Context) {
	const advice = "; correct the servers' configuration as in permledger docs cluster, then restart this node"
	found := l.store.cluster.Exposures(ctx, streamName, streamSubject)
	for i := range found {
		found[i] += advice
		l.logger().Warn(found[i])
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.exposures = found
}
