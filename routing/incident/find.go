package incident

import (
	"time"

	"datasync-bridge/event"
)

// Find says which events are searched for, by what people know of them. Of the
// texts at least one must be set; all that are must stand in an event's body.
type Find struct {
	Transaction string
	PO          string
	Invoice     string
	// Partner is an id or a name, as events spell it.
	Partner   string
	MessageID string
	// At is the time in question: the nearest events come first. Zero is the
	// newest.
	At time.Time
	// Around is how far from At all bodies are read, also those of events that
	// opened nothing; zero reads only what belongs to incidents.
	Around time.Duration
	// Limit is at most 100; 0 means 50.
	Limit int
}

// Found is what a search found. The text may stand anywhere in a body: the
// caller looks whether it is the field in question.
type Found struct {
	Events []event.Stored
	// More reports that there may be others: as many as were asked for were
	// found, or the search stopped at its bounds.
	More bool
}

// MessageHandle is the handle of a member that is about an AS2 message alone.
func MessageHandle(id string) string { return handle("msg", id) }
