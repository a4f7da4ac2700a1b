// Package event is the leaf that every room shares: what happened in Datasync,
// as the bridge keeps it, and the text forms of severity, class and effect.
//
// It does no I/O and decides nothing. An event is *received* as bytes
// (Received), kept by the store under an id of the bridge's own (Stored), and
// *normalized* by a mapping (Event) into fields whose names and kinds stand in
// Schema, so that match, conditions and templates all spell them alike.
package event

import (
	"encoding/json"
	"strings"
	"time"
)

// Received is one verified request as the receiver hands it to the store. The
// store copies what it keeps, so Body may be reused once Accept has returned.
type Received struct {
	Source      string
	Environment Environment
	// Key is the dedup key (SHA-256; ingest rule 4), unique per source.
	Key [32]byte
	// BodyHash is the SHA-256 of the raw body. The same Key with another
	// BodyHash is a conflict.
	BodyHash [32]byte
	// KeptHash is the SHA-256 of Body where that is not what was received,
	// because values in it were blanked or all of it is withheld; zero where it is.
	KeptHash [32]byte
	// ForeignID is the sender's id as text; empty where there is none.
	ForeignID string
	// Type is the type as sent, "" when quarantined.
	Type string
	// Quarantine is why an authentic body cannot be mapped, "" for the rest.
	Quarantine string
	Origin     Origin
	// Authentic reports whether a signature was verified. Only authentic
	// events may page or remediate.
	Authentic  bool
	ReceivedAt time.Time
	Body       []byte
}

// Receipt is the store's durable answer to a Received.
type Receipt struct {
	// ID is the bridge's id of the event that stands for this request: its
	// own, or the first one's for a duplicate.
	ID string
	Status
}

// Status tells what became of a request that was received.
type Status string

// The states of a Receipt. Quarantined is Accepted with a cause.
const (
	Accepted    Status = "accepted"
	Duplicate   Status = "duplicate"
	Conflict    Status = "conflict"
	Quarantined Status = "quarantined"
)

// Stored is a received event with what the store knows of it.
type Stored struct {
	ID string
	Received
	Status Status
	// State is where the event stands on its way to a decision.
	State State
	// Duplicates counts later deliveries of the same event; LastSeen is the
	// arrival of the newest of all.
	Duplicates int
	LastSeen   time.Time
	// Incident is the incident that the decision named, "" for none.
	Incident string
	// Decision is the recorded decision as JSON, nil before there is one.
	Decision json.RawMessage
	// Failures counts plans that could not be applied; the third parks it.
	Failures int
}

// State is where a stored event stands.
type State string

// An event is pending until its decision is committed with all that follows
// from it (planned), or until planning has failed three times (parked). A purged
// one is known by its key and hash only.
const (
	Pending State = "pending"
	Planned State = "planned"
	Parked  State = "parked"
	Purged  State = "purged"
)

// Origin tells how an event reached the bridge.
type Origin string

// Only OriginWebhook and OriginReconcile may lead to a run.
const (
	OriginWebhook   Origin = "webhook"
	OriginReconcile Origin = "reconcile"
	OriginReplay    Origin = "replay"
	// OriginBridge marks what the bridge tells of itself (class bridge).
	OriginBridge Origin = "bridge"
)

// Environment separates real traffic from tests; they never share an incident.
type Environment string

// The environments that Datasync documents.
const (
	Production Environment = "production"
	Sandbox    Environment = "sandbox"
)

// Event is a stored event normalized by its source's mapping.
type Event struct {
	ID          string
	Source      string
	Environment Environment
	Origin      Origin
	Authentic   bool
	// Conflict reports that the sender reused an id with other bytes.
	Conflict bool
	// Quarantine is why the body could not be mapped; such an event has no Type.
	Quarantine string
	// Type is the canonical name, SentType the name that came.
	Type     string
	SentType string
	// Known reports whether the mapping lists the type.
	Known  bool
	Effect Effect
	Class  Class
	// Severity is the default one (defaults.severity); routing fills it in.
	Severity   Severity
	OccurredAt time.Time
	ReceivedAt time.Time
	// Fields holds the normalized payload by path, flat: "partner.id" → "par_1".
	// Values are string (KindText), float64 (KindNumber), bool (KindFlag),
	// time.Time (KindTime) or []string (KindTexts). An absent field has no key.
	Fields map[string]any
	// Data is the payload's "data" object, or the whole body where there is
	// none, decoded with json.Number; nil when quarantined. The first of two
	// equal keys wins, as everywhere in the bridge.
	Data map[string]any
}

// Text returns a text field, or "" where it is absent.
func (e Event) Text(path string) string {
	s, _ := e.Fields[path].(string)
	return s
}

// Number returns a number field and whether it is present.
func (e Event) Number(path string) (float64, bool) {
	n, ok := e.Fields[path].(float64)
	return n, ok
}

// Flag returns a boolean field and whether it is present.
func (e Event) Flag(path string) (value, ok bool) {
	value, ok = e.Fields[path].(bool)
	return value, ok
}

// Time returns a time field, zero where it is absent.
func (e Event) Time(path string) time.Time {
	t, _ := e.Fields[path].(time.Time)
	return t
}

// Lookup resolves any path that a rule may name: the bridge's own fields, the
// normalized payload, or "data.…" for the raw payload. Times come as RFC 3339
// text in UTC. It reports false for what is missing or JSON null.
func (e Event) Lookup(path string) (any, bool) {
	if s, own := e.own(path); own {
		return s, s != ""
	}
	if rest, raw := strings.CutPrefix(path, "data."); raw {
		return descend(e.Data, strings.Split(rest, "."))
	}
	switch v := e.Fields[path].(type) {
	case nil:
		return nil, false
	case time.Time:
		return v.UTC().Format(time.RFC3339), true
	default:
		return v, true
	}
}

// own returns the fields that the bridge itself decides.
func (e Event) own(path string) (string, bool) {
	switch path {
	case "id":
		return e.ID, true
	case "type":
		return e.Type, true
	case "source":
		return e.Source, true
	case "environment":
		return string(e.Environment), true
	case "class":
		return string(e.Class), true
	case "severity":
		return e.Severity.String(), true
	case "origin":
		return string(e.Origin), true
	case "occurred_at":
		return e.OccurredAt.UTC().Format(time.RFC3339), true
	case "received_at":
		return e.ReceivedAt.UTC().Format(time.RFC3339), true
	}
	return "", false
}

// descend walks objects by key. A key that itself holds dots is found by its
// longest spelling first.
func descend(v any, keys []string) (any, bool) {
	if len(keys) == 0 {
		return v, v != nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	for n := len(keys); n > 0; n-- {
		if child, ok := m[strings.Join(keys[:n], ".")]; ok {
			if found, ok := descend(child, keys[n:]); ok {
				return found, true
			}
		}
	}
	return nil, false
}
