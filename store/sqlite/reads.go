package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
)

// A list leaves bodies out: a thousand of them may be a gigabyte.
const (
	eventColumns = eventFacts + "d.doc, "
	eventFacts   = `SELECT e.id, s.name, s.environment, s.origin, s.authentic, e.received_at, e.key, e.body_hash, e.conflict, e.type,
	e.foreign_id, e.quarantine, e.duplicates, coalesce(e.last_seen, e.received_at),
	p.event IS NOT NULL, coalesce(p.failures, d.failures, 0), coalesce(d.state, ''), coalesce(d.incident, 0), `
	eventTables = ` FROM events e JOIN sources s ON s.id = e.source
	LEFT JOIN pending p ON p.event = e.id LEFT JOIN decisions d ON d.event = e.id `
	listEvents   = eventColumns + "NULL, NULL" + eventTables
	selectEvents = eventColumns + "b.hash, b.body" + eventTables + "JOIN bodies b ON b.event = e.id "
)

func queryEvents(ctx context.Context, r reader, query string, args ...any) (out []event.Stored, err error) {
	rows, err := r.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(scan func(...any) error) error {
		one, err := scanEvent(scan)
		out = append(out, one)
		return err
	})
	return out, err
}

func scanEvent(scan func(...any) error) (e event.Stored, err error) {
	var row, inc int64
	var received, seen column
	var key, hash, doc, kept []byte
	var conflict, pending bool
	err = scan(&row, &e.Source, &e.Environment, &e.Origin, &e.Authentic, &received, &key, &hash, &conflict, &e.Type,
		&e.ForeignID, &e.Quarantine, &e.Duplicates, &seen, &pending, &e.Failures, &e.State, &inc, &doc, &kept, &e.Body)
	e.ID, e.Incident = formatID(eventID, row), idOrNone(incidentID, inc)
	e.ReceivedAt, e.LastSeen = received.Time, seen.Time
	e.Status = statusOf(conflict, e.Quarantine)
	copy(e.Key[:], key)
	copy(e.BodyHash[:], hash)
	copy(e.KeptHash[:], kept)
	if pending {
		e.State = event.Pending
	}
	if doc != nil {
		e.Decision = json.RawMessage(doc)
	}
	return e, err
}

const selectPending = selectEvents + "WHERE e.id IN (SELECT event FROM pending ORDER BY event LIMIT ?) ORDER BY e.id"

// pendingBytes bounds the bodies that one Pending returns, but for the last.
// Decoded they take many times as much, and a process that runs out of memory
// over a backlog would do so again after every start.
const pendingBytes = 16 << 20

var errEnough = errors.New("enough was read")

// Pending returns the events that have no decision yet, oldest first: at most
// limit, and fewer where their bodies are large.
func (s *Store) Pending(ctx context.Context, limit int) (out []event.Stored, err error) {
	err = s.read(ctx, "pending events", func(r reader) error {
		rows, err := r.QueryContext(ctx, selectPending, limit)
		if err == nil {
			out, err = fewEvents(rows)
		}
		return err
	})
	return out, err
}

