package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// maxMatched bounds View.Matched; listedBeside is what Listed holds beyond
// max_members, so that a plan sees who moves up.
const (
	maxMatched   = 100
	listedBeside = 8
)

// Load reads what a plan must know, at one moment. Its cost depends on what is
// listed and matched, not on how many members an incident has.
func (s *Store) Load(ctx context.Context, q incident.Query) (v incident.View, err error) {
	err = s.brisk(ctx, "the view of a plan", func(ctx context.Context, r reader) error {
		v, err = load(ctx, r, q)
		return err
	})
	if err != nil {
		return incident.View{}, err
	}
	return v, nil
}

func load(ctx context.Context, r reader, q incident.Query) (v incident.View, err error) {
	if v.Matched, err = matched(ctx, r, q); err != nil {
		return v, err
	}
	if v.Recoveries, err = recoveries(ctx, r, q); err != nil {
		return v, err
	}
	if q.Notice != "" {
		if v.Notice, err = notice(ctx, r, q.Notice); err != nil {
			return v, err
		}
	}
	if q.Partner != "" {
		if v.Partner, err = knownPartner(ctx, r, q.Environment, q.Partner); err != nil {
			return v, err
		}
	}
	if q.Digest != "" {
		if v.Digest, err = digest(ctx, r, q.Digest); err != nil {
			return v, err
		}
	}
	rows, err := concerned(ctx, r, q, &v)
	if err != nil {
		return v, err
	}
	for _, row := range rows {
		i, err := loadIncident(ctx, r, row)
		if errors.Is(err, event.ErrNotFound) {
			continue
		}
		if err != nil {
			return v, err
		}
		v.Incidents = append(v.Incidents, i)
	}
	return v, nil
}

// concerned tells which incidents a query is about, each once: by key, by what
// was matched, by a run or a delivery (which it puts into the view), by id.
func concerned(ctx context.Context, r reader, q incident.Query, v *incident.View) (rows []int64, err error) {
	want := func(row int64) {
		if row != 0 && !slices.Contains(rows, row) {
			rows = append(rows, row)
		}
	}
	named := func(id string) error {
		row, err := rowOrNone(incidentID, id)
		want(row)
		return err
	}
	if q.Key != "" {
		row, err := byKey(ctx, r, q)
		if err != nil {
			return nil, err
		}
		want(row)
	}
	for _, m := range v.Matched {
		if err := named(m.Incident); err != nil {
			return nil, err
		}
	}
	if q.RunKey != "" {
		runs, err := queryRuns(ctx, r, ofKey, string(q.Environment), q.RunKey)
		if err != nil {
			return nil, err
		}
		for i := range runs { // one at most
			v.Run = &runs[i]
			if err := named(runs[i].Incident); err != nil {
				return nil, err
			}
		}
	}
	for _, id := range q.Incidents {
		row, err := rowOf(incidentID, id)
		if err != nil {
			return nil, err
		}
		want(row)
	}
	if q.Delivery != "" {
		d, row, err := queued(ctx, r, q.Delivery)
		if err != nil {
			return nil, err
		}
		v.Delivery = d
		want(row)
	}
	return rows, nil
}

