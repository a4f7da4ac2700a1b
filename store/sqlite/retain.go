package sqlite

import (
	"context"
	"fmt"
)

// slice bounds how many rows one Retain deletes, and so how long it holds the
// writer.
const slice = 500

// Retain deletes one slice of what has been kept long enough, writes one chunk
// of what a start reads, and reports whether there may be more of either. Nothing that an open incident, an unfinished
// delivery or an unfinished run refers to is deleted, and no line of the audit.
func (s *Store) Retain(ctx context.Context) (deleted int, more bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		now := t.now
		r := retention{
			tx: t, left: slice,
			events:    now.Add(-s.cfg.Retain.Events).UnixMicro(),
			incidents: now.Add(-s.cfg.Retain.Incidents).UnixMicro(),
			silences:  now.Add(-keepSilences).UnixMicro(),
		}
		if err := r.run(); err != nil {
			return err
		}
		deleted, more = slice-r.left, r.left <= 0
		return nil
	})
	if err != nil {
		return 0, false, fmt.Errorf("delete what has been kept long enough: %w", err)
	}
	chunked, err := s.chunk(ctx)
	if err != nil {
		return 0, false, fmt.Errorf("write fingerprints down: %w", err)
	}
	return deleted, more || chunked, nil
}

// retention is one slice. Left counts down and stops it.
type retention struct {
	*tx
	left      int
	events    int64 // what arrived before may go
	incidents int64 // what ended before may go
	silences  int64
}

func (r *retention) run() error {
	if err := r.deleteEvents(); err != nil {
		return err
	}
	if err := r.deleteIncidents(); err != nil {
		return err
	}
	for _, old := range []struct {
		query string
		args  []any
	}{
		{"DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE incident = 0 AND turn IS NULL AND queued_at < ? LIMIT ?)",
			[]any{r.incidents}},
		{"DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE incident = 0 AND due_at IS NULL AND state NOT IN ('started', 'unknown') AND created_at < ? LIMIT ?)",
			[]any{r.incidents}},
		{"DELETE FROM timeline WHERE id IN (SELECT id FROM timeline WHERE incident = 0 AND at < ? LIMIT ?)", []any{r.incidents}},
		{"DELETE FROM recoveries WHERE (environment, handle, type) IN (SELECT environment, handle, type FROM recoveries WHERE received_at < ? LIMIT ?)",
			[]any{r.events}},
		{`DELETE FROM notices WHERE key IN (SELECT key FROM notices WHERE touched_at < ?
			AND NOT EXISTS (SELECT 1 FROM timers WHERE kind = 'notice' AND subject = notices.key) LIMIT ?)`, []any{r.events}},
		{"DELETE FROM partners WHERE (environment, id) IN (SELECT environment, id FROM partners WHERE seen_at < ? LIMIT ?)", []any{r.events}},
		{"DELETE FROM breakers WHERE (environment, partner) IN (SELECT environment, partner FROM breakers WHERE since < ? LIMIT ?)", []any{r.incidents}},
		{`DELETE FROM digest_items WHERE (digest, incident) IN (SELECT digest, incident FROM digest_items d
			WHERE NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = d.incident) LIMIT ?)`, nil},
		{`DELETE FROM digests WHERE digest IN (SELECT digest FROM digests d WHERE told_at < ?
			AND NOT EXISTS (SELECT 1 FROM digest_items i WHERE i.digest = d.digest) LIMIT ?)`, []any{r.events}},
		{"DELETE FROM prints WHERE last IN (SELECT last FROM prints WHERE last < (SELECT min(id) FROM events) LIMIT ?)", nil},
		{"DELETE FROM silences WHERE id IN (SELECT id FROM silences WHERE ends_at < ? LIMIT ?)", []any{r.silences}},
	} {
		if err := r.delete(old.query, old.args...); err != nil {
			return err
		}
	}
	return r.deleteLoads()
}

// delete runs a statement whose last parameter is the limit.
func (r *retention) delete(query string, args ...any) error {
	if r.left <= 0 {
		return nil
	}
	n, err := r.exec(query, append(args, r.left)...)
	r.left -= int(n)
	return err
}

