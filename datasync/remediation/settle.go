package remediation

import (
	"errors"
	"fmt"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/routing/incident"
)

const (
	// maxAttempts bounds how often a run is tried that Datasync or the network
	// turned away before anything happened.
	maxAttempts = 5
	firstPause  = time.Second
	maxPause    = time.Minute
	// A 429 without Retry-After waits rateLimitPause; none waits longer than
	// maxRateLimitPause.
	rateLimitPause    = 30 * time.Second
	maxRateLimitPause = 15 * time.Minute
)

// settled returns a run as it stands after a call: done, failed, unknown, or
// queued again under the same key. Why completes the planner's sentence, which
// tells the workflow, the state and the request id. It is pure: the caller
// draws the jitter (0 ≤ jitter < 1).
func settled(run incident.Run, answer datasync.RunAnswer, err error, now time.Time, jitter float64) incident.Run {
	e, typed := errors.AsType[*datasync.Error](err)
	if typed {
		run.RequestID = e.RequestID
	}
	switch {
	case err == nil:
		run.State, run.EndedAt = incident.RunDone, now
		run.RequestID, run.RemoteID = answer.RequestID, answer.RunID
		run.Why = "asked for " + run.Transaction
		if answer.RunID != "" {
			run.Why += ", it is " + answer.RunID + " there"
		}
	case typed && harmless(e):
		return again(run, e, now, jitter)
	case typed && refused(e):
		run.State, run.EndedAt = incident.RunFailed, now
		run.Why = fmt.Sprintf("asked for %s: %s", run.Transaction, e.Reason())
	default:
		reason := fmt.Sprint(err)
		if typed {
			reason = e.Reason()
		}
		run = unknown(run, reason, now)
	}
	return run
}

// harmless reports that nothing can have happened and that a later attempt may
// go better: the only failures after which a run is sent again.
func harmless(e *datasync.Error) bool {
	switch e.Kind {
	case datasync.RateLimit:
		return true
	case datasync.Server, datasync.Network, datasync.Unexpected:
		return !e.Sent
	case datasync.Payload, datasync.Token, datasync.Scope, datasync.NotFound:
	}
	return false
}

// refused reports that Datasync, or the bridge before sending, said no.
func refused(e *datasync.Error) bool {
	switch e.Kind {
	case datasync.Payload, datasync.Token, datasync.Scope, datasync.NotFound:
		return true
	case datasync.RateLimit, datasync.Server, datasync.Network, datasync.Unexpected:
	}
	return false
}

func again(run incident.Run, e *datasync.Error, now time.Time, jitter float64) incident.Run {
	if run.Attempts >= maxAttempts {
		run.State, run.EndedAt = incident.RunFailed, now
		run.Why = fmt.Sprintf("asked for %s %d times: %s", run.Transaction, run.Attempts, e.Reason())
		return run
	}
	pause := min(maxPause, firstPause<<max(0, run.Attempts-1))
	pause = pause/2 + time.Duration(jitter*float64(pause/2))
	if e.Kind == datasync.RateLimit {
		pause = rateLimitPause
		if e.RetryAfter > 0 {
			pause = min(e.RetryAfter, maxRateLimitPause)
		}
	}
	run.State, run.NextAt = incident.RunQueued, now.Add(pause)
	run.Why = fmt.Sprintf("asked for %s, to be asked again: %s", run.Transaction, e.Reason())
	return run
}

// unknown is a run that may have acted: it is never sent again by itself.
func unknown(run incident.Run, reason string, now time.Time) incident.Run {
	run.State, run.EndedAt = incident.RunUnknown, now
	run.Why = fmt.Sprintf("asked for %s under key %s: %s", run.Transaction, run.Key, reason)
	return run
}

func refusedBy(run incident.Run, why string, now time.Time) incident.Run {
	run.State, run.EndedAt = incident.RunRefused, now
	run.Why = why
	return run
}
