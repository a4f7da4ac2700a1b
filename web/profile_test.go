package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"datasync-bridge/web"
)

func TestProfilesAreForThoseWhoOperateAndOnlyWhereAskedFor(t *testing.T) {
	on := start(t, web.Config{Users: users(), Pprof: true}, web.Options{})
	off := start(t, web.Config{Users: users()}, web.Options{})
	for _, tt := range []struct {
		name   string
		bench  *bench
		path   string
		token  string
		status int
	}{
		{"who operates", on, "heap", opToken, 200},
		{"all stacks as text", on, "goroutine?debug=2", opToken, 200},
		{"the processor", on, "profile?seconds=1", opToken, 200},
		{"the processor for too long", on, "profile?seconds=3600", opToken, 400},
		{"the processor for no number", on, "profile?seconds=x", opToken, 400},
		{"what is not there", on, "cmdline", opToken, 404},
		{"who may only look", on, "heap", bobToken, 403},
		{"nobody", on, "heap", "", 401},
		{"where it is off", off, "heap", opToken, 404},
		{"nobody, where it is off", off, "heap", "", 401},
	} {
		status, body, _ := tt.bench.call(t, "GET", "/debug/pprof/"+tt.path, tt.token, "", nil)
		if status != tt.status {
			t.Errorf("%s: %d, want %d: %.200s", tt.name, status, tt.status, body)
		}
		if status != 200 || strings.Contains(tt.path, "debug") {
			continue
		}
		text, err := gzip.NewReader(bytes.NewReader([]byte(body)))
		if err != nil {
			t.Errorf("%s: no profile: %v", tt.name, err)
			continue
		}
		if all, err := io.ReadAll(text); err != nil || len(all) == 0 {
			t.Errorf("%s: a profile of %d bytes (%v)", tt.name, len(all), err)
		}
	}
}
