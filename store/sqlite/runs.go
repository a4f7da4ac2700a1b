package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

type encodedRun struct {
	*incident.Run
	row, incident, event int64
}

func encodeRuns(runs []incident.Run) ([]encodedRun, error) {
	out := make([]encodedRun, 0, len(runs))
	for k := range runs {
		one := encodedRun{Run: &runs[k]}
		var err error
		if one.row, err = rowOrNone(runID, one.ID); err != nil {
			return nil, err
		}
		if one.incident, err = rowOrNone(incidentID, one.Incident); err != nil {
			return nil, err
		}
		if one.event, err = rowOrNone(eventID, one.Event); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// runDoc is a run without what its columns hold.
func runDoc(r incident.Run) (string, error) {
	r.ID, r.Lease = "", incident.Lease{}
	return document(r)
}

func (t *tx) applyRuns(e encoded) error {
	for _, r := range e.runs {
		t.topics[topicRuns] = true
		var err error
		if r.row == 0 {
			err = t.insertRun(r)
		} else {
			err = t.updateRun(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) insertRun(r encodedRun) error {
	run := *r.Run
	if run.State == "" {
		run.State = incident.RunQueued
	}
	if run.CreatedAt.IsZero() {
		run.CreatedAt = t.now.UTC()
	}
	doc, err := runDoc(run)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO runs (remediation, workflow, transaction_id, partner, incident, event, state, key, created_at, next_at, doc)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, run.Remediation, run.Workflow, run.Transaction, run.Partner, r.incident, r.event,
		string(run.State), run.Key, run.CreatedAt.UnixMicro(), dueOr(run.NextAt, t.now), doc)
	return err
}

// updateRun takes a run's outcome, as long as nobody else has claimed it or
// told of it. The lease's time does not count: late news is still the truth.
func (t *tx) updateRun(r encodedRun) error {
	doc, err := runDoc(*r.Run)
	if err != nil {
		return err
	}
	n, err := t.exec(`UPDATE runs SET state = ?, next_at = ?, lease_until = NULL, doc = ?
		WHERE id = ? AND lease_token = ? AND state IN ('queued', 'started')`,
		string(r.State), dueOr(r.NextAt, t.now), doc, r.row, r.Lease.Token)
	if err == nil && n == 0 {
		err = fmt.Errorf("run %s is another's now: %w", r.ID, incident.ErrConflict)
	}
	return err
}

// ClaimRun leases the run that is due first. Its limits are counted and its
// key is stored in this transaction: the run comes back started, or refused
// with Why, which is not counted. With none due, next tells when to look
// again, zero if none is queued.
func (s *Store) ClaimRun(ctx context.Context, lease time.Duration) (run *incident.Run, next time.Time, err error) {
	err = s.write(ctx, func(t *tx) error {
		run, next, err = t.claimRun(lease)
		return err
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("claim a run: %w", err)
	}
	return run, next, nil
}

func (t *tx) claimRun(lease time.Duration) (*incident.Run, time.Time, error) {
	now := t.now.UnixMicro()
	var row int64
	err := t.row(`SELECT id FROM runs WHERE state = 'queued' AND next_at <= ?
		AND (lease_until IS NULL OR lease_until <= ? OR lease_epoch <> ?) ORDER BY next_at, id LIMIT 1`, []any{now, now, t.epoch}, &row)
	if errors.Is(err, sql.ErrNoRows) {
		var at column
		err := t.row("SELECT min(max(next_at, coalesce(lease_until, 0))) FROM runs WHERE state = 'queued'", nil, &at)
		return nil, at.Time, err
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	run, err := loadRun(context.Background(), t.conn, row)
	if err != nil {
		return nil, time.Time{}, err
	}
	if run.Key == "" { // a key that is stored was counted, and is used again
		why, err := t.refusal(run)
		if err != nil {
			return nil, time.Time{}, err
		}
		if why != "" {
			run.State, run.Why = incident.RunRefused, why
		}
	}
	return &run, time.Time{}, t.lease(row, &run, lease)
}

// lease stores the claim. A refused run stays queued: its refusal is told and
// stored by the plan that the caller makes of it.
func (t *tx) lease(row int64, run *incident.Run, lease time.Duration) error {
	run.Lease = incident.Lease{Epoch: t.epoch, Token: run.Lease.Token + 1, Until: time.UnixMicro(due(t.now.Add(lease))).UTC()}
	if run.State == incident.RunRefused {
		_, err := t.exec("UPDATE runs SET lease_epoch = ?, lease_token = ?, lease_until = ? WHERE id = ?",
			t.epoch, run.Lease.Token, due(run.Lease.Until), row)
		return err
	}
	run.State = incident.RunStarted
	run.Attempts++
	var ordinal int
	if run.Key == "" {
		run.StartedAt = t.now.UTC()
		err := t.row("SELECT coalesce(max(ordinal), 0) + 1 FROM runs WHERE workflow = ? AND transaction_id = ?",
			[]any{run.Workflow, run.Transaction}, &ordinal)
		if err != nil {
			return err
		}
		run.Key = fmt.Sprintf("%s:%s:%d", run.Workflow, run.Transaction, ordinal)
	}
	doc, err := runDoc(*run)
	if err != nil {
		return err
	}
	_, err = t.exec(`UPDATE runs SET state = 'started', key = ?, ordinal = max(ordinal, ?), started_at = coalesce(started_at, ?),
		lease_epoch = ?, lease_token = ?, lease_until = ?, doc = ? WHERE id = ?`,
		run.Key, ordinal, run.StartedAt.UnixMicro(), t.epoch, run.Lease.Token, due(run.Lease.Until), doc, row)
	return err
}

// same picks the runs that count against a run: those of its remediation, and
// those of its workflow under whatever name, because the far side cannot tell
// two remediations of one workflow apart.
const same = "(remediation = ? OR workflow = ?)"

// refusal says why a run may not start, "" where it may: an earlier one of the
// same transaction is not cleared up, or a limit is reached.
func (t *tx) refusal(run incident.Run) (string, error) {
	if why, err := t.unclear(run); err != nil || why != "" {
		return why, err
	}
	for _, limit := range []struct {
		rate  incident.Rate
		what  string
		where string
		args  []any
	}{
		{run.Limits.PerTransaction, "per transaction", " AND transaction_id = ?", []any{run.Transaction}},
		{run.Limits.PerPartner, "per partner", " AND partner = ?", []any{run.Partner}},
		{run.Limits.Overall, "overall", "", nil},
	} {
		if limit.rate.Count <= 0 {
			continue
		}
		args := append([]any{run.Remediation, run.Workflow, t.now.Add(-limit.rate.Per).UnixMicro()}, limit.args...)
		var n int
		if err := t.row("SELECT count(*) FROM runs WHERE "+same+" AND started_at > ?"+limit.where, args, &n); err != nil {
			return "", err
		}
		if n >= limit.rate.Count {
			return fmt.Sprintf("limit %s reached: %d in %s", limit.what, limit.rate.Count, limit.rate.Per), nil
		}
	}
	if run.Limits.Cooldown <= 0 {
		return "", nil
	}
	var last column
	err := t.row("SELECT max(started_at) FROM runs WHERE "+same+" AND transaction_id = ? AND started_at IS NOT NULL",
		[]any{run.Remediation, run.Workflow, run.Transaction}, &last)
	if err != nil || last.IsZero() || t.now.Sub(last.Time) >= run.Limits.Cooldown {
		return "", err
	}
	return fmt.Sprintf("cooldown of %s since %s", run.Limits.Cooldown, last.Format(time.RFC3339)), nil
}

// unclear names an earlier run of the same workflow and transaction that may
// have acted without anybody knowing: another key would do it a second time.
func (t *tx) unclear(run incident.Run) (string, error) {
	var row int64
	var state string
	err := t.row(`SELECT id, state FROM runs WHERE workflow = ? AND transaction_id = ? AND state IN ('unknown', 'started')
		ORDER BY id LIMIT 1`, []any{run.Workflow, run.Transaction}, &row, &state)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", nil
	case state == string(incident.RunStarted):
		return fmt.Sprintf("run %s of this transaction has no outcome yet", formatID(runID, row)), err
	}
	return fmt.Sprintf("run %s of this transaction ended without a clear answer; look in Datasync what it did, and run it there by hand if need be",
		formatID(runID, row)), err
}

// LapsedRuns returns the runs that were started under a lease that has ended,
// also with an earlier epoch: their outcome is unknown.
func (s *Store) LapsedRuns(ctx context.Context) (runs []incident.Run, err error) {
	err = s.read(ctx, "lapsed runs", func(r reader) error {
		runs, err = queryRuns(ctx, r, "WHERE state = 'started' AND (lease_epoch <> ? OR lease_until <= ?) ORDER BY id",
			s.epoch, s.now().UnixMicro())
		return err
	})
	return runs, err
}

func queryRuns(ctx context.Context, r reader, where string, args ...any) (runs []incident.Run, err error) {
	rows, err := r.QueryContext(ctx, "SELECT id, lease_epoch, lease_token, lease_until, doc FROM runs "+where, args...)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(scan func(...any) error) error {
		var row int64
		var until column
		var doc []byte
		var one incident.Run
		var lease incident.Lease
		if err := scan(&row, &lease.Epoch, &lease.Token, &until, &doc); err != nil {
			return err
		}
		// Parameters are typed values that leave as they came: no float64 in between.
		d := json.NewDecoder(bytes.NewReader(doc))
		d.UseNumber()
		err := d.Decode(&one)
		lease.Until = until.Time
		one.ID, one.Lease = formatID(runID, row), lease
		runs = append(runs, one)
		return err
	})
	return runs, err
}

func loadRun(ctx context.Context, r reader, row int64) (incident.Run, error) {
	runs, err := queryRuns(ctx, r, "WHERE id = ?", row)
	if err == nil && len(runs) == 0 {
		err = event.ErrNotFound
	}
	if err != nil {
		return incident.Run{}, err
	}
	return runs[0], nil
}
