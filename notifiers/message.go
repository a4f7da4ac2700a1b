package notifiers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Message is a delivery in words: what every medium says, each in its own form.
// All of it is cleaned and cut; none of it is escaped.
type Message struct {
	Kind     incident.DeliveryKind
	Severity event.Severity
	// Over reports that the incident has ended, Sandbox that it is a test's.
	Over    bool
	Sandbox bool
	// Icon and Word are the severity, or how it ended: "🔴", "CRITICAL" or
	// "✅", "RESOLVED after 34 min".
	Icon string
	Word string
	// Headline is what happened; with Icon and Word it is the first line.
	Headline string
	Partner  string
	// Due is the deadline with its zone, "" for none; Left how far off it is:
	// "in 4 h 14 min", or "5 min ago".
	Due  string
	Left string
	// News is what this delivery adds to the incident as it stands, "" for an
	// opening or an edit: why it alarms anew, who acknowledged it, how it ended.
	News string
	// Status are lines on the incident as a whole: acknowledged, flapping.
	Status []string
	Advice string
	// Text are lines that a rule's template gave.
	Text  []string
	Facts []Fact
	// Counts says how many are open and of which types, "" for a single one.
	Counts string
	// Listed are the open members that are listed, More counts those that are not.
	Listed []Listed
	More   int
	// Groups are a digest's incidents; More counts those that it does not list.
	Groups []Group
	// Symptoms are lines on the incidents that this one explains.
	Symptoms []string
	Notes    []string
	Why      string
	Links    []Link
	Footer   []string
}

// Fact is one labelled piece of an incident. A Long one deserves a whole line.
type Fact struct {
	Label string
	Text  string
	Long  bool
}

// Listed is one member of a grouped incident.
type Listed struct {
	Document    string
	Reference   string
	Transaction string
	// State is its class in words, where the members' differ; Partner likewise.
	State   string
	Partner string
	Due     string
}

// Link is an address that Style allows to be printed as a link.
type Link struct {
	Text    string
	Address string
}

// Compose puts a delivery into words. It is pure: the same delivery gives the
// same message.
func Compose(d incident.Delivery, style Style) Message {
	now := asOf(d)
	switch d.Kind {
	case incident.Noticed:
		return composeNotice(d, style, now)
	case incident.DigestTold:
		return composeDigest(d, style, now)
	}
	s := d.Snapshot
	f := fields(s.Lead.Fields)
	m := Message{
		Kind: d.Kind, Severity: s.Severity, Over: s.State == incident.Resolved,
		Headline: Headline(s), Partner: partner(s), Advice: advice(s), Why: why(s),
		Facts: facts(s, f, style, now), Footer: footer(d, style, now),
	}
	m.Icon, m.Word = severityMark(s.Severity)
	if m.Over {
		m.Icon, m.Word, m.Headline = ending(s)
	} else if !s.Due.IsZero() {
		m.Due, m.Left = style.When(s.Due, now), left(s.Due.Sub(now))
	}
	if m.Sandbox = s.Environment == event.Sandbox; m.Sandbox {
		m.Word = "SANDBOX " + m.Word
	}
	m.word(s.Lead.Words)
	m.News = news(d, style, now)
	m.Status = status(d, style, now)
	m.Counts = counts(s)
	if m.Counts != "" && !m.Over {
		m.Listed, m.More = listed(s, style, now), max(0, s.Open-len(s.Members))
	}
	m.Symptoms = symptoms(s)
	for _, note := range s.Notes {
		if note = Clean(note, 280); note != "" {
			m.Notes = append(m.Notes, note)
		}
	}
	m.link(f.text(event.LinkTransaction, 1000), style, !single(s))
	return m
}

// composeNotice words what is not about an incident: the text is all there is.
func composeNotice(d incident.Delivery, style Style, now time.Time) Message {
	m := Message{
		Kind: d.Kind, Severity: d.Snapshot.Severity, Headline: Clean(d.Text, 1500),
		Partner: partner(d.Snapshot), Footer: footer(d, style, now),
	}
	m.Icon, m.Word = severityMark(d.Snapshot.Severity)
	if m.Word == "" {
		m.Icon, m.Word = "🔵", "NOTICE"
	}
	return m
}

// asOf is the moment a delivery speaks from: when it was queued, because its
// snapshot is as old as that.
func asOf(d incident.Delivery) time.Time {
	for _, t := range []time.Time{d.QueuedAt, d.Snapshot.ResolvedAt, d.Snapshot.OpenedAt} {
		if !t.IsZero() {
			return t
		}
	}
	return d.Snapshot.Lead.OccurredAt
}

// Title is the first line: "🔴 CRITICAL · 856 ship notice ×3 not delivered".
func (m Message) Title() string { return join(" ", m.Icon, m.Word) + " · " + m.Headline }

// Summary is the whole in one line, as a telephone shows it.
func (m Message) Summary() string {
	text := join(" · ", m.Title(), m.Partner, m.due())
	switch m.Kind {
	case incident.Alarm, incident.Reopening, incident.Resolve:
		return join(" · ", text, m.News)
	}
	return join(" · ", m.News, text)
}

func (m Message) due() string {
	if m.Due == "" {
		return ""
	}
	return "due " + m.Due
}

