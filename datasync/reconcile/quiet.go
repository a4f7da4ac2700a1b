package reconcile

import (
	"context"
	"fmt"
	"time"
)

// late is how long a webhook may take, clocks included, before its failure
// counts as one that no webhook told.
const late = time.Minute

// quiet watches whether webhooks still come. A poll finds every failure, those
// that webhooks told as well; only one that happened after the newest webhook
// says that webhooks are missing.
type quiet struct {
	// Found counts such failures, Since is when the first was found.
	Found int       `json:"found,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Told is when the silence was told, zero if it was not.
	Told time.Time `json:"told,omitzero"`
}

// found takes note of a failure that was found at a time, when webhooks were
// heard of last at another.
func (q *quiet) found(occurred, now, heard time.Time) {
	if occurred.IsZero() || !occurred.After(heard.Add(late)) {
		return
	}
	if q.Found == 0 {
		q.Since = now
	}
	q.Found++
}

// heard takes note of the newest webhook, and reports whether it ends a silence
// that was told.
func (q *quiet) heard(last time.Time) (resumed bool) {
	if q.Found > 0 && last.After(q.Since) {
		q.Found, q.Since = 0, time.Time{}
	}
	if !q.Told.IsZero() && last.After(q.Told) {
		q.Told = time.Time{}
		return true
	}
	return false
}

// due reports whether the silence is to be told now.
func (q *quiet) due(now, heard time.Time, after time.Duration) bool {
	return q.Found > 0 && q.Told.IsZero() && now.Sub(heard) >= after
}

func (q *quiet) message(now, last, begun time.Time) string {
	failures := "1 failure"
	if q.Found != 1 {
		failures = fmt.Sprintf("%d failures", q.Found)
	}
	since := "since " + clock(last, now)
	if last.IsZero() {
		since = "since the bridge began at " + clock(begun, now)
	}
	return fmt.Sprintf("polling found %s since %s, but no webhook has come %s: is the subscription still active?",
		failures, clock(q.Since, now), since)
}

// clock is a time as people read it, with its day where that is another.
func clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04 UTC")
	}
	return t.Format("2 Jan 15:04 UTC")
}

// lastHeard is when webhooks came last, and from when on they are missed: a
// process that has just begun cannot have heard any.
func (p *Poller) lastHeard() (last, heard time.Time) {
	if p.o.Traffic == nil {
		return time.Time{}, time.Time{}
	}
	last = p.o.Traffic.LastWebhook(p.cfg.Source)
	if last.After(p.begun) {
		return last, last
	}
	return last, p.begun
}

// webhooks tells, once, that webhooks have gone quiet or come again.
func (r *round) webhooks(ctx context.Context) error {
	p := r.p
	if p.o.Traffic == nil {
		return nil
	}
	subject, env, now := "webhooks of "+p.cfg.Source, p.client.Environment(), p.store.Now()
	last, heard := p.lastHeard()
	q := r.state.Quiet // changed only once the event is accepted
	if q.heard(last) {
		in := OwnEvent(WebhooksResumed, subject, "webhooks come again since "+clock(last, now), env, now)
		if _, err := p.store.Accept(ctx, in); err != nil {
			return err
		}
		p.o.Log.Info("webhooks come again", "source", p.cfg.Source)
	}
	if q.due(now, heard, p.cfg.QuietAfter) {
		message := q.message(now, last, p.begun)
		if _, err := p.store.Accept(ctx, OwnEvent(WebhooksQuiet, subject, message, env, now)); err != nil {
			return err
		}
		p.o.Log.Warn("webhooks have gone quiet", "source", p.cfg.Source, "found", q.Found, "last", last)
		q.Told = now
	}
	r.state.Quiet = q
	return nil
}
