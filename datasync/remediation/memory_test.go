package remediation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"datasync-bridge/datasync/remediation"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// memory is a store as the worker and the desk know it: a claim leases what is
// due and stores the key of what starts, and a change made from an older row is
// a conflict.
type memory struct {
	mu       sync.Mutex
	runs     []incident.Run
	open     map[string]bool // transactions with an open member
	switches map[string]incident.Switch
	audit    []incident.Audit
	applied  int
	watchers []chan struct{}
}

func newMemory() *memory {
	return &memory{open: map[string]bool{}, switches: map[string]incident.Switch{}}
}

func (m *memory) Now() time.Time { return time.Now() }

func (m *memory) Changed(string) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := make(chan struct{}, 1)
	m.watchers = append(m.watchers, c)
	return c
}

// stored is a run as a store gives it back: through JSON, numbers as they were.
func stored(run incident.Run) incident.Run {
	text, err := json.Marshal(run)
	if err != nil {
		panic(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var out incident.Run
	if err := d.Decode(&out); err != nil {
		panic(err)
	}
	return out
}

func (m *memory) ClaimRun(_ context.Context, lease time.Duration) (*incident.Run, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	var next time.Time
	for i := range m.runs {
		r := &m.runs[i]
		switch r.State {
		case incident.RunQueued, incident.RunProposed, incident.RunAwaiting, incident.RunUnknown:
		default:
			continue
		}
		if r.State == incident.RunUnknown && r.NextAt.IsZero() {
			continue
		}
		at := r.NextAt
		if r.Lease.Until.After(at) {
			at = r.Lease.Until
		}
		if at.After(now) {
			if next.IsZero() || at.Before(next) {
				next = at
			}
			continue
		}
		r.Lease.Token++
		r.Lease.Until = now.Add(lease)
		out := stored(*r)
		if r.State == incident.RunQueued {
			if why := m.refusal(*r); why != "" {
				out.State, out.Why = incident.RunRefused, why
				return &out, time.Time{}, nil
			}
			r.State = incident.RunStarted
			r.Attempts++
			if r.Key == "" {
				r.Key, r.StartedAt = fmt.Sprintf("%s:%s:%d", r.Workflow, r.Transaction, m.ordinal(*r)), now
			}
			m.audit = append(m.audit, incident.Audit{Action: incident.AuditStarted, Run: r.ID, Key: r.Key})
			out = stored(*r)
		}
		return &out, time.Time{}, nil
	}
	return nil, next, nil
}

func (m *memory) ordinal(run incident.Run) int {
	n := 1
	for _, r := range m.runs {
		if r.Workflow == run.Workflow && r.Transaction == run.Transaction && r.Key != "" {
			n++
		}
	}
	return n
}

// refusal is what the store itself holds against a start: a switch, and another
// run of the same transaction whose outcome is not clear.
func (m *memory) refusal(run incident.Run) string {
	for _, s := range m.switches {
		if s.Scope == "" || s.Scope == run.Remediation {
			return "runs are stopped by " + s.By
		}
	}
	for _, r := range m.runs {
		unclear := r.State == incident.RunUnknown || r.State == incident.RunStarted || (r.State == incident.RunQueued && r.Key != "")
		if r.ID != run.ID && r.Workflow == run.Workflow && r.Transaction == run.Transaction && unclear {
			return "run " + r.ID + " ended without a clear answer"
		}
	}
	return ""
}

func (m *memory) LapsedRuns(context.Context) ([]incident.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []incident.Run
	for _, r := range m.runs {
		if r.State == incident.RunStarted && !r.Lease.Until.After(time.Now()) {
			out = append(out, stored(r))
		}
	}
	return out, nil
}

func (m *memory) Run(_ context.Context, id string) (incident.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.runs {
		if r.ID == id {
			return stored(r), nil
		}
	}
	return incident.Run{}, event.ErrNotFound
}

func (m *memory) Runs(_ context.Context, f incident.Filter) ([]incident.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []incident.Run
	for _, r := range slices.Backward(m.runs) {
		if (f.State == "" || string(r.State) == f.State) && (f.Before == "" || r.ID < f.Before) && len(out) < f.Limit {
			out = append(out, stored(r))
		}
	}
	return out, nil
}

func (m *memory) Switches(context.Context) ([]incident.Switch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.switches)), nil
}

func (m *memory) Load(_ context.Context, q incident.Query) (incident.View, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var v incident.View
	for _, h := range q.Handles {
		if txn := h[len("txn:"):]; m.open[txn] {
			v.Matched = append(v.Matched, incident.MatchedMember{Incident: "in_1", Member: incident.Member{ID: h, Open: true, Transaction: txn}})
		}
	}
	return v, nil
}

func (m *memory) Apply(_ context.Context, p incident.Plan) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied++
	for _, r := range p.Runs {
		if r.ID == "" {
			continue
		}
		i := slices.IndexFunc(m.runs, func(o incident.Run) bool { return o.ID == r.ID })
		if i < 0 || m.runs[i].Lease.Token != r.Lease.Token {
			return fmt.Errorf("run %s: %w", r.ID, incident.ErrConflict)
		}
	}
	for _, r := range p.Runs {
		if r.ID == "" {
			r.ID = fmt.Sprintf("rn_%013d", len(m.runs)+1)
			m.runs = append(m.runs, stored(r))
			continue
		}
		i := slices.IndexFunc(m.runs, func(o incident.Run) bool { return o.ID == r.ID })
		m.runs[i] = stored(r)
		m.runs[i].Lease = incident.Lease{Token: r.Lease.Token + 1}
	}
	for _, s := range p.Switches {
		if s.Off {
			m.switches[s.Scope] = s
		} else {
			delete(m.switches, s.Scope)
		}
	}
	m.audit = append(m.audit, p.Audit...)
	for _, c := range m.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	return nil
}

// writes counts what was committed, or tried to.
func (m *memory) writes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied
}

// lines are the recorded results of an action.
func (m *memory) lines(action string) []incident.Audit {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []incident.Audit
	for _, a := range m.audit {
		if a.Action == action {
			out = append(out, a)
		}
	}
	return out
}

// clerk plans a run's change and its line of the record, nothing beside.
type clerk struct{}

func (clerk) RunChanged(_ incident.View, run incident.Run, _ time.Time) incident.Plan {
	line := incident.Audit{Actor: incident.ActorBridge, Action: incident.AuditEnded, Run: run.ID, Result: string(run.State), Why: run.Why}
	switch run.State {
	case incident.RunAwaiting:
		line.Action = incident.AuditAsked
	case incident.RunRefused:
		line.Action = incident.AuditRefused
	}
	return incident.Plan{Runs: []incident.Run{run}, Audit: []incident.Audit{line}}
}

func (clerk) RunDeed(_ incident.View, run incident.Run, deed incident.Audit, _ time.Time) incident.Plan {
	return incident.Plan{Runs: []incident.Run{run}, Audit: []incident.Audit{deed}}
}

var (
	_ remediation.Store   = (*memory)(nil)
	_ remediation.Records = (*memory)(nil)
	_ remediation.Planner = clerk{}
	_ remediation.Clerk   = clerk{}
)
