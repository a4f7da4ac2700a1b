package sqlite

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

const (
	// maxWhy bounds a reason and maxWord every other text of a line, in runes:
	// what is never deleted must stay small.
	maxWhy  = 1000
	maxWord = 300

	auditColumns = "id, at, actor, action, subject, why, incident, event, run, key, request_id, result, prev, hash"
	// auditCount is how many lines were ever written, whatever is left of them.
	auditCount = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0)"
)

// appendAudit chains lines to those before. Their numbers go on after the last
// that was ever given, so that a tail that was cut off leaves a gap for good.
func (t *tx) appendAudit(lines []incident.Audit) error {
	if len(lines) == 0 {
		return nil
	}
	var last int64
	var head string
	err := t.row("SELECT ("+auditCount+"), coalesce((SELECT hash FROM audit ORDER BY id DESC LIMIT 1), '')", nil, &last, &head)
	if err != nil {
		return err
	}
	for _, a := range lines {
		last++
		a.ID, a.At, a.Prev = last, t.now.UTC().Truncate(time.Microsecond), head
		a.Why = clip(a.Why, maxWhy)
		for _, text := range []*string{&a.Actor, &a.Action, &a.Subject, &a.Incident, &a.Event, &a.Run, &a.Key, &a.RequestID, &a.Result} {
			*text = clip(*text, maxWord)
		}
		a.Hash = a.Digest()
		_, err := t.exec("INSERT INTO audit ("+auditColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			a.ID, a.At.UnixMicro(), a.Actor, a.Action, a.Subject, a.Why, a.Incident, a.Event, a.Run, a.Key, a.RequestID, a.Result, a.Prev, a.Hash)
		if err != nil {
			return err
		}
		head = a.Hash
	}
	return nil
}

// clip cuts a text to so many runes.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	n := 0
	for at := range text {
		if n == most {
			return text[:at]
		}
		n++
	}
	return text
}

func scanAudit(scan func(...any) error) (a incident.Audit, err error) {
	var at column
	err = scan(&a.ID, &at, &a.Actor, &a.Action, &a.Subject, &a.Why, &a.Incident, &a.Event, &a.Run, &a.Key, &a.RequestID, &a.Result,
		&a.Prev, &a.Hash)
	a.At = at.Time
	return a, err
}

// Audit returns lines, newest first. Of the filter it takes Incident, Event,
// Run, State (which is the action here), Since, Until and Limit; Before is the
// line's number in decimal.
func (s *Store) Audit(ctx context.Context, f incident.Filter) (out []incident.Audit, err error) {
	var n narrowing
	n.text(f.Incident, "incident = ?")
	n.text(f.Event, "event = ?")
	n.text(f.Run, "run = ?")
	n.text(f.State, "action = ?")
	if f.Before != "" {
		before, err := strconv.ParseInt(f.Before, 10, 64)
		if err != nil {
			n.err = fmt.Errorf("%q is no number of an audit line: %w", f.Before, event.ErrNotFound)
		}
		n.by("id < ?", before)
		f.Before = ""
	}
	where := n.page(f, "", "id", "at")
	err = s.list(ctx, "the audit", n, func(r reader) error {
		rows, err := r.QueryContext(ctx, "SELECT "+auditColumns+" FROM audit "+where, n.args...)
		if err != nil {
			return err
		}
		return each(rows, func(scan func(...any) error) error {
			a, err := scanAudit(scan)
			out = append(out, a)
			return err
		})
	})
	return out, err
}

// VerifyAudit reads the whole audit and returns what it holds. An error that is
// incident.ErrAudit names the first line that is not as it was written. It
// cannot tell that somebody has written the whole chain anew: whoever must
// exclude that keeps Head elsewhere and compares.
func (s *Store) VerifyAudit(ctx context.Context) (v incident.Verified, err error) {
	err = s.read(ctx, "the audit", func(r reader) error {
		v, err = verifyAudit(ctx, r)
		return err
	})
	return v, err
}

func verifyAudit(ctx context.Context, r reader) (v incident.Verified, err error) {
	rows, err := r.QueryContext(ctx, "SELECT "+auditColumns+" FROM audit ORDER BY id")
	if err != nil {
		return v, err
	}
	err = each(rows, func(scan func(...any) error) error {
		a, err := scanAudit(scan)
		if err != nil {
			return err
		}
		switch want := int64(v.Count) + 1; {
		case a.ID != want:
			return fmt.Errorf("line %d is missing: line %d stands in its place: %w", want, a.ID, incident.ErrAudit)
		case a.Hash != a.Digest():
			return fmt.Errorf("line %d was changed: its hash is not that of its text: %w", a.ID, incident.ErrAudit)
		case a.Prev != v.Head:
			return fmt.Errorf("line %d does not follow line %d: it holds another hash of it: %w", a.ID, want-1, incident.ErrAudit)
		}
		if v.Count == 0 {
			v.First = a.At
		}
		v.Count, v.Last, v.Head = v.Count+1, a.At, a.Hash
		return nil
	})
	if err != nil {
		return v, err
	}
	var written int
	if err := r.QueryRowContext(ctx, auditCount).Scan(&written); err != nil {
		return v, err
	}
	if written != v.Count {
		return v, fmt.Errorf("line %d is missing: %d lines were written, %d are left: %w", v.Count+1, written, v.Count, incident.ErrAudit)
	}
	return v, nil
}