// busyRun is true for a run that is under way, or that somebody must look at.
const busyRun = "(x.due_at IS NOT NULL OR x.state IN ('started', 'unknown'))"

// busyIncident is true for an incident that still has something to say.
const busyIncident = `(i.state = 'open'
	OR EXISTS (SELECT 1 FROM deliveries x WHERE x.incident = i.id AND x.turn IS NOT NULL)
	OR EXISTS (SELECT 1 FROM runs x WHERE x.incident = i.id AND ` + busyRun + `))`

// freeEvent is true for an event that nothing unfinished refers to.
const freeEvent = `NOT EXISTS (SELECT 1 FROM pending p WHERE p.event = e.id)
	AND NOT EXISTS (SELECT 1 FROM runs x WHERE x.event = e.id AND ` + busyRun + `)
	AND NOT EXISTS (SELECT 1 FROM members m JOIN incidents i ON i.id = m.incident WHERE m.event = e.id AND m.open = 1 AND i.state = 'open')
	AND NOT EXISTS (SELECT 1 FROM decisions d JOIN incidents i ON i.id = d.incident WHERE d.event = e.id AND ` + busyIncident + `)`

var freeEvents = "SELECT e.id, s.name, e.key FROM events e JOIN sources s ON s.id = e.source WHERE " + //nolint:gosec // of constants
	arrived("<", "?1") + " AND " + freeEvent + " ORDER BY e.id LIMIT ?2"

func (r *retention) deleteEvents() error {
	rows, err := r.conn.QueryContext(context.Background(), freeEvents, r.events, r.left)
	if err != nil {
		return err
	}
	var gone []slot
	err = each(rows, func(scan func(...any) error) error {
		var one slot
		var source string
		var key []byte
		if err := scan(&one.row, &source, &key); err != nil {
			return err
		}
		one.print = fingerprint(source, key)
		gone = append(gone, one)
		return nil
	})
	if err != nil {
		return err
	}
	for _, one := range gone {
		for _, query := range []string{
			"DELETE FROM events WHERE id = ?", "DELETE FROM bodies WHERE event = ?", "DELETE FROM decisions WHERE event = ?",
		} {
			if _, err := r.exec(query, one.row); err != nil {
				return err
			}
		}
	}
	r.left -= len(gone)
	r.committed = append(r.committed, func() {
		for _, one := range gone {
			r.writer.seen.remove(one.print, one.row)
		}
	})
	return nil
}

// deleteIncidents takes what belongs to an incident first and the incident
// last, so that a slice that ends half-way is continued by the next.
func (r *retention) deleteIncidents() error {
	var rows []int64
	found, err := r.conn.QueryContext(context.Background(), `SELECT i.id FROM incidents i
		WHERE i.state = 'resolved' AND i.resolved_at < ? AND NOT `+busyIncident+` ORDER BY i.resolved_at LIMIT ?`, r.incidents, max(r.left, 0))
	if err != nil {
		return err
	}
	err = each(found, func(scan func(...any) error) error {
		var row int64
		err := scan(&row)
		rows = append(rows, row)
		return err
	})
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := r.deleteIncident(row); err != nil || r.left <= 0 {
			return err
		}
	}
	return nil
}

func (r *retention) deleteIncident(row int64) error {
	for _, query := range []string{
		"DELETE FROM members WHERE row IN (SELECT row FROM members WHERE incident = ? LIMIT ?)",
		"DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE incident = ? LIMIT ?)",
		"DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE incident = ? LIMIT ?)",
		"DELETE FROM timeline WHERE id IN (SELECT id FROM timeline WHERE incident = ? LIMIT ?)",
		"DELETE FROM digest_items WHERE (digest, incident) IN (SELECT digest, incident FROM digest_items WHERE incident = ? LIMIT ?)",
	} {
		if err := r.delete(query, row); err != nil {
			return err
		}
	}
	if r.left <= 0 {
		return nil
	}
	if _, err := r.exec("DELETE FROM timers WHERE kind = 'incident' AND subject = ?", formatID(incidentID, row)); err != nil {
		return err
	}
	return r.delete("DELETE FROM incidents WHERE id IN (SELECT id FROM incidents WHERE id = ? LIMIT ?)", row)
}
