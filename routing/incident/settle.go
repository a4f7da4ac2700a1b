package incident

import (
	"errors"
	"time"
)

// ErrConflict says that what a plan was made from has changed: plan again.
var ErrConflict = errors.New("plan is out of date")

// ErrLeaseLost says that another claim holds the row now.
var ErrLeaseLost = errors.New("lease was lost")

// Settlement records how one attempt at a delivery went.
type Settlement struct {
	Delivery string
	Lease    Lease
	// State is Sent, Dead, or Waiting for another attempt at NextAt.
	State  DeliveryState
	NextAt time.Time
	// Uncounted reports that this was no attempt (a pause): Attempts stays.
	Uncounted bool
	// Unclear reports that the far side may have done it after all.
	Unclear bool
	// Error and Answer are the far side's own words, bounded, without secrets.
	Error  string
	Answer string
	// Ref is the far side's handle of a new top-level message, "" for none.
	Ref string
	// Fingerprint is that of the key that it was sent through, "" where none
	// matters: a key may have changed since the delivery was queued.
	Fingerprint string
	// Said is the line for the incident's timeline, "" for none.
	Said string
}

// Filter narrows a list. Zero fields do not narrow. Lists are newest first.
type Filter struct {
	// State, "" for any; deliveries that were superseded are listed only when
	// asked for, because in an outage of thousands nobody ever saw most edits.
	State    string
	Incident string
	Event    string
	Notifier string
	Source   string
	// Run narrows the audit only.
	Run   string
	Since time.Time
	Until time.Time
	// Before is the ID to continue after (exclusive), for paging.
	Before string
	// Limit is at most 1,000; 0 means 50.
	Limit int
}
