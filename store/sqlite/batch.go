package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"datasync-bridge/event"
)

// batch is what goes into one commit.
type batch struct {
	accepts []*accept
	jobs    []*job
}

func (b batch) size() int { return len(b.accepts) + len(b.jobs) }

// answer tells every caller how its part went; a failed commit failed for all.
func (b batch) answer(err error) {
	for _, a := range b.accepts {
		if err != nil {
			a.err = err
		}
		a.done <- struct{}{} // its caller may use it again
	}
	for _, j := range b.jobs {
		if err != nil {
			j.err = err
		}
		j.done <- j.err
	}
}

// tx is one transaction of the writer, as a job sees it.
type tx struct {
	conn   *sql.Conn
	now    time.Time
	epoch  int64
	topics map[string]bool
	// committed is run after the commit, on the writer's goroutine.
	committed []func()
	writer    *writer
}

func (t *tx) exec(query string, args ...any) (changed int64, err error) {
	r, err := t.conn.ExecContext(context.Background(), query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (t *tx) row(query string, args []any, into ...any) error {
	return t.conn.QueryRowContext(context.Background(), query, args...).Scan(into...)
}

// commit runs a batch. Nobody is answered before it is on disk.
func (w *writer) commit(b batch) {
	began := time.Now()
	t, err := w.transact(&b)
	w.store.note(Commit{Events: len(b.accepts), Jobs: len(b.jobs), Took: time.Since(began), Err: err})
	if err != nil {
		w.broken(err)
		b.answer(fmt.Errorf("%w: %w", event.ErrUnavailable, err))
		return
	}
	w.healthy()
	for _, f := range t.committed {
		f()
	}
	b.answer(nil)
	for topic := range t.topics {
		w.store.poke(topic)
	}
}

// transact returns an error only for what concerns the whole batch. Jobs for
// which no time is left go back to the queue.
func (w *writer) transact(b *batch) (*tx, error) {
	if err := w.inPlace(); err != nil {
		return nil, err
	}
	if w.conn == nil {
		if err := w.connect(context.Background()); err != nil {
			return nil, err
		}
	}
	t := &tx{conn: w.conn, now: w.store.now(), epoch: w.store.epoch, topics: map[string]bool{}, writer: w}
	if err := w.hot.begin(); err != nil {
		return nil, err
	}
	err := w.runAccepts(t, b.accepts)
	began := time.Now() // now: a flood of events must leave the others their share
	for k, j := range b.jobs {
		if err != nil {
			break
		}
		if k > 0 && len(b.accepts) > 0 && time.Since(began) > jobTime {
			w.putBack(b.jobs[k:])
			b.jobs = b.jobs[:k]
			break
		}
		if j.taken.CompareAndSwap(false, true) { // or its caller has left
			err = w.runJob(t, j)
		}
	}
	if err == nil {
		err = w.hot.commit()
	}
	if err != nil {
		_, _ = t.exec("ROLLBACK") // may be rolled back already
		return nil, err
	}
	return t, nil
}

// runJob runs a job in a savepoint of its own: what it wrote before it failed
// is undone, the others' work stays.
func (w *writer) runJob(t *tx, j *job) error {
	if j.err = j.ctx.Err(); j.err != nil {
		return nil //nolint:nilerr // the job's own answer, not the batch's
	}
	undo := len(t.committed)
	return w.alone(func() error { j.err = j.run(t); return j.err }, func() { t.committed = t.committed[:undo] })
}

// alone runs a function in a savepoint. It returns only the errors that are
// the store's own.
func (w *writer) alone(run func() error, undo func()) error {
	if err := w.hot.savepoint(); err != nil {
		return err
	}
	if err := run(); err != nil {
		if isFault(err) {
			return err
		}
		undo()
		if err := w.hot.rollbackTo(); err != nil {
			return err
		}
	}
	return w.hot.release()
}
