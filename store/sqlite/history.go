package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"datasync-bridge/event"
)

// selectHistory walks by arrival, and by row among those of one microsecond.
const selectHistory = eventFacts + "NULL, b.hash, b.body" + eventTables + `JOIN bodies b ON b.event = e.id WHERE e.received_at >= ?1 AND (e.received_at > ?1 OR e.id > ?2) AND e.received_at < ?3
	AND d.state <> 'purged' ORDER BY e.received_at, e.id LIMIT ?4`

// History returns the events that were decided (planned or parked, not purged) and arrived
// from since on and before until, with their bodies and without what was
// decided, in the order of their arrival: those after the one named, "" for the
// first; at most limit, and fewer where bodies are large. Only after the last event is a page empty. A
// zero time is no bound.
func (s *Store) History(ctx context.Context, since, until time.Time, after string, limit int) (out []event.Stored, err error) {
	from, to := span(since, until)
	row, err := rowOrNone(eventID, after)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	err = s.read(ctx, "history", func(r reader) error {
		if row != 0 {
			if from, err = arrival(ctx, r, row); err != nil {
				return err
			}
		}
		rows, err := r.QueryContext(ctx, selectHistory, from, row, to, bounded(limit))
		if err == nil {
			out, err = fewEvents(rows)
		}
		return err
	})
	return out, err
}

// arrival is when an event came. Of one that retention took meanwhile the
// number tells, which is the time at which it was kept.
func arrival(ctx context.Context, r reader, row int64) (at int64, err error) {
	err = r.QueryRowContext(ctx, "SELECT received_at FROM events WHERE id = ?", row).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return row, nil
	}
	return at, err
}

// HistorySize counts what History returns in all.
func (s *Store) HistorySize(ctx context.Context, since, until time.Time) (n int, err error) {
	from, to := span(since, until)
	err = s.read(ctx, "the size of history", func(r reader) error {
		return r.QueryRowContext(ctx, `SELECT count(*) FROM events e JOIN decisions d ON d.event = e.id
			WHERE d.state <> 'purged' AND e.received_at >= ? AND e.received_at < ?`, from, to).Scan(&n)
	})
	return n, err
}

// span is two times as columns hold them; without them it is all there is.
func span(since, until time.Time) (from, to int64) {
	to = 1<<63 - 1
	if !since.IsZero() {
		from = due(since)
	}
	if !until.IsZero() {
		to = due(until)
	}
	return from, to
}
