package incident

import (
	"time"

	"datasync-bridge/event"
)

// Query says what must be loaded before a plan: every field that is set adds
// to the View.
type Query struct {
	Environment event.Environment
	// Key loads the open incident with that key, else the one resolved last.
	Key string
	// Handles loads open incidents with an open member that has one of them
	// (those members are then in Matched), and the recoveries seen for them.
	// They come in order of importance: where more members match than Matched
	// holds, those of earlier handles are loaded.
	Handles []string
	// Incidents loads incidents by id, whatever their state.
	Incidents []string
	// Notice loads a notice by key.
	Notice string
	// Delivery loads that delivery's incident, and the delivery as Queued.
	Delivery string
	// Partner loads what is known of a trading partner of Environment, by id.
	Partner string
	// RunKey loads the run of Environment that has this key, and its incident.
	RunKey string
	// Digest loads the items of a digest by key.
	Digest string
}

// View is what was loaded, at one moment.
type View struct {
	Incidents []Incident
	// Matched holds the open members found by handle, at most 100.
	Matched    []MatchedMember
	Recoveries []Recovery
	Notice     *Notice
	Delivery   *Queued
	// Partner is nil where nothing is known yet.
	Partner *Partner
	Run     *Run
	// Digest is nil where there is no item.
	Digest *DigestView
}

// MatchedMember is a member with the incident it belongs to.
type MatchedMember struct {
	Incident string
	Member
	// Gone, in a plan, deletes the member's row: another class has taken its place.
	Gone bool
}

// Plan is what one event, timer or command changes. The store applies it in
// one transaction, or not at all: a version that moved on, a timer that is
// gone, an event that is no longer pending or a delivery to drop that was
// attempted meanwhile is a conflict, and the caller plans again.
type Plan struct {
	// Event is the event that Decision belongs to; "" for timers and commands.
	Event    string
	Decision *Decision
	// Incidents are new (Version 0) or changed. One that is Resolved has no open
	// member any more: the store ends those that are not among Members.
	Incidents []Incident
	// Members are inserted, or replaced by (Incident, ID, Class).
	Members    []MatchedMember
	Recoveries []Recovery
	// Deliveries are queued in this order; the store gives ID and Seq.
	Deliveries []Delivery
	// Drops end deliveries that were never attempted.
	Drops []Drop
	// Runs are inserted where they have no ID, else replaced if their row still
	// has Lease.Token. Of those that ended, one that is done may yet fail.
	Runs []Run
	// Switches are upserted by Scope; one that is not Off is deleted.
	Switches []Switch
	// Wanted are partners that an event was about: rows that do not exist are
	// made, due at once.
	Wanted []PartnerRef
	// Partners are upserted by (Environment, ID).
	Partners []Partner
	// Audit is appended in this order; the store chains it.
	Audit []Audit
	// Notices are upserted by Key; a zero Since deletes.
	Notices []Notice
	// Digests are upserted by (Digest, Incident).
	Digests []DigestItem
	// Told are keys of digests that this plan tells, with the time: their ended
	// items are deleted, and View.Digest.Since is that time from then on.
	ToldDigests []ToldDigest
	// Silences are upserted by ID; those of the file are never stored.
	Silences []Silence
	// Timers are upserted by (Kind, Subject); a zero DueAt deletes.
	Timers []Timer
	// Consumed is the timer that led here; its row must be unchanged.
	Consumed *Timer
	// Timeline is appended.
	Timeline []Entry
}

// Drop ends a delivery that was never attempted.
type Drop struct {
	Delivery string
	Why      string
}

// TimerKind is what a timer is for; Subject tells whose.
type TimerKind string

// The kinds. The subject of the first four is an incident's, a delivery's or an
// event's id, or a notice's key.
const (
	IncidentTimer TimerKind = "incident"
	FallbackTimer TimerKind = "fallback"
	NoticeTimer   TimerKind = "notice"
	RetryingTimer TimerKind = "retrying"
	// DigestTimer tells a digest; its subject is the digest's key, a space, and
	// the time for which it was set: what is left to a digest while the one before
	// is due, and not told yet, must not put that off.
	DigestTimer TimerKind = "digest"
	// CauseTimer looks whether a cause is still open; its subject is the muted
	// incident's id, a space, and the cause's.
	CauseTimer TimerKind = "cause"
)

// ToldDigest is a digest and when it was told.
type ToldDigest struct {
	Digest string
	At     time.Time
}

// Timer is a durable due time on the store's clock; (Kind, Subject) is unique.
type Timer struct {
	Kind    TimerKind
	Subject string
	DueAt   time.Time
}

// Notice is something said once and then counted: an unknown type, a
// quarantine cause, old news (routing rules 10, 16; ingest rule 3).
type Notice struct {
	Key      string
	Source   string
	Title    string
	Notify   []string
	Since    time.Time // of the current window
	Count    int       // not yet told
	Total    int
	Last     string // newest event
	Every    time.Duration
	Severity event.Severity
	// Windows are those of the notifiers that may not be told at any time.
	Windows map[string][]Window `json:",omitempty"`
}

// Entry is one line of an incident's append-only timeline.
type Entry struct {
	Incident string
	Event    string
	Delivery string
	Run      string
	At       time.Time
	Kind     string
	Text     string
	By       string
}

// Notifier is what planning must know of a notifier.
type Notifier struct {
	Name string
	// Pager reports that it wakes people: it gets no notes, no reminders, no
	// edits, nothing from a sandbox or from an unauthenticated source.
	Pager bool
	// Edits reports that a sent message can be changed and replied to.
	Edits bool
	// FallbackTo and FallbackAfter: who posts what this one would not take.
	FallbackTo    string
	FallbackAfter time.Duration
	// Destination and Fingerprint stand in tellings and deliveries.
	Destination string
	Fingerprint string
	Retired     bool
}
