package sqlite

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"datasync-bridge/routing/incident"
)

// Tally is one incident with what it came to.
type Tally struct {
	incident.Incident
	// FirstTold is when the first alarm arrived anywhere, zero for never.
	FirstTold time.Time
	// Taken is the first acknowledgement, also where it was lifted since; nil
	// for none.
	Taken *incident.Mark
	// Sent counts what arrived, by notifier and kind.
	Sent []SentCount
	// Runs counts by state.
	Runs map[incident.RunState]int
}

// SentCount is how many notifications of one kind one notifier took.
type SentCount struct {
	Notifier string
	Kind     incident.DeliveryKind
	Count    int
}

// Report returns the incidents opened from since on and before until, in the
// order of their opening: those after the one named, "" for the first, at most
// limit. A zero time is no bound.
func (s *Store) Report(ctx context.Context, since, until time.Time, after string, limit int) (out []Tally, err error) {
	from, err := rowOrNone(incidentID, after)
	if err != nil {
		return nil, err
	}
	where, args := "id > ?", []any{from}
	if !since.IsZero() {
		where, args = where+" AND opened_at >= ?", append(args, due(since))
	}
	if !until.IsZero() {
		where, args = where+" AND opened_at < ?", append(args, due(until))
	}
	err = s.read(ctx, "incidents of a time", func(r reader) error {
		rows, err := r.QueryContext(ctx, fmt.Sprintf("SELECT version, doc FROM incidents WHERE %s ORDER BY id LIMIT %d", where, bounded(limit)), args...)
		if err != nil {
			return err
		}
		err = each(rows, func(scan func(...any) error) error {
			var version int64
			var doc []byte
			if err := scan(&version, &doc); err != nil {
				return err
			}
			i, err := decodeIncident(doc, version)
			out = append(out, Tally{Incident: i, Runs: map[incident.RunState]int{}})
			return err
		})
		if err != nil || len(out) == 0 {
			return err
		}
		return tally(ctx, r, out)
	})
	return out, err
}

// tally counts what belongs to each of a page of incidents.
func tally(ctx context.Context, r reader, page []Tally) error {
	at := make(map[int64]*Tally, len(page))
	ids := make([]any, 0, len(page))
	for i := range page {
		row, err := rowOf(incidentID, page[i].ID)
		if err != nil {
			return err
		}
		at[row], ids = &page[i], append(ids, row)
	}
	of := " IN (?" + strings.Repeat(",?", len(ids)-1) + ")"
	for _, q := range []struct {
		query string
		read  func(scan func(...any) error) error
	}{
		{"SELECT incident, notifier, kind, count(*), min(settled_at) FROM deliveries WHERE incident" + of +
			" AND state = 'sent' GROUP BY incident, notifier, kind", func(scan func(...any) error) error {
			var id int64
			var c SentCount
			var first column
			if err := scan(&id, &c.Notifier, &c.Kind, &c.Count, &first); err != nil {
				return err
			}
			t := at[id]
			t.Sent = append(t.Sent, c)
			if c.Kind.Alarms() && (t.FirstTold.IsZero() || first.Before(t.FirstTold)) {
				t.FirstTold = first.Time
			}
			return nil
		}},
		{"SELECT incident, state, count(*) FROM runs WHERE incident" + of + " GROUP BY incident, state", func(scan func(...any) error) error {
			var id int64
			var state incident.RunState
			var n int
			if err := scan(&id, &state, &n); err != nil {
				return err
			}
			at[id].Runs[state] = n
			return nil
		}},
		{"SELECT incident, at, by, text FROM timeline WHERE incident" + of + " AND kind = 'acknowledged' AND by <> '' ORDER BY id DESC",
			func(scan func(...any) error) error {
				var id int64
				var when column
				var m incident.Mark
				if err := scan(&id, &when, &m.By, &m.Why); err != nil {
					return err
				}
				m.At = when.Time
				at[id].Taken = &m // the first comes last
				return nil
			}},
	} {
		rows, err := r.QueryContext(ctx, q.query, ids...)
		if err != nil {
			return err
		}
		if err := each(rows, q.read); err != nil {
			return err
		}
	}
	return nil
}

// decisionsAtOnce bounds how many decisions one read of a scan looks at.
const decisionsAtOnce = 20_000

// RulesMatched counts, by name, how often each rule matched an event that
// arrived from since on, and how many events were decided at all. It reads page
// by page, so that it holds up nobody.
func (s *Store) RulesMatched(ctx context.Context, since time.Time) (matched map[string]int, events int, err error) {
	matched = map[string]int{}
	var last int64
	err = s.read(ctx, "the first decision", func(r reader) error {
		return r.QueryRowContext(ctx, "SELECT coalesce(min(e.id) - 1, ?2) FROM events e WHERE "+arrived(">=", "?1"), due(since), int64(math.MaxInt64)).Scan(&last)
	})
	for more := true; more && err == nil; {
		err = s.read(ctx, "decisions", func(r reader) (err error) {
			var n int
			from := last
			if err := r.QueryRowContext(ctx, `SELECT count(*), coalesce(max(event), 0) FROM
				(SELECT event FROM decisions WHERE event > ? ORDER BY event LIMIT ?)`, from, decisionsAtOnce).Scan(&n, &last); err != nil {
				return err
			}
			if more = n > 0; !more {
				return nil
			}
			events += n
			rows, err := r.QueryContext(ctx, `SELECT json_extract(m.value, '$.Name'), count(*) FROM decisions d, json_each(d.doc, '$.Rules') m
				WHERE d.event > ? AND d.event <= ? AND m.type = 'object' GROUP BY 1`, from, last)
			if err != nil {
				return err
			}
			return each(rows, func(scan func(...any) error) error {
				var name string
				var n int
				err := scan(&name, &n)
				matched[name] += n
				return err
			})
		})
	}
	return matched, events, err
}
