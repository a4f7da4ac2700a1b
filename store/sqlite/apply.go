package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Apply commits a plan, all or nothing. incident.ErrConflict says that what it
// was made from has changed.
func (s *Store) Apply(ctx context.Context, p incident.Plan) error {
	e, err := encode(p)
	if err != nil {
		return fmt.Errorf("apply plan for %s: %w", subject(p), err)
	}
	err = s.write(ctx, func(t *tx) error { return t.apply(e) })
	if err != nil {
		return fmt.Errorf("apply plan for %s: %w", subject(p), err)
	}
	return nil
}

func subject(p incident.Plan) string {
	switch {
	case p.Event != "":
		return p.Event
	case p.Consumed != nil:
		return fmt.Sprintf("timer %s of %s", p.Consumed.Kind, p.Consumed.Subject)
	}
	return "a command"
}

// encoded is a plan as it is written: rows and JSON made on the caller's
// goroutine, because the writer's time is everybody's.
type encoded struct {
	plan       incident.Plan
	event      int64
	concerned  any // the incident that the decision names, nil for none
	decision   any
	incidents  []encodedIncident
	members    []encodedMember
	notices    []string
	deliveries []encodedDelivery
	runs       []encodedRun
	partners   []string
	digested   []int64 // the incidents of the plan's digest items
	silences   []string
}

type encodedIncident struct {
	*incident.Incident
	row int64
	doc string
}

type encodedMember struct {
	*incident.MatchedMember
	incident int64
	event    any
	doc      string
}

func encode(p incident.Plan) (e encoded, err error) {
	e.plan = p
	if e.event, err = rowOrNone(eventID, p.Event); err != nil {
		return e, err
	}
	if p.Decision != nil {
		if e.decision, err = document(p.Decision); err != nil {
			return e, err
		}
		row, err := rowOrNone(incidentID, p.Decision.Incident)
		if err != nil {
			return e, err
		}
		if row != 0 {
			e.concerned = row
		}
	}
	for k := range p.Incidents {
		one := encodedIncident{Incident: &p.Incidents[k]}
		if one.row, err = rowOf(incidentID, one.ID); err != nil {
			return e, err
		}
		bare := *one.Incident
		bare.Version, bare.Listed, bare.Queue = 0, nil, nil
		if one.doc, err = document(bare); err != nil {
			return e, err
		}
		e.incidents = append(e.incidents, one)
	}
	for k := range p.Members {
		one, err := encodeMember(&p.Members[k])
		if err != nil {
			return e, err
		}
		e.members = append(e.members, one)
	}
	for _, n := range p.Notices {
		doc, err := document(n)
		if err != nil {
			return e, err
		}
		e.notices = append(e.notices, doc)
	}
	if e.deliveries, err = encodeDeliveries(p.Deliveries); err != nil {
		return e, err
	}
	for _, one := range p.Partners {
		doc, err := partnerDoc(one)
		if err != nil {
			return e, err
		}
		e.partners = append(e.partners, doc)
	}
	if e.runs, err = encodeRuns(p.Runs); err != nil {
		return e, err
	}
	return e, e.encodeMuted()
}

// encodeMuted adds what a plan says of digests and silences.
func (e *encoded) encodeMuted() error {
	for _, d := range e.plan.Digests {
		row, err := rowOf(incidentID, d.Incident)
		if err != nil {
			return err
		}
		e.digested = append(e.digested, row)
	}
	for _, one := range e.plan.Silences {
		doc, err := document(one)
		if err != nil {
			return err
		}
		e.silences = append(e.silences, doc)
	}
	return nil
}

func encodeMember(m *incident.MatchedMember) (one encodedMember, err error) {
	one.MatchedMember = m
	if one.incident, err = rowOf(incidentID, m.Incident); err != nil {
		return one, err
	}
	if row, err := rowOf(eventID, m.Event); err == nil {
		one.event = row
	}
	one.doc, err = document(m.Member)
	return one, err
}