// fewEvents reads events until their bodies are large together.
func fewEvents(rows *sql.Rows) (out []event.Stored, err error) {
	bytes := 0
	err = each(rows, func(scan func(...any) error) error {
		if bytes >= pendingBytes {
			return errEnough
		}
		one, err := scanEvent(scan)
		bytes += len(one.Body)
		out = append(out, one)
		return err
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, err
}

// Failed counts a plan that could not be applied, with its cause, and returns
// how many there were.
func (s *Store) Failed(ctx context.Context, id, cause string) (failures int, err error) {
	row, err := rowOf(eventID, id)
	if err == nil {
		err = s.write(ctx, func(t *tx) error {
			err := t.row("UPDATE pending SET failures = failures + 1, cause = ? WHERE event = ? RETURNING failures",
				[]any{cause, row}, &failures)
			if errors.Is(err, sql.ErrNoRows) {
				return event.ErrNotFound
			}
			return err
		})
	}
	if err != nil {
		return 0, fmt.Errorf("count a failed plan of %s: %w", id, err)
	}
	return failures, nil
}

// one reads the single row of an id.
func one[T any](ctx context.Context, s *Store, prefix, id string, load func(context.Context, reader, int64) (T, error)) (v T, err error) {
	row, err := rowOf(prefix, id)
	if err != nil {
		return v, err
	}
	err = s.read(ctx, id, func(r reader) error {
		v, err = load(ctx, r, row)
		return err
	})
	return v, err
}

// Event returns one event.
func (s *Store) Event(ctx context.Context, id string) (event.Stored, error) {
	return one(ctx, s, eventID, id, func(ctx context.Context, r reader, row int64) (event.Stored, error) {
		found, err := queryEvents(ctx, r, selectEvents+"WHERE e.id = ?", row)
		if err == nil && len(found) == 0 {
			err = event.ErrNotFound
		}
		if err != nil {
			return event.Stored{}, err
		}
		return found[0], nil
	})
}

// Incident returns one incident with its listed members and its queue.
func (s *Store) Incident(ctx context.Context, id string) (incident.Incident, error) {
	return one(ctx, s, incidentID, id, loadIncident)
}

// Delivery returns one delivery.
func (s *Store) Delivery(ctx context.Context, id string) (incident.Delivery, error) {
	return one(ctx, s, deliveryID, id, loadDelivery)
}

// Run returns one run.
func (s *Store) Run(ctx context.Context, id string) (incident.Run, error) {
	return one(ctx, s, runID, id, loadRun)
}

// Members returns the members of an incident: open ones first, those with the
// earliest deadline before the others.
func (s *Store) Members(ctx context.Context, id string, limit int) ([]incident.Member, error) {
	return one(ctx, s, incidentID, id, func(ctx context.Context, r reader, row int64) (out []incident.Member, err error) {
		rows, err := r.QueryContext(ctx, `SELECT open, settled_at, doc FROM members WHERE incident = ?
			ORDER BY open DESC, due IS NULL, due, opened_at, row LIMIT ?`, row, bounded(limit))
		if err != nil {
			return nil, err
		}
		err = each(rows, func(scan func(...any) error) error {
			m, err := scanMember(scan)
			out = append(out, m)
			return err
		})
		return out, err
	})
}

// Timeline returns the newest lines of an incident, in the order in which they
// were written.
func (s *Store) Timeline(ctx context.Context, id string, limit int) ([]incident.Entry, error) {
	return one(ctx, s, incidentID, id, func(ctx context.Context, r reader, row int64) (out []incident.Entry, err error) {
		rows, err := r.QueryContext(ctx, `SELECT at, event, delivery, run, kind, text, by FROM
			(SELECT * FROM timeline WHERE incident = ? ORDER BY id DESC LIMIT ?) ORDER BY id`, row, bounded(limit))
		if err != nil {
			return nil, err
		}
		err = each(rows, func(scan func(...any) error) error {
			l := incident.Entry{Incident: id}
			var at column
			err := scan(&at, &l.Event, &l.Delivery, &l.Run, &l.Kind, &l.Text, &l.By)
			l.At = at.Time
			out = append(out, l)
			return err
		})
		return out, err
	})
}

func bounded(limit int) int {
	if limit <= 0 {
		return defaultLimit
	}
	return min(limit, maxLimit)
}

// narrowing turns a filter into SQL.
type narrowing struct {
	conditions []string
	args       []any
	err        error
}

func (n *narrowing) by(condition string, arg any) {
	n.conditions = append(n.conditions, condition)
	n.args = append(n.args, arg)
}

func (n *narrowing) text(value, condition string) {
	if value != "" {
		n.by(condition, value)
	}
}

func (n *narrowing) id(prefix, value, condition string) {
	if value == "" {
		return
	}
	row, err := rowOf(prefix, value)
	n.err = errors.Join(n.err, err)
	n.by(condition, row)
}

// page adds what all lists share: a span of time, where to continue, how many.
func (n *narrowing) page(f incident.Filter, prefix, id, at string) string {
	if !f.Since.IsZero() {
		n.by(at+" >= ?", due(f.Since))
	}
	if !f.Until.IsZero() {
		n.by(at+" < ?", due(f.Until))
	}
	n.id(prefix, f.Before, id+" < ?")
	where := ""
	if len(n.conditions) > 0 {
		where = "WHERE " + strings.Join(n.conditions, " AND ")
	}
	return fmt.Sprintf("%s ORDER BY %s DESC LIMIT %d", where, id, bounded(f.Limit))
}

const ofEvent = "IN (SELECT incident FROM decisions WHERE event = ?)"

// Events returns events without their bodies, newest first.
func (s *Store) Events(ctx context.Context, f incident.Filter) (out []event.Stored, err error) {
	var n narrowing
	switch event.State(f.State) {
	case "":
	case event.Pending:
		n.conditions = append(n.conditions, "e.id IN (SELECT event FROM pending)")
	case event.Parked:
		n.conditions = append(n.conditions, "e.id IN (SELECT event FROM decisions WHERE state = 'parked')")
	default:
		n.by("d.state = ?", f.State)
	}
	n.id(incidentID, f.Incident, "e.id IN (SELECT event FROM decisions WHERE incident = ?)")
	n.id(eventID, f.Event, "e.id = ?")
	n.text(f.Notifier, "d.incident IN (SELECT incident FROM deliveries WHERE notifier = ?)")
	n.text(f.Source, "s.name = ?")
	for _, bound := range []struct {
		op string
		at time.Time
	}{{">=", f.Since}, {"<", f.Until}} {
		if !bound.at.IsZero() {
			n.by(arrived(bound.op, fmt.Sprintf("?%d", len(n.args)+1)), due(bound.at))
		}
	}
	f.Since, f.Until = time.Time{}, time.Time{}
	where := n.page(f, eventID, "e.id", "")
	err = s.list(ctx, "events", n, func(r reader) error {
		out, err = queryEvents(ctx, r, listEvents+where, n.args...)
		return err
	})
	return out, err
}

// Incidents returns incidents without what is listed beside them, newest first.
func (s *Store) Incidents(ctx context.Context, f incident.Filter) (out []incident.Incident, err error) {
	var n narrowing
	n.text(f.State, "state = ?")
	n.id(incidentID, f.Incident, "id = ?")
	n.id(eventID, f.Event, "id "+ofEvent)
	n.text(f.Notifier, "EXISTS (SELECT 1 FROM deliveries WHERE deliveries.incident = incidents.id AND notifier = ?)")
	n.text(f.Source, "source = ?")
	where := n.page(f, incidentID, "id", "opened_at")
	err = s.list(ctx, "incidents", n, func(r reader) error {
		rows, err := r.QueryContext(ctx, "SELECT version, doc FROM incidents "+where, n.args...)
		if err != nil {
			return err
		}
		return each(rows, func(scan func(...any) error) error {
			var version int64
			var doc []byte
			if err := scan(&version, &doc); err != nil {
				return err
			}
			i, err := decodeIncident(doc, version)
			out = append(out, i)
			return err
		})
	})
	return out, err
}

// Deliveries returns deliveries, newest first.
func (s *Store) Deliveries(ctx context.Context, f incident.Filter) (out []incident.Delivery, err error) {
	var n narrowing
	if f.State == "" {
		n.by("state <> ?", string(incident.Superseded))
	}
	n.text(f.State, "state = ?")
	n.id(incidentID, f.Incident, "incident = ?")
	n.id(eventID, f.Event, "incident "+ofEvent)
	n.text(f.Notifier, "notifier = ?")
	n.text(f.Source, "incident IN (SELECT id FROM incidents WHERE source = ?)")
	where := n.page(f, deliveryID, "id", "queued_at")
	err = s.list(ctx, "deliveries", n, func(r reader) error {
		out, err = queryDeliveries(ctx, r, where, n.args...)
		return err
	})
	return out, err
}

// Runs returns runs, newest first.
func (s *Store) Runs(ctx context.Context, f incident.Filter) (out []incident.Run, err error) {
	var n narrowing
	n.text(f.State, "state = ?")
	n.id(incidentID, f.Incident, "incident = ?")
	n.id(eventID, f.Event, "event = ?")
	n.text(f.Notifier, "incident IN (SELECT incident FROM deliveries WHERE notifier = ?)")
	n.text(f.Source, "incident IN (SELECT id FROM incidents WHERE source = ?)")
	where := n.page(f, runID, "id", "created_at")
	err = s.list(ctx, "runs", n, func(r reader) error {
		out, err = queryRuns(ctx, r, where, n.args...)
		return err
	})
	return out, err
}

func (s *Store) list(ctx context.Context, what string, n narrowing, run func(reader) error) error {
	if n.err != nil {
		return fmt.Errorf("list %s: %w", what, n.err)
	}
	return s.read(ctx, what, run)
}
