package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

const (
	// purgeBodies and purgeIncidents are how many rows one step of a purge looks
	// at; purgeSlice how many it changes while it holds the writer.
	purgeBodies    = 2000
	purgeIncidents = 2000
	purgeSlice     = 100
	// shortestName is the shortest name by which a message to no incident is found.
	shortestName = 3
)

// The stages of a purge, in order. Messages that belong to no incident come
// first, while incidents still tell what the partner is called.
const (
	purgeMessages = "m"
	purgeOfKind   = "i"
	purgeEvents   = "e"
	purgeRest     = "r"
)

// Purge does one step of a purge, in the person's name, or counts what it would
// come to. Of tells whether an event is the partner's. Rows stay, with their
// keys and hashes, so that a repeated event is still a duplicate; what is
// unfinished is left as it is.
func (s *Store) Purge(ctx context.Context, p incident.Purge, by string, of func(event.Stored) bool) (done incident.Purged, err error) {
	w := purge{Store: s, ask: p, by: by, of: of}
	stage, rest, _ := strings.Cut(p.Next, " ")
	after, err := strconv.ParseInt("0"+rest, 10, 64)
	if err != nil {
		return done, fmt.Errorf("%q is no place to go on with a purge", p.Next)
	}
	switch stage {
	case "", purgeMessages:
		err = w.messages(ctx)
	case purgeOfKind:
		err = w.incidents(ctx, after)
	case purgeEvents:
		err = w.events(ctx, after)
	case purgeRest:
		err = w.rest(ctx)
	default:
		err = fmt.Errorf("%q is no place to go on with a purge", p.Next)
	}
	if err != nil {
		return done, fmt.Errorf("purge what is kept of a partner: %w", err)
	}
	return w.done, nil
}

// purge is one step.
type purge struct {
	*Store
	ask     incident.Purge
	by      string
	of      func(event.Stored) bool
	done    incident.Purged
	audited bool
}

func (w *purge) goOn(stage string, after int64) {
	w.done.Next = stage + " " + strconv.FormatInt(after, 10)
}

// change runs a job, the first of a step with its line of the record: what it
// is about to do is on record before, or with, the first of it.
func (w *purge) change(ctx context.Context, what string, run func(t *tx) error) error {
	err := w.write(ctx, func(t *tx) error {
		if !w.audited {
			line := incident.Audit{Actor: w.by, Action: incident.AuditPurged, Subject: w.ask.Partner, Why: w.ask.Why, Result: what}
			if err := t.appendAudit([]incident.Audit{line}); err != nil {
				return err
			}
		}
		return run(t)
	})
	w.audited = w.audited || err == nil
	return err
}

// forgetMessage blanks what a finished delivery said. A dead one can no longer
// be sent again.
const forgetMessage = `UPDATE deliveries SET order_key = 'purged', text = '', snapshot = '{}', error = '', answer = '',
	state = CASE state WHEN 'dead' THEN 'dropped' ELSE state END WHERE turn IS NULL AND order_key <> 'purged' AND `

