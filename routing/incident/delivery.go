package incident

import (
	"time"

	"datasync-bridge/event"
)

// DeliveryKind is the change that a delivery tells.
type DeliveryKind string

// The kinds. Opening to Fallback are alarms: they may ring. Update edits in
// place. Resolve ends one alarm. The rest are replies in the thread.
const (
	Opening      DeliveryKind = "opening"
	Alarm        DeliveryKind = "alarm"    // anew: worse, quiet before, or flapping
	Reopening    DeliveryKind = "reopened" // same incident, same dedup key
	Fallback     DeliveryKind = "fallback" // what a pager did not accept
	Resolve      DeliveryKind = "resolve"
	Update       DeliveryKind = "update"
	Reminder     DeliveryKind = "reminder"
	Acknowledged DeliveryKind = "acknowledged"
	Escalated    DeliveryKind = "escalated" // a line to those already told
	RunResult    DeliveryKind = "run"
	ApprovalAsk  DeliveryKind = "approval" // a run waits for a person's consent
	Counted      DeliveryKind = "counted"  // hourly count of a flapping incident
	Noticed      DeliveryKind = "notice"   // not about an incident
	DigestTold   DeliveryKind = "digest"   // many incidents in one message (Snapshot.Digest)
)

// Alarms reports whether the kind may ring, and so deserves a fallback.
func (k DeliveryKind) Alarms() bool {
	switch k {
	case Opening, Alarm, Reopening, Fallback:
		return true
	}
	return false
}

// Rank orders what waits for one notifier: openings, then resolves and what a
// person is asked, then replies and notices, then edits.
func (k DeliveryKind) Rank() int {
	switch {
	case k.Alarms():
		return 0
	case k == Resolve, k == ApprovalAsk:
		return 1
	case k == Update:
		return 3
	}
	return 2
}

// DeliveryState is where a delivery stands.
type DeliveryState string

// Waiting and Sending are unfinished; the others are final, except that a
// person may retry what is Dead.
const (
	Waiting    DeliveryState = "waiting"
	Sending    DeliveryState = "sending"
	Sent       DeliveryState = "sent"
	Dead       DeliveryState = "dead"
	Dropped    DeliveryState = "dropped"    // never attempted, no longer worth it
	Superseded DeliveryState = "superseded" // an edit that a newer edit replaced
)

// Delivery is one notification on its way to one notifier.
type Delivery struct {
	// ID begins with "dl_"; Seq orders deliveries. The store gives both.
	ID  string
	Seq int64
	// Order is the first-in-first-out key beside the notifier: the incident
	// key, or the notice's. Nothing overtakes what is unfinished before it.
	Order    string
	Incident string
	Notifier string
	Kind     DeliveryKind
	// Alarm is which of the telling's alarms it opens or resolves: 1, 2, …
	Alarm int
	// Snapshot is the incident as it was when this was queued.
	Snapshot Snapshot
	// Text is what to say beyond the snapshot: why it alarms anew, a run's
	// result, a notice's text. Plain text, not escaped; of several lines only
	// in an ApprovalAsk.
	Text        string
	Destination string
	// Fingerprint is that of the key; in an end or an acknowledgement the
	// store fills in the one that its alarm was sent through.
	Fingerprint string

	// FallbackAt, when set, makes the store add a FallbackTimer for this
	// delivery, due then, in the transaction that queues it.
	FallbackAt time.Time

	State     DeliveryState
	QueuedAt  time.Time
	NextAt    time.Time
	Attempts  int
	FirstTry  time.Time
	SettledAt time.Time
	// Unclear reports that an earlier attempt may have arrived after all.
	Unclear bool
	// Error is the far side's last refusal, in its words; Answer its acceptance.
	Error  string
	Answer string
	// Ref is the far side's handle of what was posted (Slack "channel/ts").
	Ref string
	// Thread is the Ref of the newest top-level message that this notifier has
	// of the incident; the store fills it in when it is claimed. "" for none.
	Thread string
	Lease  Lease
}

// Lease is the right to attempt a delivery or a run, for a time. Settling with
// a Token that is no longer the row's is refused.
type Lease struct {
	Epoch int64
	Token int64
	Until time.Time
}

// Queued is a delivery as far as planning must know it.
type Queued struct {
	ID        string
	Seq       int64
	Incident  string
	Notifier  string
	Kind      DeliveryKind
	Alarm     int
	State     DeliveryState
	Attempted bool
	Error     string
}

// Snapshot is what a message is made from.
type Snapshot struct {
	Incident     string
	Environment  event.Environment
	Source       string
	Class        event.Class
	Severity     event.Severity
	State        State
	OpenedAt     time.Time
	ResolvedAt   time.Time
	Resolution   Resolution
	Acknowledged *Mark
	Lead         Lead
	Open         int
	Total        int
	Documents    []DocumentCount
	// Members are the open ones that are listed, earliest deadline first.
	Members []Member
	// Due is the earliest deadline of an open member, zero for none.
	Due        time.Time
	Rules      []string
	Notes      []string
	Reopenings int
	Flapping   bool
	// Polling counts what polling had to do with it.
	Polling Polling `json:",omitzero"`
	// Awaiting are the runs that wait for a person.
	Awaiting []AwaitedRuns
	// Held are the pagers that are told only at HoldUntil, because HoldFor, a
	// workflow, is tried first. HoldUntil is zero where nothing is held.
	Held      []string
	HoldFor   string
	HoldUntil time.Time
	// Symptoms are incidents that this one explains; MoreSymptoms counts those
	// that are not listed.
	Symptoms     []Symptom `json:",omitempty"`
	MoreSymptoms int       `json:",omitempty"`
	// Digest is what a DigestTold tells, nil for all other kinds.
	Digest *DigestView `json:",omitempty"`
}