func severityMark(s event.Severity) (icon, word string) {
	switch s {
	case event.Critical:
		return "🔴", "CRITICAL"
	case event.Error:
		return "🟠", "ERROR"
	case event.Warning:
		return "🟡", "WARNING"
	case event.Info:
		return "🔵", "INFO"
	}
	return "", ""
}

// ending words the end so that it cannot be taken for more than it is: only a
// recovery that was seen is green.
func ending(s incident.Snapshot) (icon, word, headline string) {
	what := Subject(s)
	if what == "" {
		what = Headline(s)
	}
	after := " after " + Span(s.ResolvedAt.Sub(s.OpenedAt))
	switch s.Resolution {
	case incident.Unconfirmed:
		return "⚪", "CLOSED, NO RECOVERY SEEN" + after, what
	case incident.Manual:
		return "☑️", "CLOSED BY HAND" + after, what
	}
	if s.Polling.Cleared > 0 && s.Polling.Cleared >= s.Total {
		return "☑️", "NO LONGER LISTED AS FAILED" + after, what
	}
	return "✅", "RESOLVED" + after, what
}

// partner is the trading partner's name, or its id where no name came; where
// the open members have several, one of them and how many others.
func partner(s incident.Snapshot) string {
	names := partners(s)
	switch len(names) {
	case 0:
		return leadPartner(s)
	case 1:
		return names[0]
	}
	return fmt.Sprintf("%s and %s", names[0], amount(len(names)-1, "other"))
}

func leadPartner(s incident.Snapshot) string {
	f := fields(s.Lead.Fields)
	if name := f.text(event.PartnerName, 80); name != "" {
		return name
	}
	return f.text(event.PartnerID, 80)
}

// partners are those of the open members that are listed, each once.
func partners(s incident.Snapshot) []string {
	var names []string
	for _, m := range s.Members {
		if name := Clean(m.Partner, 80); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// single reports whether the incident has only ever been about one thing, so
// that what its lead says is true of the whole.
func single(s incident.Snapshot) bool { return s.Total <= 1 && s.Open <= 1 }

// left says how far off a deadline is.
func left(d time.Duration) string {
	if d < 0 {
		return Span(d) + " ago"
	}
	return "in " + Span(d)
}

// why says which rules chose this notifier's incident: the answer to "why me?".
func why(s incident.Snapshot) string {
	names := make([]string, 0, len(s.Rules))
	for _, rule := range s.Rules {
		names = append(names, Clean(rule, 80))
	}
	switch len(names) {
	case 0:
		return "defaults (no rule named a notifier)"
	case 1:
		return "rule " + names[0]
	}
	return Cut("rules "+strings.Join(names, ", "), 400)
}

func footer(d incident.Delivery, style Style, now time.Time) []string {
	var lines []string
	if !now.IsZero() {
		lines = append(lines, "as of "+style.When(now, now))
	}
	lines = append(lines, Clean(d.Incident, 60))
	if d.Unclear && d.Kind != incident.Update { // an edit made twice is made once
		lines = append(lines, "may be a repeat: an earlier attempt had no answer")
	}
	return strings.Split(join("\n", lines...), "\n")
}

// link adds the lead's address: as a link if Style allows it, else as text.
func (m *Message) link(address string, style Style, many bool) {
	text := "Open the transaction in Datasync"
	if many {
		text = "Open the first transaction in Datasync"
	}
	switch {
	case address == "":
	case style.Linkable(address):
		m.Links = append(m.Links, Link{Text: text, Address: address})
	default:
		m.Facts = append(m.Facts, Fact{Label: "Address", Text: Cut(address, 300), Long: true})
	}
}

// counts says how many are open, of which document types.
func counts(s incident.Snapshot) string {
	if single(s) {
		return ""
	}
	head := fmt.Sprintf("%d open", s.Open)
	switch {
	case s.Open == 0:
		head = fmt.Sprintf("%d in all", s.Total)
	case s.Total > s.Open:
		head = fmt.Sprintf("%d open of %d", s.Open, s.Total)
	}
	kinds, _ := documentCounts(s)
	types := make([]string, 0, len(kinds))
	for _, d := range kinds {
		types = append(types, fmt.Sprintf("%s ×%d", Document(d.Type, d.Name), d.Open))
	}
	return Cut(join(": ", head, strings.Join(types, ", ")), 700)
}

func listed(s incident.Snapshot, style Style, now time.Time) []Listed {
	list, differ, several := make([]Listed, 0, len(s.Members)), mixed(s), len(partners(s)) > 1
	for _, m := range s.Members {
		l := Listed{
			Reference: Clean(m.Reference, 60), Transaction: Clean(m.Transaction, 60),
		}
		switch {
		case m.DocumentType != "" || m.DocumentName != "":
			l.Document = Document(m.DocumentType, m.DocumentName)
		case l.Transaction == "":
			l.Document = Clean(m.ID, 80)
		}
		if differ {
			l.State = Clean(m.Class.Words(), 60)
		}
		if several {
			l.Partner = Clean(m.Partner, 60)
		}
		if !m.Due.IsZero() {
			l.Due = style.When(m.Due, now)
		}
		list = append(list, l)
	}
	return list
}
