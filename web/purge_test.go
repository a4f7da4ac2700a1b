package web_test

import (
	"encoding/json"
	"testing"
	"time"

	"datasync-bridge/routing/incident"
	"datasync-bridge/web"
	"datasync-bridge/web/client"
	"datasync-bridge/web/view"
)

func TestAPurgeIsAskedForStepByStepInTheCallersName(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	c, err := client.New("http://"+b.addr, anaToken, nil)
	if err != nil {
		t.Fatal(err)
	}
	ask := incident.Purge{Partner: "par_1", Before: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), Why: "over", Apply: true, Next: "i 5"}
	done, err := c.Purge(t.Context(), ask)
	if err != nil || done.Events != 3 || done.LeftIncidents != 1 || done.Next != "e 7" {
		t.Errorf("done %+v (%v)", done, err)
	}
	if b.purge != ask || b.by != "ana" || b.why != "over" {
		t.Errorf("asked for %+v by %s because %q", b.purge, b.by, b.why)
	}
}

func TestAPurgeThatSaysTooLittleIsRefused(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	const before = `"before":"2026-06-01T00:00:00Z"`
	for _, tt := range []struct{ name, token, body, code string }{
		{"nobody", anaToken, `{` + before + `}`, "partner_missing"},
		{"no time", anaToken, `{"partner":"par_1"}`, "bad_before"},
		{"a time to come", anaToken, `{"partner":"par_1","before":"2199-01-01T00:00:00Z"}`, "bad_before"},
		{"no reason", anaToken, `{"partner":"par_1",` + before + `,"apply":true}`, "why_missing"},
		{"a name", anaToken, `{"partner":"par_1",` + before + `,"by":"bob"}`, "bad_json"},
		{"who may only look", bobToken, `{"partner":"par_1",` + before + `}`, "forbidden"},
	} {
		_, body, _ := b.call(t, "POST", "/api/v1/events/purge", tt.token, tt.body, nil)
		var e view.Error
		if err := json.Unmarshal([]byte(body), &e); err != nil || e.Code != tt.code {
			t.Errorf("%s: %s, want %s", tt.name, body, tt.code)
		}
	}
	if len(b.deeds) > 0 {
		t.Errorf("done: %v", b.deeds)
	}
}
