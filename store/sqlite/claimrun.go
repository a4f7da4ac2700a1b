package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"datasync-bridge/routing/incident"
)

const (
	// A lease counts while its time has not come and its epoch is this one.
	dueRuns = `SELECT id, unclear FROM runs WHERE due_at <= ?
		AND (lease_until IS NULL OR lease_until <= ? OR lease_epoch <> ?) ORDER BY due_at, id LIMIT 1`
	// What is due and was not claimed is leased.
	nextDueRun = `SELECT min(at) FROM (SELECT min(due_at) AS at FROM runs WHERE due_at > ?
		UNION ALL SELECT min(lease_until) FROM runs WHERE due_at <= ?)`
	lastOrdinal = `SELECT coalesce(max(ordinal), 0) + 1 FROM runs WHERE environment = ? AND workflow = ? AND transaction_id = ?`
)

// ClaimRun leases the run that is due first. One that is proposed, awaits
// approval (its time is up) or is unknown (a check is due) comes back as it is.
// One that is queued comes back started: its limits are counted, its key is
// stored and the audit told in this transaction. Or it comes back refused with
// Why, which is not counted and is stored by the caller's plan. Where runs were
// stopped and its earlier call may have been heard, it comes back unknown with
// Why. With none due, next tells when to look again, zero for no known time.
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
	var unclear bool
	err := t.row(dueRuns, []any{now, now, t.epoch}, &row, &unclear)
	if errors.Is(err, sql.ErrNoRows) {
		var at column
		err := t.row(nextDueRun, []any{now, now}, &at)
		return nil, at.Time, err
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	run, err := loadRun(context.Background(), t.conn, row)
	if err != nil {
		return nil, time.Time{}, err
	}
	run.Lease = incident.Lease{Epoch: t.epoch, Token: run.Lease.Token + 1, Until: time.UnixMicro(due(t.now.Add(lease))).UTC()}
	if run.State != incident.RunQueued {
		return &run, time.Time{}, t.leaseRun(row, run.Lease)
	}
	why, err := t.refusal(run)
	switch {
	case err != nil:
		return nil, time.Time{}, err
	case why == "":
		return &run, time.Time{}, t.startRun(row, &run)
	case unclear:
		run.State, run.Why = incident.RunUnknown, why
	default:
		run.State, run.Why = incident.RunRefused, why
	}
	return &run, time.Time{}, t.leaseRun(row, run.Lease)
}

func (t *tx) leaseRun(row int64, l incident.Lease) error {
	_, err := t.exec("UPDATE runs SET lease_epoch = ?, lease_token = ?, lease_until = ? WHERE id = ?",
		l.Epoch, l.Token, due(l.Until), row)
	return err
}

// startRun stores the key of a run that starts for the first time, and tells
// the audit: after that a call may leave.
func (t *tx) startRun(row int64, run *incident.Run) error {
	run.State, run.NextAt = incident.RunStarted, time.Time{}
	run.Attempts++
	first := run.Key == ""
	var ordinal int
	if first {
		run.StartedAt = t.now.UTC()
		if err := t.row(lastOrdinal, []any{string(run.Environment), run.Workflow, run.Transaction}, &ordinal); err != nil {
			return err
		}
		if err := t.newKey(run, &ordinal); err != nil {
			return err
		}
	}
	doc, err := runDoc(*run)
	if err != nil {
		return err
	}
	_, err = t.exec(`UPDATE runs SET state = 'started', key = ?, ordinal = max(ordinal, ?), started_at = coalesce(started_at, ?),
		due_at = NULL, lease_epoch = ?, lease_token = ?, lease_until = ?, doc = ? WHERE id = ?`, run.Key, ordinal,
		run.StartedAt.UnixMicro(), run.Lease.Epoch, run.Lease.Token, due(run.Lease.Until), doc, row)
	if err != nil || !first {
		return err
	}
	return t.appendAudit([]incident.Audit{{
		Actor: incident.ActorBridge, Action: incident.AuditStarted, Subject: run.ID, Why: consent(*run), Incident: run.Incident,
		Event: run.Event, Run: run.ID, Key: run.Key, Result: string(incident.RunStarted),
	}})
}

// newKey gives a run a key that no other has: "a" for "b:c" and "a:b" for "c"
// would share one, and the second could never start.
func (t *tx) newKey(run *incident.Run, ordinal *int) error {
	for ; ; *ordinal++ {
		run.Key = fmt.Sprintf("%s:%s:%d", run.Workflow, run.Transaction, *ordinal)
		var row int64
		err := t.row("SELECT id FROM runs "+ofKey, []any{string(run.Environment), run.Key}, &row)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// consent says who wanted a run, "" where nobody was asked.
func consent(run incident.Run) string {
	var parts []string
	for _, m := range run.Approval.Given {
		said := "approved by " + m.By
		if m.Why != "" {
			said += ": " + m.Why
		}
		parts = append(parts, said)
	}
	if run.Override != "" {
		parts = append(parts, "override: "+run.Override)
	}
	return strings.Join(parts, "; ")
}
