package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"datasync-bridge/routing/incident"
)

// The runs that count against a run (?1 environment, ?2 remediation, ?3
// workflow) are those of its remediation, and those of its workflow under
// whatever name, because the far side cannot tell two remediations of one
// workflow apart. A rehearsal in the sandbox counts nothing in production. Two
// selects, because no index serves an OR of two columns.
const (
	startsOverall        = "SELECT (" + startsOf + ") + (" + startsOfOthers + ")"
	startsPerPartner     = "SELECT (" + startsOf + " AND partner = ?5) + (" + startsOfOthers + " AND partner = ?5)"
	startsPerTransaction = "SELECT (" + startsOf + " AND transaction_id = ?5) + (" + startsOfOthers + " AND transaction_id = ?5)"
	startsOf             = "SELECT count(*) FROM runs WHERE environment = ?1 AND remediation = ?2 AND started_at > ?4"
	startsOfOthers       = "SELECT count(*) FROM runs WHERE environment = ?1 AND workflow = ?3 AND remediation <> ?2 AND started_at > ?4"

	lastStart = `SELECT max(at) FROM (
		SELECT max(started_at) AS at FROM runs WHERE environment = ?1 AND remediation = ?2 AND transaction_id = ?4 AND started_at IS NOT NULL
		UNION ALL SELECT max(started_at) FROM runs WHERE environment = ?1 AND workflow = ?3 AND transaction_id = ?4)`
	// lastEnded are a partner's newest runs that did something or tried to, each
	// with how many from it on went well.
	lastEnded = `SELECT sum(state = 'done') OVER (ORDER BY started_at DESC, id DESC) AS goods FROM (
		SELECT id, state, started_at FROM runs
		WHERE environment = ?1 AND partner = ?2 AND started_at IS NOT NULL AND state IN ('done', 'failed', 'unknown')
		ORDER BY started_at DESC, id DESC LIMIT ?4)`
	// A run that is due itself stands among the waiting: only older ones count.
	earlierRuns = `SELECT id, state FROM runs WHERE environment = ? AND workflow = ? AND transaction_id = ?
		AND (state IN ('unknown', 'started') OR id < ? AND state IN ('queued', 'proposed', 'awaiting'))
		ORDER BY state IN ('unknown', 'started') DESC, id LIMIT 1`
)

// refusal says why a run may not start, "" where it may. A key that is stored
// was counted and is used again, so that only a person can stop it. The breaker
// comes last: it counts whom it lets through.
func (t *tx) refusal(run incident.Run) (string, error) {
	rails := []func(incident.Run) (string, error){t.stopped, t.unclear, t.overLimit, t.cooling, t.broken}
	if run.Key != "" {
		rails = rails[:1]
	}
	for _, rail := range rails {
		if why, err := rail(run); err != nil || why != "" {
			return why, err
		}
	}
	return "", nil
}

// stopped tells who has stopped the run's remediation, or all.
func (t *tx) stopped(run incident.Run) (string, error) {
	var by, why string
	var at column
	err := t.row("SELECT by, at, why FROM switches WHERE scope IN ('', ?) ORDER BY scope LIMIT 1", []any{run.Remediation}, &by, &at, &why)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return fmt.Sprintf("stopped by %s at %s: %s", by, at.Format(time.RFC3339), why), err
}

// unclear names an earlier run of the same workflow and transaction that may
// have acted without anybody knowing, or still may: another key would do it a
// second time.
func (t *tx) unclear(run incident.Run) (string, error) {
	self, err := rowOf(runID, run.ID)
	if err != nil {
		return "", err
	}
	var row int64
	var state incident.RunState
	err = t.row(earlierRuns, []any{string(run.Environment), run.Workflow, run.Transaction, self}, &row, &state)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	id := formatID(runID, row)
	switch state {
	case incident.RunStarted:
		return fmt.Sprintf("run %s of this transaction has no outcome yet", id), err
	case incident.RunUnknown:
		return fmt.Sprintf("run %s of this transaction ended without a clear answer; look in Datasync what it did, and run it there by hand if need be", id), err
	case incident.RunProposed, incident.RunAwaiting, incident.RunQueued, incident.RunDone, incident.RunFailed, incident.RunRefused, incident.RunDry:
	}
	return fmt.Sprintf("run %s of this transaction waits already", id), err
}

