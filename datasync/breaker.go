package datasync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"datasync-bridge/outbound"
)

// After maxFailures in a row the client leaves Datasync alone for openFor; then
// one call tries whether it is back.
const (
	maxFailures = 5
	openFor     = 30 * time.Second
)

// ErrPaused is in the chain of an Error (kind network, nothing sent) of a call
// that was not made because the ones before it failed.
var ErrPaused = errors.New("calls to Datasync pause")

// breaker keeps calls from a Datasync that is down. A 4xx is an answer and so
// counts as a success; a failure is a 5xx or no answer at all.
type breaker struct {
	circuit *gobreaker.CircuitBreaker[answer]

	mu    sync.Mutex
	until time.Time // when a call is let through again
	why   string    // the last failure
}

func newBreaker(log *slog.Logger) *breaker {
	b := &breaker{}
	b.circuit = gobreaker.NewCircuitBreaker[answer](gobreaker.Settings{
		Name:         "datasync",
		MaxRequests:  1,
		Timeout:      openFor,
		ReadyToTrip:  func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= maxFailures },
		IsSuccessful: func(err error) bool { return !isOutage(err) },
		// A caller that gave up, or an address that the bridge never calls, says
		// nothing about Datasync.
		IsExcluded: func(err error) bool {
			return errors.Is(err, context.Canceled) || errors.Is(err, outbound.ErrRefused)
		},
		OnStateChange: func(_ string, from, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				log.Warn("calls to Datasync pause", "for", openFor, "err", b.open())
			case gobreaker.StateClosed:
				log.Info("calls to Datasync go on", "after", from.String())
			case gobreaker.StateHalfOpen:
			}
		},
	})
	return b
}

func isOutage(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Kind == Server || e.Kind == Network)
}

// do makes a call, or fails with ErrPaused without making it.
func (b *breaker) do(call func() (answer, error)) (answer, error) {
	a, err := b.circuit.Execute(func() (answer, error) {
		a, err := call()
		if e, ok := errors.AsType[*Error](err); ok && isOutage(err) {
			b.mu.Lock()
			b.why = e.Reason()
			b.mu.Unlock()
		}
		return a, err
	})
	switch {
	case errors.Is(err, gobreaker.ErrOpenState):
		return a, b.paused()
	case errors.Is(err, gobreaker.ErrTooManyRequests):
		return a, fmt.Errorf("%w: another call is trying whether it answers again", ErrPaused)
	}
	return a, err
}

func (b *breaker) open() (why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = time.Now().Add(openFor)
	return b.why
}

func (b *breaker) paused() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Errorf("%w until %s, because it keeps failing; the last time: %s", ErrPaused, b.until.UTC().Format(time.RFC3339), b.why)
}

// left is how long a call that was not let through had better wait.
func (b *breaker) left() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(time.Second, time.Until(b.until))
}

func (b *breaker) healthy() bool { return b.circuit.State() != gobreaker.StateOpen }
