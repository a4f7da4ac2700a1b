package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/outbound"
)

func TestSandboxRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--listen 0.0.0.0:0":                  "loopback only",
		"--listen nothing":                    "--listen",
		"--story fire":                        "lost-webhooks",
		"--once":                              "--story",
		"--story outage --pace 2h":            "--pace",
		"--story outage --patience -1s":       "--patience",
		"--environment staging":               "production nor sandbox",
		"--seed ../x":                         "--seed",
		"--list-stories --listen 10.0.0.1:90": "loopback only",
	} {
		o := command(t, nil, append([]string{"sandbox"}, strings.Fields(args)...)...)
		if o.code != exitUsage || !strings.Contains(o.err, want) {
			t.Errorf("%s: %v\nwant exit 2 and %q", args, o, want)
		}
	}
	if o := command(t, nil, "sandbox", "--list-stories"); o.code != exitOK || !strings.Contains(o.out, "invoice-approval") {
		t.Errorf("--list-stories: %v", o)
	}
}

// watched is output that another goroutine waits for.
type watched struct{ lines chan<- []byte }

func (w watched) Write(p []byte) (int, error) {
	w.lines <- bytes.Clone(p)
	return len(p), nil
}

func TestSandboxPlaysAStoryToWhoSubscribes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer hook.Close()

	lines, ended := make(chan []byte, 100), make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"sandbox", "--listen", "127.0.0.1:0", "--story", "certificate", "--pace", "1ms", "--once"},
			streams{in: strings.NewReader(""), out: watched{lines}, err: io.Discard})
		close(lines)
	}()
	base := regexp.MustCompile(`base_url +(http://\S+)`)
	var all strings.Builder
	for line := range lines {
		all.Write(line)
		if found := base.FindSubmatch(line); found != nil {
			api := datasync.New(datasync.Config{BaseURL: string(found[1]), ClientID: sandboxID, ClientSecret: sandboxSecret},
				outbound.New(outbound.Config{}), datasync.Options{})
			if _, err := api.Subscribe(ctx, "test", hook.URL, []string{"*"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	text := all.String()
	for _, want := range []string{
		"datasync-bridge subscribe -c config.yaml", "waiting for a webhook subscription", "in 13 days",
		"2 emitted: 2 accepted", "What the bridge should show now",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the story does not say %q:\n%s", want, text)
		}
	}
	if code := <-ended; code != exitOK || strings.Contains(text, "\x1b") {
		t.Errorf("exit %d, or colours in a file:\n%s", code, text)
	}
}
