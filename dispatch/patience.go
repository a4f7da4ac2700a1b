package dispatch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// ours reports whether the store cannot work now, whatever it is asked.
func ours(err error) bool {
	return errors.Is(err, event.ErrUnavailable) || errors.Is(err, event.ErrBusy)
}

// patiently repeats do while the store cannot work, until ctx ends: that is
// nobody's fault but ours, and counts against nothing.
func (d *Dispatcher) patiently(ctx context.Context, do func() error) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := do()
		if !ours(err) {
			return err
		}
		d.log.Debug("waiting for the store", "err", err)
		if !sleep(ctx, wait) {
			return err
		}
	}
}

// conflicts bounds how often one plan is made again at once.
const conflicts = 10

// untilFresh repeats do, which loads, plans and applies, while what it read is
// out of date by the time it is applied.
func (d *Dispatcher) untilFresh(ctx context.Context, do func() error) error {
	var err error
	for n := range conflicts {
		err = d.patiently(ctx, func() error { return guarded(do) })
		if !errors.Is(err, incident.ErrConflict) {
			return err
		}
		d.observe.Conflict()
		if !sleep(ctx, d.jitter(time.Duration(n)*5*time.Millisecond)) {
			break
		}
	}
	return err
}

// panicked is a panic as an error.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// Quotes implements event.Quoter: but for Go's own, a panic's text may hold what
// an event told.
func (p *panicked) Quotes() []string {
	if _, ok := p.value.(runtime.Error); ok {
		return nil
	}
	return []string{fmt.Sprint(p.value)}
}

// guarded calls do and turns a panic into an error.
func guarded(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, debug.Stack()}
		}
	}()
	return do()
}

// stackOf returns where a panic began, "" for another error.
func stackOf(err error) string {
	if p, ok := errors.AsType[*panicked](err); ok {
		return string(p.stack)
	}
	return ""
}

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// await waits until something has changed, the store's clock reaches at (zero:
// never), or most has passed. An at that has passed already still costs a
// moment, so that a clock that disagrees with itself cannot spin us.
func (d *Dispatcher) await(ctx context.Context, changed <-chan struct{}, at time.Time, most time.Duration) {
	const moment = 5 * time.Millisecond
	wait := most
	if !at.IsZero() {
		wait = min(most, max(moment, at.Sub(d.store.Now())))
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-t.C:
	}
}

// outlive returns a context for work that is in hand when ctx ends: it lasts
// for limit, but no longer than grace past the end of ctx.
func outlive(ctx context.Context, limit, grace time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return out, func() { stop(); cancel() }
}
