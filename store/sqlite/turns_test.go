package sqlite

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"datasync-bridge/routing/incident"
	"datasync-bridge/store"
)

// desk is the outbox as a list that is searched from its beginning: what the
// turns in the file must come to.
type desk struct {
	*rapid.T
	store *Store
	path  string
	at    time.Time
	rows  []incident.Delivery
}

func (d *desk) now() time.Time { return d.at }

func (d *desk) open() {
	d.Helper()
	s, err := Open(d.Context(), store.Config{SQLite: store.SQLite{Path: d.path}}, Options{Now: d.now})
	d.ok(err)
	d.store = s
}

func (d *desk) ok(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func unfinished(r incident.Delivery) bool {
	return r.State == incident.Waiting || r.State == incident.Sending
}

func untouched(r incident.Delivery) bool {
	return r.State == incident.Waiting && r.Attempts == 0 && !r.Unclear
}

// some picks a row that fits, nil where none does.
func (d *desk) some(fits func(incident.Delivery) bool) *incident.Delivery {
	var found []int
	for k, r := range d.rows {
		if fits(r) {
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return &d.rows[rapid.SampledFrom(found).Draw(d.T, "row")]
}

func (d *desk) queue() {
	var p incident.Plan
	for range rapid.IntRange(1, 3).Draw(d.T, "deliveries") {
		order := rapid.IntRange(1, 3).Draw(d.T, "order")
		r := incident.Delivery{
			Order: strconv.Itoa(order), Incident: formatID(incidentID, int64(order)), State: incident.Waiting,
			Notifier: rapid.SampledFrom([]string{"slack", "pager"}).Draw(d.T, "notifier"),
			Kind:     rapid.SampledFrom([]incident.DeliveryKind{incident.Opening, incident.Resolve, incident.Reminder, incident.Update}).Draw(d.T, "kind"),
			NextAt:   d.at.Add(rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(d.T, "wait")),
			QueuedAt: d.at, Seq: int64(len(d.rows) + 1), ID: formatID(deliveryID, int64(len(d.rows)+1)),
		}
		p.Deliveries = append(p.Deliveries, r)
		for k := range d.rows {
			old := &d.rows[k]
			if r.Kind == incident.Update && old.Kind == r.Kind && old.Order == r.Order && old.Notifier == r.Notifier && untouched(*old) {
				old.State = incident.Superseded
				if old.NextAt.Before(r.NextAt) {
					r.NextAt = old.NextAt
				}
			}
		}
		d.rows = append(d.rows, r)
	}
	d.ok(d.store.Apply(d.Context(), p))
}

// lapse puts back what was being sent, as one that may have arrived.
func (d *desk) lapse(which func(incident.Delivery) bool) {
	for k := range d.rows {
		if r := &d.rows[k]; r.State == incident.Sending && which(*r) {
			r.State, r.NextAt, r.Unclear = incident.Waiting, d.at, true
			r.Attempts++
		}
	}
}

// heads are the first unfinished of each order of a notifier.
func (d *desk) heads(notifier string) (heads []*incident.Delivery) {
	seen := map[string]bool{}
	for k := range d.rows {
		if r := &d.rows[k]; r.Notifier == notifier && unfinished(*r) && !seen[r.Order] {
			seen[r.Order] = true
			heads = append(heads, r)
		}
	}
	return heads
}

func (d *desk) claim(notifier string) *incident.Delivery {
	d.Helper()
	d.lapse(func(r incident.Delivery) bool { return r.Notifier == notifier && !r.Lease.Until.After(d.at) })
	var best *incident.Delivery
	for _, r := range d.heads(notifier) {
		if r.State == incident.Waiting && !r.NextAt.After(d.at) && (best == nil || cmp.Or(cmp.Compare(r.Kind.Rank(), best.Kind.Rank()), cmp.Compare(r.Seq, best.Seq)) < 0) {
			best = r
		}
	}
	got, next, err := d.store.Claim(d.Context(), notifier, 10*time.Minute)
	d.ok(err)
	switch {
	case best == nil && got == nil:
		d.sleeps(notifier, next)
		return nil
	case best == nil || got == nil || got.ID != best.ID || got.Attempts != best.Attempts || got.Unclear != best.Unclear:
		d.Fatalf("%s claimed %+v, want %+v", notifier, got, best)
	}
	best.State, best.Lease = incident.Sending, got.Lease
	return best
}

// sleeps holds the time to look again against what waits.
func (d *desk) sleeps(notifier string, next time.Time) {
	d.Helper()
	var want time.Time
	for _, r := range d.rows {
		at := r.NextAt
		if r.State == incident.Sending {
			at = r.Lease.Until
		} else if !slices.ContainsFunc(d.heads(notifier), func(h *incident.Delivery) bool { return h.ID == r.ID }) {
			continue
		}
		if r.Notifier == notifier && (want.IsZero() || at.Before(want)) {
			want = at
		}
	}
	if !next.Equal(want) {
		d.Fatalf("%s is to look again at %s, want %s", notifier, next, want)
	}
}

func (d *desk) settle() {
	r := d.some(func(r incident.Delivery) bool { return r.State == incident.Sending })
	if r == nil {
		return
	}
	g := incident.Settlement{Delivery: r.ID, Lease: r.Lease, Uncounted: rapid.Bool().Draw(d.T, "pause")}
	g.State = rapid.SampledFrom([]incident.DeliveryState{incident.Sent, incident.Dead, incident.Waiting}).Draw(d.T, "outcome")
	g.NextAt = d.at.Add(rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(d.T, "again"))
	d.ok(d.store.Settle(d.Context(), g))
	r.State, r.NextAt = g.State, g.NextAt
	if !g.Uncounted {
		r.Attempts++
	}
	if err := d.store.Settle(d.Context(), g); !errors.Is(err, incident.ErrLeaseLost) {
		d.Fatalf("settled twice: %v", err)
	}
}

func (d *desk) drop() {
	if r := d.some(untouched); r != nil {
		d.ok(d.store.Apply(d.Context(), incident.Plan{Drops: []incident.Drop{{Delivery: r.ID}}}))
		r.State = incident.Dropped
	}
}

func (d *desk) retry() {
	if r := d.some(func(r incident.Delivery) bool { return r.State == incident.Dead }); r != nil {
		d.ok(d.store.RetryDelivery(d.Context(), r.ID))
		r.State, r.Attempts, r.NextAt = incident.Waiting, 0, d.at
	}
}

func (d *desk) restart() {
	d.ok(d.store.Close())
	d.lapse(func(incident.Delivery) bool { return true })
	d.open()
}

// However deliveries are queued, sent, refused, dropped, replaced, retried and
// interrupted: nothing overtakes, nothing is forgotten, and the sender knows
// when to look again.
func TestTurnsAreWhatASearchFromTheBeginningWouldFind(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		folder, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		d := &desk{T: t, path: filepath.Join(folder, "bridge.db"), at: time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)}
		d.open()
		defer func() { _ = d.store.Close() }()
		claim := func() { d.claim(rapid.SampledFrom([]string{"slack", "pager"}).Draw(t, "of")) }
		pass := func() {
			d.at = d.at.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "passes"))
		}
		steps := []func(){d.queue, d.queue, claim, claim, claim, d.settle, d.settle, pass, pass, d.drop, d.retry, d.restart}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			rapid.SampledFrom(steps).Draw(t, "step")()
		}
		d.at = d.at.Add(24 * time.Hour)
		for _, notifier := range []string{"slack", "pager"} {
			for r := d.claim(notifier); r != nil; r = d.claim(notifier) {
				d.ok(d.store.Settle(d.Context(), incident.Settlement{Delivery: r.ID, Lease: r.Lease, State: incident.Sent}))
				r.State = incident.Sent
			}
		}
		for _, r := range d.rows {
			got, err := d.store.Delivery(d.Context(), r.ID)
			if err != nil || got.State != r.State || unfinished(got) {
				t.Fatalf("%s ended as %s (%v), want %s", r.ID, got.State, err, r.State)
			}
		}
	})
}