// byKey finds the open incident of a key, else the one resolved last.
func byKey(ctx context.Context, r reader, q incident.Query) (row int64, err error) {
	err = r.QueryRowContext(ctx, "SELECT id FROM incidents WHERE environment = ? AND key = ? AND state = 'open'",
		string(q.Environment), q.Key).Scan(&row)
	if errors.Is(err, sql.ErrNoRows) {
		err = r.QueryRowContext(ctx, `SELECT id FROM incidents WHERE environment = ? AND key = ? AND state = 'resolved'
			ORDER BY resolved_at DESC, id DESC LIMIT 1`, string(q.Environment), q.Key).Scan(&row)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return row, err
}

// matched finds open members by handle. Only they have handles.
func matched(ctx context.Context, r reader, q incident.Query) ([]incident.MatchedMember, error) {
	var out []incident.MatchedMember
	known := map[int64]bool{}
	for _, h := range q.Handles {
		rows, err := r.QueryContext(ctx, `SELECT m.row, m.incident, m.open, m.settled_at, m.doc FROM handles h
			JOIN members m ON m.row = h.member WHERE h.environment = ? AND h.handle = ? ORDER BY h.member LIMIT ?`,
			string(q.Environment), h, maxMatched)
		if err != nil {
			return nil, err
		}
		err = each(rows, func(scan func(...any) error) error {
			var row, inc int64
			m, err := scanMember(func(into ...any) error { return scan(append([]any{&row, &inc}, into...)...) })
			if err == nil && !known[row] && len(out) < maxMatched {
				known[row] = true
				out = append(out, incident.MatchedMember{Incident: formatID(incidentID, inc), Member: m})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func recoveries(ctx context.Context, r reader, q incident.Query) ([]incident.Recovery, error) {
	var out []incident.Recovery
	for k, h := range q.Handles {
		if slices.Contains(q.Handles[:k], h) {
			continue
		}
		rows, err := r.QueryContext(ctx, `SELECT type, occurred_at, received_at, event, incident FROM recoveries
			WHERE environment = ? AND handle = ? ORDER BY type`, string(q.Environment), h)
		if err != nil {
			return nil, err
		}
		err = each(rows, func(scan func(...any) error) error {
			one := incident.Recovery{Environment: q.Environment, Handle: h}
			var occurred, received column
			err := scan(&one.Type, &occurred, &received, &one.Event, &one.Incident)
			one.OccurredAt, one.ReceivedAt = occurred.Time, received.Time
			out = append(out, one)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func notice(ctx context.Context, r reader, key string) (*incident.Notice, error) {
	var doc []byte
	err := r.QueryRowContext(ctx, "SELECT doc FROM notices WHERE key = ?", key).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // a View without a notice holds nil
	}
	if err != nil {
		return nil, err
	}
	n := new(incident.Notice)
	return n, json.Unmarshal(doc, n)
}

// loadIncident reads an incident with what is listed beside it.
func loadIncident(ctx context.Context, r reader, row int64) (i incident.Incident, err error) {
	var doc []byte
	var version int64
	err = r.QueryRowContext(ctx, "SELECT version, doc FROM incidents WHERE id = ?", row).Scan(&version, &doc)
	if errors.Is(err, sql.ErrNoRows) {
		return i, event.ErrNotFound
	}
	if err != nil {
		return i, err
	}
	if i, err = decodeIncident(doc, version); err != nil {
		return i, err
	}
	var listed []byte
	if err := r.QueryRowContext(ctx, listMembers, row, i.MaxMembers+listedBeside).Scan(&listed); err != nil {
		return i, err
	}
	if listed != nil {
		if err := json.Unmarshal(listed, &i.Listed); err != nil {
			return i, err
		}
	}
	rows, err := r.QueryContext(ctx, "SELECT "+queuedColumns+" FROM deliveries WHERE incident = ? AND listed = 1 ORDER BY id", row)
	if err != nil {
		return i, err
	}
	err = each(rows, func(scan func(...any) error) error {
		d, _, err := scanQueued(scan)
		i.Queue = append(i.Queue, d)
		return err
	})
	return i, err
}

// listMembers is one row of all the documents, because a row for each would
// cost more than what is in it.
const listMembers = `SELECT '[' || group_concat(doc) || ']' FROM (SELECT doc FROM members WHERE incident = ? AND open = 1
	ORDER BY due IS NULL, due, opened_at, row LIMIT ?)`

func decodeIncident(doc []byte, version int64) (i incident.Incident, err error) {
	err = json.Unmarshal(doc, &i)
	i.Version = version
	restore(i.Lead.Fields)
	return i, err
}

// restore gives fields the types that event.Event promises; JSON has neither
// times nor lists of text.
func restore(fields map[string]any) {
	for path, v := range fields {
		f, _ := event.FieldAt(path)
		switch v := v.(type) {
		case string:
			if f.Kind != event.KindTime {
				continue
			}
			if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
				fields[path] = at
			}
		case []any:
			texts := make([]string, 0, len(v))
			for _, one := range v {
				if s, ok := one.(string); ok {
					texts = append(texts, s)
				}
			}
			fields[path] = texts
		}
	}
}

// scanMember reads open, settled_at, doc. The columns count: an incident that
// ends closes its members without rewriting their documents.
func scanMember(scan func(...any) error) (m incident.Member, err error) {
	var open bool
	var settled column
	var doc []byte
	if err := scan(&open, &settled, &doc); err != nil {
		return m, err
	}
	if err := json.Unmarshal(doc, &m); err != nil {
		return m, err
	}
	if m.Open && !open {
		m.Open, m.SettledAt = false, settled.Time
	}
	return m, nil
}

const queuedColumns = "id, incident, notifier, kind, alarm, state, attempts > 0 OR unclear OR state = 'sending', error"

func scanQueued(scan func(...any) error) (d incident.Queued, inc int64, err error) {
	err = scan(&d.Seq, &inc, &d.Notifier, &d.Kind, &d.Alarm, &d.State, &d.Attempted, &d.Error)
	d.ID, d.Incident = formatID(deliveryID, d.Seq), idOrNone(incidentID, inc)
	return d, inc, err
}

func queued(ctx context.Context, r reader, id string) (*incident.Queued, int64, error) {
	row, err := rowOf(deliveryID, id)
	if err != nil {
		return nil, 0, err
	}
	d, inc, err := scanQueued(r.QueryRowContext(ctx, "SELECT "+queuedColumns+" FROM deliveries WHERE id = ?", row).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, nil // retention may have taken it: the timer then finds nothing to do
	}
	return &d, inc, err
}

// each reads all rows and closes them.
func each(rows *sql.Rows, one func(scan func(...any) error) error) error {
	defer rows.Close() //nolint:errcheck // its error shows in rows.Err
	for rows.Next() {
		if err := one(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// DueTimers returns what is due, the longest due first, and when the next one
// comes due, zero for none.
func (s *Store) DueTimers(ctx context.Context, limit int) (due []incident.Timer, next time.Time, err error) {
	now := s.now().UnixMicro()
	err = s.read(ctx, "timers", func(r reader) error {
		rows, err := r.QueryContext(ctx, "SELECT kind, subject, due_at FROM timers WHERE due_at <= ? ORDER BY due_at LIMIT ?", now, limit)
		if err != nil {
			return err
		}
		err = each(rows, func(scan func(...any) error) error {
			var one incident.Timer
			var at column
			err := scan(&one.Kind, &one.Subject, &at)
			one.DueAt = at.Time
			due = append(due, one)
			return err
		})
		if err != nil {
			return err
		}
		var at column
		err = r.QueryRowContext(ctx, "SELECT min(due_at) FROM timers WHERE due_at > ?", now).Scan(&at)
		next = at.Time
		return err
	})
	return due, next, err
}
