package event

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"time"
)

// Made is an event that nobody sent: the bridge makes it of what it read or
// noticed, and it goes the way of all others from there on.
type Made struct {
	Source      string
	Environment Environment
	Origin      Origin
	Type        string
	// ForeignID stands as the id of the body.
	ForeignID string
	// Key holds what makes it the same event when it is made again. Whatever is
	// not named here must then come out the same, or it counts as a conflict.
	Key []string
	// CreatedAt is when it happened; where it is zero, arrival stands for it.
	CreatedAt time.Time
	Data      map[string]any
}

// Received gives the event the form in which the store accepts it: an envelope
// {"id", "type", "created_at", "environment", "data"}. It is authentic, for
// what is read from the API comes over a connection that names its host.
func (m Made) Received(now time.Time) Received {
	envelope := map[string]any{"id": m.ForeignID, "type": m.Type, "environment": m.Environment, "data": m.Data}
	if !m.CreatedAt.IsZero() {
		envelope["created_at"] = m.CreatedAt.UTC().Format(time.RFC3339Nano)
	}
	body, err := json.Marshal(envelope)
	if err != nil { // a value that JSON does not have: rather without what is known than not at all
		delete(envelope, "data")
		body, _ = json.Marshal(envelope)
	}
	return Received{
		Source: m.Source, Environment: m.Environment, Key: m.key(), BodyHash: sha256.Sum256(body),
		ForeignID: m.ForeignID, Type: m.Type, Origin: m.Origin, Authentic: true, ReceivedAt: now, Body: body,
	}
}

// key writes each part behind its length, so that "ab"+"c" is not "a"+"bc". The
// first byte keeps it apart from the keys of what was sent.
func (m Made) key() [sha256.Size]byte {
	text := []byte("made")
	for _, p := range m.Key {
		text = binary.BigEndian.AppendUint64(text, uint64(len(p)))
		text = append(text, p...)
	}
	return sha256.Sum256(text)
}
