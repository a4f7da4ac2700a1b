package config

import (
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

func TestRouting40AHeartbeatIsHTTPSAndNoFlood(t *testing.T) {
	for _, c := range []struct {
		url   string
		every time.Duration
		want  string
	}{
		{"https://hc.example.com/ping/s3cret", 0, ""},
		{"http://127.0.0.1:8099/s3cret", 10 * time.Second, ""},
		{"http://hc.example.com/s3cret", 0, "url"},
		{"ftp://hc.example.com/s3cret", 0, "url"},
		{"", 0, "url"},
		{"s3cret", 0, "url"},
		{"https://169.254.169.254/s3cret", 0, "url"},
		{"https://hc.example.com/s3cret", 9 * time.Second, "every"},
	} {
		h := Heartbeat{URL: event.Secret(c.url), Every: c.every}.WithDefaults()
		var paths []string
		h.Validate(func(path, text string) {
			paths = append(paths, path)
			if strings.Contains(text, "s3cret") {
				t.Errorf("%s: the fault prints the secret: %s", c.url, text)
			}
		})
		if got := strings.Join(paths, ","); got != c.want {
			t.Errorf("%s every %s: faults at %q, want %q", c.url, c.every, got, c.want)
		}
	}
	if got := (Heartbeat{}).WithDefaults().Every; got != time.Minute {
		t.Errorf("every is %s by default, want 1m", got)
	}
}
