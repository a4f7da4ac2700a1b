package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// The thread is the newest message that the notifier has of the incident. An
// end or an acknowledgement goes through the key that its alarm went through.
const selectDeliveries = `SELECT id, order_key, incident, notifier, kind, alarm, state, queued_at, next_at, fallback_at, attempts, first_try,
	settled_at, unclear, error, answer, ref, lease_epoch, lease_token, lease_until, destination,
	CASE WHEN kind IN ('resolve', 'acknowledged') THEN coalesce((SELECT o.fingerprint FROM deliveries o
		WHERE o.incident = deliveries.incident AND o.notifier = deliveries.notifier AND o.alarm = deliveries.alarm
		AND o.kind IN ('opening', 'alarm', 'reopened', 'fallback') AND o.state = 'sent'
		ORDER BY o.id DESC LIMIT 1), fingerprint) ELSE fingerprint END,
	text, snapshot,
	CASE WHEN incident = 0 THEN '' ELSE coalesce((SELECT o.ref FROM deliveries o WHERE o.incident = deliveries.incident
		AND o.notifier = deliveries.notifier AND o.ref <> '' ORDER BY o.id DESC LIMIT 1), '') END
	FROM deliveries `

func queryDeliveries(ctx context.Context, r reader, where string, args ...any) (out []incident.Delivery, err error) {
	rows, err := r.QueryContext(ctx, selectDeliveries+where, args...)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(scan func(...any) error) error {
		d, err := scanDelivery(scan)
		out = append(out, d)
		return err
	})
	return out, err
}

func scanDelivery(scan func(...any) error) (d incident.Delivery, err error) {
	var inc int64
	var queued, next, fallback, first, settled, until column
	var snapshot []byte
	err = scan(&d.Seq, &d.Order, &inc, &d.Notifier, &d.Kind, &d.Alarm, &d.State, &queued, &next, &fallback, &d.Attempts, &first,
		&settled, &d.Unclear, &d.Error, &d.Answer, &d.Ref, &d.Lease.Epoch, &d.Lease.Token, &until,
		&d.Destination, &d.Fingerprint, &d.Text, &snapshot, &d.Thread)
	if err != nil {
		return d, err
	}
	d.ID, d.Incident = formatID(deliveryID, d.Seq), idOrNone(incidentID, inc)
	d.QueuedAt, d.NextAt, d.FallbackAt = queued.Time, next.Time, fallback.Time
	d.FirstTry, d.SettledAt, d.Lease.Until = first.Time, settled.Time, until.Time
	if err := json.Unmarshal(snapshot, &d.Snapshot); err != nil {
		return d, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	restore(d.Snapshot.Lead.Fields)
	return d, nil
}

// errUnreadable says that what stands in a delivery's row cannot be decoded,
// as after a change of its form.
var errUnreadable = errors.New("the stored snapshot cannot be read")

func loadDelivery(ctx context.Context, r reader, row int64) (incident.Delivery, error) {
	found, err := queryDeliveries(ctx, r, "WHERE id = ?", row)
	if err == nil && len(found) == 0 {
		err = event.ErrNotFound
	}
	if err != nil {
		return incident.Delivery{}, err
	}
	return found[0], nil
}
