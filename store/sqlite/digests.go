package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"datasync-bridge/routing/incident"
)

// openItems lists what of a digest is open, the most urgent first.
const openItems = `SELECT incident, name, notifier, environment, partner, severity, line, opened_at FROM digest_items
	WHERE digest = ? AND ended_at IS NULL ORDER BY severity DESC, opened_at, incident LIMIT ?`

// applyDigests keeps the items of digests. What ended before its digest is told
// is counted there and leaves; what ended later waits for the next one.
func (t *tx) applyDigests(e encoded) error {
	for k, d := range e.plan.Digests {
		if d.Gone {
			if _, err := t.exec("DELETE FROM digest_items WHERE digest = ? AND incident = ?", d.Digest, e.digested[k]); err != nil {
				return err
			}
			continue
		}
		_, err := t.exec(`INSERT INTO digest_items (digest, incident, name, notifier, environment, partner, severity, line, opened_at, ended_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET name = excluded.name, notifier = excluded.notifier, environment = excluded.environment,
				partner = excluded.partner, severity = excluded.severity, line = excluded.line,
				opened_at = excluded.opened_at, ended_at = excluded.ended_at`,
			d.Digest, e.digested[k], d.Name, d.Notifier, string(d.Environment), d.Partner, int64(d.Severity), d.Line,
			d.OpenedAt.UnixMicro(), dueOrNull(d.Ended))
		if err != nil {
			return err
		}
	}
	for _, told := range e.plan.ToldDigests {
		if _, err := t.exec("DELETE FROM digest_items WHERE digest = ? AND ended_at <= ?", told.Digest, dueOr(told.At, t.now)); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO digests (digest, told_at) VALUES (?, ?) ON CONFLICT DO UPDATE SET told_at = excluded.told_at",
			told.Digest, dueOr(told.At, t.now))
		if err != nil {
			return err
		}
	}
	return nil
}

// digest reads what is in a digest, nil where nothing is.
func digest(ctx context.Context, r reader, key string) (*incident.DigestView, error) {
	var v incident.DigestView
	var all, open int
	err := r.QueryRowContext(ctx, "SELECT count(*), count(*) FILTER (WHERE ended_at IS NULL), coalesce(max(name), '') FROM digest_items WHERE digest = ?",
		key).Scan(&all, &open, &v.Name)
	if err != nil || all == 0 {
		return nil, err
	}
	rows, err := r.QueryContext(ctx, openItems, key, incident.MaxDigest)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(scan func(...any) error) error {
		one := incident.DigestItem{Digest: key}
		var inc int64
		var opened column
		err := scan(&inc, &one.Name, &one.Notifier, &one.Environment, &one.Partner, &one.Severity, &one.Line, &opened)
		one.Incident, one.OpenedAt = formatID(incidentID, inc), opened.Time
		v.Items = append(v.Items, one)
		return err
	})
	if err != nil {
		return nil, err
	}
	v.More, v.Ended = open-len(v.Items), all-open
	var told column
	err = r.QueryRowContext(ctx, "SELECT told_at FROM digests WHERE digest = ?", key).Scan(&told)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	v.Since = told.Time
	return &v, nil
}

// Held returns the open incidents of which a notifier is not told now, oldest
// first: what holds them is looked at anew after a reload.
func (s *Store) Held(ctx context.Context) (list []string, err error) {
	err = s.read(ctx, "incidents that are held", func(r reader) error {
		rows, err := r.QueryContext(ctx, "SELECT id FROM incidents WHERE held = 1 ORDER BY id")
		if err != nil {
			return err
		}
		return each(rows, func(scan func(...any) error) error {
			var row int64
			err := scan(&row)
			list = append(list, formatID(incidentID, row))
			return err
		})
	})
	return list, err
}

// isHeld reports whether a notifier is not told now what it should know.
func isHeld(i *incident.Incident) bool {
	if i.State != incident.Open {
		return false
	}
	for _, told := range i.Told {
		if told.Held != nil && !told.Over {
			return true
		}
	}
	return false
}
