// Package sqlite keeps everything in one SQLite file: the inbox of events, the
// book of incidents, the outbox of deliveries, runs, timers, polls, digests,
// silences, which configurations were in force, what is known of partners, and
// the audit. It is the only room that knows SQL. It decides nothing about
// incidents: plans are made elsewhere and applied here, whole or not at all.
//
// Every change is a *job* of the one writer, which puts what waits into one
// commit and answers a job only after it. An *epoch* is one opening of the
// file for writing: a *lease* (the right to attempt a delivery or a run) ends
// with its epoch at the latest. A delivery's *turn* is where it stands among
// those of its notifier.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/store"
)

// Options are what a store is given besides its configuration.
type Options struct {
	// Now is the store's clock. Default time.Now.
	Now func() time.Time
	// Log gets what an operator must know of the file. Default: nothing.
	Log *slog.Logger
	// Observe is told of every commit, for metrics, on the writer's goroutine:
	// it must return at once. Default: nobody is.
	Observe func(Commit)
}

// Commit is one transaction of the writer, committed or not.
type Commit struct {
	// Events and Jobs are what it was made for: received events, and all else.
	Events, Jobs int
	// Took is the time from its first statement until it was on disk.
	Took time.Duration
	Err  error
}

// Store is one open file. Its methods may be called from many goroutines.
type Store struct {
	cfg    store.Config
	now    func() time.Time
	log    *slog.Logger
	note   func(Commit)
	lock   *os.File
	reads  *sql.DB
	writer *writer // nil when read-only
	epoch  int64

	mu       sync.Mutex
	watchers map[string][]chan struct{}
	chunkOf  int // events in a chunk of fingerprints
}

// Open takes the lock beside the file, brings its schema up to date, starts a
// new epoch, which ends all earlier leases, and starts the writer. A file that
// is locked, damaged, foreign or of a newer schema is left as it was.
func Open(ctx context.Context, cfg store.Config, o Options) (*Store, error) {
	s := newStore(cfg, o)
	if err := s.openToWrite(ctx); err != nil {
		_ = s.Close()
		if isCorrupt(err) {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return nil, fmt.Errorf("open store %s: %w", s.cfg.SQLite.Path, err)
	}
	return s, nil
}

// OpenReadOnly opens the file for reading, also while another process serves.
// Methods that change anything return event.ErrUnavailable.
func OpenReadOnly(ctx context.Context, cfg store.Config, o Options) (*Store, error) {
	s := newStore(cfg, o)
	if err := s.openToRead(ctx); err != nil {
		_ = s.Close()
		if isCorrupt(err) {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return nil, fmt.Errorf("open store %s: %w", s.cfg.SQLite.Path, err)
	}
	return s, nil
}

func newStore(cfg store.Config, o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(Commit) {}
	}
	cfg = cfg.WithDefaults()
	// A link to the file is the file: its lock and its log lie beside it, and
	// two names must not let two writers in.
	if path, err := filepath.EvalSymlinks(cfg.SQLite.Path); err == nil {
		cfg.SQLite.Path = path
	}
	return &Store{cfg: cfg, now: o.Now, log: o.Log, note: o.Observe, chunkOf: chunkEvents, watchers: map[string][]chan struct{}{}}
}

func (s *Store) openToWrite(ctx context.Context) error {
	path := s.cfg.SQLite.Path
	// A file that exists is judged before anything is made beside it.
	if err := inspect(path, newestSchema); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := preparePlace(path); err != nil {
		return err
	}
	var err error
	if s.lock, err = takeLock(path + ".lock"); err != nil {
		return err
	}
	// Checks read only, so that what is refused stays as it was.
	s.reads = open(path, true)
	if err := check(ctx, s.reads); err != nil {
		return err
	}
	db := open(path, false)
	if err := migrate(ctx, db); err != nil {
		return errors.Join(err, db.Close())
	}
	if s.writer, err = newWriter(ctx, s, db); err != nil {
		return errors.Join(err, db.Close())
	}
	if s.epoch, err = s.startEpoch(ctx); err != nil {
		return err
	}
	return nil
}

func (s *Store) openToRead(ctx context.Context) error {
	if err := inspect(s.cfg.SQLite.Path, newestSchema); err != nil {
		return err
	}
	s.reads = open(s.cfg.SQLite.Path, true)
	version, err := checkSchema(ctx, s.reads)
	if err != nil {
		return err
	}
	if version != newestSchema {
		return fmt.Errorf("its schema is %d, this version reads %d: start the bridge once to bring it up to date", version, newestSchema)
	}
	return s.reads.QueryRowContext(ctx, "SELECT epoch FROM meta").Scan(&s.epoch)
}

// startEpoch ends all earlier leases at once: who held one may have died in
// the middle, so what was being sent may have arrived.
func (s *Store) startEpoch(ctx context.Context) (epoch int64, err error) {
	err = s.write(ctx, func(t *tx) error {
		if err := t.row("UPDATE meta SET epoch = epoch + 1 RETURNING epoch", nil, &epoch); err != nil {
			return err
		}
		return t.lapse("true")
	})
	return epoch, err
}

// Close answers what waits for the writer, ends it and closes the file.
func (s *Store) Close() error {
	var err error
	// The writer's is the last connection to go, because only one that may
	// write can move the log into the file: a stopped store is one file.
	if s.reads != nil {
		err = s.reads.Close()
	}
	if s.writer != nil {
		err = errors.Join(err, s.writer.close())
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// Now is the store's clock, by which all lease and due times are meant.
func (s *Store) Now() time.Time { return s.now() }

// Topics of Changed.
const (
	topicEvents     = "events"
	topicDeliveries = "deliveries"
	topicTimers     = "timers"
	topicRuns       = "runs"
	topicPartners   = "partners"
)

// Changed returns a new channel that is poked after each commit that may
// matter to the topic: "events", "deliveries", "timers", "runs" or "partners".
// Pokes that nobody has taken yet fall together.
func (s *Store) Changed(topic string) <-chan struct{} {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[topic] = append(s.watchers[topic], c)
	return c
}

func (s *Store) poke(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.watchers[topic] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// write runs a job and waits for its commit.
func (s *Store) write(ctx context.Context, run func(*tx) error) error {
	if s.writer == nil {
		return fmt.Errorf("the store is open for reading only: %w", event.ErrUnavailable)
	}
	return s.writer.do(ctx, run)
}

// reader is a moment of the file, for reads that must agree.
type reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// read runs a function on one snapshot.
func (s *Store) read(ctx context.Context, what string, run func(reader) error) error {
	t, err := s.reads.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	defer t.Rollback() //nolint:errcheck // nothing was written
	if err := run(t); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}

// brisk is read for what cannot take long, and so need not be interrupted: to
// watch for that would cost a goroutine for each query.
func (s *Store) brisk(ctx context.Context, what string, run func(context.Context, reader) error) error {
	conn, err := s.reads.Conn(ctx)
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	ctx = context.WithoutCancel(ctx)
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	defer func() {
		if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			// It must not be read from again: it may still be at this moment.
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
	}()
	if err := run(ctx, conn); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}
