package mapping_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver/mapping"
)

var update = flag.Bool("update", false, "renew golden files")

type sample struct {
	Case string          `json:"case"`
	Body json.RawMessage `json:"body"`
}

func samples(t testing.TB) []sample {
	t.Helper()
	raw, err := os.ReadFile("testdata/sample_events.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []sample `json:"cases"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 {
		t.Fatal("no samples")
	}
	return file.Cases
}

func mustNew(t testing.TB, cfg mapping.Config) *mapping.Mapping {
	t.Helper()
	m, err := mapping.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var received = time.Date(2026, 3, 15, 0, 0, 0, 0, time.UTC)

func stored(body string) event.Stored {
	return event.Stored{ID: "ev_1", Received: event.Received{
		Source: "datasync", Environment: event.Production, Origin: event.OriginWebhook,
		Authentic: true, ReceivedAt: received, Body: []byte(body),
	}}
}

func normalize(t testing.TB, m *mapping.Mapping, body string) event.Event {
	t.Helper()
	ev, err := m.Event(stored(body))
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func TestSamplesAreNormalizedAsRecorded(t *testing.T) {
	m := mustNew(t, mapping.Config{})
	for _, s := range samples(t) {
		t.Run(s.Case, func(t *testing.T) {
			ev := normalize(t, m, string(s.Body))
			ev.Data = nil // the payload itself, checked against the body elsewhere
			got, err := json.MarshalIndent(ev, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := filepath.Join("testdata", "golden", s.Case+".json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("normalized form changed (renew with -update):\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
