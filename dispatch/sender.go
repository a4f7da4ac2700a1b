package dispatch

import (
	"context"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

const (
	// look is how often a sender looks for deliveries when nothing calls for it.
	look = 15 * time.Second
	// settleGrace is what a shutdown leaves for writing down the last attempt.
	settleGrace = 3 * time.Second
)

// leaseFor is long enough that a call has ended, and its outcome is stored,
// well before anyone else may take the delivery up.
func leaseFor(timeout time.Duration) time.Duration { return max(time.Minute, 3*timeout) }

// sending serves one notifier.
type sending struct {
	*Dispatcher
	Sender
	lease time.Duration
	// paused is until when the far side wants to be left alone.
	paused time.Time
}

// loop sends one delivery after the other until ctx ends.
func (s *sending) loop(ctx context.Context, queued <-chan struct{}) {
	for ctx.Err() == nil {
		if rest := s.paused.Sub(s.store.Now()); rest > 0 {
			sleep(ctx, rest)
			continue
		}
		if !s.roomForOne(ctx) {
			return
		}
		d, next, err := s.claim(ctx)
		switch {
		case err != nil:
			if !ours(err) {
				s.log.Error("deliveries cannot be claimed", "notifier", s.Name, "err", err)
			}
			sleep(ctx, time.Second)
		case d == nil:
			s.await(ctx, queued, next, look)
		default:
			s.attempt(ctx, *d)
		}
	}
}

// roomForOne waits until the rate limit has room for a call, without taking
// it: a claim that waited for its turn would let edits go stale and its lease
// run out. It reports whether ctx is still alive.
func (s *sending) roomForOne(ctx context.Context) bool {
	for {
		lack := shortOf(s.Limiter)
		if lack <= 0 {
			return ctx.Err() == nil
		}
		if !sleep(ctx, lack) {
			return false
		}
	}
}

// shortOf returns how long a limiter still lacks for one call.
func shortOf(l *rate.Limiter) time.Duration {
	if l == nil || l.Limit() == rate.Inf || l.Limit() <= 0 {
		return 0
	}
	tokens := l.Tokens()
	if tokens >= 1 {
		return 0
	}
	return time.Duration((1-tokens)/float64(l.Limit())*float64(time.Second)) + time.Millisecond
}

// claim is in hand once it has begun: a claim that is broken off may have been
// committed, and its delivery would look attempted.
func (s *sending) claim(ctx context.Context) (*incident.Delivery, time.Time, error) {
	ctx, done := outlive(ctx, s.lease, settleGrace)
	defer done()
	return s.store.Claim(ctx, s.Name, s.lease)
}

// attempt makes one call for a delivery and settles what came of it.
func (s *sending) attempt(ctx context.Context, d incident.Delivery) {
	if s.Limiter != nil {
		_ = s.Limiter.Wait(ctx) // at most a turn of those who share it; a shutdown sends at once
	}
	began := s.store.Now()
	got, err := s.call(ctx, d)
	now := s.store.Now()
	v := s.Retry.decide(d, got, err, now, s.jitter)
	if v.Pause > 0 {
		s.paused = now.Add(v.Pause)
	}
	s.observe.Attempted(d, Attempt{
		Notifier: s.Name, Kind: d.Kind, Result: v.Result, Repeat: d.Unclear,
		Took: now.Sub(began), Age: now.Sub(d.QueuedAt),
	})
	s.report(d, v, err)
	s.settle(ctx, d, v.Settlement)
}

// call is bounded by the timeout alone: a shutdown lets it end. A notifier that
// panics may have sent before.
func (s *sending) call(ctx context.Context, d incident.Delivery) (got notifiers.Receipt, err error) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), s.Timeout)
	defer done()
	err = guarded(func() (err error) { got, err = s.Notifier.Send(ctx, d); return err })
	if stack := stackOf(err); stack != "" {
		s.log.Error("notifier panicked", "notifier", s.Name, "delivery", d.ID, "err", err, "stack", stack)
		err = notifiers.Unclear(err)
	}
	return got, err
}

func (s *sending) report(d incident.Delivery, v verdict, err error) {
	say, message := s.log.Debug, "delivery will be tried again"
	switch v.Result {
	case Delivered:
		say, message = s.log.Info, "delivery sent"
	case GivenUp:
		say, message = s.log.Error, "delivery is dead"
	case Paused:
		say, message = s.log.Warn, "notifier asked for a pause"
	case Retried:
		if d.Error == "" {
			say = s.log.Warn
		}
	}
	facts := []any{"notifier", s.Name, "delivery", d.ID, "incident", d.Incident, "kind", d.Kind, "attempt", d.Attempts + 1}
	if err != nil {
		facts = append(facts, "err", err)
	}
	if !v.NextAt.IsZero() {
		facts = append(facts, "next", v.NextAt)
	}
	say(message, facts...)
}

// settle records an attempt until it is stored or the lease has ended; after
// that the delivery is attempted again and marked as a possible repeat.
func (s *sending) settle(ctx context.Context, d incident.Delivery, st incident.Settlement) {
	ctx, done := outlive(ctx, d.Lease.Until.Sub(s.store.Now()), settleGrace)
	defer done()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := s.store.Settle(ctx, st)
		switch {
		case err == nil:
			return
		case errors.Is(err, incident.ErrLeaseLost):
			s.log.Warn("attempt is not recorded, its lease was lost", "notifier", s.Name, "delivery", d.ID, "state", st.State)
			return
		case !sleep(ctx, wait):
			s.log.Error("attempt is not recorded", "notifier", s.Name, "delivery", d.ID, "state", st.State, "err", err)
			return
		}
	}
}