func document(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// apply checks every guard as it goes; an error undoes the whole.
func (t *tx) apply(e encoded) error {
	for _, step := range []func(encoded) error{
		t.applyEvent, t.consume, t.applyIncidents, t.applyMembers, t.closeMembers,
		t.applyRecoveries, t.applyDrops, t.queue, t.applyRuns, t.applyNotices,
		t.applySwitches, t.applyWanted, t.applyPartners, t.applyDigests, t.applySilences,
	} {
		if err := step(e); err != nil {
			return err
		}
	}
	if err := t.setTimers(e.plan.Timers); err != nil {
		return err
	}
	if err := t.appendTimeline(e.plan.Timeline); err != nil {
		return err
	}
	return t.appendAudit(e.plan.Audit)
}

// applyEvent moves the event out of the inbox.
func (t *tx) applyEvent(e encoded) error {
	if e.event == 0 {
		return nil
	}
	var failures int
	err := t.row("DELETE FROM pending WHERE event = ? RETURNING failures", []any{e.event}, &failures)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("event is not pending: %w", incident.ErrConflict)
	}
	if err != nil {
		return err
	}
	state := event.Planned
	if d := e.plan.Decision; d != nil && d.Outcome == incident.ParkedAway {
		state = event.Parked
	}
	_, err = t.exec("INSERT INTO decisions (event, state, incident, failures, doc) VALUES (?, ?, ?, ?, ?)",
		e.event, string(state), e.concerned, failures, e.decision)
	return err
}

// consume deletes the timer that led here; the plan sets it anew if it must.
func (t *tx) consume(e encoded) error {
	c := e.plan.Consumed
	if c == nil {
		return nil
	}
	n, err := t.exec("DELETE FROM timers WHERE kind = ? AND subject = ? AND due_at = ?", string(c.Kind), c.Subject, due(c.DueAt))
	if err == nil && n == 0 {
		err = fmt.Errorf("timer has changed: %w", incident.ErrConflict)
	}
	return err
}

