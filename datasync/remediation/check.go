package remediation

import (
	"errors"
	"fmt"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/routing/incident"
)

// checkAfter is when a run whose outcome is unknown is looked into: each check
// so long after the one before.
var checkAfter = []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute}

const (
	// checkFor is how long checks that cannot read are tried.
	checkFor = 24 * time.Hour
	// maxSends bounds how often one key is sent, where that is confirmed to be safe.
	maxSends = 3
)

// checked returns a run of unknown outcome after a reading. What is no longer
// in the state that the run was for needs no second run, whoever brought that
// about. What still is may have been acted on all the same, so it is sent
// again only where somebody has confirmed that its key makes that safe.
func checked(run incident.Run, r Reading, err error, idempotent bool, now time.Time) incident.Run {
	if err != nil {
		return uncheckable(run, err, now)
	}
	run.Checks++
	switch {
	case !r.Found && !r.Whole:
		// The list had no end that could be trusted: nothing is known.
	case run.Does == Regenerate:
		// The message was processed before and is so still: its state tells
		// nothing of its receipt.
	case !r.stands(run):
		run.State, run.EndedAt, run.NextAt = incident.RunDone, now, time.Time{}
		run.Why = "a check found " + run.Transaction + " no longer " + wantedOf(run).words
		return run
	}
	if idempotent && r.stands(run) && run.Attempts < maxSends {
		run.State, run.NextAt, run.EndedAt = incident.RunQueued, now, time.Time{}
		run.Why = "a check found " + run.Transaction + " as it was; it is asked for again under key " + run.Key
		return run
	}
	if run.Checks < len(checkAfter) {
		run.NextAt = now.Add(checkAfter[run.Checks])
		return run
	}
	return leave(run, fmt.Sprintf("%d checks found it as it was, %s", run.Checks, wantedOf(run).words), now)
}

// uncheckable waits for Datasync to be there again; that is no check.
func uncheckable(run incident.Run, err error, now time.Time) incident.Run {
	e, typed := errors.AsType[*datasync.Error](err)
	if (typed && refused(e)) || now.Sub(run.EndedAt) >= checkFor {
		return leave(run, "it could not be checked: "+reason(err), now)
	}
	run.NextAt = now.Add(patience(now.Sub(run.EndedAt), time.Minute, checkAfter[len(checkAfter)-1]))
	return run
}

// patience is the next pause of somebody who has waited for so long already:
// half as long again, within bounds.
func patience(waited, least, most time.Duration) time.Duration {
	return min(most, max(least, waited/2))
}
