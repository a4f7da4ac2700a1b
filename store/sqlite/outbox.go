package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// A delivery's turn stands as a number in the queries, or the partial indexes
// would not be used: 0 behind another of its order, 1 later (at next_at),
// 2 ready, 3 being sent, NULL finished.

const (
	takeTurns = `UPDATE deliveries SET turn = 0
		WHERE notifier = ? AND order_key = ? AND turn > 0 AND turn < 3 AND id <> ?`
	// What nobody will ever see need not keep its snapshot: in an outage of
	// thousands these are most of what would be stored.
	supersedeEdits = `UPDATE deliveries SET state = 'superseded', turn = NULL, listed = 0, settled_at = ?, snapshot = '{}'
		WHERE incident = ? AND notifier = ? AND turn IS NOT NULL AND kind = 'update' AND state = 'waiting'
			AND attempts = 0 AND unclear = 0 RETURNING order_key, next_at`
	unlistSent = `UPDATE deliveries SET listed = 0
		WHERE incident = ? AND listed = 1 AND id < ? AND notifier = ? AND alarm = ? AND state = 'sent'`
)

// promoteAtMost bounds the work of one claim after a long outage.
const promoteAtMost = 500

type encodedDelivery struct {
	*incident.Delivery
	incident int64
	snapshot string
}

