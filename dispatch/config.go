package dispatch

import (
	"fmt"
	"time"
)

// Retry is a notifier's patience with transient failures.
type Retry struct {
	// First bounds the wait before the second attempt; each later wait may be
	// twice as long, up to Max. Every wait is drawn from zero to its bound.
	First time.Duration `koanf:"first"` // default 1s
	Max   time.Duration `koanf:"max"`   // default 1m
	// GiveUpAfter is counted from the first attempt of a delivery.
	GiveUpAfter time.Duration `koanf:"give_up_after"` // default 24h
}

// WithDefaults fills in what is not set.
func (r Retry) WithDefaults() Retry {
	if r.First == 0 {
		r.First = time.Second
	}
	if r.Max == 0 {
		r.Max = max(time.Minute, r.First)
	}
	if r.GiveUpAfter == 0 {
		r.GiveUpAfter = max(24*time.Hour, r.Max)
	}
	return r
}

// Validate reports every fault of a Retry that has its defaults.
func (r Retry) Validate(report func(path, problem string)) {
	if r.First <= 0 {
		report("first", fmt.Sprintf("must be above zero (got %s)", r.First))
	}
	if r.Max < r.First {
		report("max", fmt.Sprintf("must be at least first, %s (got %s)", r.First, r.Max))
	}
	if r.GiveUpAfter < r.Max {
		report("give_up_after", fmt.Sprintf("must be at least max, %s (got %s)", r.Max, r.GiveUpAfter))
	}
}

// ceiling is the longest wait after the given number of failed attempts.
func (r Retry) ceiling(failed int) time.Duration {
	wait := r.First
	for range failed - 1 {
		if wait >= r.Max/2 {
			return r.Max
		}
		wait *= 2
	}
	return min(wait, r.Max)
}

// Fallback is who posts what a notifier did not accept in time. The zero value
// is none.
type Fallback struct {
	To    string        `koanf:"to"`
	After time.Duration `koanf:"after"` // default 3m
}

// WithDefaults fills in what is not set.
func (f Fallback) WithDefaults() Fallback {
	if f.To != "" && f.After == 0 {
		f.After = 3 * time.Minute
	}
	return f
}

// Validate reports every fault of a Fallback that has its defaults. Whether To
// exists, pages or falls back itself, only the list of all notifiers can tell.
func (f Fallback) Validate(report func(path, problem string)) {
	if f.To == "" && f.After != 0 {
		report("to", "name the notifier that takes over, or remove the fallback")
	}
	if f.To != "" && f.After <= 0 {
		report("after", fmt.Sprintf("must be above zero (got %s)", f.After))
	}
}
