// Package incident is the state machine between a decision and the messages
// that follow from it. It is pure: what it needs is loaded for it (View), what
// it wants is returned (Plan), and the caller commits a plan as a whole.
//
// A *member* is what an event is about (usually one transaction); an incident
// is open while it has open members. A *telling* is what one notifier has been
// told of an incident. A *delivery* is one notification on its way to one
// notifier: one call to the far side.
package incident

import (
	"time"

	"datasync-bridge/event"
)

// State is where an incident stands.
type State string

// An acknowledged incident is Open with a Mark.
const (
	Open     State = "open"
	Resolved State = "resolved"
)

// Resolution is why an incident ended.
type Resolution string

// Recovered: every member was settled. Unconfirmed: nothing was heard for
// close_after. Manual: a person said so.
const (
	Recovered   Resolution = "recovered"
	Unconfirmed Resolution = "unconfirmed"
	Manual      Resolution = "manual"
)

// Incident is a group of failures with one cause, as it is stored. The store
// keeps it as one row, versioned; its members are rows of their own.
type Incident struct {
	// ID begins with "in_" and continues like the id of the event that opened it.
	ID string
	// Key is the incident key: at most one incident per key is open.
	Key         string            `json:",omitzero"`
	Environment event.Environment `json:",omitzero"`
	Source      string            `json:",omitzero"`
	// Class is that of the event that opened it; members hold their own.
	Class event.Class
	State State
	// Severity is the highest of the open members; at the end, the last such.
	Severity   event.Severity `json:",omitzero"`
	OpenedAt   time.Time      `json:",omitzero"`
	ResolvedAt time.Time      `json:",omitzero"`
	Resolution Resolution     `json:",omitzero"`
	// Acknowledged is who took it, nil while nobody has.
	Acknowledged *Mark `json:",omitzero"`
	// LastOpening is the arrival of its newest opening event: quiet is counted from it.
	LastOpening time.Time `json:",omitzero"`

	// Due times of the incident's own timers, zero when not set. The earliest
	// of them all is the incident's one timer row.
	WaitUntil time.Time `json:",omitzero"` // group.wait ends: tell the opening
	RepeatAt  time.Time `json:",omitzero"` // remind
	CloseAt   time.Time `json:",omitzero"` // close as unconfirmed
	ResolveAt time.Time `json:",omitzero"` // resolve_wait ends: tell the resolve
	CountAt   time.Time `json:",omitzero"` // flapping: tell how often
	// HoldUntil holds pagers back while a run tries first; HoldFor is the
	// workflow that they wait for. While the opening waits it lies ahead of
	// WaitUntil by the hold.
	HoldUntil time.Time `json:",omitzero"`
	HoldFor   string    `json:",omitzero"`
	// ResolveWait is group.resolve_wait of the event that opened it.
	ResolveWait time.Duration `json:",omitzero"`
	Escalation  []Escalation  `json:",omitzero"`

	// Told is what each notifier knows, in order of first mention. While the
	// opening waits it is who will be told; a pager with no alarm yet is held
	// back, or was when a person took the incident.
	Told []Telling `json:",omitzero"`
	// Reopenings are the times it came back, newest last, at most the last ten.
	Reopenings []time.Time `json:",omitzero"`
	Flapping   bool        `json:",omitzero"`
	// Edits counts changes since the last flapping count.
	Edits int `json:",omitzero"`

	// Lead is the event that the incident is told by: the first of the highest severity.
	Lead Lead `json:",omitzero"`
	// Rules names the rules that chose its notifiers, in order of first mention.
	Rules []string `json:",omitzero"`
	// Notes are one line each: what the bridge did or will do, newest last, at most ten.
	Notes []string `json:",omitzero"`
	// Open counts open members by severity (index: event.Severity); Total counts all members ever.
	OpenBy [5]int `json:",omitzero"`
	Total  int    `json:",omitzero"`
	// Documents counts members by document type, at most 20 types, then "other".
	Documents []DocumentCount `json:",omitzero"`
	// Settled remembers members that were settled ("id class"), the last fifty,
	// so that one that fails again is not counted twice.
	Settled []string `json:",omitzero"`
	// Polling counts what polling had to do with it.
	Polling Polling `json:",omitzero"`
	// MaxMembers caps what is listed (group.max_members).
	MaxMembers int `json:",omitzero"`

	// Awaiting are the runs that wait for a person, one entry for each
	// remediation: one request with its list.
	Awaiting []AwaitedRuns `json:",omitzero"`

	// Causes are open incidents that explain this one: it is not told while one
	// of them is open. Symptoms are those that it explains itself.
	Causes       []string  `json:",omitempty"`
	Symptoms     []Symptom `json:",omitempty"`
	MoreSymptoms int       `json:",omitempty"`

	// Version is 0 for a new incident; Apply stores Version+1 if the row still has Version.
	Version int64 `json:",omitzero"`

	// Listed is loaded beside the row, never stored in it: open members, those
	// with the earliest deadline first, then by opening; at most MaxMembers+8.
	Listed []Member `json:",omitzero"`
	// Queue is loaded beside the row: its deliveries, unsent ones and the last
	// sent of each notifier and alarm, by Seq.
	Queue []Queued `json:",omitzero"`
}

// OpenMembers returns how many members are open.
func (i *Incident) OpenMembers() int {
	n := 0
	for _, c := range i.OpenBy {
		n += c
	}
	return n
}

// Telling returns what a notifier has been told, nil for nothing.
func (i *Incident) Telling(notifier string) *Telling {
	for k := range i.Told {
		if i.Told[k].Notifier == notifier {
			return &i.Told[k]
		}
	}
	return nil
}

