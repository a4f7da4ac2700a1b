package web_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web"
	"datasync-bridge/web/client"
	"datasync-bridge/web/view"
)

func TestDeedsOnRunsReachTheDeskInTheCallersName(t *testing.T) {
	b := start(t, web.Config{Users: []web.User{{Name: "ana", TokenSHA256: digest(anaToken), Roles: []string{web.View, web.Operate, web.Approve}}}}, web.Options{})
	c, err := client.New("http://"+b.addr, anaToken, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for _, tt := range []struct {
		want string
		do   func() error
	}{
		{"approve rn_1 rn_2", func() error { return c.ApproveRuns(ctx, []string{"rn_1", "rn_2"}, "because") }},
		{"deny", func() error { return c.DenyRun(ctx, "rn_1", "because") }},
		{"stop run", func() error { return c.StopRun(ctx, "rn_1", "because") }},
		{"stop ", func() error { return c.StopRuns(ctx, "", "because") }},
		{"stop resend", func() error { return c.StopRuns(ctx, "resend", "because") }},
		{"resume resend", func() error { return c.ResumeRuns(ctx, "resend", "because") }},
		{"clear false", func() error { return c.ClearRun(ctx, "rn_1", incident.RunFailed, "because") }},
		{"record exported audit", func() error {
			return c.Record(ctx, incident.Audit{Actor: "somebody else", Action: incident.AuditExported, Subject: "audit", Why: "because"})
		}},
	} {
		b.deeds, b.by, b.why = nil, "", ""
		if err := tt.do(); err != nil {
			t.Errorf("%s: %v", tt.want, err)
		}
		if !slices.Equal(b.deeds, []string{tt.want}) || b.by != "ana" || b.why != "because" {
			t.Errorf("%q was done by %q because %q, want %q by ana because", b.deeds, b.by, b.why, tt.want)
		}
	}
	page, err := c.Audit(ctx, incident.Filter{Incident: "in_1", Run: "rn_1", State: incident.AuditResolved, Limit: 1})
	if err != nil || len(page.Items) != 1 || page.Items[0].Actor != "ana" || page.Next != "7" ||
		b.filter != (incident.Filter{Incident: "in_1", Run: "rn_1", State: incident.AuditResolved, Limit: 1}) {
		t.Errorf("the record is %+v, %v, asked with %+v", page, err, b.filter)
	}
}

func TestADeedOnRunsThatSaysTooLittleIsNotDone(t *testing.T) {
	b := start(t, web.Config{Users: []web.User{{Name: "ana", TokenSHA256: digest(anaToken), Roles: []string{web.View, web.Operate, web.Approve}}}}, web.Options{})
	many, err := json.Marshal(map[string]any{"ids": slices.Repeat([]string{"rn_1"}, 51)})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path, body, code string
	}{
		{"approval of nothing named", "/api/v1/runs/approve", `{}`, "ids_missing"},
		{"approval of all", "/api/v1/runs/approve", `{"incident":"in_1"}`, "bad_json"},
		{"approval of more than a request lists", "/api/v1/runs/approve", string(many), "too_many_ids"},
		{"approval of no id", "/api/v1/runs/approve", `{"ids":["rn 1"]}`, "bad_id"},
		{"a denial without a reason", "/api/v1/runs/rn_1/deny", `{}`, "why_missing"},
		{"a stop without a scope", "/api/v1/runs/stop", `{"why":"x"}`, "scope_missing"},
		{"a stop without a reason", "/api/v1/runs/stop", `{"scope":""}`, "why_missing"},
		{"a resume without a scope", "/api/v1/runs/resume", `{"why":"x"}`, "scope_missing"},
		{"an outcome that is none", "/api/v1/runs/rn_1/clear", `{"outcome":"unknown","why":"x"}`, "bad_outcome"},
		{"a forged approval in the record", "/api/v1/audit", `{"action":"run.approved","subject":"rn_1"}`, "bad_action"},
		{"an actor in the record", "/api/v1/audit", `{"action":"exported","subject":"x","actor":"bob"}`, "bad_json"},
		{"a record of nothing", "/api/v1/audit", `{"action":"exported"}`, "subject_missing"},
		{"an endless record", "/api/v1/audit", `{"action":"exported","subject":"` + strings.Repeat("x", 1001) + `"}`, "too_long"},
	} {
		_, body, _ := b.call(t, "POST", tt.path, anaToken, tt.body, nil)
		var e view.Error
		if err := json.Unmarshal([]byte(body), &e); err != nil || e.Code != tt.code || e.Message == "" {
			t.Errorf("%s: answered %s, want code %s", tt.name, body, tt.code)
		}
	}
	if len(b.deeds) > 0 {
		t.Errorf("%v was done", b.deeds)
	}
	b.err = errors.New("bob is not among those who may approve")
	if status, body, _ := b.call(t, "POST", "/api/v1/runs/approve", anaToken, `{"ids":["rn_1"]}`, nil); status != 409 || !strings.Contains(body, "not among those") {
		t.Errorf("the desk's refusal came as %d %s", status, body)
	}
}

func TestARunShowsWhatItWaitsFor(t *testing.T) {
	r := view.OfRun(incident.Run{ID: "rn_1", State: incident.RunAwaiting, Class: event.Connectivity, Override: "ana: tested",
		Facts:    incident.Facts{Document: "810", Amount: "1250.5", Currency: "USD"},
		Approval: incident.Approval{By: []string{"ana", "bob"}, Needed: 2, Expires: clock, Given: []incident.Mark{{By: "ana", At: clock, Why: "seen"}}},
		NextAt:   clock})
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"facts":{"document_type":"810","amount":"1250.5","currency":"USD"}`, `"needed":2`, `"by":["ana","bob"]`,
		`"given":[{"by":"ana","at":"` + clock.Format(time.RFC3339) + `","why":"seen"}]`, `"override":"ana: tested"`, `"next_at"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the form lacks %s: %s", want, text)
		}
	}
	if plain, err := json.Marshal(view.OfRun(incident.Run{ID: "rn_1", State: incident.RunDone, NextAt: clock})); err != nil ||
		strings.Contains(string(plain), "approval") || strings.Contains(string(plain), "facts") || strings.Contains(string(plain), "next_at") {
		t.Errorf("a run that waits for nothing is %s (%v)", plain, err)
	}
}
