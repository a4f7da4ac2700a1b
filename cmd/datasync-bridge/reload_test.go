package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web/client"
	"datasync-bridge/web/view"
)

func TestRouting36AReloadSwapsRulesAndNotifiersAndSendsNothingAgain(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.failed("txn_1")
		r.wants("Slack", "post")
		r.wants("PagerDuty", "trigger A")
		r.reload(andLead + `
defaults: {notify: [ops], repeat: never}
rules:
  - {name: page-lead, match: {partner.id: par_2}, severity: critical, notify: [lead, ops]}
`)
		r.pass(time.Hour)
		r.wants("Slack", "")
		r.wants("PagerDuty", "")
		second := r.failed("txn_2", "partner.id", "par_2")
		r.wants("Slack", "post")
		r.wants("lead", "trigger B")
		if d := r.decision(second); d.Config != r.cfg.Hash || len(d.Rules) != 1 || d.Rules[0].Name != "page-lead" {
			t.Errorf("decided by %+v", d)
		}
		r.delivered("txn_1")
		r.wants("PagerDuty", "resolve A") // who was told hears of the end, whatever the rules say now
		loads, err := r.store.Loads(context.Background(), incident.Filter{})
		if err != nil || len(loads) != 1 || loads[0].Hash != r.cfg.Hash || loads[0].By != "ana" {
			t.Errorf("loads are %+v (%v)", loads, err)
		}
	})
}

func TestRouting36AFaultKeepsTheOldRules(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		was := r.live.cfg()
		r.reloader.load = func() (*config.Config, error) {
			return nil, config.Faults{{File: "config.yaml", Line: 7, Col: 3, Path: "rules[0].notify", Text: "is empty"}}
		}
		if _, err := r.reloader.reload(context.Background(), bySignal); err == nil || !strings.Contains(err.Error(), "config.yaml:7:3") {
			t.Errorf("the fault is %v", err)
		}
		if r.live.cfg() != was {
			t.Error("other rules are in force")
		}
		own := ownWatch{store: r.store, looks: []look{{kinds: []string{configRejected}, find: r.reloader.troubles}}, log: r.reloader.log}
		own.look(context.Background())
		r.pass(2 * time.Second)
		r.says(r.wants("Slack", "post")[0], "a changed configuration was refused", "config.yaml:7:3")
		r.reloader.load = func() (*config.Config, error) { return r.cfg, nil }
		r.reload(paged)
		own.look(context.Background())
		r.pass(2 * time.Second)
		r.wants("Slack", "reply, edit")
		loads, err := r.store.Loads(context.Background(), incident.Filter{State: "refused"})
		if err != nil || len(loads) != 1 || !strings.Contains(loads[0].Problem, "is empty") {
			t.Errorf("refused loads are %+v (%v)", loads, err)
		}
	})
}

func TestRouting36AReloadSwapsHowEventsAreRead(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.send("doc.broke", "transaction.id", "txn_1")
		r.wants("PagerDuty", "")
		r.sources = strings.Replace(r.sources, "path: /hooks/datasync", "path: /hooks/datasync\n    mapping: {aliases: {doc.broke: transaction.failed}}", 1)
		r.reload(paged)
		second := r.send("doc.broke", "transaction.id", "txn_2", "partner.id", "par_2")
		r.wants("PagerDuty", "trigger A")
		if d := r.decision(second); d.Type != "transaction.failed" || d.Config != r.cfg.Hash {
			t.Errorf("it was decided as %s under %.12s", d.Type, d.Config)
		}
		// What waits when its source goes is read by the mapping that it came under.
		r.sources = strings.Replace(rehearsedSources, "name: datasync", "name: renamed", 1)
		r.reload(paged)
		r.reload(paged + "# once more\n")
		third := r.send("doc.broke", "transaction.id", "txn_3", "partner.id", "par_3")
		r.wants("PagerDuty", "trigger B")
		r.reload(paged + "# and again\n")
		a := newAccount(r.cfg, time.Now())
		if err := a.ofEvent(context.Background(), r.store, third); err != nil {
			t.Fatal(err)
		}
		if err := a.retrace(context.Background(), decidedBy(r.cfg, r.store.ConfigLoad, partsOf)); err != nil || a.trace == nil || len(a.differs) > 0 {
			t.Errorf("it is explained otherwise than it was decided: %s, %q (%v)", a.traceFrom, a.differs, err)
		}
		r.source = "renamed"
		r.send("doc.broke", "transaction.id", "txn_4", "partner.id", "par_4")
		r.wants("PagerDuty", "")
	})
}

