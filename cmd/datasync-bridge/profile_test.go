package main

import (
	"bytes"
	"net/http"
	"os"
	"testing"
)

func TestProfilesAreOnTheAdminListenerAlone(t *testing.T) {
	t.Parallel()
	path := configuration(t, "http://127.0.0.1:1", "\ndefaults: {notify: [ops]}\n")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("admin: {"), []byte("admin: {pprof: true, "), 1)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, path)
	token := adminToken(t, path)
	for _, at := range []string{"/debug/pprof/heap", "/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/metrics", "/debug/vars"} {
		if status, _, body := fetch(t, s.public+at, token); status != http.StatusNotFound {
			t.Errorf("the public listener answers %s with %d: %.200s", at, status, body)
		}
	}
	if status, _, body := fetch(t, s.admin+"/debug/pprof/heap", token); status != http.StatusOK || len(body) == 0 {
		t.Errorf("the admin listener answers %d with %d bytes", status, len(body))
	}
	if status, _, _ := fetch(t, s.admin+"/debug/pprof/heap", ""); status != http.StatusUnauthorized {
		t.Errorf("without a token it answers %d, want 401", status)
	}
}
