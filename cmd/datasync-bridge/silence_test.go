package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/web"
	"datasync-bridge/web/view"
)

func TestRouting23SilencesByCommandWithoutAServe(t *testing.T) {
	t.Parallel()
	path := configuration(t, "http://127.0.0.1:1", "defaults: {notify: [ops], time_zone: America/Chicago}\n")
	if o := silenceLine(t, path, "add", "--match", "type=mdn.*", "--for", "2h", "--why", "x"); o.code == exitOK || !strings.Contains(o.err, "there is no store") {
		t.Errorf("without a store: %v", o)
	}
	cfg := keptStore(t, path)
	if o := silenceLine(t, path, "list"); o.out != "no silences\n" {
		t.Errorf("an empty list: %v", o)
	}
	o := silenceLine(t, path, "add", "--match", "partner.id=par_7h2k9", "--match", "type=mdn.*", "--until", "2027-01-04 06:00", "--why", "their maintenance", "-o", "json")
	var kept view.Silence
	if err := json.Unmarshal([]byte(o.out), &kept); err != nil || kept.By != web.LocalName() || kept.State != view.SilenceActive {
		t.Fatalf("added %+v: %v", kept, o)
	}
	if !strings.Contains(o.err, "once it starts") {
		t.Errorf("it does not say that nobody decides yet: %v", o)
	}
	if o = silenceLine(t, path, "add", "--match", "class=sla", "--from", "2027-01-05 06:00", "--for", "1d", "--why", "move"); o.code != exitOK ||
		!strings.Contains(o.out, " silences class=sla from Tue 2027-01-05 06:00:00 until Wed 2027-01-06 06:00:00 (America/Chicago)\n") {
		t.Errorf("a later one: %v", o)
	}
	o = silenceLine(t, path, "list")
	lines := strings.Split(o.out, "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "ID ") || !strings.HasPrefix(lines[1], kept.ID+"  active") || !strings.Contains(lines[1], "2027-01-04 06:00") ||
		!strings.Contains(lines[1], "partner.id=par_7h2k9 type=mdn.*") || !strings.Contains(lines[2], "  future  2027-01-05 06:00") {
		t.Errorf("listed:\n%s", o.out)
	}
	if at := strings.Index(lines[0], "MATCH"); !strings.HasPrefix(lines[1][at:], "partner.id") || !strings.HasPrefix(lines[2][at:], "class=") {
		t.Errorf("not aligned:\n%s", o.out)
	}
	if o = silenceLine(t, path, "expire", "sl_0", "--why", "x"); o.code == exitOK || !strings.Contains(o.err, "there is no silence sl_0") {
		t.Errorf("what is not there: %v", o)
	}
	if o = silenceLine(t, path, "expire", kept.ID, "--why", "they are back"); o.out != kept.ID+" ended\n" {
		t.Errorf("ended: %v", o)
	}
	if o = silenceLine(t, path, "list"); strings.Contains(o.out, kept.ID) {
		t.Errorf("what is over is listed:\n%s", o.out)
	}
	if o = silenceLine(t, path, "list", "--all"); !strings.Contains(o.out, kept.ID+"  over") || !strings.Contains(o.out, "ended by "+web.LocalName()+": they are back") {
		t.Errorf("what is over is not explained:\n%s", o.out)
	}
	for _, wrong := range [][]string{
		{"add", "--for", "2h", "--why", "x"}, {"add", "--match", "type=x", "--why", "x"}, {"add", "--match", "type=x", "--for", "2h"},
		{"add", "--match", "data.x=1", "--for", "2h", "--why", "x"}, {"expire", kept.ID}, {"expire", kept.ID, "--why", "again"},
	} {
		if o := silenceLine(t, path, wrong...); o.code == exitOK {
			t.Errorf("%v: %v", wrong, o)
		}
	}
	s, err := sqlite.OpenReadOnly(t.Context(), cfg.Store, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if lines, err := s.Audit(t.Context(), incident.Filter{}); err != nil || len(lines) != 3 {
		t.Errorf("%d lines of the record (%v), want 3", len(lines), err)
	}
}

// TestRouting23SilencesByCommandThroughARunningBridge holds the store and
// serves the admin API beside it, as serve does.
func TestRouting23SilencesByCommandThroughARunningBridge(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	path := configuration(t, "http://127.0.0.1:1", "defaults: {notify: [ops]}\n")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bound := strings.Replace(string(text), `admin: {listen: "127.0.0.1:0"}`, `admin: {listen: "`+ln.Addr().String()+`"}`, 1)
	if err := os.WriteFile(path, []byte(bound), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := keptStore(t, path)
	s, err := sqlite.Open(t.Context(), cfg.Store, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	told := make(chan struct{}, 10)
	admin, err := web.New(cfg.Admin, web.Deps{
		Reader: s, Ready: s.Ready, Metrics: http.NotFoundHandler(),
		Silencer: newSilencer(s, silencerOptions{
			Check: func(s incident.Silence) error { return checkSilence(cfg, s) },
			File:  func() []incident.Silence { return nil },
			Changed: func(context.Context) error {
				told <- struct{}{}
				return nil
			},
		}),
	}, web.Options{TokenFile: tokenFile(cfg)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- admin.Run(ctx, ln) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	t.Setenv(tokenVariable, "")
	o := silenceLine(t, path, "add", "--match", "partner.id=par_7h2k9", "--match", "transaction.amount<10.50", "--for", "2h", "--why", "their maintenance", "-o", "json")
	var kept view.Silence
	if err := json.Unmarshal([]byte(o.out), &kept); err != nil || o.err != "" {
		t.Fatalf("added: %v", o)
	}
	<-told
	list, err := s.Silences(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != kept.ID || matchText(list[0].Match) != "partner.id=par_7h2k9 transaction.amount<10.50" {
		t.Errorf("kept %+v (%v)", list, err)
	}
	if o = silenceLine(t, path, "list"); !strings.Contains(o.out, kept.ID+"  active") {
		t.Errorf("listed beside a serve: %v", o)
	}
	if o = silenceLine(t, path, "add", "--match", "partner.idd=x", "--for", "2h", "--why", "x"); o.code == exitOK || !strings.Contains(o.err, `did you mean "partner.id"`) {
		t.Errorf("a wrong path: %v", o)
	}
	if o = silenceLine(t, path, "expire", kept.ID, "--why", "they are back"); o.out != kept.ID+" ended\n" || o.err != "" {
		t.Errorf("ended: %v", o)
	}
	<-told
	if o = silenceLine(t, path, "expire", kept.ID, "--why", "again"); o.code == exitOK || !strings.Contains(o.err, "was ended by "+web.LocalName()) {
		t.Errorf("ended twice: %v", o)
	}
	if o = silenceLine(t, path, "expire", "sl_0", "--why", "x"); o.code == exitOK || !strings.Contains(o.err, "sl_0") {
		t.Errorf("what is not there: %v", o)
	}
}