func TestRouting22AReloadThatForgetsWhoIsOwedAnEndIsRefused(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.failed("txn_1")
		r.load("\nnotifiers:\n  - {name: other, slack: {token: xoxb-test, channel: C2}}\ndefaults: {notify: [other]}\n")
		if _, err := r.reloader.reload(context.Background(), "ana"); err == nil || !strings.Contains(err.Error(), "retired: true") {
			t.Errorf("it says %v", err)
		}
		r.failed("txn_2", "partner.id", "par_2")
		r.wants("PagerDuty", "trigger A, trigger B")
	})
}

func TestRouting39DecisionsAreExplainedByTheRulesOfThen(t *testing.T) {
	rehearse(t, andLead+explainedRules, func(r *rehearsal) {
		r.reloader.record(context.Background(), incident.ConfigLoad{Hash: r.cfg.Hash, By: byStart}, "")
		id := r.failed("txn_1")
		then := r.cfg
		r.reload(andLead + strings.ReplaceAll(explainedRules, "severity: critical", "severity: warning"))
		a := newAccount(r.cfg, time.Now())
		if err := a.ofEvent(context.Background(), r.store, id); err != nil {
			t.Fatal(err)
		}
		if err := a.retrace(context.Background(), decidedBy(r.cfg, r.store.ConfigLoad, partsOf)); err != nil {
			t.Fatal(err)
		}
		if a.trace == nil || a.trace.Decision.Config != then.Hash || len(a.differs) > 0 {
			t.Errorf("%s: %+v, which differs in %q", a.traceFrom, a.trace, a.differs)
		}
	})
}

