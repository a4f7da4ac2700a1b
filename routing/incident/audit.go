package incident

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"
)

// Audit is one line of the record of deeds: who did what to what, why, and what
// came of it. It is append-only; each line holds the hash of the one before.
type Audit struct {
	// ID counts up without a gap; the store gives it, with At, Prev and Hash.
	ID int64     `json:"id"`
	At time.Time `json:"at"`
	// Actor is an authenticated name, or ActorBridge.
	Actor string `json:"actor"`
	// Action is one of the words below; Subject is the id or name it was done to.
	Action    string `json:"action"`
	Subject   string `json:"subject"`
	Why       string `json:"why,omitempty"`
	Incident  string `json:"incident,omitempty"`
	Event     string `json:"event,omitempty"`
	Run       string `json:"run,omitempty"`
	Key       string `json:"key,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	Result    string `json:"result,omitempty"`
	// Prev is the Hash of the line before, in hex; that of the first is "".
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}

// Verified is what a whole audit was found to hold.
type Verified struct {
	Count int
	// First and Last are the times of its lines, zero without any.
	First time.Time
	Last  time.Time
	// Head is the hash of the last line: kept elsewhere, it shows later whether
	// anything up to it was changed.
	Head string
}

// ErrAudit reports that the audit is not as it was written.
var ErrAudit = errors.New("the audit is not as it was written")

// ActorBridge is the actor where the bridge acted by itself.
const ActorBridge = "bridge"

// Digest is the line's hash, in hex: SHA-256 of its JSON without Hash, with At
// in UTC to the microsecond, as it is stored.
func (a Audit) Digest() string {
	a.Hash, a.At = "", a.At.UTC().Truncate(time.Microsecond)
	text, err := json.Marshal(a)
	if err != nil {
		// Only a time out of JSON's range leads here, and no clock gives one.
		text = []byte(err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// The actions that are recorded.
const (
	AuditAcknowledged = "incident.acknowledged"
	AuditResolved     = "incident.resolved"
	AuditRetried      = "delivery.retried"
	AuditProposed     = "run.proposed" // with an override, or for approval
	AuditAsked        = "run.asked"    // for approval
	AuditApproved     = "run.approved" // Result tells how many are still needed
	AuditNotApproved  = "run.approval-refused"
	AuditDenied       = "run.denied"
	AuditStarted      = "run.started" // the key is stored, the call is next
	AuditEnded        = "run.ended"   // Result is the state
	AuditRefused      = "run.refused"
	AuditCleared      = "run.cleared" // a person settled an unclear outcome
	AuditStopped      = "runs.stopped"
	AuditResumed      = "runs.resumed"
	AuditSilenced     = "silence.added"
	AuditUnsilenced   = "silence.expired"
	AuditReloaded     = "config.reloaded"
	AuditPurged       = "events.purged" // a step of it: Subject is the partner
	AuditExported     = "exported"
	AuditCalled       = "datasync.called" // a person's own call by command
)
