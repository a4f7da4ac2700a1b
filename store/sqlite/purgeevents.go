package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// events blanks the partner's events among one page of bodies.
func (w *purge) events(ctx context.Context, after int64) error {
	var page, rows []int64
	err := w.read(ctx, "bodies", func(r reader) (err error) {
		page, err = numbers(ctx, r, "SELECT event FROM bodies WHERE event > ? ORDER BY event LIMIT ?", after, purgeBodies)
		if err != nil || len(page) == 0 {
			return err
		}
		// A text may be spelled in JSON by numbers of its letters.
		rows, err = numbers(ctx, r, `SELECT event FROM bodies WHERE event > ? AND event <= ?
			AND (instr(lower(CAST(body AS TEXT)), ?) > 0 OR instr(CAST(body AS TEXT), '\u') > 0)`, after, page[len(page)-1], needle(w.ask.Partner))
		return err
	})
	if err != nil {
		return err
	}
	var theirs []int64
	for _, row := range rows {
		mine, err := w.theirs(ctx, row)
		if err != nil {
			return err
		}
		if mine {
			theirs = append(theirs, row)
		}
	}
	w.done.Events += len(theirs)
	for slice := range slices.Chunk(theirs, purgeSlice) {
		if !w.ask.Apply {
			break
		}
		err := w.change(ctx, fmt.Sprintf("%d events, from %s on", len(theirs), formatID(eventID, theirs[0])), func(t *tx) error { return t.forgetEvents(slice) })
		if err != nil {
			return err
		}
	}
	if w.goOn(purgeRest, 0); len(page) == purgeBodies {
		w.goOn(purgeEvents, page[len(page)-1])
	}
	return nil
}

// theirs reports whether an event is the partner's, arrived in time, and may go.
func (w *purge) theirs(ctx context.Context, row int64) (bool, error) {
	st, err := w.Event(ctx, formatID(eventID, row))
	if errors.Is(err, event.ErrNotFound) {
		return false, nil
	}
	if err != nil || st.State == event.Purged || !st.ReceivedAt.Before(w.ask.Before) || !w.of(st) {
		return false, err
	}
	var free bool
	err = w.read(ctx, "whether an event is in use", func(r reader) error {
		return r.QueryRowContext(ctx, "SELECT "+freeEvent+" FROM events e WHERE e.id = ?", row).Scan(&free)
	})
	if err == nil && !free {
		w.done.LeftEvents++
	}
	return free, err
}

func (t *tx) forgetEvents(rows []int64) error {
	ids := make([]any, 0, len(rows))
	for _, row := range rows {
		var doc sql.NullString
		err := t.row("SELECT d.doc FROM decisions d JOIN events e ON e.id = d.event WHERE d.event = ? AND "+freeEvent, []any{row}, &doc)
		if errors.Is(err, sql.ErrNoRows) {
			continue // it is in use again, or gone
		}
		if err != nil {
			return err
		}
		if doc, err = forgotten(doc); err != nil {
			return fmt.Errorf("the decision of %s: %w", formatID(eventID, row), err)
		}
		for _, change := range []struct {
			query string
			args  []any
		}{
			{"UPDATE bodies SET body = x'', hash = NULL WHERE event = ?", []any{row}},
			{"UPDATE events SET foreign_id = '' WHERE id = ?", []any{row}},
			{"UPDATE decisions SET state = 'purged', doc = ? WHERE event = ?", []any{doc, row}},
		} {
			if _, err := t.exec(change.query, change.args...); err != nil {
				return err
			}
		}
		ids = append(ids, formatID(eventID, row))
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := t.exec("DELETE FROM recoveries WHERE event IN (?"+strings.Repeat(", ?", len(ids)-1)+")", ids...)
	return err
}

// forgotten is a decision without what it tells of the event.
func forgotten(doc sql.NullString) (sql.NullString, error) {
	if !doc.Valid {
		return doc, nil
	}
	var d incident.Decision
	if err := json.Unmarshal([]byte(doc.String), &d); err != nil {
		return doc, err
	}
	d.Forget()
	text, err := json.Marshal(d)
	return sql.NullString{String: string(text), Valid: true}, err
}
