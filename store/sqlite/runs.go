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

// dueRun is when a run must be looked at, nil for never.
func (t *tx) dueRun(state incident.RunState, next time.Time) any {
	switch state {
	case incident.RunProposed, incident.RunAwaiting, incident.RunQueued:
		return dueOr(next, t.now)
	case incident.RunUnknown:
		return dueOrNull(next)
	case incident.RunStarted, incident.RunDone, incident.RunFailed, incident.RunRefused, incident.RunDry:
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
	_, err = t.exec(`INSERT INTO runs (environment, remediation, workflow, transaction_id, partner, incident, event, state, key, created_at, due_at, doc)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, string(run.Environment), run.Remediation, run.Workflow, run.Transaction, run.Partner,
		r.incident, r.event, string(run.State), run.Key, run.CreatedAt.UnixMicro(), t.dueRun(run.State, run.NextAt), doc)
	return err
}

// standing is a run as its row has it before a change.
type standing struct {
	state       incident.RunState
	key         string
	token       int64
	unclear     bool
	environment string
	partner     string
}

// updateRun takes what became of a run, as long as nobody else has changed it
// meanwhile. The lease's time does not count: late news is still the truth.
// Each change counts the token up, so that whoever changes a run twice loads it
// in between, or counts its own copy up by one.
func (t *tx) updateRun(r encodedRun) error {
	var was standing
	err := t.row("SELECT state, key, lease_token, unclear, environment, partner FROM runs WHERE id = ?", []any{r.row},
		&was.state, &was.key, &was.token, &was.unclear, &was.environment, &was.partner)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	late := was.state == incident.RunDone && r.State == incident.RunFailed && r.FailedLater
	if err != nil || was.token != r.Lease.Token || ended(was.state) && !late {
		return fmt.Errorf("run %s is another's now: %w", r.ID, incident.ErrConflict)
	}
	if r.Key != was.key {
		return fmt.Errorf("run %s has the key %q, and it must stay", r.ID, was.key)
	}
	if !was.mayBecome(r.State) {
		return fmt.Errorf("run %s is %s and cannot become %q", r.ID, was.state, r.State)
	}
	doc, err := runDoc(*r.Run)
	if err != nil {
		return err
	}
	unclear := was.unclear || was.state == incident.RunUnknown && r.State == incident.RunQueued
	_, err = t.exec(`UPDATE runs SET state = ?, due_at = ?, unclear = ?, lease_token = lease_token + 1, lease_until = NULL, doc = ?
		WHERE id = ?`, string(r.State), t.dueRun(r.State, r.NextAt), unclear, doc, r.row)
	if err != nil {
		return err
	}
	return t.countOutcome(was, r.State)
}

// ended reports that nothing can change a run any more.
func ended(state incident.RunState) bool {
	switch state {
	case incident.RunDone, incident.RunFailed, incident.RunRefused, incident.RunDry:
		return true
	case incident.RunProposed, incident.RunAwaiting, incident.RunQueued, incident.RunStarted, incident.RunUnknown:
	}
	return false
}

// mayBecome keeps a run that may have acted from looking as if it had not, and
// one that has no key from looking as if it had.
func (was standing) mayBecome(state incident.RunState) bool {
	switch state {
	case incident.RunProposed, incident.RunAwaiting:
		return was.key == ""
	case incident.RunQueued:
		return was.state != incident.RunUnknown || was.key != ""
	case incident.RunDone, incident.RunUnknown:
		return was.key != ""
	case incident.RunFailed:
		return true
	case incident.RunRefused:
		return was.state != incident.RunUnknown && !was.unclear
	case incident.RunStarted, incident.RunDry: // by a claim, or from the first
	}
	return false
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

// ofKey finds a run by its environment and key.
const ofKey = "WHERE environment = ? AND key = ? AND key <> ''"

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