func (t *tx) overLimit(run incident.Run) (string, error) {
	for _, limit := range []struct {
		rate  incident.Rate
		what  string
		count string
		of    []any
	}{
		{run.Limits.PerTransaction, "per transaction", startsPerTransaction, []any{run.Transaction}},
		{run.Limits.PerPartner, "per partner", startsPerPartner, []any{run.Partner}},
		{run.Limits.Overall, "overall", startsOverall, nil},
	} {
		if limit.rate.Count <= 0 {
			continue
		}
		args := append([]any{string(run.Environment), run.Remediation, run.Workflow, t.now.Add(-limit.rate.Per).UnixMicro()}, limit.of...)
		var n int
		if err := t.row(limit.count, args, &n); err != nil {
			return "", err
		}
		if n >= limit.rate.Count {
			return fmt.Sprintf("limit %s reached: %d in %s", limit.what, limit.rate.Count, limit.rate.Per), nil
		}
	}
	return "", nil
}

func (t *tx) cooling(run incident.Run) (string, error) {
	if run.Limits.Cooldown <= 0 {
		return "", nil
	}
	var last column
	err := t.row(lastStart, []any{string(run.Environment), run.Remediation, run.Workflow, run.Transaction}, &last)
	if err != nil || last.IsZero() || t.now.Sub(last.Time) >= run.Limits.Cooldown {
		return "", err
	}
	return fmt.Sprintf("cooldown of %s since %s", run.Limits.Cooldown, last.Format(time.RFC3339)), nil
}

// broken is the circuit breaker of a partner. After its pause it lets one run
// through, and is open again until that one has done well.
func (t *tx) broken(run incident.Run) (string, error) {
	if run.Partner == "" {
		return "", nil
	}
	var failures int
	var since column
	err := t.row("SELECT failures, since FROM breakers WHERE environment = ? AND partner = ?",
		[]any{string(run.Environment), run.Partner}, &failures, &since)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil || failures < incident.BreakerFailures {
		return "", err
	}
	if next := since.Add(incident.BreakerPause); t.now.Before(next) {
		return fmt.Sprintf("the last %d runs for partner %s failed or are unclear; the next one may start at %s",
			failures, run.Partner, next.Format(time.RFC3339)), nil
	}
	_, err = t.exec("UPDATE breakers SET since = ? WHERE environment = ? AND partner = ?",
		t.now.UnixMicro(), string(run.Environment), run.Partner)
	return "", err
}

// countOutcome keeps the breaker of a run's partner. A run counts once, however
// often it is sent under its key or looked into.
func (t *tx) countOutcome(was standing, state incident.RunState) error {
	if was.partner == "" {
		return nil
	}
	var err error
	switch {
	case was.state == incident.RunDone:
		// It was taken for a success, and what had failed before it was forgotten.
		_, err = t.exec(`INSERT INTO breakers (environment, partner, failures, since) SELECT ?1, ?2, count(*), ?3 FROM (`+lastEnded+`)
			WHERE goods = 0 HAVING count(*) > 0
			ON CONFLICT DO UPDATE SET failures = max(failures, excluded.failures), since = excluded.since`,
			was.environment, was.partner, t.now.UnixMicro(), incident.BreakerFailures)
	case state == incident.RunDone:
		_, err = t.exec("DELETE FROM breakers WHERE environment = ? AND partner = ?", was.environment, was.partner)
	case was.state == incident.RunStarted && !was.unclear && (state == incident.RunFailed || state == incident.RunUnknown):
		_, err = t.exec(`INSERT INTO breakers (environment, partner, failures, since) VALUES (?, ?, 1, ?)
			ON CONFLICT DO UPDATE SET failures = failures + 1, since = excluded.since`, was.environment, was.partner, t.now.UnixMicro())
	}
	return err
}

// applySwitches stops and resumes.
func (t *tx) applySwitches(e encoded) error {
	for _, s := range e.plan.Switches {
		var err error
		if s.Off {
			_, err = t.exec(`INSERT INTO switches (scope, by, at, why) VALUES (?, ?, ?, ?)
				ON CONFLICT DO UPDATE SET by = excluded.by, at = excluded.at, why = excluded.why`,
				s.Scope, s.By, dueOr(s.At, t.now), s.Why)
		} else {
			_, err = t.exec("DELETE FROM switches WHERE scope = ?", s.Scope)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
