package incident

import (
	"time"

	"datasync-bridge/event"
)

// RunState is where a run stands.
type RunState string

// A run that is unknown may have acted: it is checked, never sent again by itself.
const (
	RunProposed RunState = "proposed" // needs approval; its transaction is yet to be read
	RunAwaiting RunState = "awaiting" // its transaction was read, a person is asked
	RunQueued   RunState = "queued"
	RunStarted  RunState = "started" // the key is stored, a call may have left
	RunDone     RunState = "done"    // accepted by Datasync, or a check found it done
	RunFailed   RunState = "failed"  // refused, nothing happened; or see FailedLater
	RunUnknown  RunState = "unknown"
	RunRefused  RunState = "refused" // by a guard rail or a person, before any call
	RunDry      RunState = "dry-run" // what would have been run
)

// The circuit breaker of runs: after BreakerFailures consecutive runs for one
// partner that failed or are unknown, none starts for BreakerPause, then one.
const (
	BreakerFailures = 3
	BreakerPause    = time.Hour
)

// Run is one execution of an automation, proposed for an event.
type Run struct {
	// ID begins with "rn_"; the store gives it.
	ID          string
	Remediation string
	Workflow    string
	Params      map[string]any
	Incident    string
	Event       string
	Environment event.Environment
	Transaction string
	Partner     string
	// Class and Facts are what the event told: what is read before the run must
	// say the same.
	Class event.Class
	Facts Facts
	// Mode is that of its remediation when it was proposed, and Does what the
	// workflow does by the operator's word: resend, reprocess, regenerate-mdn.
	Mode string
	Does string
	// Money reports that its document moves money.
	Money bool
	// Config is the hash of the configuration that proposed it. Under another
	// one an approval is void.
	Config string
	// OnlyDuring is the calendar during which it may be proposed, "" for always.
	OnlyDuring string `json:",omitempty"`
	// Override names who lifted a guard rail and why, "" for nobody.
	Override string
	// Hold is how long pagers wait for this run to help; zero is not at all.
	Hold time.Duration
	// Approval is what a run of mode approve waits for.
	Approval Approval
	// Key is the idempotency key "automation:transaction:ordinal"; the store
	// gives the ordinal when the run starts, before the call.
	Key    string
	State  RunState
	Limits Limits
	// FailedLater reports of a failed run that Datasync had accepted it.
	FailedLater bool
	// Why is the reason of a refusal, or what was done.
	Why       string
	RequestID string
	// RemoteID is Datasync's run id, where it told one.
	RemoteID  string
	CreatedAt time.Time
	StartedAt time.Time
	EndedAt   time.Time
	Attempts  int
	// Checks counts how often an unclear outcome was looked into.
	Checks int
	// NextAt is when the worker looks at it again: a queued run starts, a
	// proposed one is read, an awaiting one expires, an unknown one is checked.
	// An unknown run with a zero NextAt is left to a person.
	NextAt time.Time
	// Lease.Token is also the row's version: every stored change counts it up,
	// and a change that was made from an older one is a conflict.
	Lease Lease
}

// Facts are what an event, or a reading, tells of a transaction. Amount is a
// plain decimal ("1250.5"), "" for none.
type Facts struct {
	Partner    string
	Document   string
	Direction  string
	Amount     string
	Currency   string
	OccurredAt time.Time
}

// Approval is the consent that a run needs: single use, bound to what was read.
type Approval struct {
	// By lists who may give it; Needed is how many different ones must.
	By     []string
	Needed int
	// Lasts is how long a request stands once it is made.
	Lasts time.Duration
	// AskedAt and Expires are set when the request is made.
	AskedAt time.Time
	Expires time.Time
	// Bound is the SHA-256, in hex, of automation, params and the state that
	// was read: what is read before the run must give the same.
	Bound string
	Given []Mark
}

// Limits bound a remediation: starts per window, counted in the transaction
// that stores a run's key. A zero Count is no limit.
type Limits struct {
	PerTransaction Rate
	PerPartner     Rate
	Overall        Rate
	Cooldown       time.Duration
}

// Rate is a count in a window.
type Rate struct {
	Count int
	Per   time.Duration
}

// Switch stops runs by a person's word until another lifts it.
type Switch struct {
	// Scope is a remediation's name, "" for all runs.
	Scope string
	Off   bool
	Mark
}
