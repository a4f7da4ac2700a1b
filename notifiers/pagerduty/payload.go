package pagerduty

import (
	"strings"
	"time"

	"github.com/PagerDuty/go-pagerduty"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

const (
	maxSummary = 1024
	// maxListed bounds the two lists that grow with the incident. Each entry is
	// cut, and at worst every rune of it is escaped, so 300 keep the whole body
	// well under PagerDuty's 512 KB.
	maxListed = 300
)

// details are an alert's custom details, in the order of reading.
type details struct {
	Why          string            `json:"why_now,omitempty"`
	Status       []string          `json:"status,omitempty"`
	Careful      string            `json:"careful,omitempty"`
	Text         []string          `json:"text,omitempty"`
	Explains     []string          `json:"explains,omitempty"`
	Class        string            `json:"class,omitempty"`
	Partner      string            `json:"partner,omitempty"`
	Due          string            `json:"due,omitempty"`
	Documents    string            `json:"documents,omitempty"`
	References   []string          `json:"references,omitempty"`
	Error        string            `json:"error,omitempty"`
	Contact      string            `json:"contact,omitempty"`
	Facts        map[string]string `json:"facts,omitempty"`
	Transactions []string          `json:"transactions,omitempty"`
	NotListed    int               `json:"transactions_not_listed,omitempty"`
	Bridge       []string          `json:"bridge,omitempty"`
	Rules        string            `json:"rules,omitempty"`
	Incident     string            `json:"incident"`
	Environment  string            `json:"environment,omitempty"`
	Delivery     string            `json:"delivery,omitempty"`
}

func payload(d incident.Delivery, m notifiers.Message) *pagerduty.V2Payload {
	s := d.Snapshot
	p := &pagerduty.V2Payload{
		Summary:   summary(d, m),
		Source:    source(s),
		Severity:  severity(s.Severity),
		Component: notifiers.Subject(s),
		Group:     m.Partner,
		Class:     notifiers.Clean(string(s.Class), 60),
		Details:   describe(d, m),
	}
	if at := s.Lead.OccurredAt; !at.IsZero() {
		p.Timestamp = at.UTC().Format(time.RFC3339)
	}
	return p
}

// summary is what is read out in the night: what, whose, by when.
func summary(d incident.Delivery, m notifiers.Message) string {
	parts := []string{m.Headline, m.Partner}
	for _, f := range m.Facts {
		if f.Label == "References" { // only of a single document
			parts = append(parts, notifiers.Cut(f.Text, 120))
		}
	}
	if m.Due != "" {
		parts = append(parts, "due "+m.Due)
	}
	switch {
	case d.Kind == incident.Fallback:
		parts = append([]string{m.News}, parts...)
	case d.Kind == incident.Reopening:
		parts[0] = "back again: " + parts[0]
	case d.Snapshot.Environment == event.Sandbox:
		parts[0] = "SANDBOX: " + parts[0]
	}
	return notifiers.Cut(join(parts), maxSummary)
}

func join(parts []string) string {
	var b strings.Builder
	for _, p := range parts {
		if p == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(" · ")
		}
		b.WriteString(p)
	}
	return b.String()
}

// source is the system that the alert is about, which PagerDuty requires.
func source(s incident.Snapshot) string {
	name := notifiers.Clean(s.Source, 80)
	if name == "" {
		name = "datasync"
	}
	if s.Environment != "" {
		name += " (" + string(s.Environment) + ")"
	}
	return name
}

// severity is PagerDuty's, which has the same four names; unset is an error.
func severity(s event.Severity) string {
	if s == 0 {
		s = event.Error
	}
	return s.String()
}

func describe(d incident.Delivery, m notifiers.Message) details {
	s := d.Snapshot
	all := details{
		Why: m.News, Status: m.Status, Careful: m.Advice, Text: m.Text, Explains: m.Symptoms, Class: notifiers.Clean(s.Class.Words(), 60),
		Partner: m.Partner, Documents: m.Counts, Bridge: m.Notes, Rules: m.Why,
		Incident: d.Incident, Environment: string(s.Environment), Delivery: d.ID, Facts: map[string]string{},
	}
	if m.Due != "" {
		all.Due = m.Due + " (" + m.Left + ")"
	}
	for _, f := range m.Facts {
		switch f.Label {
		case "Error", "First error":
			all.Error = f.Text
		case "Contact":
			all.Contact = f.Text
		case "References":
			all.References = append(all.References, f.Text)
		case "Document":
			all.Documents = f.Text
		default:
			all.Facts[f.Label] = f.Text
		}
	}
	if len(all.Facts) == 0 {
		all.Facts = nil
	}
	for _, l := range m.Listed {
		if l.Reference != "" {
			all.References = append(all.References, l.Reference)
		}
	}
	for _, member := range s.Members {
		if id := notifiers.Clean(member.Transaction, 80); id != "" {
			all.Transactions = append(all.Transactions, id)
		}
	}
	all.NotListed = m.More + max(0, len(all.Transactions)-maxListed)
	all.Transactions = all.Transactions[:min(len(all.Transactions), maxListed)]
	all.References = all.References[:min(len(all.References), maxListed)]
	return all
}
