// Package view holds the JSON forms of the admin API: what its answers look
// like to programs, apart from how the bridge keeps things inside. The command
// line prints the same forms with -o json.
//
// Names are snake_case, times RFC 3339 in UTC, and what is not known is left
// out. A key is never renamed or given another meaning within /api/v1.
package view

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// List is one page, newest first. Next is the value of "before" that continues
// it, "" at the end.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// Error is the answer to a request that was not carried out.
type Error struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

func (e *Error) Error() string { return e.Message }

// Done is the answer to a command that was carried out.
type Done struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
}

// Status tells what is running and how much waits.
type Status struct {
	Version   string    `json:"version"`
	Config    string    `json:"config"`
	StartedAt time.Time `json:"started_at"`
	Ready     bool      `json:"ready"`
	// Counts are rows by kind and state, such as "events.pending".
	Counts map[string]int64 `json:"counts,omitempty"`
}

// Event is a received event. Decision, Body and BodyBase64 stand only in the
// answer about a single one.
type Event struct {
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Environment string    `json:"environment"`
	ForeignID   string    `json:"foreign_id,omitempty"`
	Type        string    `json:"type,omitempty"`
	Status      string    `json:"status"`
	State       string    `json:"state"`
	Quarantine  string    `json:"quarantine,omitempty"`
	Origin      string    `json:"origin"`
	Authentic   bool      `json:"authentic"`
	ReceivedAt  time.Time `json:"received_at"`
	Duplicates  int       `json:"duplicates"`
	LastSeen    time.Time `json:"last_seen,omitzero"`
	Incident    string    `json:"incident,omitempty"`
	Failures    int       `json:"failures,omitempty"`
	Decision    *Decision `json:"decision,omitempty"`
	// Body is the body as received, or as it was kept where Redacted says that
	// values were blanked or all of it withheld; BodyBase64 instead, where it is
	// no UTF-8.
	Body       string `json:"body,omitempty"`
	BodyBase64 []byte `json:"body_base64,omitempty"`
	Redacted   bool   `json:"redacted,omitempty"`
}

// OfEvent gives the form of an event in a list.
func OfEvent(s event.Stored) Event {
	return Event{
		ID: s.ID, Source: s.Source, Environment: string(s.Environment), ForeignID: s.ForeignID,
		Type: s.Type, Status: string(s.Status), State: string(s.State), Quarantine: s.Quarantine,
		Origin: string(s.Origin), Authentic: s.Authentic, ReceivedAt: s.ReceivedAt.UTC(),
		Duplicates: s.Duplicates, LastSeen: s.LastSeen.UTC(), Incident: s.Incident, Failures: s.Failures,
	}
}

// OfEventInFull adds the decision and the body.
func OfEventInFull(s event.Stored) Event {
	e := OfEvent(s)
	if len(s.Decision) > 0 {
		var d incident.Decision
		if err := json.Unmarshal(s.Decision, &d); err != nil {
			d = incident.Decision{Errors: []string{"the recorded decision cannot be read: " + err.Error()}}
		}
		e.Decision = OfDecision(d)
	}
	e.Redacted = s.KeptHash != [32]byte{}
	if utf8.Valid(s.Body) {
		e.Body = string(s.Body)
	} else {
		e.BodyBase64 = s.Body
	}
	return e
}

