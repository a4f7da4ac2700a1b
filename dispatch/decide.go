package dispatch

import (
	"fmt"
	"time"

	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

const (
	// longestPause bounds what a far side may ask for, defaultPause is for one
	// that names no time (routing rule 28).
	longestPause = 15 * time.Minute
	defaultPause = 30 * time.Second
)

// verdict is what follows from one attempt.
type verdict struct {
	incident.Settlement
	Result Result
	// Pause is how long the whole notifier rests, zero for not at all.
	Pause time.Duration
}

// decide judges one attempt at d that ended with err, nil for success. It is
// pure: jitter draws the wait below a ceiling.
func (r Retry) decide(d incident.Delivery, got notifiers.Receipt, err error, now time.Time, jitter func(time.Duration) time.Duration) verdict {
	v := verdict{Settlement: incident.Settlement{Delivery: d.ID, Lease: d.Lease, Unclear: d.Unclear}}
	if err == nil {
		v.Result, v.State, v.Ref, v.Answer = Delivered, incident.Sent, got.Ref, bounded(got.Answer)
		v.Fingerprint = got.Fingerprint
		v.Said = saidSent(d, v.Answer)
		return v
	}
	v.Error = bounded(err.Error())
	v.Unclear = v.Unclear || notifiers.IsUnclear(err)
	pause, paused := notifiers.RetryAfter(err)
	failed := d.Attempts + 1
	firstTry := d.FirstTry
	if firstTry.IsZero() {
		firstTry = now
	}
	switch age := now.Sub(firstTry); {
	case notifiers.IsPermanent(err):
		v.Result, v.State = GivenUp, incident.Dead
		v.Said = fmt.Sprintf("%s: %s refused for good: %s", d.Notifier, d.Kind, v.Error)
	case paused:
		v.Result, v.State, v.Uncounted = Paused, incident.Waiting, true
		v.Pause = bound(pause)
		v.NextAt = now.Add(v.Pause)
		if d.Error == "" {
			v.Said = fmt.Sprintf("%s: asked to wait %s: %s", d.Notifier, v.Pause.Round(time.Second), v.Error)
		}
	case age >= r.GiveUpAfter:
		v.Result, v.State = GivenUp, incident.Dead
		v.Said = fmt.Sprintf("%s: %s given up after %s and %d attempts: %s",
			d.Notifier, d.Kind, age.Round(time.Second), failed, v.Error)
	default:
		wait := jitter(r.ceiling(failed))
		v.Result, v.State, v.NextAt = Retried, incident.Waiting, now.Add(wait)
		if d.Error == "" {
			v.Said = fmt.Sprintf("%s: attempt %d failed: %s; next in %s", d.Notifier, failed, v.Error, short(wait))
		}
	}
	return v
}

// saidSent is the timeline's line of an accepted delivery.
func saidSent(d incident.Delivery, answer string) string {
	if answer == "" {
		answer = "sent"
	}
	said := fmt.Sprintf("%s: %s: %s", d.Notifier, d.Kind, answer)
	if d.Attempts > 0 {
		said += fmt.Sprintf(" (attempt %d)", d.Attempts+1)
	}
	if d.Unclear {
		said += ", may be a repeat"
	}
	return said
}

func bound(pause time.Duration) time.Duration {
	if pause <= 0 {
		return defaultPause
	}
	return min(pause, longestPause)
}

// short prints a wait to the second, a shorter one to the millisecond.
func short(wait time.Duration) string {
	if wait < time.Second {
		return wait.Round(time.Millisecond).String()
	}
	return wait.Round(time.Second).String()
}