// TestWhatDecidesIsKeptWithoutASecret: a configuration with everything in it
// comes back the same.
func TestWhatDecidesIsKeptWithoutASecret(t *testing.T) {
	for _, file := range []string{"../../config.example.yaml", "../../docs/situations/config.yaml"} {
		cfg, err := config.Load(file, config.Options{Placeholders: true})
		if err != nil {
			t.Fatal(err)
		}
		doc, err := docOf(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range cfg.Sources {
			for _, secret := range s.Verify.Secrets {
				if strings.Contains(string(doc), secret.Value.Reveal()) {
					t.Errorf("%s: a secret is kept", file)
				}
			}
		}
		p, err := partsOf(doc)
		if err != nil {
			t.Fatal(err)
		}
		now, err := compile(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range samples(now.mapper) {
			if a, b := p.table.Trace(ev), now.table.Trace(ev); fmt.Sprintf("%+v", a) != fmt.Sprintf("%+v", b) {
				t.Errorf("%s: %s is decided otherwise:\n%+v\n%+v", file, ev.Type, a, b)
			}
		}
	}
}

// TestRouting36AReloadStormLosesDoublesAndDelaysNothing swaps the rules of the
// real process a hundred times under load, every third time with a file that
// has a fault.
func TestRouting36AReloadStormLosesDoublesAndDelaysNothing(t *testing.T) {
	t.Parallel()
	const reloads = 100
	far := newFarSide(t)
	variant := func(n int) string {
		return fmt.Sprintf(`
defaults:
  notify: [ops]
  group: {by: [partner.id, class], resolve_wait: 10m} # a channel takes one call a second
rules:
  - {name: nobody-%d, match: {partner.id: par_nobody}, severity: info, notify: [ops]}
  - name: page-ship-notices
    match: {transaction.document_type: "856"}
    severity: critical
    notify: [pager, ops]
`, n)
	}
	path := configuration(t, far.url, variant(0))
	head, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sound := strings.TrimSuffix(string(head), variant(0))
	s := startServe(t, path)
	remote := adminOf(t, s)
	tr := newTraffic(36)
	stop := tr.flow(s, 4)
	good, bad := 0, 0
	for n := 1; n <= reloads; n++ {
		text := sound + variant(n)
		if n%3 == 0 {
			text += "  - {name: broken, match: {partner.id: 0123}, notify: []}\n"
		}
		replaceFile(t, path, text)
		done, err := remote.Reload(t.Context())
		refused, _ := errors.AsType[*view.Error](err)
		switch {
		case n%3 != 0 && err == nil && done.Config != "":
			good++
		case n%3 == 0 && refused != nil && strings.Contains(refused.Message, "quote it"):
			bad++
		default:
			t.Errorf("reload %d: %+v, %v", n, done, err)
		}
	}
	stop()
	tr.repost(s)
	store := openStore(t, path)
	calm(t, store)
	t.Logf("%d reloads, %d refused, %d events answered 2xx, %d posts unanswered; the slowest of them was planned after %v",
		good, bad, len(tr.accepted), tr.silences, slowest(t, s))
	if tr.silences > 0 {
		t.Errorf("%d posts got no 2xx answer", tr.silences)
	}
	if code := s.stop(); code != 0 {
		t.Errorf("serve ended with %d", code)
	}
	checkEvents(t, store, far, tr)
	checkPages(t, store, far)
	if repeats := strings.Count(s.log(), "may be a repeat"); repeats > 0 {
		t.Errorf("%d messages may be repeats, though no call failed", repeats)
	}
}

// slowest is the upper bound of the histogram's bucket that holds the event
// which waited longest for its plan.
func slowest(t *testing.T, s *served) string {
	t.Helper()
	total, at := "", "more than the last bucket"
	for _, line := range strings.Split(s.metrics(), "\n") {
		if v, ok := strings.CutPrefix(line, "bridge_event_planning_seconds_count "); ok {
			total = v
		}
	}
	for _, line := range strings.Split(s.metrics(), "\n") {
		bucket, v, _ := strings.Cut(line, "} ")
		if le, ok := strings.CutPrefix(bucket, `bridge_event_planning_seconds_bucket{le="`); ok && v == total {
			return "at most " + strings.TrimSuffix(le, `"`) + " s"
		}
	}
	return at
}

func TestAChangedFileAndASignalReload(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	path := configuration(t, far.url, "\ndefaults: {notify: [ops]}\n")
	s := startServe(t, path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	inForce := func(config string) func() bool {
		return func() bool { return strings.Contains(s.metrics(), `bridge_config_info{config="`+config+`"} 1`) }
	}
	hash := func() string {
		sum, err := contentOf(path)
		if err != nil {
			t.Fatal(err)
		}
		return sum[:12]
	}
	eventually(t, 20*time.Second, "the first is in force", inForce(hash()))

	replaceFile(t, path, string(text)+"\n# changed\n")
	eventually(t, 20*time.Second, "the changed file is in force", inForce(hash()))

	was := hash()
	if err := os.WriteFile(path, nil, 0o600); err != nil { // an editor at work
		t.Fatal(err)
	}
	replaceFile(t, path, string(text)+"nonsense: true\n")
	eventually(t, 20*time.Second, "the fault is told", func() bool {
		return strings.Contains(s.log(), "nonsense: is not a known key") && strings.Contains(s.metrics(), "bridge_config_last_reload_successful 0")
	})
	if !inForce(was)() {
		t.Error("a file with a fault changed what is in force")
	}
	replaceFile(t, path, strings.Replace(string(text), `listen: "127.0.0.1:0"`, `listen: "127.0.0.1:1"`, 1)+"# twice\n")
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the signal puts it in force", inForce(hash()))
	if !strings.Contains(s.log(), "needs a restart") {
		t.Error("nobody is told that the address needs a restart")
	}
	if got := command(t, nil, "audit", "list", "-c", path); !strings.Contains(got.out, "config.reloaded") {
		t.Errorf("the record of deeds is\n%s", got.out)
	}
}

func (s *served) metrics() string {
	s.t.Helper()
	answer, err := http.Get(s.admin + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// adminOf speaks to a bridge with the token that it made.
func adminOf(t *testing.T, s *served) *client.Client {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(filepath.Dir(s.config), "data", "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	remote, err := client.New(s.admin, strings.TrimSpace(string(token)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return remote
}

// replaceFile puts a new file in the place of another, as deployments do.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	part := path + ".new"
	if err := os.WriteFile(part, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(part, path); err != nil {
		t.Fatal(err)
	}
}

// TestAConfigMapThatIsSwappedIsFound changes a file as Kubernetes does: the name
// is a link into a folder that is itself a link, which is replaced.
func TestAConfigMapThatIsSwappedIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	version := func(n, text string) {
		if err := os.MkdirAll(filepath.Join(dir, "..v"+n), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "..v"+n, "config.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink("..v"+n, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("1", "one")
	path := filepath.Join(dir, "config.yaml")
	if err := os.Symlink("..data/config.yaml", path); err != nil {
		t.Fatal(err)
	}
	one, err := contentOf(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 10)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- watchFile(ctx, path, slog.New(slog.DiscardHandler), func(_ context.Context, sum string) { seen <- sum })
	}()
	if got := <-seen; got != one { // the first look
		t.Errorf("it begins with %s", got)
	}
	version("2", "two")
	for deadline := time.After(20 * time.Second); ; {
		select {
		case got := <-seen:
			if got == one {
				continue
			}
		case <-deadline:
			t.Error("the new version is not found")
		}
		break
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
