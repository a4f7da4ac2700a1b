package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"datasync-bridge/config"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/store/sqlite"
)

const (
	testChannel    = "C0OPS"
	testRoutingKey = "0123456789abcdef0123456789abcdef"
)

// farSide is Slack and PagerDuty, outliving the bridge's processes.
type farSide struct {
	slack *standin.Slack
	pager *standin.PagerDuty
	url   string
}

func newFarSide(t *testing.T) *farSide {
	t.Helper()
	f := &farSide{
		slack: standin.NewSlack(standin.SlackOptions{Token: "xoxb-test", Channels: map[string]string{testChannel: ""}}),
		pager: standin.NewPagerDuty(standin.PagerDutyOptions{RoutingKeys: map[string]string{testRoutingKey: "edi"}}),
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", f.slack)
	mux.Handle("/v2/", f.pager)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// roots are the channel's top-level messages.
func (f *farSide) roots() []standin.SlackMessage {
	var roots []standin.SlackMessage
	for _, m := range f.slack.Messages(testChannel) {
		if m.Thread == "" {
			roots = append(roots, m)
		}
	}
	return roots
}

// says reports whether a message holds the words, as it stands or stood.
func says(m standin.SlackMessage, words string) bool {
	if strings.Contains(m.Text+string(m.Blocks)+string(m.Metadata), words) {
		return true
	}
	for _, earlier := range m.Earlier {
		if strings.Contains(earlier.Text+string(earlier.Blocks), words) {
			return true
		}
	}
	return false
}

// openStore reads the store of a configuration beside a running bridge.
func openStore(t *testing.T, configPath string) *sqlite.Store {
	t.Helper()
	cfg, err := config.Load(configPath, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.OpenReadOnly(context.Background(), cfg.Store, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// listJSON runs a listing command and decodes its -o json output.
func listJSON[V any](t *testing.T, args ...string) []V {
	t.Helper()
	out, err := bridgeCommand(t.Context(), append(args, "-o", "json")...).Output()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	var rows []V
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatalf("%v: %v in %s", args, err, out)
	}
	return rows
}
