package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mattn/go-sqlite3"

	"datasync-bridge/event"
)

const (
	// maxAccepts and maxJobs bound a batch, and so how long its callers wait.
	maxAccepts = 512
	maxJobs    = 128
	// jobTime bounds what a commit does besides, and so how long senders wait,
	// while events come in; planning takes seconds of a burst, an answer may not.
	jobTime = time.Millisecond
	// probeEvery is how often a store that failed tries whether it can write.
	probeEvery = time.Second
)

// writer owns the only connection that writes. What waits while a commit runs
// makes the next batch; nobody lingers for more.
type writer struct {
	store *Store
	db    *sql.DB
	file  os.FileInfo // what had the store's name when it was opened
	queue int

	mu      sync.Mutex
	accepts []*accept
	jobs    []*job
	closed  bool
	wake    chan struct{}
	ended   chan struct{}
	fault   atomic.Pointer[fault]
	quota   *quota
	spare   sync.Pool // of *accept

	// What follows belongs to the writer's goroutine.
	conn    *sql.Conn // nil after an I/O error, until it is opened again
	hot     *hot
	seen    *seen
	sources map[route]int64
	found   []int64 // scratch of one lookup
	last    int64   // newest event's row
	known   int64   // newest row in seen
	skew    int64   // as in meta
}

// fault is why the store cannot write at the moment.
type fault struct{ err error }

// job is one change. Its caller may leave while it waits; once the writer has
// taken it, the caller waits for the outcome, so that results never race.
type job struct {
	ctx   context.Context //nolint:containedctx // a job lives as long as its caller's call
	run   func(*tx) error
	taken atomic.Bool
	done  chan error
	err   error
}

func newWriter(ctx context.Context, s *Store, db *sql.DB) (*writer, error) {
	w := &writer{
		store: s, db: db, queue: s.cfg.SQLite.Queue,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
		seen: newSeen(), sources: map[route]int64{}, quota: newQuota(s.cfg),
	}
	var err error
	if w.file, err = os.Stat(s.cfg.SQLite.Path); err != nil {
		return nil, err
	}
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	go w.loop()
	return w, nil
}

func (w *writer) connect(ctx context.Context) error {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return err
	}
	w.hot, err = prepareHot(conn)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	w.conn = conn
	if err := w.remember(ctx); err != nil {
		return errors.Join(err, w.disconnect())
	}
	return nil
}

// inPlace returns an error if the file has lost its name: it could be written
// to, and nobody would find it again.
func (w *writer) inPlace() error {
	now, err := os.Stat(w.store.cfg.SQLite.Path)
	if err == nil && !os.SameFile(w.file, now) {
		err = errors.New("another file has taken its place")
	}
	if err != nil {
		return fmt.Errorf("the store's file was moved while it is open; put it back: %w", err)
	}
	return nil
}

// disconnect drops the connection and what SQLite holds of the file.
func (w *writer) disconnect() error {
	if w.conn == nil {
		return nil
	}
	w.hot.close()
	// ErrBadConn keeps the pool from handing the same connection out again.
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
	err := w.conn.Close()
	w.conn, w.hot = nil, nil
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return nil
	}
	return err
}

// do hands a job over and waits for its commit.
func (w *writer) do(ctx context.Context, run func(*tx) error) error {
	j := &job{ctx: ctx, run: run, done: make(chan error, 1)}
	if err := w.enqueue(nil, j); err != nil {
		return err
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return ctx.Err() // the writer will pass it over
		}
		return <-j.done
	}
}

func (w *writer) enqueue(a *accept, j *job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return fmt.Errorf("the store is closing: %w", event.ErrUnavailable)
	case a != nil && len(w.accepts) >= w.queue, j != nil && len(w.jobs) >= w.queue:
		return event.ErrBusy
	case a != nil:
		w.accepts = append(w.accepts, a)
	default:
		w.jobs = append(w.jobs, j)
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}

// take removes the next batch from the queue and reports whether the writer is
// to end once it is empty.
func (w *writer) take() (b batch, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b.accepts, w.accepts = cut(w.accepts, maxAccepts)
	b.jobs, w.jobs = cut(w.jobs, maxJobs)
	return b, w.closed
}

// putBack returns jobs to the head of the queue.
func (w *writer) putBack(jobs []*job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs = append(jobs[:len(jobs):len(jobs)], w.jobs...)
}

// cut splits off at most n. The rest moves to fresh memory once the queue is
// drained, so that a burst does not stay allocated.
func cut[T any](queue []T, n int) (head, rest []T) {
	if len(queue) <= n {
		return queue, nil
	}
	return queue[:n:n], queue[n:]
}

func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	<-w.ended
	return w.db.Close()
}

func (w *writer) loop() {
	defer close(w.ended)
	for {
		b, closed := w.take()
		if b.size() > 0 {
			w.commit(b)
			continue
		}
		if closed {
			if err := w.disconnect(); err != nil {
				w.store.log.Warn("closing the store", slog.Any("err", err))
			}
			w.seen.free()
			return
		}
		w.rest()
	}
}

// rest waits for work. While the store cannot write it tries again by itself,
// because a load balancer that sees it unready sends nothing that would.
func (w *writer) rest() {
	if w.fault.Load() == nil {
		<-w.wake
		return
	}
	retry := time.NewTimer(probeEvery)
	defer retry.Stop()
	select {
	case <-w.wake:
	case <-retry.C:
		w.commit(batch{jobs: []*job{{ctx: context.Background(), done: make(chan error, 1), run: func(t *tx) error {
			_, err := t.exec("UPDATE meta SET probed_at = ?", t.now.UnixMicro())
			return err
		}}}})
	}
}

// broken makes a failure known until a commit succeeds.
func (w *writer) broken(err error) {
	if w.fault.Swap(&fault{err}) == nil {
		w.store.log.Error("store cannot write", slog.Any("err", err))
	}
	if isIO(err) {
		if err := w.disconnect(); err != nil {
			w.store.log.Warn("closing a failed connection", slog.Any("err", err))
		}
	}
}

func (w *writer) healthy() {
	if w.fault.Load() != nil && w.fault.Swap(nil) != nil {
		w.store.log.Info("store writes again")
	}
}

// isFault reports whether an error is the store's own trouble (full, locked,
// read-only, I/O), not that of one row.
func isFault(err error) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)
	}
	switch e.Code {
	case sqlite3.ErrFull, sqlite3.ErrIoErr, sqlite3.ErrReadonly, sqlite3.ErrBusy, sqlite3.ErrLocked,
		sqlite3.ErrCantOpen, sqlite3.ErrCorrupt, sqlite3.ErrNotADB, sqlite3.ErrNomem, sqlite3.ErrPerm, sqlite3.ErrProtocol:
		return true
	}
	return false
}

// isIO reports whether the connection's view of the file can no longer be trusted.
func isIO(err error) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return true
	}
	switch e.Code {
	case sqlite3.ErrFull, sqlite3.ErrBusy, sqlite3.ErrLocked:
		return false
	}
	return true
}
