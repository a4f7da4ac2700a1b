package slack

import (
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"datasync-bridge/notifiers"
)

// FuzzSlackAnswers judges whatever Slack, or something in its place, may answer. Only
// its own words mean that a message is there; all else is an error fit for a log.
func FuzzSlackAnswers(f *testing.F) {
	for _, seed := range []string{
		``, `ok`, `ok `, `{"ok":true}`, `{"ok":true,"ok":false}`, `{"OK":true}`, `{"ok":"true"}`, `{"ok":1}`, `{"ok":null}`, `null`, `[]`,
		`{"ok":false,"error":"channel_not_found"}`, `{"ok":false,"error":"ratelimited"}`, `{"ok":true} trailing`,
		`{"ok":false,"error":"x\r\ny","response_metadata":{"messages":["a","\u001b[31m"]}}`, `<html>` + strings.Repeat("x", 1000), "\xff\xfe",
	} {
		f.Add(200, seed, "1")
		f.Add(429, seed, "-1")
		f.Add(400, seed, "99999999999999999999")
	}
	f.Fuzz(func(t *testing.T, status int, text, after string) {
		if status < 100 || status > 999 {
			return
		}
		call := &notifiers.Call{Status: status, Header: http.Header{"Retry-After": {after}}, Body: []byte(text)}
		taken := status == http.StatusOK && strings.Contains(strings.ToLower(text), "ok")
		for way, err := range map[string]error{"the API": botVerdict(call, nil), "a webhook": webhookVerdict(call, nil)} {
			switch {
			case err == nil && !taken:
				t.Fatalf("%s: %d %q is taken for a success", way, status, text)
			case err == nil:
			case len(err.Error()) > 3000 || !utf8.ValidString(err.Error()) || strings.ContainsFunc(err.Error(), unicode.IsControl):
				t.Fatalf("%s: %d %q: the error is not fit for a log: %q", way, status, text, err)
			}
		}
	})
}
