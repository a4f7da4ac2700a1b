package web_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/web"
	"datasync-bridge/web/client"
	"datasync-bridge/web/view"
)

func TestRouting23ASilenceIsMadeAndEndedInTheCallersName(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	c, err := client.New("http://"+b.addr, anaToken, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	until := time.Date(2199, 12, 1, 12, 0, 0, 0, time.UTC)
	kept, err := c.AddSilence(ctx, view.NewSilence{Match: map[string]any{"partner.id": "par_1", "transaction.amount": map[string]any{"lt": 12.5}},
		From: until.Add(-time.Hour), Until: until, Why: "because"})
	if err != nil || kept.ID != "sl_1" || kept.By != "ana" || kept.State != view.SilenceFuture || !kept.Until.Equal(until) {
		t.Errorf("got %+v, %v", kept, err)
	}
	lt, _ := b.silence.Match["transaction.amount"].(map[string]any)
	if b.silence.Match["partner.id"] != "par_1" || lt["lt"] != json.Number("12.5") || b.why != "because" {
		t.Errorf("the silencer was asked for %+v because %q, want the condition as a rule holds it", b.silence, b.why)
	}
	if err := c.ExpireSilence(ctx, "sl_1", "over"); err != nil || b.by != "ana" || b.why != "over" {
		t.Errorf("ended by %q because %q: %v", b.by, b.why, err)
	}
	if !slices.Equal(b.deeds, []string{"silence", "expire"}) {
		t.Errorf("done: %v", b.deeds)
	}
	for all, want := range map[bool]string{false: "planned active true", true: "planned active true, sl_0 over false"} {
		page, err := c.Silences(ctx, all)
		var got []string
		for _, s := range page.Items {
			got = append(got, s.ID+" "+s.State+" "+map[bool]string{true: "true", false: "false"}[s.FromFile])
		}
		if err != nil || strings.Join(got, ", ") != want {
			t.Errorf("all=%t: %v (%v), want %s", all, got, err, want)
		}
	}
}

func TestASilenceForASpanBeginsNow(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	before := time.Now()
	status, body, _ := b.call(t, "POST", "/api/v1/silences", anaToken, `{"match":{"type":"mdn.*"},"for":"2h","why":"x"}`, nil)
	if status != 200 || b.silence.From.Before(before) || b.silence.Until.Sub(b.silence.From) != 2*time.Hour {
		t.Errorf("got %d %s: from %s until %s", status, body, b.silence.From, b.silence.Until)
	}
}

func TestASilenceThatSaysTooLittleIsNotMade(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	for _, tt := range []struct{ name, path, body, code string }{
		{"nothing", "/api/v1/silences", ``, "why_missing"},
		{"no reason", "/api/v1/silences", `{"match":{"type":"x"},"for":"2h"}`, "why_missing"},
		{"no condition", "/api/v1/silences", `{"for":"2h","why":"x"}`, "match_missing"},
		{"an empty condition", "/api/v1/silences", `{"match":{},"for":"2h","why":"x"}`, "match_missing"},
		{"no end", "/api/v1/silences", `{"match":{"type":"x"},"why":"x"}`, "end_missing"},
		{"two ends", "/api/v1/silences", `{"match":{"type":"x"},"for":"2h","until":"2199-01-01T00:00:00Z","why":"x"}`, "two_ends"},
		{"a bare number", "/api/v1/silences", `{"match":{"type":"x"},"for":"2","why":"x"}`, "bad_duration"},
		{"a time without a zone", "/api/v1/silences", `{"match":{"type":"x"},"until":"2199-01-01 00:00","why":"x"}`, "bad_json"},
		{"an author", "/api/v1/silences", `{"match":{"type":"x"},"for":"2h","why":"x","by":"bob"}`, "bad_json"},
		{"an end without a reason", "/api/v1/silences/sl_1/expire", `{}`, "why_missing"},
		{"an end of what is not there", "/api/v1/silences/sl_9/expire", `{"why":"x"}`, "not_found"},
		{"an end of no id", "/api/v1/silences/sl%201/expire", `{"why":"x"}`, "not_found"},
	} {
		_, body, _ := b.call(t, "POST", tt.path, anaToken, tt.body, nil)
		var e view.Error
		if err := json.Unmarshal([]byte(body), &e); err != nil || e.Code != tt.code || e.Message == "" || strings.Contains(e.Message, "time.") {
			t.Errorf("%s: %s, want %s", tt.name, body, tt.code)
		}
	}
	if len(b.deeds) > 0 {
		t.Errorf("done all the same: %v", b.deeds)
	}
	if status, body, _ := b.call(t, "GET", "/api/v1/silences?state=over", anaToken, "", nil); status != 400 {
		t.Errorf("an unknown parameter: %d %s", status, body)
	}
	b.err = errors.New("until: must be after its beginning")
	status, body, _ := b.call(t, "POST", "/api/v1/silences", anaToken, `{"match":{"type":"x"},"for":"2h","why":"x"}`, nil)
	if status != 409 || !strings.Contains(body, "must be after") {
		t.Errorf("a refusal: %d %s", status, body)
	}
	b.err = event.ErrUnavailable
	if status, body, _ = b.call(t, "POST", "/api/v1/silences", anaToken, `{"match":{"type":"x"},"for":"2h","why":"x"}`, nil); status != 503 {
		t.Errorf("a store that cannot: %d %s", status, body)
	}
}
