package gate

import (
	"context"
	"errors"
	"time"

	"permledger/handlers/problem"
)

// modelsWait is how long an answer waits for the read models at most.
const modelsWait = 5 * time.Second

// Await waits until the read models hold the event at a position. Clients that speak another product's language cannot
// say which position they have seen, and want to find what they have just written.
func (g *Gate) Await(ctx context.Context, position uint64) error {
	waiting, cancel := context.WithTimeout(ctx, modelsWait)
	defer cancel()
	err := g.ledger.Models().WaitFor(waiting, position)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return problem.Refuse(problem.CodePositionNotInTime, "The read models are behind what has been recorded. Try again.")
	}
	return err
}
