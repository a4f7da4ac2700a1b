package routing

import (
	"encoding/json"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/calendar"
	"datasync-bridge/routing/incident"
)

// Config holds the sections that routing owns.
type Config struct {
	Defaults  Defaults          `koanf:"defaults"`
	Rules     []Rule            `koanf:"rules"`
	Calendars []calendar.Config `koanf:"calendars"`
	Digests   []Digest          `koanf:"digests"`
	Silences  []Silence         `koanf:"silences"`
	Inhibit   []Inhibit         `koanf:"inhibit"`
}

// Digest is a message that gathers what its rules leave to it, by partner.
type Digest struct {
	Name string `koanf:"name"`
	// Calendar gives the days: those on which it opens at all.
	Calendar string `koanf:"calendar"`
	// At is the time of day in the calendar's zone, such as "08:00".
	At   string `koanf:"at"`
	Line int    `koanf:"-"`
}

// Silence keeps what matches quiet from From until Until.
type Silence struct {
	ID    string       `koanf:"id"`
	Match Match        `koanf:"match"`
	From  event.Moment `koanf:"from"`
	Until event.Moment `koanf:"until"`
	By    string       `koanf:"by"`
	Why   string       `koanf:"why"`
	Line  int          `koanf:"-"`
}

// Inhibit lets an open incident that By matches keep those that Mutes matches
// from being told, where all fields of Same are present and equal on both sides.
type Inhibit struct {
	By    Match    `koanf:"by"`
	Mutes Match    `koanf:"mutes"`
	Same  []string `koanf:"same"`
	Line  int      `koanf:"-"`
}

// Defaults apply where no rule says otherwise.
type Defaults struct {
	// Notify is required and must name at least one notifier.
	Notify []string `koanf:"notify"`
	Group  Group    `koanf:"group"`
	// Repeat is one span or a map by severity: {critical: 1h, info: never}.
	// Default {critical: 1h, error: 4h, warning: 24h, info: never}.
	Repeat Repeat `koanf:"repeat"`
	// StaleAfter: an older opening is summarised, not alarmed. Default 12h.
	StaleAfter event.Span `koanf:"stale_after"`
	// CloseAfter: an incident without news closes as unconfirmed. Default 72h.
	CloseAfter event.Span `koanf:"close_after"`
	// ReopenWithin: the same key reopens the same incident. Default 30m.
	ReopenWithin time.Duration `koanf:"reopen_within"`
	// RetryingAlert turns retries into an opening; nil is never.
	RetryingAlert *RetryingAlert `koanf:"retrying_alert"`
	// TimeZone of times in messages. Default UTC.
	TimeZone string `koanf:"time_zone"`
	// LinkHosts may be printed as links. Default none.
	LinkHosts []string `koanf:"link_hosts"`
	// Severity is tried in order and ends with a catch-all. Default: the
	// event catalogue's column.
	Severity []SeverityRule `koanf:"severity"`
	// Title, Text and Fields are templates for messages where no rule has one.
	Title  string          `koanf:"title"`
	Text   string          `koanf:"text"`
	Fields []TemplateField `koanf:"fields"`
}

// TemplateField is one labelled line of a message; an empty result is left out.
type TemplateField struct {
	Name string `koanf:"name"`
	Text string `koanf:"text"`
}

// RetryingAlert is whichever comes first.
type RetryingAlert struct {
	Attempts int           `koanf:"attempts"`
	After    time.Duration `koanf:"after"`
}

// SeverityRule sets the default severity of the events that match.
type SeverityRule struct {
	Match    Match          `koanf:"match"`
	Severity event.Severity `koanf:"severity"`
	Line     int            `koanf:"-"`
}

// Match is a condition as written: path → scalar, list or operator map. Values
// are string, bool, json.Number (an unquoted number), nil, []any, map[string]any.
type Match map[string]any

// Repeat is a span by severity name, or one value for all of them.
type Repeat map[string]event.Span

// UnmarshalText reads the one value that holds for every severity.
func (r *Repeat) UnmarshalText(text []byte) error {
	var span event.Span
	if err := span.UnmarshalText(text); err != nil {
		return err
	}
	*r = make(Repeat, len(event.Severities))
	for _, s := range event.Severities {
		(*r)[s.String()] = span
	}
	return nil
}

// UnmarshalJSON reads what JSON makes of a Repeat.
func (r *Repeat) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, (*map[string]event.Span)(r))
}

// Group gathers openings. Pointers tell a missing key from a zero.
type Group struct {
	// By are the paths of the incident key; default by class.
	By          []string       `koanf:"by"`
	Wait        *time.Duration `koanf:"wait"`         // default 0s
	Interval    *time.Duration `koanf:"interval"`     // default 1h
	ResolveWait *time.Duration `koanf:"resolve_wait"` // default 0s
	MaxMembers  *int           `koanf:"max_members"`  // default 20, at most 100
}

// Rule is one line of the list.
type Rule struct {
	Name  string `koanf:"name"`
	Match Match  `koanf:"match"`
	// When is an expr-lang condition on the paths of event.Schema and on free
	// keys under data. Times are times (sla.due_at - received_at <
	// duration("2h")), numbers are numbers, what is missing is nil.
	When     string         `koanf:"when"`
	Severity event.Severity `koanf:"severity"`
	// Notify is nil where the key is missing, empty where the list is.
	Notify []string `koanf:"notify"`
	// Stop reports that no later rule is looked at when this one matches.
	Stop bool `koanf:"stop"`
	// Copy reports that its notifiers do not count as having been told: the
	// event still needs another rule, or the defaults.
	Copy bool `koanf:"copy"`
	// Drop reports that the event is told to nobody, unless an earlier rule
	// named a notifier; it needs Why. It also stops.
	Drop      bool       `koanf:"drop"`
	Why       string     `koanf:"why"`
	Group     Group      `koanf:"group"`
	Escalate  []Escalate `koanf:"escalate"`
	Remediate string     `koanf:"remediate"`
	// OnlyDuring names the calendar during which the rule may tell its
	// notifiers; Outside says what becomes of the rest: delay (the default),
	// digest or drop.
	OnlyDuring string           `koanf:"only_during"`
	Outside    incident.Outside `koanf:"outside"`
	// Digest names the digest that tells the rule's notifiers: outside of
	// OnlyDuring, or, without that, always.
	Digest string `koanf:"digest"`
	// Title, Text and Fields are templates of what messages say.
	Title  string          `koanf:"title"`
	Text   string          `koanf:"text"`
	Fields []TemplateField `koanf:"fields"`
	// Line is where the rule stands in the file.
	Line int `koanf:"-"`
}

// Escalate adds notifiers after a time.
type Escalate struct {
	After  time.Duration `koanf:"after"`
	Unless string        `koanf:"unless"` // "acknowledged" is the only value
	Notify []string      `koanf:"notify"`
}
