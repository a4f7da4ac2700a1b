package view

import (
	"time"

	"datasync-bridge/routing/incident"
)

// Run is one execution of an automation.
type Run struct {
	ID          string         `json:"id"`
	Remediation string         `json:"remediation"`
	Workflow    string         `json:"workflow"`
	Params      map[string]any `json:"params,omitempty"`
	Incident    string         `json:"incident,omitempty"`
	Event       string         `json:"event,omitempty"`
	Environment string         `json:"environment"`
	Transaction string         `json:"transaction,omitempty"`
	Partner     string         `json:"partner,omitempty"`
	Class       string         `json:"class,omitempty"`
	Facts       *Facts         `json:"facts,omitempty"`
	Mode        string         `json:"mode,omitempty"`
	// Config is the hash of the configuration that proposed it.
	Config string `json:"config,omitempty"`
	// Override names who lifted a guard rail, and why.
	Override  string    `json:"override,omitempty"`
	Approval  *Approval `json:"approval,omitempty"`
	Key       string    `json:"key,omitempty"`
	State     string    `json:"state"`
	Why       string    `json:"why,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
	RemoteID  string    `json:"remote_id,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Attempts  int       `json:"attempts"`
	Checks    int       `json:"checks,omitempty"`
	// NextAt is when it is looked at again by itself.
	NextAt time.Time `json:"next_at,omitzero"`
}

// Facts are what the event told of the transaction.
type Facts struct {
	Partner    string    `json:"partner,omitempty"`
	Document   string    `json:"document_type,omitempty"`
	Direction  string    `json:"direction,omitempty"`
	Amount     string    `json:"amount,omitempty"`
	Currency   string    `json:"currency,omitempty"`
	OccurredAt time.Time `json:"occurred_at,omitzero"`
}

// Approval is the consent that a run waits for, or has.
type Approval struct {
	By      []string  `json:"by,omitempty"`
	Needed  int       `json:"needed"`
	AskedAt time.Time `json:"asked_at,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// Bound is the hash of automation, params and the state that was read.
	Bound string `json:"bound,omitempty"`
	Given []Mark `json:"given,omitempty"`
}

// OfRun gives the form of a run.
func OfRun(r incident.Run) Run {
	v := Run{
		ID: r.ID, Remediation: r.Remediation, Workflow: r.Workflow, Params: r.Params,
		Incident: r.Incident, Event: r.Event, Environment: string(r.Environment),
		Transaction: r.Transaction, Partner: r.Partner, Class: string(r.Class),
		Mode: r.Mode, Config: r.Config, Override: r.Override,
		Key: r.Key, State: string(r.State), Why: r.Why,
		RequestID: r.RequestID, RemoteID: r.RemoteID, CreatedAt: r.CreatedAt.UTC(),
		StartedAt: r.StartedAt.UTC(), EndedAt: r.EndedAt.UTC(), Attempts: r.Attempts, Checks: r.Checks,
	}
	if f := r.Facts; f != (incident.Facts{}) {
		f.OccurredAt = f.OccurredAt.UTC()
		facts := Facts(f)
		v.Facts = &facts
	}
	if a := r.Approval; a.Needed > 0 {
		v.Approval = &Approval{By: a.By, Needed: a.Needed, AskedAt: a.AskedAt.UTC(), Expires: a.Expires.UTC(), Bound: a.Bound}
		for _, m := range a.Given {
			v.Approval.Given = append(v.Approval.Given, Mark{m.By, m.At.UTC(), m.Why})
		}
	}
	switch r.State {
	case incident.RunProposed, incident.RunAwaiting, incident.RunQueued, incident.RunUnknown:
		v.NextAt = r.NextAt.UTC()
	}
	return v
}
