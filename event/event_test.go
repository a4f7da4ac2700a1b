package event

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for _, tt := range []struct {
		text string
		want time.Duration
	}{
		{"30s", 30 * time.Second},
		{"90d", 90 * 24 * time.Hour},
		{"2w", 14 * 24 * time.Hour},
		{"1h30m", 90 * time.Minute},
		{"1.5h", 90 * time.Minute},
		{"250ms", 250 * time.Millisecond},
		{"0", 0},
		{"0s", 0},
	} {
		if got, err := ParseDuration(tt.text); err != nil || got != tt.want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", tt.text, got, err, tt.want)
		}
	}
	for _, text := range []string{"5", "-5m", "", "5 m", "m", "5y", "never", "1e9h", "999999999999w", "5mm"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v; want a refusal", text, got)
		}
	}
}

func TestSpanTellsNeverFromNotSet(t *testing.T) {
	var s Span
	if err := s.UnmarshalText([]byte("never")); err != nil || s != Never {
		t.Fatalf("never gave %v, %v", s, err)
	}
	if _, ends := s.Ends(); ends {
		t.Error("never ends")
	}
	if err := s.UnmarshalText([]byte("4h")); err != nil {
		t.Fatal(err)
	}
	if d, ends := s.Ends(); d != 4*time.Hour || !ends {
		t.Errorf("4h gave %v, %v", d, ends)
	}
}

func TestSeverityReadsWhatItWrites(t *testing.T) {
	for _, s := range Severities {
		text, _ := s.MarshalText()
		var back Severity
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%s came back as %v, %v", text, back, err)
		}
	}
	var s Severity
	if err := s.UnmarshalText([]byte("Critical")); err == nil {
		t.Error("a severity in capitals was accepted")
	}
}

func TestLookup(t *testing.T) {
	due := time.Date(2026, 3, 10, 14, 0, 0, 0, time.FixedZone("CDT", -5*3600))
	ev := Event{
		ID: "ev_1", Type: "mdn.timeout", Class: MDNTimeout, Environment: Production,
		Fields: map[string]any{
			PartnerID: "par_1", Amount: 12.5, SLADue: due,
			"transaction.references.bol": "B-7", "mdn.late": false,
		},
		Data: map[string]any{
			"n": json.Number("9007199254740993"), "null": nil,
			"a.b": map[string]any{"c": "dotted"}, "x": map[string]any{"y": "deep"},
		},
	}
	for _, tt := range []struct {
		path string
		want any
	}{
		{"type", "mdn.timeout"},
		{"class", "mdn_timeout"},
		{PartnerID, "par_1"},
		{Amount, 12.5},
		{"mdn.late", false},
		{SLADue, "2026-03-10T19:00:00Z"},
		{"transaction.references.bol", "B-7"},
		{"data.x.y", "deep"},
		{"data.a.b.c", "dotted"},
		{"data.n", json.Number("9007199254740993")},
	} {
		if got, ok := ev.Lookup(tt.path); !ok || got != tt.want {
			t.Errorf("Lookup(%q) = %v, %v; want %v", tt.path, got, ok, tt.want)
		}
	}
	for _, path := range []string{PartnerName, "data.null", "data.x.z", "data.x.y.z", "source", "data", "nonsense"} {
		if got, ok := ev.Lookup(path); ok {
			t.Errorf("Lookup(%q) = %v; want it missing", path, got)
		}
	}
}

func TestSecretIsNeverSeen(t *testing.T) {
	const canary = "canary-7f3e"
	holder := struct{ Token Secret }{canary}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", holder.Token, "all", holder)
	asJSON, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	for _, seen := range []string{
		fmt.Sprint(holder), fmt.Sprintf("%+v %#v %s %q %v %x %d", holder, holder, holder.Token, holder.Token, &holder, holder.Token, holder),
		string(asJSON), log.String(),
	} {
		if strings.Contains(seen, canary) {
			t.Errorf("the secret shows in %s", seen)
		}
	}
	if holder.Token.Reveal() != canary {
		t.Error("Reveal does not give the secret")
	}
}

func TestSchemaHasEachPathOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Schema {
		if seen[f.Path] {
			t.Errorf("%s stands twice", f.Path)
		}
		seen[f.Path] = true
	}
	if _, ok := FieldAt("transaction.references.anything"); !ok {
		t.Error("free references are not in the schema")
	}
	if _, ok := FieldAt("transaction.document_tpye"); ok {
		t.Error("a typo is in the schema")
	}
}
