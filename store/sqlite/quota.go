package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/store"
)

const (
	// measureEvery and measureAfter say when what the store holds is measured
	// again: after so long, or so many bytes of bodies.
	measureEvery = time.Second
	measureAfter = 1 << 20
	// recountEvery is how often the bodies of what cannot be mapped are added up
	// again while they fill their part: it reads a row for each.
	recountEvery = 10 * time.Second
)

// quota bounds what new events may add to the store. Duplicates add nothing,
// and what the bridge tells of itself is little and must be told: both pass.
type quota struct {
	most       int64 // bytes, 0 for no bound
	quarantine int64 // bytes of bodies, 0 for no bound

	full, quarantineFull atomic.Bool
	measured             atomic.Int64 // when full was looked at, in microseconds

	// What follows belongs to the writer's goroutine.
	grown int64 // bytes of bodies since then
	// odd is at least what the bodies take that cannot be mapped: what was
	// deleted since they were counted is in it still.
	odd     int64
	counted time.Time
}

func newQuota(cfg store.Config) *quota {
	return &quota{most: int64(cfg.MaxSize), quarantine: int64(cfg.Quarantine.MaxSize)}
}

// outcome is what became of an event.
func (a *accept) outcome() (event.Receipt, error) {
	if err := cmp.Or(a.err, a.refused); err != nil {
		return event.Receipt{}, err
	}
	return a.receipt, nil
}

// look measures before a batch, where it is time to.
func (q *quota) look(t *tx) error {
	if q.most > 0 && (q.grown >= measureAfter || q.stale(t.now)) {
		held, err := t.writer.store.held(context.Background(), t.conn)
		if err != nil {
			return err
		}
		q.take(held, t.now)
		q.grown = 0
	}
	if q.quarantine == 0 {
		return nil
	}
	// At the start nobody knows, and a part that is full may have been emptied.
	if q.counted.IsZero() || q.odd >= q.quarantine && t.now.Sub(q.counted).Abs() >= recountEvery {
		err := t.row(`SELECT coalesce(sum(length(b.body)), 0) FROM events e INDEXED BY events_quarantined
			JOIN bodies b ON b.event = e.id WHERE e.quarantine <> ''`, nil, &q.odd)
		if err != nil {
			return err
		}
		q.counted = t.now
	}
	q.quarantineFull.Store(q.odd >= q.quarantine)
	return nil
}

func (q *quota) stale(now time.Time) bool {
	return now.Sub(time.UnixMicro(q.measured.Load())).Abs() >= measureEvery
}

func (q *quota) take(held int64, now time.Time) {
	q.full.Store(held >= q.most)
	q.measured.Store(now.UnixMicro())
}

// refusal is why a new event is not kept, nil where it is. Within a batch it
// stays the same, for a batch may be redone; what is written twice then counts
// twice, until it is measured.
func (q *quota) refusal(in *event.Received) error {
	switch {
	case q.most == 0 && q.quarantine == 0, in.Origin == event.OriginBridge:
		return nil
	case q.full.Load():
		return event.ErrFull
	case in.Quarantine != "" && q.quarantineFull.Load():
		return event.ErrQuarantineFull
	}
	q.grown += int64(len(in.Body))
	if in.Quarantine != "" {
		q.odd += int64(len(in.Body))
	}
	return nil
}

// ready measures again while the store is full: a load balancer that sees it
// unready sends nothing that would.
func (q *quota) ready(ctx context.Context, s *Store) error {
	if !q.full.Load() {
		return nil
	}
	if now := s.now(); q.stale(now) {
		held, err := s.held(ctx, s.reads)
		if err != nil {
			return fmt.Errorf("measure the store: %w", err)
		}
		q.take(held, now)
	}
	if q.full.Load() {
		return event.ErrFull
	}
	return nil
}

// held is what counts against store.max_size: pages that were freed stay in the
// file and are written again.
func (s *Store) held(ctx context.Context, r reader) (bytes int64, err error) {
	err = r.QueryRowContext(ctx, `SELECT (p.page_count - f.freelist_count) * s.page_size
		FROM pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s`).Scan(&bytes)
	return bytes + size(s.cfg.SQLite.Path+"-wal"), err
}

func (st *Stats) measure(ctx context.Context, s *Store) (err error) {
	if st.Held, err = s.held(ctx, s.reads); err != nil || s.writer == nil {
		return err
	}
	q := s.writer.quota
	if q.most > 0 {
		q.take(st.Held, s.now())
	}
	st.Full, st.QuarantineFull = q.full.Load(), q.quarantineFull.Load()
	return nil
}
