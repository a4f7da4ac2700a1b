package view

import (
	"time"

	"datasync-bridge/routing/incident"
)

// Delivery is one notification on its way to one notifier.
type Delivery struct {
	ID          string    `json:"id"`
	Incident    string    `json:"incident,omitempty"`
	Notifier    string    `json:"notifier"`
	Destination string    `json:"destination,omitempty"`
	Kind        string    `json:"kind"`
	Alarm       int       `json:"alarm,omitempty"`
	State       string    `json:"state"`
	Severity    string    `json:"severity,omitempty"`
	Text        string    `json:"text,omitempty"`
	QueuedAt    time.Time `json:"queued_at"`
	NextAt      time.Time `json:"next_at,omitzero"`
	Attempts    int       `json:"attempts"`
	FirstTry    time.Time `json:"first_try,omitzero"`
	SettledAt   time.Time `json:"settled_at,omitzero"`
	// Unclear reports that an attempt may have arrived although its answer is lost.
	Unclear bool   `json:"unclear,omitempty"`
	Error   string `json:"error,omitempty"`
	Answer  string `json:"answer,omitempty"`
	Ref     string `json:"ref,omitempty"`
}

// OfDelivery gives the form of a delivery.
func OfDelivery(d incident.Delivery) Delivery {
	v := Delivery{
		ID: d.ID, Incident: d.Incident, Notifier: d.Notifier, Destination: d.Destination,
		Kind: string(d.Kind), Alarm: d.Alarm, State: string(d.State), Severity: d.Snapshot.Severity.String(),
		Text: d.Text, QueuedAt: d.QueuedAt.UTC(), Attempts: d.Attempts,
		FirstTry: d.FirstTry.UTC(), SettledAt: d.SettledAt.UTC(), Unclear: d.Unclear,
		Error: d.Error, Answer: d.Answer, Ref: d.Ref,
	}
	if d.State == incident.Waiting {
		v.NextAt = d.NextAt.UTC()
	}
	return v
}
