package view

import (
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Incident is a group of failures with one cause. Members, Timeline,
// Deliveries and Runs stand only in the answer about a single one.
type Incident struct {
	ID           string         `json:"id"`
	Key          string         `json:"key"`
	Environment  string         `json:"environment"`
	Source       string         `json:"source"`
	Class        string         `json:"class"`
	State        string         `json:"state"`
	Severity     string         `json:"severity"`
	OpenedAt     time.Time      `json:"opened_at"`
	ResolvedAt   time.Time      `json:"resolved_at,omitzero"`
	Resolution   string         `json:"resolution,omitempty"`
	Acknowledged *Mark          `json:"acknowledged,omitempty"`
	LastOpening  time.Time      `json:"last_opening,omitzero"`
	OpenMembers  int            `json:"open_members"`
	TotalMembers int            `json:"total_members"`
	OpenBy       map[string]int `json:"open_by_severity,omitempty"`
	Documents    []Documents    `json:"documents,omitempty"`
	Lead         Lead           `json:"lead"`
	Told         []Telling      `json:"told,omitempty"`
	Rules        []string       `json:"rules,omitempty"`
	Notes        []string       `json:"notes,omitempty"`
	Flapping     bool           `json:"flapping,omitempty"`
	Reopenings   []time.Time    `json:"reopenings,omitempty"`
	// Due times of what comes by itself.
	WaitUntil time.Time `json:"wait_until,omitzero"`
	RepeatAt  time.Time `json:"repeat_at,omitzero"`
	ResolveAt time.Time `json:"resolve_at,omitzero"`
	CloseAt   time.Time `json:"close_at,omitzero"`

	Members    []Member   `json:"members,omitempty"`
	Timeline   []Entry    `json:"timeline,omitempty"`
	Deliveries []Delivery `json:"deliveries,omitempty"`
	Runs       []Run      `json:"runs,omitempty"`
}

// Mark is a person's deed.
type Mark struct {
	By  string    `json:"by"`
	At  time.Time `json:"at"`
	Why string    `json:"why,omitempty"`
}

// Documents counts members of one document type.
type Documents struct {
	Type  string `json:"type"`
	Name  string `json:"name,omitempty"`
	Open  int    `json:"open"`
	Total int    `json:"total"`
}

// Lead is the event by which an incident is told.
type Lead struct {
	Event      string         `json:"event"`
	Type       string         `json:"type"`
	Severity   string         `json:"severity"`
	OccurredAt time.Time      `json:"occurred_at,omitzero"`
	Fields     map[string]any `json:"fields,omitempty"`
}

// Telling is what one notifier knows of an incident.
type Telling struct {
	Notifier    string    `json:"notifier"`
	Destination string    `json:"destination,omitempty"`
	Severity    string    `json:"severity,omitempty"`
	Alarms      int       `json:"alarms"`
	At          time.Time `json:"at,omitzero"`
	Over        bool      `json:"over,omitempty"`
}

// Member is what an event is about: a transaction, a certificate, a connection.
type Member struct {
	ID           string    `json:"id"`
	Class        string    `json:"class"`
	Open         bool      `json:"open"`
	Severity     string    `json:"severity"`
	OpenedAt     time.Time `json:"opened_at"`
	OccurredAt   time.Time `json:"occurred_at,omitzero"`
	SettledAt    time.Time `json:"settled_at,omitzero"`
	Due          time.Time `json:"due,omitzero"`
	Event        string    `json:"event"`
	Transaction  string    `json:"transaction,omitempty"`
	DocumentType string    `json:"document_type,omitempty"`
	DocumentName string    `json:"document_name,omitempty"`
	Reference    string    `json:"reference,omitempty"`
	Partner      string    `json:"partner,omitempty"`
}

// Entry is one line of a timeline.
type Entry struct {
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"`
	Text     string    `json:"text"`
	By       string    `json:"by,omitempty"`
	Event    string    `json:"event,omitempty"`
	Delivery string    `json:"delivery,omitempty"`
	Run      string    `json:"run,omitempty"`
}

// OfIncident gives the form of an incident in a list.
func OfIncident(i incident.Incident) Incident {
	v := Incident{
		ID: i.ID, Key: i.Key, Environment: string(i.Environment), Source: i.Source, Class: string(i.Class),
		State: string(i.State), Severity: i.Severity.String(), OpenedAt: i.OpenedAt.UTC(), ResolvedAt: i.ResolvedAt.UTC(),
		Resolution: string(i.Resolution), LastOpening: i.LastOpening.UTC(),
		OpenMembers: i.OpenMembers(), TotalMembers: i.Total,
		Lead:  Lead{i.Lead.Event, i.Lead.Type, i.Lead.Severity.String(), i.Lead.OccurredAt.UTC(), i.Lead.Fields},
		Rules: i.Rules, Notes: i.Notes, Flapping: i.Flapping,
		WaitUntil: i.WaitUntil.UTC(), RepeatAt: i.RepeatAt.UTC(), ResolveAt: i.ResolveAt.UTC(), CloseAt: i.CloseAt.UTC(),
	}
	if m := i.Acknowledged; m != nil {
		v.Acknowledged = &Mark{m.By, m.At.UTC(), m.Why}
	}
	for severity, n := range i.OpenBy {
		if n > 0 {
			if v.OpenBy == nil {
				v.OpenBy = map[string]int{}
			}
			v.OpenBy[event.Severity(severity).String()] = n
		}
	}
	for _, d := range i.Documents {
		v.Documents = append(v.Documents, Documents(d))
	}
	for _, t := range i.Told {
		v.Told = append(v.Told, Telling{t.Notifier, t.Destination, t.Severity.String(), t.Alarms, t.At.UTC(), t.Over})
	}
	for _, at := range i.Reopenings {
		v.Reopenings = append(v.Reopenings, at.UTC())
	}
	return v
}

// OfMember gives the form of a member.
func OfMember(m incident.Member) Member {
	return Member{
		ID: m.ID, Class: string(m.Class), Open: m.Open, Severity: m.Severity.String(),
		OpenedAt: m.OpenedAt.UTC(), OccurredAt: m.OccurredAt.UTC(), SettledAt: m.SettledAt.UTC(), Due: m.Due.UTC(),
		Event: m.Event, Transaction: m.Transaction, DocumentType: m.DocumentType, DocumentName: m.DocumentName,
		Reference: m.Reference, Partner: m.Partner,
	}
}

// OfEntry gives the form of a timeline's line.
func OfEntry(e incident.Entry) Entry {
	return Entry{e.At.UTC(), e.Kind, e.Text, e.By, e.Event, e.Delivery, e.Run}
}

// Each gives the forms of many.
func Each[T, V any](items []T, of func(T) V) []V {
	views := make([]V, len(items))
	for i, item := range items {
		views[i] = of(item)
	}
	return views
}
