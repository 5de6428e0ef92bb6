// Package sqlite opens the database file of the read models: one connection that writes, a few that
// read, and on each of them the prepared statements it has met.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver, under the name "sqlite"
)

const (
	// DefaultReaders is how many transactions read at the same time.
	DefaultReaders = 4
	// busyMillis is how long a statement waits for a lock that somebody outside this process holds.
	busyMillis = 10_000
	// pageBytes is larger than SQLite's default so that a stored event fits into a page with others.
	pageBytes = 8192
	// checkpointBytes is from which size on the write-ahead log is moved into the file. Under load the same
	// pages change again and again; the more of that one checkpoint takes together, the less is written.
	checkpointBytes = 64 << 20
	// cacheKiB is the page cache of each reading connection, writeCacheKiB that of the writing one:
	// the inner pages of every index should stay in it while a large log is folded.
	cacheKiB      = 8 << 10
	writeCacheKiB = 128 << 10
)

// Options say how a database is opened.
type Options struct {
	Readers int // DefaultReaders when 0
	// Bulk fills a database that nobody trusts until Seal: a power failure may damage it, and a crash
	// means that it is thrown away.
	Bulk bool
}

// DB is one database file. Its methods may be called from any goroutine.
type DB struct {
	path    string
	pool    *sql.DB
	readers chan *conn // those not in use
	opened  int        // how many readers there are

	mu     sync.Mutex // held by the transaction that writes
	writer *conn
}

// Open opens a database file, and creates it where there is none.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	if o.Readers == 0 {
		o.Readers = DefaultReaders
	}
	pool, err := sql.Open("sqlite", dsn(path, o.Bulk))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(path), err)
	}
	pool.SetMaxOpenConns(o.Readers + 1)
	db := &DB{path: path, pool: pool, readers: make(chan *conn, o.Readers)}
	if err := db.connect(ctx, o.Readers); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", filepath.Base(path), err), db.Close())
	}
	return db, nil
}

// dsn asks for write-ahead logging without an fsync per commit: after a power failure the newest
// commits may be gone, but rows and checkpoint go together and the log tells them again.
func dsn(path string, bulk bool) string {
	pragmas := url.Values{"_pragma": {
		fmt.Sprintf("page_size(%d)", pageBytes),
		fmt.Sprintf("busy_timeout(%d)", busyMillis),
		fmt.Sprintf("cache_size(-%d)", cacheKiB),
		"journal_mode(WAL)",
		fmt.Sprintf("wal_autocheckpoint(%d)", checkpointBytes/pageBytes),
		"synchronous(NORMAL)",
		"temp_store(MEMORY)",
		"foreign_keys(OFF)",
	}}
	if bulk {
		pragmas.Add("_pragma", "synchronous(OFF)")
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: pragmas.Encode()}
	return u.String()
}

func (db *DB) connect(ctx context.Context, readers int) (err error) {
	if db.writer, err = db.open(ctx, "immediate"); err != nil {
		return err
	}
	if err := db.writer.run(ctx, fmt.Sprintf("PRAGMA cache_size = -%d", writeCacheKiB)); err != nil {
		return err
	}
	for range readers {
		c, err := db.open(ctx, "deferred")
		if err != nil {
			return err
		}
		if err := c.run(ctx, "PRAGMA query_only = ON"); err != nil {
			return err
		}
		db.readers <- c
		db.opened++
	}
	return nil
}

func (db *DB) open(ctx context.Context, begin string) (*conn, error) {
	c, err := db.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{sql: c, begin: "BEGIN " + begin, statements: make(map[string]*sql.Stmt)}, nil
}

// Path is where the file lies.
func (db *DB) Path() string { return db.path }

// Close waits for the transactions under way and closes the file. No transaction may be begun after it.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	for ; db.opened > 0; db.opened-- {
		c := <-db.readers
		c.close()
	}
	if db.writer != nil {
		db.writer.close()
		db.writer = nil
	}
	return db.pool.Close()
}

// Write runs a transaction that may change the database, one at a time. It is rolled back when fn fails.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.writer.transact(ctx, fn)
}

// Read runs a transaction that sees one state of the database from its first statement to its last. It
// waits for a free connection as long as ctx lets it.
func (db *DB) Read(ctx context.Context, fn func(tx *Tx) error) error {
	select {
	case c := <-db.readers:
		defer func() { db.readers <- c }()
		return c.transact(ctx, fn)
	case <-ctx.Done():
		return fmt.Errorf("wait for a free connection to the read models: %w", ctx.Err())
	}
}

// Seal makes everything written so far durable and moves it into the one file, so that the file alone
// can be renamed once the database is closed.
func (db *DB) Seal(ctx context.Context) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.writer.run(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return fmt.Errorf("checkpoint %s: %w", filepath.Base(db.path), err)
	}
	return Sync(db.path)
}

// Sync makes the content of a file, or the entries of a directory, durable.
func Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
