package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/store/sqlite"
)

func TestEveryCommandsHelpHasAnExample(t *testing.T) {
	seen := 0
	var visit func(cmd *cobra.Command, path []string)
	visit = func(cmd *cobra.Command, path []string) {
		for _, child := range cmd.Commands() {
			visit(child, append(path[:len(path):len(path)], child.Name()))
		}
		if len(path) == 0 {
			return
		}
		seen++
		var out, log bytes.Buffer
		code := run(t.Context(), append(path, "--help"), streams{in: strings.NewReader(""), out: &out, err: &log})
		example := "datasync-bridge " + path[0]
		if code != exitOK || !strings.Contains(out.String(), "Examples:\n") || !strings.Contains(out.String(), "  "+example) {
			t.Errorf("%v --help: exit %d, no example that begins with %q:\n%s%s", path, code, example, out.String(), log.String())
		}
	}
	visit(newRoot(streams{out: &bytes.Buffer{}, err: &bytes.Buffer{}}), nil)
	if seen < 20 {
		t.Errorf("only %d commands were found", seen)
	}
}

func TestListingsShowAndExplain(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	s := startServe(t, configuration(t, far.url, pageShipNotices))
	failed := happening{id: 1, kind: "transaction.failed", transaction: 1, document: "856", partner: "01"}.body()
	event := s.accept(failed)
	eventually(t, 20*time.Second, "the failure is told", func() bool { return len(far.pager.Alerts()) == 1 && len(far.roots()) == 1 })
	calm(t, openStore(t, s.config))
	incident, delivery := s.idOf("incidents"), s.idOf("deliveries")
	file := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(file, failed, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"events", "events list", "events show " + event, "incidents", "incidents list --state open", "incidents show " + incident,
		"deliveries list --limit 1", "deliveries show " + delivery, "runs", "runs list --since 24h",
		"explain " + event, "explain " + incident, "explain " + file, "explain " + event + " --with " + s.config,
	} {
		out := s.works(append(strings.Fields(line), "-o", "json")...)
		if !json.Valid([]byte(out)) {
			t.Errorf("%s -o json is no JSON: %s", line, out)
		}
		if !strings.HasPrefix(line, "runs") && len(out) < 50 {
			t.Errorf("%s -o json holds nothing: %s", line, out)
		}
	}
	for what, verdict := range map[string]string{
		event:    `^PAGED pager at [0-9:]+ \(accepted\), (at once|[0-9]+ s after the event); posted ops at [0-9:]+\n`,
		incident: `^PAGED pager at [0-9:]+ \(accepted\), (at once|[0-9]+ s after the event); posted ops at [0-9:]+\n`,
		file:     `^[A-Z ]+.*critical.*pager, ops.*\n`,
	} {
		if out := s.works("explain", what); !regexp.MustCompile(verdict).MatchString(out) {
			t.Errorf("explain %s: the first line is no verdict like %s:\n%s", what, verdict, out)
		}
	}
	for _, args := range [][]string{{"explain", "ev_0000000000000"}, {"events", "show", "ev_0000000000000"}, {"incidents", "show", "in_0000000000000"}, {"runs", "show", "rn_0000000000000"}} {
		if o := s.command(args...); o.code != exitFailed || !strings.Contains(o.err, "not found") {
			t.Errorf("%v: %v\nwant exit 1 and not found", args, o)
		}
	}
	calls := len(far.slack.Requests()) + len(far.pager.Requests())
	if out := s.works("render", incident); !strings.Contains(out, "Partner 01") || !strings.Contains(out, "CRITICAL") {
		t.Errorf("render does not show the message: %s", out)
	}
	if out := s.works("render", incident, "--kind", "resolve"); !strings.Contains(out, "Partner 01") {
		t.Errorf("render --kind resolve does not show the message: %s", out)
	}
	if n := len(far.slack.Requests()) + len(far.pager.Requests()); n != calls {
		t.Errorf("render made %d calls", n-calls)
	}
}

func TestSendTestReachesItsNotifierAndLeavesNoPageOpen(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	path := configuration(t, far.url, pageShipNotices)
	works(t, nil, "send-test", "ops", "-c", path)
	if roots := far.roots(); len(roots) != 1 || !says(roots[0], "TEST") {
		t.Errorf("Slack has %d messages, want one that says TEST", len(roots))
	}
	works(t, nil, "send-test", "pager", "-c", path)
	if alerts := far.pager.Alerts(); len(alerts) != 1 || alerts[0].State != standin.Resolved || !strings.Contains(alerts[0].Summary, "TEST") {
		t.Errorf("alerts %+v, want one that says TEST, resolved", alerts)
	}
	far.slack.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Word: "not_in_channel"} })
	if o := command(t, nil, "send-test", "ops", "-c", path); o.code != exitFailed || !strings.Contains(o.err, "not_in_channel") {
		t.Errorf("a refusal: %v\nwant exit 1 and Slack's own word", o)
	}
	if _, err := os.Stat(dataDir(path)); err == nil {
		t.Error("send-test made a store")
	}
}

func TestHealthcheckTellsByItsExitCode(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	s := startServe(t, configuration(t, far.url, pageShipNotices))
	if o := s.command("healthcheck"); o.code != exitOK {
		t.Errorf("beside a running bridge: %v", o)
	}
	s.stop()
	if o := s.command("healthcheck"); o.code != exitFailed || !strings.Contains(o.err, "not ready") {
		t.Errorf("without one: %v\nwant exit 1", o)
	}
}

func TestABackupUnderLoadHoldsAllThatWasAcceptedBefore(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	s := startServe(t, configuration(t, far.url, pageShipNotices))
	tr := newTraffic(7)
	stop := tr.flow(s, 4)
	eventually(t, 20*time.Second, "two hundred events are in", func() bool { return len(tr.known()) > 200 })
	before := tr.known()
	path := filepath.Join(t.TempDir(), "copy.db")
	s.works("backup", path)
	during := len(tr.known()) - len(before)
	stop()
	t.Logf("%d events before the backup, %d while it ran", len(before), during)
	if during == 0 || tr.silences > 0 {
		t.Errorf("%d events were accepted while the backup ran, %d posts failed", during, tr.silences)
	}
	if o := s.command("backup", path); o.code != exitFailed {
		t.Errorf("a second backup to the same file: %v\nwant exit 1", o)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup's mode is %v (%v), want 0600", info.Mode(), err)
	}

	cfg, err := config.Load(s.config, config.Options{Env: []string{"BRIDGE_STORE__SQLITE__PATH=" + path}})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := sqlite.Open(t.Context(), cfg.Store, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	for id, body := range before {
		if st, err := kept.Event(t.Context(), id); err != nil || string(st.Body) != body {
			t.Errorf("event %s was accepted before the backup and is not in it: %v", id, err)
		}
	}
}