// AwaitedRuns is one request for approval.
type AwaitedRuns struct {
	Remediation string
	Workflow    string
	// Runs are the ids of those that wait, at most fifty; More counts the rest.
	Runs []string
	// Until is when each of Runs expires.
	Until []time.Time
	More  int
	// Expires is the earliest expiry among them.
	Expires time.Time
}

// Polling counts what polling had to do with an incident.
type Polling struct {
	// Found counts documents that polling found and no webhook has told since.
	Found int
	// Late counts webhooks that came after a poll had told; LateBy is how late
	// the last one was.
	Late   int
	LateBy time.Duration
	// Cleared counts members that ended because Datasync no longer lists them
	// as failed: nobody said that they were delivered.
	Cleared int
}

// Mark is a person's deed.
type Mark struct {
	By  string
	At  time.Time
	Why string
}

// Telling is what one notifier knows of an incident.
type Telling struct {
	Notifier string `json:",omitzero"`
	// Destination and Fingerprint say where it went (a channel; a key's
	// fingerprint, never the key), so that a resolve goes to the same place.
	Destination string `json:",omitzero"`
	Fingerprint string `json:",omitzero"`
	// Severity is the highest it was told by an alarm; 0 while the opening waits.
	Severity event.Severity `json:",omitzero"`
	// Alarms counts opening and alarms anew: 1, 2, … The n-th is "#n" in PagerDuty.
	Alarms int       `json:",omitzero"`
	At     time.Time `json:",omitzero"`
	// Over reports that the end was told (or that there is nothing to end).
	Over bool `json:",omitzero"`
	// Windows are when it may be told, nil for always.
	Windows []Window `json:",omitempty"`
	// Held is why it was not told what it should know, nil for nothing.
	Held *Held `json:",omitempty"`
}

// Escalation is one step that is still to come, or done.
type Escalation struct {
	At     time.Time
	Rule   string
	Notify []string
	Done   bool
	// After is how long after the telling it is due: where a window holds
	// everybody back, it is counted from its opening.
	After time.Duration `json:",omitempty"`
	// Window is that of its rule, nil for none.
	Window *Window `json:",omitempty"`
}

// DocumentCount counts members of one document type.
type DocumentCount struct {
	Type  string
	Name  string
	Open  int
	Total int
}

// Lead is the event by which an incident is told.
type Lead struct {
	Event      string         `json:",omitzero"`
	Type       string         `json:",omitzero"`
	Severity   event.Severity `json:",omitzero"`
	OccurredAt time.Time      `json:",omitzero"`
	// Fields is the event's normalized payload, each text cut to 1,000 runes.
	Fields map[string]any `json:",omitzero"`
	// Source, Class and Origin are the event's own, "" in rows from before they
	// were kept: the incident's then.
	Source string       `json:",omitempty"`
	Class  event.Class  `json:",omitempty"`
	Origin event.Origin `json:",omitempty"`
	// Words are the texts that its rules gave it.
	Words Words `json:",omitzero"`
}

// Member is what an event is about.
type Member struct {
	// ID names it: "txn:…", "cert:…", "conn:…", "run:…", "msg:…", "ev:…", or
	// "bridge:…" for what the bridge tells of itself.
	// (Incident, ID, Class) is unique.
	ID    string
	Class event.Class
	Open  bool
	// Severity is the highest it was opened or raised with.
	Severity event.Severity `json:",omitzero"`
	// OpenedAt and SettledAt are arrivals; OccurredAt is the newest opening's occurred_at.
	OpenedAt   time.Time `json:",omitzero"`
	OccurredAt time.Time `json:",omitzero"`
	SettledAt  time.Time `json:",omitzero"`
	// Due is its deadline, zero for none.
	Due time.Time `json:",omitzero"`
	// Handles are what a recovery can be found by: its own ID and the AS2
	// message id, interchange and so on that its events named, at most eight;
	// besides, those by which it explains others (Decision.Causes), at most eight.
	Handles []string `json:",omitzero"`
	// The rest is what a person reads.
	Event        string `json:",omitzero"` // newest opening event
	Transaction  string `json:",omitzero"`
	DocumentType string `json:",omitzero"`
	DocumentName string `json:",omitzero"`
	PartnerID    string `json:",omitzero"` // as the event spells it, to ask for its transactions
	Reference    string `json:",omitzero"` // "PO-88214" or the like: the first that the event has
	Partner      string `json:",omitzero"`
	// Origin is how it came first: what polling found is refined in place by
	// the webhook that comes later.
	Origin event.Origin `json:",omitzero"`
	// Unsigned reports that nothing signed has told of it yet.
	Unsigned bool   `json:",omitzero"`
	Group    string `json:",omitzero"` // functional group and set control number, to compare where both sides have them
	Set      string `json:",omitzero"`
}

// Recovery is the newest time at which a kind of recovery was seen for a
// handle; it keeps an older failure from opening anything (routing rule 15).
// Some kinds are no recovery but mark what was seen: "retrying" the first retry,
// "threshold" a certificate's warning, "failed" and "polled" the newest failure
// that a webhook, or a poll, told.
type Recovery struct {
	Environment event.Environment
	Handle      string
	// Type is the canonical type of the settling event.
	Type string
	// OccurredAt orders it; ReceivedAt is the arrival of the event that set it.
	OccurredAt time.Time
	ReceivedAt time.Time
	Event      string
	// Incident is where a failure that this marks was told, "" for recoveries.
	Incident string
}
