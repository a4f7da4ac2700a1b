package event

import (
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"
)

func TestMadeEventsAreTheSameWhenMadeAgain(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("CST", -6*3600))
	m := Made{
		Source: "datasync", Environment: Sandbox, Origin: OriginReconcile, Type: "transaction.failed", ForeignID: "poll:T1",
		Key: []string{"ab", "c"}, CreatedAt: at, Data: map[string]any{"b": json.Number("9007199254740993"), "a": "x"},
	}
	const body = `{"created_at":"2026-03-01T18:00:00Z","data":{"a":"x","b":9007199254740993},"environment":"sandbox","id":"poll:T1","type":"transaction.failed"}`
	in := m.Received(at.Add(time.Hour))
	if string(in.Body) != body || in.BodyHash != sha256.Sum256([]byte(body)) {
		t.Errorf("body %s", in.Body)
	}
	if in.Type != m.Type || in.ForeignID != m.ForeignID || in.Origin != m.Origin || in.Environment != Sandbox || !in.Authentic || !in.ReceivedAt.Equal(at.Add(time.Hour)) {
		t.Errorf("received %+v", in)
	}
	if again := m.Received(at.Add(2 * time.Hour)); again.Key != in.Key || again.BodyHash != in.BodyHash {
		t.Error("made an hour later, it is another event")
	}
	m.Key = []string{"a", "bc"}
	if other := m.Received(at); other.Key == in.Key {
		t.Error("parts of a key run together")
	}
	m.CreatedAt, m.Data = time.Time{}, map[string]any{"no JSON": func() {}}
	if got := string(m.Received(at).Body); got != `{"environment":"sandbox","id":"poll:T1","type":"transaction.failed"}` {
		t.Errorf("without a time, and with what cannot be written: %s", got)
	}
}
