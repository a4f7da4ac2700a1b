package incident

import (
	"time"

	"datasync-bridge/event"
)

// Outcome says in one word what became of an event.
type Outcome string

// The outcomes.
const (
	Opened     Outcome = "opened"    // a new incident
	Joined     Outcome = "joined"    // an open incident, new member or again
	Raised     Outcome = "raised"    // an SLA event raised a member
	Reopened   Outcome = "reopened"  // an incident that had been resolved
	Confirmed  Outcome = "confirmed" // told before: a line on the timeline
	Refined    Outcome = "refined"   // a webhook that came after a poll
	Settled    Outcome = "settled"   // at least one member
	Unfitting  Outcome = "unfitting" // a recovery that fits nothing
	Notified   Outcome = "noticed"   // a notice, no incident
	Ignored    Outcome = "ignored"   // effect none
	DroppedBy  Outcome = "dropped"   // by a rule with drop: true
	Outdated   Outcome = "outdated"  // older than a recovery already seen
	OldNews    Outcome = "old"       // older than stale_after
	ParkedAway Outcome = "parked"    // could not be planned three times
)

// Decision is what routing decided about an event and why, as it is recorded.
type Decision struct {
	// Config is the configuration's hash.
	Config  string    `json:",omitzero"`
	At      time.Time `json:",omitzero"`
	Outcome Outcome   `json:",omitzero"`
	// Incident is the one concerned, "" for none.
	Incident string       `json:",omitzero"`
	Effect   event.Effect `json:",omitzero"`
	Type     string       `json:",omitzero"`
	Class    event.Class
	Severity event.Severity `json:",omitzero"`
	// SeverityFrom says which rule or default set it: `rule "x" (line 63)`.
	SeverityFrom string `json:",omitzero"`
	// Rules are those that matched, in file order.
	Rules []MatchedRule `json:",omitzero"`
	// Notifiers are those that may be told, in order of first mention, after
	// replacements; each says by which rule ("defaults" for none).
	Notifiers []Routed `json:",omitzero"`
	// DroppedBy is the rule that dropped it, "" for none.
	DroppedBy string `json:",omitzero"`
	// GroupBy and Key tell the incident key and what it was made from.
	GroupBy []string `json:",omitzero"`
	Key     string   `json:",omitzero"`
	Group   Group    `json:",omitzero"`
	// Escalate and Remediate come from all matched rules.
	Escalate  []EscalateStep `json:",omitzero"`
	Remediate []string       `json:",omitzero"`
	// Errors are conditions that failed at run time; the event then also goes
	// to the defaults.
	Errors []string `json:",omitzero"`
	// Reasons are further sentences for explain, in the order they came up.
	Reasons []string `json:",omitzero"`
	// Causes are handles by which this event's incident is found as the cause
	// of others; CausedBy are those at which its own cause is looked for.
	Causes   []string `json:",omitempty"`
	CausedBy []string `json:",omitempty"`
	// TitleFrom, TextFrom and FieldsFrom name the rules whose templates word
	// the message, "defaults" for those, "" for none.
	TitleFrom  string `json:",omitempty"`
	TextFrom   string `json:",omitempty"`
	FieldsFrom string `json:",omitempty"`
	// Silence is the silence that held for the event when it was planned, ""
	// for none; Held says for each notifier that is not told now why not.
	Silence string       `json:",omitempty"`
	Held    []HeldRouted `json:",omitempty"`
}

// HeldRouted is a notifier that an event's plan held back.
type HeldRouted struct {
	Notifier string
	Held
}

// MatchedRule names a rule that matched.
type MatchedRule struct {
	Name string `json:",omitzero"`
	Line int    `json:",omitzero"`
	Stop bool   `json:",omitzero"`
	Copy bool   `json:",omitzero"`
}

// Routed is a notifier and why.
type Routed struct {
	Notifier string   `json:",omitzero"`
	By       []string `json:",omitzero"`
	// Instead is the pager that this one replaces, and Why.
	Instead string `json:",omitzero"`
	Why     string `json:",omitzero"`
	// Windows are those of the rules that name it, nil where at least one of
	// them may tell it at any time.
	Windows []Window `json:",omitempty"`
}

// Group is how openings are gathered.
type Group struct {
	Wait        time.Duration `json:",omitzero"`
	Interval    time.Duration `json:",omitzero"`
	ResolveWait time.Duration `json:",omitzero"`
	MaxMembers  int           `json:",omitzero"`
}

// EscalateStep is a rule's escalation: after a time, unless acknowledged.
type EscalateStep struct {
	Rule   string
	After  time.Duration
	Notify []string
	// Window is that of its rule (only_during), nil for none.
	Window *Window `json:",omitempty"`
}