// messages blanks those to no incident that name the partner: digests and notes.
func (w *purge) messages(ctx context.Context) error {
	defer w.goOn(purgeOfKind, 0)
	var names []string
	var rows []int64
	err := w.read(ctx, "messages that name a partner", func(r reader) (err error) {
		if names, err = w.names(ctx, r); err != nil {
			return err
		}
		naming, args := make([]string, 0, len(names)), []any{due(w.ask.Before)}
		for _, name := range names {
			quoted, err := json.Marshal(name)
			if err != nil {
				return err
			}
			naming = append(naming, "instr(snapshot, ?) > 0 OR instr(text, ?) > 0")
			args = append(args, string(quoted), name)
		}
		rows, err = numbers(ctx, r, "SELECT id FROM deliveries WHERE incident = 0 AND turn IS NULL AND order_key <> 'purged' AND queued_at < ? AND ("+
			strings.Join(naming, " OR ")+")", args...)
		return err
	})
	w.done.Messages += len(rows)
	if err != nil || !w.ask.Apply {
		return err
	}
	for slice := range slices.Chunk(rows, purgeSlice) {
		err := w.change(ctx, fmt.Sprintf("%d messages to no incident", len(rows)), func(t *tx) error {
			for _, row := range slice {
				if _, err := t.exec(forgetMessage+"id = ?", row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// names are what the partner is called: its id, and its names in what is kept.
func (w *purge) names(ctx context.Context, r reader) (out []string, err error) {
	rows, err := r.QueryContext(ctx, `SELECT DISTINCT json_extract(doc, '$.Lead.Fields."partner.name"') FROM incidents
		WHERE json_extract(doc, '$.Lead.Fields."partner.id"') = ?1
		UNION SELECT json_extract(doc, '$.Name') FROM partners WHERE id = ?1 LIMIT 100`, w.ask.Partner)
	if err != nil {
		return nil, err
	}
	out = []string{w.ask.Partner}
	err = each(rows, func(scan func(...any) error) error {
		var name sql.NullString
		err := scan(&name)
		if len(name.String) >= shortestName {
			out = append(out, name.String)
		}
		return err
	})
	return out, err
}

// numbers reads one column of numbers.
func numbers(ctx context.Context, r reader, query string, args ...any) (out []int64, err error) {
	rows, err := r.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(scan func(...any) error) error {
		var row int64
		err := scan(&row)
		out = append(out, row)
		return err
	})
	return out, err
}

// incidents blanks those that are the partner's, or have members that are.
func (w *purge) incidents(ctx context.Context, after int64) error {
	var page, rows []int64
	err := w.read(ctx, "incidents of a partner", func(r reader) (err error) {
		page, err = numbers(ctx, r, "SELECT id FROM incidents WHERE id > ? ORDER BY id LIMIT ?", after, purgeIncidents)
		if err != nil || len(page) == 0 {
			return err
		}
		rows, err = numbers(ctx, r, `SELECT id FROM incidents i WHERE id > ?1 AND id <= ?2 AND opened_at < ?3
			AND (json_extract(doc, '$.Lead.Fields."partner.id"') = ?4
				OR EXISTS (SELECT 1 FROM members m WHERE m.incident = i.id AND json_extract(m.doc, '$.PartnerID') = ?4))`,
			after, page[len(page)-1], due(w.ask.Before), w.ask.Partner)
		return err
	})
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := w.incident(ctx, row, len(rows)); err != nil {
			return err
		}
	}
	if w.goOn(purgeEvents, 0); len(page) == purgeIncidents {
		w.goOn(purgeOfKind, page[len(page)-1])
	}
	return nil
}

// incident counts one and blanks it: what belongs to it in slices, its own row
// last, so that a purge that ends half-way finds it again.
func (w *purge) incident(ctx context.Context, row int64, of int) error {
	var busy bool
	var n incident.Purged
	err := w.read(ctx, "an incident", func(r reader) error {
		return r.QueryRowContext(ctx, `SELECT `+busyIncident+`, (SELECT count(*) FROM members WHERE incident = i.id),
			(SELECT count(*) FROM deliveries WHERE incident = i.id), (SELECT count(*) FROM runs WHERE incident = i.id)
			FROM incidents i WHERE id = ?`, row).Scan(&busy, &n.Members, &n.Messages, &n.Runs)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil // retention was quicker
	}
	if err != nil {
		return err
	}
	if busy {
		w.done.Add(incident.Purged{LeftIncidents: 1, Open: []string{formatID(incidentID, row)}})
		return nil
	}
	n.Incidents = 1
	w.done.Add(n)
	for w.ask.Apply {
		more, err := w.forget(ctx, row, fmt.Sprintf("%d incidents, from %s on", of, formatID(incidentID, row)))
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// forget blanks one slice of what belongs to an incident.
func (w *purge) forget(ctx context.Context, row int64, what string) (more bool, err error) {
	id := formatID(incidentID, row)
	err = w.change(ctx, what, func(t *tx) error {
		more = false
		var busy bool
		err := t.row("SELECT "+busyIncident+" FROM incidents i WHERE id = ?", []any{row}, &busy)
		if errors.Is(err, sql.ErrNoRows) || busy { // it has come back meanwhile, or is gone
			return nil
		}
		if err != nil {
			return err
		}
		for _, part := range []struct {
			query string
			args  []any
		}{
			{`UPDATE members SET id = 'purged:' || row, doc = json_set(doc, '$.ID', 'purged:' || row, '$.Handles', json('null'),
				'$.Transaction', '', '$.PartnerID', '', '$.Partner', '', '$.Reference', '', '$.Group', '', '$.Set', '')
				WHERE row IN (SELECT row FROM members WHERE incident = ? AND id NOT LIKE 'purged:%' LIMIT ?)`, []any{row, purgeSlice}},
			{forgetMessage + "id IN (SELECT id FROM deliveries WHERE incident = ? AND turn IS NULL AND order_key <> 'purged' LIMIT ?)", []any{row, purgeSlice}},
			{"UPDATE timeline SET text = '' WHERE id IN (SELECT id FROM timeline WHERE incident = ? AND text <> '' LIMIT ?)", []any{row, purgeSlice}},
			{`UPDATE runs SET doc = json_set(doc, '$.Params', json('null'), '$.Facts', json('{}'), '$.Why', 'purged')
				WHERE id IN (SELECT id FROM runs WHERE incident = ? AND json_extract(doc, '$.Why') <> 'purged' LIMIT ?)`, []any{row, purgeSlice}},
			{"UPDATE digest_items SET partner = '', line = '' WHERE incident = ? AND line <> ''", []any{row}},
			{forgetMessage + "incident = 0 AND kind = 'digest' AND instr(snapshot, ?) > 0", []any{id}},
		} {
			n, err := t.exec(part.query, part.args...)
			if err != nil {
				return err
			}
			more = more || n == purgeSlice
		}
		if more {
			return nil
		}
		return t.forgetIncident(row)
	})
	return more, err
}

// forgetIncident blanks an incident's own row. A plan that was made of it
// before finds another version, and is made again.
func (t *tx) forgetIncident(row int64) error {
	var doc []byte
	var version int64
	if err := t.row("SELECT version, doc FROM incidents WHERE id = ?", []any{row}, &version, &doc); err != nil {
		return err
	}
	i, err := decodeIncident(doc, version)
	if err != nil {
		return err
	}
	i.Forget()
	if doc, err = json.Marshal(i); err != nil {
		return err
	}
	_, err = t.exec("UPDATE incidents SET key = 'purged', version = version + 1, doc = ? WHERE id = ?", string(doc), row)
	return err
}

// rest takes the partner's own record away, and what the log still holds.
func (w *purge) rest(ctx context.Context) error {
	err := w.read(ctx, "a partner", func(r reader) error {
		return r.QueryRowContext(ctx, "SELECT count(*) FROM partners WHERE id = ? AND seen_at < ?", w.ask.Partner, due(w.ask.Before)).Scan(&w.done.Partners)
	})
	if err != nil || !w.ask.Apply {
		return err
	}
	if w.done.Partners > 0 {
		err := w.change(ctx, "the partner's record", func(t *tx) error {
			_, err := t.exec("DELETE FROM partners WHERE id = ? AND seen_at < ?", w.ask.Partner, due(w.ask.Before))
			return err
		})
		if err != nil {
			return err
		}
	}
	w.done.Remains, err = w.emptyLog(ctx)
	return err
}

// emptyLog moves the log into the file and cuts it, and reports whether somebody
// who reads keeps it from that.
func (s *Store) emptyLog(ctx context.Context) (remains bool, err error) {
	db := open(s.cfg.SQLite.Path, false)
	defer db.Close() //nolint:errcheck // it wrote nothing
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var busy, inLog, moved int
	err = db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &inLog, &moved)
	if ctx.Err() != nil {
		return true, nil
	}
	return busy != 0, err
}
