package incident

import (
	"time"

	"datasync-bridge/event"
)

// Calendar says when a window is open (routing rule 23).
type Calendar interface {
	Open(at time.Time) bool
	// Next is when it is open next: at itself where it is open then, zero where
	// it never is again.
	Next(at time.Time) time.Time
}

// Schedule says when a digest is told.
type Schedule interface {
	// Next is the first time after at, zero for never.
	Next(at time.Time) time.Time
}

// Silences answer whether somebody asked for quiet.
type Silences interface {
	// Silencing returns the silence that holds for the event at a time, of
	// several the one that ends last.
	Silencing(ev event.Event, at time.Time) (Silence, bool)
}

// Wording makes the texts that rules give to messages.
type Wording interface {
	// Words renders what the decision's rules say about the event. A template
	// that fails leaves its text empty and is named among the failures: the
	// message then says what it would have said without one.
	Words(d Decision, ev event.Event) (w Words, failures []string)
}

// Words are a rule's own texts; an empty one means the bridge's own.
type Words struct {
	Title  string      `json:",omitempty"`
	Text   string      `json:",omitempty"`
	Fields []NamedText `json:",omitempty"`
}

// NamedText is one labelled line of a message.
type NamedText struct {
	Name string
	Text string
}

// Silence is a person's wish that nobody be told for a while.
type Silence struct {
	ID string `json:"id"`
	// Match is the condition, as in a rule, on normalized paths alone: it is
	// also asked about incidents, which keep no raw payload.
	Match map[string]any `json:"match"`
	From  time.Time      `json:"from"`
	Until time.Time      `json:"until"`
	By    string         `json:"by"`
	Why   string         `json:"why"`
	// FromFile reports that it stands in the configuration; the others were
	// made at run time and are stored.
	FromFile bool `json:"from_file,omitempty"`
	// Expired is who ended it before Until, nil for nobody.
	Expired *Mark `json:"expired,omitempty"`
}

// Outside is what becomes of a rule's contribution outside its window.
type Outside string

// The ways. Delayed is the default.
const (
	Delayed  Outside = "delay"
	Digested Outside = "digest"
	Left     Outside = "drop"
)

// Window is when one rule may tell a notifier.
type Window struct {
	Rule string
	// Calendar is a name in Settings.Calendars; "" is never: all of it goes to
	// the digest.
	Calendar string `json:",omitempty"`
	Outside  Outside
	// Digest is a name in Settings.Digests; "" where the digest is told when
	// the calendar opens.
	Digest string `json:",omitempty"`
}

// HoldKind is what holds a notifier back.
type HoldKind string

// The kinds, the strongest first.
const (
	HeldBySilence HoldKind = "silence"
	HeldByCause   HoldKind = "cause" // another incident explains this one (routing rule 24)
	HeldByWindow  HoldKind = "window"
	HeldByDigest  HoldKind = "digest"
)

// Held is why a notifier was not told what it should know.
type Held struct {
	Kind HoldKind
	// By is the silence's id, the cause's incident, or the name of the calendar
	// or digest.
	By string
	// Why is a sentence for people.
	Why   string
	Since time.Time
	// Until is when to look again, or when the digest is told; zero while a
	// cause is open.
	Until time.Time
	// Owes is what it would be told: an Opening or a Reopening where
	// Telling.Alarms is 0, else an Alarm or an Update.
	Owes DeliveryKind
}

// DigestItem is one incident in one notifier's digest.
type DigestItem struct {
	// Digest is a digest's key: handle("digest", name, notifier), with which the
	// subject of its timers begins. (Digest, Incident) is unique.
	Digest      string
	Name        string
	Notifier    string
	Incident    string
	Environment event.Environment
	Partner     string
	Severity    event.Severity
	// Line says what it is, in plain text, at most 300 runes.
	Line     string
	OpenedAt time.Time
	// Ended is when it was over, zero while it is open: it is then only counted.
	Ended time.Time
	// Gone, in a plan, deletes the row: it was told by itself.
	Gone bool
}

// DigestView is one digest as it is told.
type DigestView struct {
	Name string
	// Since is when the one before was told, zero for the first.
	Since time.Time
	// Items are those open, by severity, then by opening; at most MaxDigest.
	Items []DigestItem
	// More counts open ones that are not listed; Ended those that were over
	// before they were told.
	More  int
	Ended int
}

// MaxDigest bounds what one digest lists.
const MaxDigest = 100

// Symptom is an incident that another one explains.
type Symptom struct {
	Incident string
	Class    event.Class
	// Line says what it is, at most 200 runes.
	Line string
}

// MaxSymptoms bounds what a cause lists; the rest are counted.
const MaxSymptoms = 50

// ConfigLoad records that a configuration came into force, or was refused.
type ConfigLoad struct {
	// ID counts up; the store gives it.
	ID   int64     `json:"id"`
	Hash string    `json:"hash"`
	At   time.Time `json:"at"`
	// By is a name, "start", or what led to it ("signal", "file").
	By string `json:"by"`
	// Problem is why it was refused, "" where it is in force.
	Problem string `json:"problem,omitempty"`
	// Doc is what decides, as JSON without secrets, so that a decision can be
	// explained long after; nil where the load was refused.
	Doc []byte `json:"-"`
}