func encodeDeliveries(ds []incident.Delivery) ([]encodedDelivery, error) {
	out := make([]encodedDelivery, 0, len(ds))
	for k := range ds {
		one := encodedDelivery{Delivery: &ds[k]}
		var err error
		if one.incident, err = rowOrNone(incidentID, one.Incident); err != nil {
			return nil, err
		}
		if one.snapshot, err = document(one.Snapshot); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// queue adds a plan's deliveries in their order.
func (t *tx) queue(e encoded) error {
	for _, d := range e.deliveries {
		t.topics[topicDeliveries] = true
		goes := d.NextAt
		if d.Kind == incident.Update {
			var err error
			if goes, err = t.supersede(d); err != nil {
				return err
			}
		}
		next := dueOr(goes, t.now)
		turn, err := t.turnBehind(d, next)
		if err != nil {
			return err
		}
		var row int64
		err = t.row(`INSERT INTO deliveries (order_key, incident, notifier, kind, rank, alarm, state, turn, listed, queued_at, next_at,
				fallback_at, destination, fingerprint, text, snapshot)
			VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?, 1, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			[]any{d.Order, d.incident, d.Notifier, string(d.Kind), d.Kind.Rank(), d.Alarm, turn, dueOr(d.QueuedAt, t.now),
				next, dueOrNull(d.FallbackAt), d.Destination, d.Fingerprint, d.Text, d.snapshot}, &row)
		if err != nil {
			return err
		}
		if d.FallbackAt.IsZero() {
			continue
		}
		fallback := incident.Timer{Kind: incident.FallbackTimer, Subject: formatID(deliveryID, row), DueAt: d.FallbackAt}
		if err := t.setTimers([]incident.Timer{fallback}); err != nil {
			return err
		}
	}
	return nil
}

// turnBehind is the turn of a delivery that comes last in its order: its own if
// the order is empty. Where an edit that was the head has just been superseded,
// the turn passes to the next one.
func (t *tx) turnBehind(d encodedDelivery, next int64) (turn int, err error) {
	var head int64
	err = t.row("SELECT turn FROM deliveries WHERE notifier = ? AND order_key = ? AND turn IS NOT NULL ORDER BY id LIMIT 1",
		[]any{d.Notifier, d.Order}, &head)
	switch {
	case errors.Is(err, sql.ErrNoRows) && next <= t.now.UnixMicro():
		return 2, nil
	case errors.Is(err, sql.ErrNoRows):
		return 1, nil
	case err != nil || head > 0:
		return 0, err
	}
	return 0, t.advance(d.Notifier, d.Order)
}

// supersede ends the edits that a newer one replaces, as long as none of them
// can have been seen. The newer one goes when the earliest of them would have,
// so that a steady stream of edits cannot put the next one off for ever. The
// turn in the newer one's own order is left to what queues it.
func (t *tx) supersede(d encodedDelivery) (goes time.Time, err error) {
	goes = d.NextAt
	rows, err := t.conn.QueryContext(context.Background(), supersedeEdits, t.now.UnixMicro(), d.incident, d.Notifier)
	if err != nil {
		return goes, err
	}
	var orders []string
	err = each(rows, func(scan func(...any) error) error {
		var order string
		var next column
		if err := scan(&order, &next); err != nil {
			return err
		}
		if next.Before(goes) {
			goes = next.Time
		}
		orders = append(orders, order)
		return nil
	})
	if err != nil {
		return goes, err
	}
	for _, order := range orders {
		if order == d.Order {
			continue
		}
		if err := t.advance(d.Notifier, order); err != nil {
			return goes, err
		}
	}
	return goes, nil
}

// advance gives the turn to the first unfinished delivery of an order, and
// takes it from the others: a dead one that is retried comes before them again.
func (t *tx) advance(notifier, order string) error {
	var head int64
	err := t.row("SELECT id FROM deliveries WHERE notifier = ? AND order_key = ? AND turn IS NOT NULL ORDER BY id LIMIT 1",
		[]any{notifier, order}, &head)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = t.exec(takeTurns, notifier, order, head)
	if err != nil {
		return err
	}
	_, err = t.exec("UPDATE deliveries SET turn = CASE WHEN next_at <= ? THEN 2 ELSE 1 END WHERE id = ? AND turn < 3",
		t.now.UnixMicro(), head)
	return err
}

// applyDrops ends deliveries that were never attempted.
func (t *tx) applyDrops(e encoded) error {
	for _, d := range e.plan.Drops {
		row, err := rowOf(deliveryID, d.Delivery)
		if err != nil {
			return err
		}
		var notifier, order string
		err = t.row(`UPDATE deliveries SET state = 'dropped', turn = NULL, listed = 0, settled_at = ?, error = ?
			WHERE id = ? AND state = 'waiting' AND attempts = 0 AND unclear = 0 RETURNING notifier, order_key`,
			[]any{t.now.UnixMicro(), d.Why, row}, &notifier, &order)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("delivery %s was attempted or is over: %w", d.Delivery, incident.ErrConflict)
		}
		if err != nil {
			return err
		}
		if err := t.finish(d.Delivery, notifier, order); err != nil {
			return err
		}
	}
	return nil
}

// finish lets the next one go and ends the fallback of what needs none.
func (t *tx) finish(id, notifier, order string) error {
	t.topics[topicDeliveries] = true
	if err := t.setTimers([]incident.Timer{{Kind: incident.FallbackTimer, Subject: id}}); err != nil {
		return err
	}
	return t.advance(notifier, order)
}

// Claim leases the best due delivery of a notifier: by rank, then by age, and
// never one that another of its order is before. With none, next tells when to
// look again, zero if nothing waits.
func (s *Store) Claim(ctx context.Context, notifier string, lease time.Duration) (d *incident.Delivery, next time.Time, err error) {
	err = s.write(ctx, func(t *tx) error {
		d, next, err = t.claim(notifier, lease)
		return err
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("claim a delivery for %s: %w", notifier, err)
	}
	return d, next, nil
}

func (t *tx) claim(notifier string, lease time.Duration) (*incident.Delivery, time.Time, error) {
	now := t.now.UnixMicro()
	if err := t.lapse("notifier = ? AND lease_until <= ?", notifier, now); err != nil {
		return nil, time.Time{}, err
	}
	_, err := t.exec(`UPDATE deliveries SET turn = 2 WHERE id IN (SELECT id FROM deliveries
		WHERE turn = 1 AND notifier = ? AND next_at <= ? ORDER BY next_at LIMIT ?)`, notifier, now, promoteAtMost)
	if err != nil {
		return nil, time.Time{}, err
	}
	var row int64
	err = t.row("SELECT id FROM deliveries WHERE turn = 2 AND notifier = ? ORDER BY rank, id LIMIT 1", []any{notifier}, &row)
	if errors.Is(err, sql.ErrNoRows) {
		next, err := t.nextTurn(notifier)
		return nil, next, err
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	_, err = t.exec(`UPDATE deliveries SET state = 'sending', turn = 3, first_try = coalesce(first_try, ?), lease_epoch = ?,
		lease_token = lease_token + 1, lease_until = ? WHERE id = ?`, now, t.epoch, due(t.now.Add(lease)), row)
	if err != nil {
		return nil, time.Time{}, err
	}
	d, err := loadDelivery(context.Background(), t.conn, row)
	if errors.Is(err, errUnreadable) {
		// It must not stand before all others of its notifier for ever.
		if err := t.bury(row, err); err != nil {
			return nil, time.Time{}, err
		}
		return nil, t.now, nil // look again at once
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	return &d, time.Time{}, nil
}

// bury gives up a delivery that was just leased.
func (t *tx) bury(row int64, why error) error {
	var notifier, order string
	err := t.row(`UPDATE deliveries SET state = 'dead', turn = NULL, settled_at = ?, lease_until = NULL, error = ?
		WHERE id = ? RETURNING notifier, order_key`, []any{t.now.UnixMicro(), why.Error(), row}, &notifier, &order)
	if err != nil {
		return err
	}
	return t.advance(notifier, order)
}

// lapse puts back what was being sent when its lease ended: it counts as an
// attempt, and it may have arrived.
func (t *tx) lapse(which string, args ...any) error {
	//nolint:gosec // which is one of two constants
	rows, err := t.conn.QueryContext(context.Background(), `UPDATE deliveries SET state = 'waiting', turn = 1, next_at = ?,
		attempts = attempts + 1, unclear = 1, lease_token = lease_token + 1, lease_until = NULL
		WHERE turn = 3 AND `+which+` RETURNING notifier, order_key`, append([]any{t.now.UnixMicro()}, args...)...)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // its error shows in rows.Err
	var lapsed [][2]string
	for rows.Next() {
		var one [2]string
		if err := rows.Scan(&one[0], &one[1]); err != nil {
			return err
		}
		lapsed = append(lapsed, one)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, one := range lapsed {
		if err := t.advance(one[0], one[1]); err != nil {
			return err
		}
	}
	return nil
}

// nextTurn is when a delivery comes due, or a lease may have ended.
func (t *tx) nextTurn(notifier string) (time.Time, error) {
	var at column
	err := t.row(`SELECT min(at) FROM (
		SELECT min(next_at) AS at FROM deliveries WHERE turn = 1 AND notifier = ?
		UNION ALL SELECT min(lease_until) FROM deliveries WHERE turn = 3 AND notifier = ?)`, []any{notifier, notifier}, &at)
	return at.Time, err
}

// Settle records how an attempt went. incident.ErrLeaseLost says that the row
// is no longer the caller's. A delivery that is dead calls its fallback at once.
func (s *Store) Settle(ctx context.Context, g incident.Settlement) error {
	row, err := rowOf(deliveryID, g.Delivery)
	if err == nil {
		err = s.write(ctx, func(t *tx) error { return t.settle(row, g) })
	}
	if err != nil {
		return fmt.Errorf("settle delivery %s: %w", g.Delivery, err)
	}
	return nil
}

func (t *tx) settle(row int64, g incident.Settlement) error {
	var turn, settled any = 1, nil
	switch g.State {
	case incident.Waiting:
	case incident.Sent, incident.Dead:
		turn, settled = nil, t.now.UnixMicro()
	default:
		return fmt.Errorf("an attempt cannot end as %q", g.State)
	}
	counted := 1
	if g.Uncounted {
		counted = 0
	}
	var d struct {
		notifier, order, kind string
		incident              int64
		alarm                 int
	}
	err := t.row(`UPDATE deliveries SET state = ?, turn = ?, settled_at = ?, next_at = ?, attempts = attempts + ?,
			first_try = CASE WHEN attempts + ? = 0 THEN NULL ELSE first_try END,
			unclear = max(unclear, ?), error = ?, answer = ?, ref = ?, fingerprint = coalesce(nullif(?, ''), fingerprint), lease_until = NULL
		WHERE id = ? AND turn = 3 AND lease_epoch = ? AND lease_token = ?
		RETURNING notifier, order_key, kind, incident, alarm`,
		[]any{string(g.State), turn, settled, dueOr(g.NextAt, t.now), counted, counted,
			g.Unclear, g.Error, g.Answer, g.Ref, g.Fingerprint, row, g.Lease.Epoch, g.Lease.Token},
		&d.notifier, &d.order, &d.kind, &d.incident, &d.alarm)
	if errors.Is(err, sql.ErrNoRows) {
		return t.unsettled(row)
	}
	if err != nil {
		return err
	}
	switch g.State {
	case incident.Sent:
		if err := t.unlist(row, d.incident, d.notifier, d.alarm); err != nil {
			return err
		}
		err = t.finish(g.Delivery, d.notifier, d.order)
	case incident.Dead:
		err = t.fail(g.Delivery, incident.DeliveryKind(d.kind), d.notifier, d.order)
	default:
		t.topics[topicDeliveries] = true
		err = t.advance(d.notifier, d.order)
	}
	if err != nil || g.Said == "" || d.incident == 0 {
		return err
	}
	return t.appendTimeline([]incident.Entry{{
		Incident: formatID(incidentID, d.incident), Delivery: g.Delivery, At: t.now, Kind: "delivery", Text: g.Said,
	}})
}

func (t *tx) unsettled(row int64) error {
	var n int
	if err := t.row("SELECT count(*) FROM deliveries WHERE id = ?", []any{row}, &n); err != nil {
		return err
	}
	if n == 0 {
		return event.ErrNotFound
	}
	return incident.ErrLeaseLost
}

// unlist takes the mark from what was sent before for the same alarm.
func (t *tx) unlist(row, inc int64, notifier string, alarm int) error {
	_, err := t.exec(unlistSent, inc, row, notifier, alarm)
	return err
}

// fail pulls the fallback of an alarm to now.
func (t *tx) fail(id string, kind incident.DeliveryKind, notifier, order string) error {
	if kind.Alarms() {
		n, err := t.exec("UPDATE timers SET due_at = min(due_at, ?) WHERE kind = ? AND subject = ?",
			t.now.UnixMicro(), string(incident.FallbackTimer), id)
		if err != nil {
			return err
		}
		if n > 0 {
			t.topics[topicTimers] = true
		}
	}
	t.topics[topicDeliveries] = true
	return t.advance(notifier, order)
}

// RetryDelivery puts a dead delivery back, as if it were new: it has all its
// attempts again, and its place before those of its order that came later.
func (s *Store) RetryDelivery(ctx context.Context, id string) error {
	row, err := rowOf(deliveryID, id)
	if err == nil {
		err = s.write(ctx, func(t *tx) error { return t.retry(row) })
	}
	if err != nil {
		return fmt.Errorf("retry delivery %s: %w", id, err)
	}
	return nil
}

func (t *tx) retry(row int64) error {
	var notifier, order, state string
	err := t.row("SELECT notifier, order_key, state FROM deliveries WHERE id = ?", []any{row}, &notifier, &order, &state)
	if errors.Is(err, sql.ErrNoRows) {
		return event.ErrNotFound
	}
	if err != nil {
		return err
	}
	if state != string(incident.Dead) {
		return fmt.Errorf("it is %s, not dead", state)
	}
	_, err = t.exec(`UPDATE deliveries SET state = 'waiting', turn = 0, listed = 1, attempts = 0, first_try = NULL, settled_at = NULL,
		next_at = ? WHERE id = ?`, t.now.UnixMicro(), row)
	if err != nil {
		return err
	}
	t.topics[topicDeliveries] = true
	return t.advance(notifier, order)
}