func (t *tx) applyIncidents(e encoded) error {
	for _, i := range e.incidents {
		var n int64
		var err error
		if i.Version == 0 {
			n, err = t.exec(`INSERT INTO incidents (id, environment, key, source, state, opened_at, resolved_at, held, version, doc)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?)`, i.row, string(i.Environment), i.Key, i.Source, string(i.State),
				i.OpenedAt.UnixMicro(), micros(i.ResolvedAt), isHeld(i.Incident), i.doc)
		} else {
			n, err = t.exec(`UPDATE incidents SET environment = ?, key = ?, source = ?, state = ?, opened_at = ?, resolved_at = ?,
				held = ?, version = version + 1, doc = ? WHERE id = ? AND version = ?`, string(i.Environment), i.Key, i.Source,
				string(i.State), i.OpenedAt.UnixMicro(), micros(i.ResolvedAt), isHeld(i.Incident), i.doc, i.row, i.Version)
		}
		if c, ok := errors.AsType[sqlite3.Error](err); ok && c.Code == sqlite3.ErrConstraint {
			return fmt.Errorf("another incident has the id or the open key of %s: %w", i.ID, incident.ErrConflict)
		}
		if err == nil && n == 0 {
			err = fmt.Errorf("incident %s has changed: %w", i.ID, incident.ErrConflict)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) applyMembers(e encoded) error {
	for _, m := range e.members {
		var row int64
		var environment string
		err := t.row("SELECT environment FROM incidents WHERE id = ?", []any{m.incident}, &environment)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("member of %s, which is gone: %w", m.Incident, incident.ErrConflict)
		}
		if err != nil {
			return err
		}
		if m.Gone {
			if err := t.deleteMember(m); err != nil {
				return err
			}
			continue
		}
		err = t.row(`INSERT INTO members (incident, id, class, open, due, opened_at, settled_at, event, doc)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (incident, id, class) DO UPDATE SET open = excluded.open, due = excluded.due,
				opened_at = excluded.opened_at, settled_at = excluded.settled_at, event = excluded.event, doc = excluded.doc
			RETURNING row`, []any{m.incident, m.ID, string(m.Class), m.Open, dueOrNull(m.Due), micros(m.OpenedAt),
			micros(m.SettledAt), m.event, m.doc}, &row)
		if err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM handles WHERE member = ?", row); err != nil {
			return err
		}
		if !m.Open {
			continue
		}
		for _, h := range m.Handles {
			if _, err := t.exec("INSERT OR IGNORE INTO handles (environment, handle, member) VALUES (?, ?, ?)", environment, h, row); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) deleteMember(m encodedMember) error {
	var row int64
	err := t.row("DELETE FROM members WHERE incident = ? AND id = ? AND class = ? RETURNING row",
		[]any{m.incident, m.ID, string(m.Class)}, &row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = t.exec("DELETE FROM handles WHERE member = ?", row)
	return err
}

// closeMembers ends what is still open in an incident that has ended by hand
// or unconfirmed: a plan sees only the listed members, and a recovery that
// comes later must find none.
func (t *tx) closeMembers(e encoded) error {
	for _, i := range e.incidents {
		if i.State != incident.Resolved {
			continue
		}
		if _, err := t.exec("DELETE FROM handles WHERE member IN (SELECT row FROM members WHERE incident = ? AND open = 1)", i.row); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE members SET open = 0, settled_at = ? WHERE incident = ? AND open = 1",
			dueOr(i.ResolvedAt, t.now), i.row); err != nil {
			return err
		}
	}
	return nil
}

// applyRecoveries keeps the newest of each kind, and the first retry.
func (t *tx) applyRecoveries(e encoded) error {
	for _, r := range e.plan.Recoveries {
		newer := "excluded.occurred_at >= recoveries.occurred_at"
		if r.Type == "retrying" {
			newer = "excluded.occurred_at < recoveries.occurred_at"
		}
		_, err := t.exec(`INSERT INTO recoveries (environment, handle, type, occurred_at, received_at, event, incident)
			VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET occurred_at = excluded.occurred_at, received_at = excluded.received_at, event = excluded.event,
				incident = excluded.incident WHERE `+newer,
			string(r.Environment), r.Handle, r.Type, r.OccurredAt.UnixMicro(), r.ReceivedAt.UnixMicro(), r.Event, r.Incident)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) applyNotices(e encoded) error {
	for k, n := range e.plan.Notices {
		if n.Since.IsZero() {
			if _, err := t.exec("DELETE FROM notices WHERE key = ?", n.Key); err != nil {
				return err
			}
			continue
		}
		_, err := t.exec(`INSERT INTO notices (key, touched_at, doc) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET touched_at = excluded.touched_at, doc = excluded.doc`, n.Key, t.now.UnixMicro(), e.notices[k])
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) setTimers(timers []incident.Timer) error {
	for _, one := range timers {
		var err error
		if one.DueAt.IsZero() {
			_, err = t.exec("DELETE FROM timers WHERE kind = ? AND subject = ?", string(one.Kind), one.Subject)
		} else {
			t.topics[topicTimers] = true
			_, err = t.exec("INSERT INTO timers (kind, subject, due_at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET due_at = excluded.due_at",
				string(one.Kind), one.Subject, due(one.DueAt))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) appendTimeline(entries []incident.Entry) error {
	for _, l := range entries {
		row, err := rowOrNone(incidentID, l.Incident)
		if err != nil {
			return err
		}
		_, err = t.exec("INSERT INTO timeline (incident, at, event, delivery, run, kind, text, by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			row, dueOr(l.At, t.now), l.Event, l.Delivery, l.Run, l.Kind, l.Text, l.By)
		if err != nil {
			return err
		}
	}
	return nil
}
