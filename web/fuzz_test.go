package web_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"datasync-bridge/web"
)

// FuzzBodies sends any body to any command of the API, over a real listener, as
// a user who may do it: the answer is JSON, and never a fault of the bridge's.
func FuzzBodies(f *testing.F) {
	commands := []struct{ path, token string }{
		{"/incidents/in_1/acknowledge", anaToken}, {"/incidents/in_1/resolve", anaToken}, {"/deliveries/dl_1/retry", anaToken},
		{"/runs/approve", approver}, {"/runs/rn_1/deny", approver}, {"/runs/stop", anaToken}, {"/runs/resume", anaToken},
		{"/runs/rn_1/stop", anaToken}, {"/runs/rn_1/clear", anaToken}, {"/audit", anaToken},
		{"/silences", anaToken}, {"/silences/sl_1/expire", anaToken},
	}
	for _, seed := range []string{
		``, ` `, `null`, `[]`, `{}`, `7`, `{"why":"x"}`, `{"why":7}`, `{"why":"x"} {}`, `{"why":"x","unknown":1}`, `{"WHY":"x"}`, "\xff", "\x00",
		`{"why":"` + strings.Repeat("x", 5000) + `"}`, `{"why":"\u0000\ud800\u202e"}`, `{"ids":["rn_1",null,{}],"why":"x"}`, `{"scope":{},"done":"yes"}`,
		`{"match":{"partner.id":"p"},"for":"2h","why":"x"}`, `{"match":{"a":1e999},"until":"9999-12-31T23:59:59Z","why":"x"}`,
		`{"match":{"a":"b"},"from":"9999-12-31T23:00:00Z","for":"2h","why":"x"}`, `{"match":{"a":"b"},"from":"0000-01-01T00:00:00Z","for":"90d","why":"x"}`,
		`{"match":{"a":"b"},"until":"2026-11-30T22:00:00+23:59","why":"x"}`, `{"match":{"a":{"any":[[[[]]]]}},"for":"-1h","why":"x"}`,
		`{"match":` + strings.Repeat(`{"a":`, 9000) + `1` + strings.Repeat(`}`, 9000) + `,"for":"1h","why":"x"}`,
		`{"at":"2026-11-30T22:00:00Z","action":"x","what":[1]}`,
	} {
		for i := range commands {
			f.Add(uint8(i), seed)
		}
	}
	b := start(f, web.Config{Users: users()}, web.Options{})
	f.Fuzz(func(t *testing.T, pick uint8, body string) {
		to := commands[int(pick)%len(commands)]
		status, text, _ := b.call(t, http.MethodPost, "/api/v1"+to.path, to.token, body, nil)
		if status >= http.StatusInternalServerError || status == http.StatusUnauthorized || !json.Valid([]byte(text)) {
			t.Fatalf("%s answered %d %q to %q", to.path, status, text, body)
		}
	})
}