// Decision is what was decided about an event, and why.
type Decision struct {
	Config       string         `json:"config"`
	At           time.Time      `json:"at,omitzero"`
	Outcome      string         `json:"outcome"`
	Incident     string         `json:"incident,omitempty"`
	Effect       string         `json:"effect,omitempty"`
	Type         string         `json:"type,omitempty"`
	Class        string         `json:"class,omitempty"`
	Severity     string         `json:"severity,omitempty"`
	SeverityFrom string         `json:"severity_from,omitempty"`
	Rules        []Rule         `json:"rules,omitempty"`
	Notifiers    []Routed       `json:"notifiers,omitempty"`
	DroppedBy    string         `json:"dropped_by,omitempty"`
	GroupBy      []string       `json:"group_by,omitempty"`
	Key          string         `json:"key,omitempty"`
	Escalate     []EscalateStep `json:"escalate,omitempty"`
	Remediate    []string       `json:"remediate,omitempty"`
	Errors       []string       `json:"errors,omitempty"`
	Reasons      []string       `json:"reasons,omitempty"`
	// Silence is the silence that held for the event when it was planned.
	Silence string `json:"silence,omitempty"`
	// Held says for each notifier that was not told then why not.
	Held []Held `json:"held,omitempty"`
	// Worded names the rules whose templates word the message, by title, text and
	// fields; "defaults" for those.
	Worded map[string]string `json:"worded,omitempty"`
}

// Held is a notifier that was not told, and why; Kind is silence, cause, window
// or digest, and By the silence, the incident, the calendar or the digest.
type Held struct {
	Notifier string    `json:"notifier"`
	Kind     string    `json:"kind"`
	By       string    `json:"by"`
	Why      string    `json:"why"`
	Until    time.Time `json:"until,omitzero"`
}

// Rule is a rule that matched.
type Rule struct {
	Name string `json:"name"`
	Line int    `json:"line,omitempty"`
	Stop bool   `json:"stop,omitempty"`
	Copy bool   `json:"copy,omitempty"`
}

// Routed is a notifier that may be told, and by which rules.
type Routed struct {
	Notifier string   `json:"notifier"`
	By       []string `json:"by,omitempty"`
	Instead  string   `json:"instead,omitempty"`
	Why      string   `json:"why,omitempty"`
	// Windows are those of the rules that name it, none where it may always be told.
	Windows []Window `json:"windows,omitempty"`
}

// Window is when one rule may tell.
type Window struct {
	Rule     string `json:"rule"`
	Calendar string `json:"calendar,omitempty"`
	Outside  string `json:"outside"`
	Digest   string `json:"digest,omitempty"`
}

// EscalateStep adds notifiers After a time, in Go's spelling ("15m0s").
type EscalateStep struct {
	Rule   string   `json:"rule"`
	After  string   `json:"after"`
	Notify []string `json:"notify"`
}

// OfDecision gives the form of a decision.
func OfDecision(d incident.Decision) *Decision {
	v := &Decision{
		Config: d.Config, At: d.At.UTC(), Outcome: string(d.Outcome), Incident: d.Incident,
		Effect: string(d.Effect), Type: d.Type, Class: string(d.Class), Severity: d.Severity.String(),
		SeverityFrom: d.SeverityFrom, DroppedBy: d.DroppedBy, GroupBy: d.GroupBy, Key: d.Key,
		Remediate: d.Remediate, Errors: d.Errors, Reasons: d.Reasons, Silence: d.Silence,
	}
	for _, r := range d.Rules {
		v.Rules = append(v.Rules, Rule(r))
	}
	for _, r := range d.Notifiers {
		routed := Routed{Notifier: r.Notifier, By: r.By, Instead: r.Instead, Why: r.Why}
		for _, w := range r.Windows {
			routed.Windows = append(routed.Windows, Window{w.Rule, w.Calendar, string(w.Outside), w.Digest})
		}
		v.Notifiers = append(v.Notifiers, routed)
	}
	for _, s := range d.Escalate {
		v.Escalate = append(v.Escalate, EscalateStep{s.Rule, s.After.String(), s.Notify})
	}
	for _, h := range d.Held {
		v.Held = append(v.Held, Held{h.Notifier, string(h.Kind), h.By, h.Why, h.Until.UTC()})
	}
	for what, by := range map[string]string{"title": d.TitleFrom, "text": d.TextFrom, "fields": d.FieldsFrom} {
		if by != "" {
			if v.Worded == nil {
				v.Worded = map[string]string{}
			}
			v.Worded[what] = by
		}
	}
	return v
}
