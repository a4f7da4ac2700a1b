package remediation

import (
	"errors"
	"fmt"
	"strings"
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
	// readFor is how long a transaction that cannot be read is tried.
	readFor = time.Hour
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
	case typed && harmless(e) && run.Attempts < maxAttempts:
		return again(run, err, fmt.Sprintf("asked for %s, to be asked again: %s", run.Transaction, e.Reason()), now, jitter)
	case typed && harmless(e):
		return failed(run, fmt.Sprintf("asked for %s %d times: %s", run.Transaction, run.Attempts, e.Reason()), now)
	case typed && refused(e):
		return failed(run, fmt.Sprintf("asked for %s: %s", run.Transaction, e.Reason()), now)
	default:
		return unknown(run, reason(err), now)
	}
	return run
}

// unread returns a started run whose transaction could not be read, or whose
// guard rails could not be looked at: nothing was sent this time, so it is
// tried again for a while.
func unread(run incident.Run, err error, now time.Time, jitter float64) incident.Run {
	if e, typed := errors.AsType[*datasync.Error](err); typed && refused(e) {
		return refusedBy(run, "the transaction could not be read before the call: "+e.Reason(), now)
	}
	if now.Sub(run.StartedAt) >= readFor {
		return refusedBy(run, fmt.Sprintf("the transaction could not be read before the call for %s: %s", readFor, reason(err)), now)
	}
	after := again(run, err, fmt.Sprintf("%s is to be read again before the call: %s", run.Transaction, reason(err)), now, jitter)
	// No call was made, so none counts; the pause grows with the time instead.
	after.Attempts = max(0, run.Attempts-1)
	if wait := now.Add(patience(now.Sub(run.StartedAt), firstPause, maxPause)); wait.After(after.NextAt) {
		after.NextAt = wait
	}
	return after
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

// again queues a run under its key, after a pause.
func again(run incident.Run, err error, why string, now time.Time, jitter float64) incident.Run {
	pause := maxPause
	if n := max(0, run.Attempts-1); n < 6 {
		pause = min(maxPause, firstPause<<n)
	}
	pause = pause/2 + time.Duration(jitter*float64(pause/2))
	if e, typed := errors.AsType[*datasync.Error](err); typed && e.Kind == datasync.RateLimit {
		pause = rateLimitPause
		if e.RetryAfter > 0 {
			pause = min(e.RetryAfter, maxRateLimitPause)
		}
	}
	run.State, run.NextAt, run.EndedAt, run.Why = incident.RunQueued, now.Add(pause), time.Time{}, why
	return run
}

// reason is an error without what was asked and without the request id.
func reason(err error) string {
	if e, typed := errors.AsType[*datasync.Error](err); typed {
		return e.Reason()
	}
	return fmt.Sprint(err)
}

// mayHaveActed reports that an earlier call of this run may have acted,
// whatever becomes of it later: it was unknown before.
func mayHaveActed(run incident.Run) bool { return run.Checks > 0 }

// unknown is a run that may have acted: it is looked into, soon.
func unknown(run incident.Run, reason string, now time.Time) incident.Run {
	if run.Checks >= len(checkAfter) {
		return leave(run, "asked again: "+reason, now)
	}
	run.State, run.EndedAt, run.NextAt = incident.RunUnknown, now, now.Add(checkAfter[0])
	run.Why = fmt.Sprintf("asked for %s under key %s: %s", run.Transaction, run.Key, reason)
	return run
}

// failed ends a run that did nothing, unless an earlier call of it may have
// acted: then only a person can say.
func failed(run incident.Run, why string, now time.Time) incident.Run {
	return ended(run, incident.RunFailed, why, now)
}

// refusedBy ends a run before its call, with the same care.
func refusedBy(run incident.Run, why string, now time.Time) incident.Run {
	return ended(run, incident.RunRefused, why, now)
}

func ended(run incident.Run, state incident.RunState, why string, now time.Time) incident.Run {
	if mayHaveActed(run) {
		return leave(run, why, now)
	}
	run.State, run.EndedAt, run.NextAt, run.Why = state, now, time.Time{}, why
	return run
}

// leave hands an unknown run to a person.
func leave(run incident.Run, why string, now time.Time) incident.Run {
	run.State, run.EndedAt, run.NextAt = incident.RunUnknown, now, time.Time{}
	run.Why = fmt.Sprintf("%s, key %s: %s; look in Datasync what it did, then tell by runs clear %s",
		run.Transaction, run.Key, strings.TrimSuffix(why, "."), run.ID)
	return run
}
