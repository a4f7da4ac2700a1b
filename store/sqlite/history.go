package sqlite

import (
	"context"
	"fmt"
	"time"

	"datasync-bridge/event"
)

// selectHistory walks in the order in which events were kept.
var selectHistory = eventFacts + "NULL, b.hash, b.body" + eventTables + "JOIN bodies b ON b.event = e.id WHERE " +
	arrived(">=", "?1") + " AND e.id > ?2 AND " + arrived("<", "?3") + " AND d.state <> 'purged' ORDER BY e.id LIMIT ?4"

// History returns the events that were decided (planned or parked, not purged) and arrived
// from since on and before until, with their bodies and without what was
// decided, in the order in which they were kept: those after the one named, "" for the
// first; at most limit, and fewer where bodies are large. Only after the last event is a page empty. A
// zero time is no bound.
func (s *Store) History(ctx context.Context, since, until time.Time, after string, limit int) (out []event.Stored, err error) {
	from, to := span(since, until)
	row, err := rowOrNone(eventID, after)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	err = s.read(ctx, "history", func(r reader) error {
		rows, err := r.QueryContext(ctx, selectHistory, from, row, to, bounded(limit))
		if err == nil {
			out, err = fewEvents(rows)
		}
		return err
	})
	return out, err
}

// HistorySize counts what History returns in all.
func (s *Store) HistorySize(ctx context.Context, since, until time.Time) (n int, err error) {
	from, to := span(since, until)
	err = s.read(ctx, "the size of history", func(r reader) error {
		return r.QueryRowContext(ctx, "SELECT count(*) FROM events e JOIN decisions d ON d.event = e.id WHERE d.state <> 'purged' AND "+
			arrived(">=", "?1")+" AND "+arrived("<", "?2"), from, to).Scan(&n)
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
