package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// maxStatements bounds the prepared statements kept on one connection. Filters make a query of many
// shapes; whatever is beyond the bound is prepared for one use.
const maxStatements = 256

// conn is one connection with the statements prepared on it. One goroutine at a time uses it.
type conn struct {
	sql        *sql.Conn
	begin      string
	statements map[string]*sql.Stmt
}

// run executes a statement that is not worth keeping.
func (c *conn) run(ctx context.Context, query string) error {
	_, err := c.sql.ExecContext(ctx, query)
	return err
}

func (c *conn) close() {
	for _, s := range c.statements {
		_ = s.Close() // the connection goes with it
	}
	_ = c.sql.Close() // gives it back to the pool, which is closed next
}

// transact runs fn between BEGIN and COMMIT. Neither is cancelled half way: only fn's own statements are.
func (c *conn) transact(ctx context.Context, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	whole := context.WithoutCancel(ctx)
	tx := &Tx{conn: c}
	if _, err := tx.Exec(whole, c.begin); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	done := false
	defer func() {
		if !done { // fn panicked: the connection must not stay inside a transaction
			_, _ = tx.Exec(whole, "ROLLBACK")
		}
	}()
	err := fn(tx)
	done = true
	if err != nil {
		_, rollback := tx.Exec(whole, "ROLLBACK")
		return errors.Join(err, rollback)
	}
	if _, err := tx.Exec(whole, "COMMIT"); err != nil {
		_, rollback := tx.Exec(whole, "ROLLBACK")
		return errors.Join(fmt.Errorf("commit: %w", err), rollback)
	}
	return nil
}

// Tx is a transaction under way. It belongs to the goroutine of the function it was given to.
type Tx struct{ conn *conn }

// statement gives the prepared form of a query; nil when the connection keeps enough of them already.
func (tx *Tx) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := tx.conn.statements[query]; ok {
		return s, nil
	}
	if len(tx.conn.statements) >= maxStatements {
		return nil, nil
	}
	s, err := tx.conn.sql.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	tx.conn.statements[query] = s
	return s, nil
}

// Exec runs a statement that gives no rows.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := tx.statement(ctx, query) //nolint:sqlclosecheck // kept until its connection closes
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return tx.conn.sql.ExecContext(ctx, query, args...)
	default:
		return s.ExecContext(ctx, args...)
	}
}

// Script runs several statements that are needed once, such as a schema.
func (tx *Tx) Script(ctx context.Context, statements string) error {
	return tx.conn.run(ctx, statements)
}

// ErrEnough is what a scan returns that wants no more rows. Unlike a bound LIMIT it leaves the statement as it
// was prepared: SQLite plans again whenever the value of a LIMIT is bound.
var ErrEnough = errors.New("no more rows are wanted")

// Query runs a statement that gives rows and hands them to scan one by one, until it returns ErrEnough. scan
// must leave the transaction alone: the statement is still under way.
func (tx *Tx) Query(ctx context.Context, scan func(row *sql.Rows) error, query string, args ...any) (err error) {
	rows, err := tx.rows(ctx, query, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); errors.Is(err, ErrEnough) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return rows.Err()
}

func (tx *Tx) rows(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	s, err := tx.statement(ctx, query) //nolint:sqlclosecheck // kept until its connection closes
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return tx.conn.sql.QueryContext(ctx, query, args...)
	default:
		return s.QueryContext(ctx, args...)
	}
}

// One runs a statement that gives at most one row and reads it; found is false when it gives none.
func (tx *Tx) One(ctx context.Context, into []any, query string, args ...any) (found bool, err error) {
	err = tx.Query(ctx, func(row *sql.Rows) error {
		found = true
		return row.Scan(into...)
	}, query, args...)
	return found, err
}
