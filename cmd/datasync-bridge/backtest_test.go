package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Live rules page for ship notices; changed ones page for inventories, ask
// for their repair, and tell of ship notices in the channel alone.
const (
	liveRules = `
defaults: {notify: [ops]}
rules:
  - {name: goods, match: {transaction.document_type: "856"}, severity: critical, notify: [pager, ops]}
`
	changedRules = `
defaults: {notify: [ops]}
rules:
  - {name: goods, match: {transaction.document_type: "856"}, notify: [ops]}
  - {name: stock, match: {transaction.document_type: "846"}, notify: [pager], remediate: resend-stock}
datasync: {client_id: x, client_secret: y}
remediations:
  - {name: resend-stock, workflow: resend_inventory, params: {transaction_id: "{{ .transaction.id }}"}, mode: dry-run}
`
)

// livedThrough lets a bridge take six failures, of which four page, and then
// the end of one, and stops it.
func livedThrough(t *testing.T, during func(s *served, events []string)) (live string, far *farSide, events []string) {
	t.Helper()
	far = newFarSide(t)
	live = configuration(t, far.url, liveRules)
	s := startServe(t, live)
	for n, document := range []string{"856", "846", "856", "846", "856", "856"} {
		events = append(events, s.accept(happening{id: n, kind: "transaction.failed", transaction: n, document: document, partner: strconv.Itoa(n)}.body()))
	}
	events = append(events, s.accept(happening{id: 9, kind: "transaction.delivered", transaction: 0, document: "856", partner: "0"}.body()))
	eventually(t, 20*time.Second, "all is told", func() bool { return len(far.roots()) == 6 && len(far.pager.Alerts()) == 4 })
	kept := openStore(t, live)
	eventually(t, 20*time.Second, "all is planned", func() bool {
		n, err := kept.HistorySize(t.Context(), time.Time{}, time.Time{})
		return err == nil && n == len(events)
	})
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	if during != nil {
		during(s, events)
	}
	if code := s.stop(); code != exitOK {
		t.Fatalf("serve ended with %d\n%s", code, s.log())
	}
	return live, far, events
}

// changedFor writes the changed rules beside a store.
func changedFor(t *testing.T, live, rules string) string {
	t.Helper()
	return writeConfiguration(t, t.TempDir(), filepath.Join(dataDir(live), "bridge.db"), "http://127.0.0.1:9", rules)
}

func TestABacktestTellsWhatWouldDifferAndTouchesNothing(t *testing.T) {
	t.Parallel()
	var beside string
	var changed string
	live, far, events := livedThrough(t, func(s *served, _ []string) {
		changed = changedFor(t, s.config, changedRules)
		beside = works(t, s.addresses(), "backtest", "-c", changed, "--against", s.config)
	})
	store := filepath.Join(dataDir(live), "bridge.db")
	before, sent := fileHash(t, store), len(far.slack.Requests())+len(far.pager.Requests())

	out := works(t, nil, "backtest", "-c", changed, "--against", live)
	for _, want := range []string{
		`^\S.*, 7 events: 2 fewer pages \(4 → 2\), 2 fewer messages \(\d+ → \d+\), incidents unchanged, 2 more runs \(0 → 2\)\n`,
		`(?m)^RULE +EVENTS +INCIDENTS +MESSAGES +PAGES +RUNS$`,
		`(?m)^stock +– → 2 +– → 2 +– → 0 +– → 2 +– → 2$`,
		`(?m)^goods +4 +4 +\d+ +4 → 0 +0$`,
		`(?m)^defaults +2 → 0 +2 → 0 +2 → 0 +0 +0$`,
		`(?m)^Partner 1 \(par_1\) +1 +1 +1 → 0 +0 → 1 +0 → 1$`,
		`(?m)^ +resend-stock \(dry-run\) +0 → 2$`,
		`(?m)^ +ops +\d+ → \d+$`,
		`(?ms)^Would newly page\n[^\n]*par_1 +pager +stock +` + events[1] + `$`,
		`(?ms)^Would no longer page\n[^\n]*par_0 +pager +goods +` + events[0] + `$`,
		`(?m)^  nobody acknowledges`,
		`(?m)^  silences made at run time`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("it does not say %s:\n%s", want, out)
		}
	}
	verdict := func(s string) string { _, after, _ := strings.Cut(strings.SplitN(s, "\n", 2)[0], ", "); return after }
	if verdict(beside) != verdict(out) {
		t.Errorf("beside a running bridge: %s", beside)
	}
	if fileHash(t, store) != before {
		t.Error("the store is not what it was")
	}
	if now := len(far.slack.Requests()) + len(far.pager.Requests()); now != sent {
		t.Errorf("%d calls were made", now-sent)
	}
	why := regexp.MustCompile(`(?m)^Why: datasync-bridge (.*)$`).FindStringSubmatch(out)
	if why == nil {
		t.Fatalf("no command says why:\n%s", out)
	}
	if o := command(t, nil, strings.Fields(why[1])...); o.code != exitOK || !strings.Contains(o.out, "pager") {
		t.Errorf("%s: %v", why[1], o)
	}
}

func fileHash(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

func TestABacktestAsJSONHasAllThatItsTablesHave(t *testing.T) {
	t.Parallel()
	live, _, events := livedThrough(t, nil)
	var b backtested
	out := works(t, nil, "backtest", "-c", changedFor(t, live, changedRules), "--against", live, "-o", "json")
	if err := json.Unmarshal([]byte(out), &b); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if !b.Differs || b.Events != 7 || b.Total.Old.Pages != 4 || b.Total.New.Pages != 2 || b.Total.New.Runs != 2 || len(b.Notes) < 5 {
		t.Errorf("%s", out)
	}
	if i := slices.IndexFunc(b.Rules, func(c namedChange) bool { return c.Name == "stock" }); i < 0 || b.Rules[i].Old != nil || b.Rules[i].New.Pages != 2 {
		t.Errorf("rules: %s", out)
	}
	newly := map[string]bool{}
	for _, e := range b.Examples {
		newly[e.Event] = e.Newly
	}
	for n, want := range map[int]bool{0: false, 1: true, 2: false, 3: true, 4: false, 5: false} {
		if got, shown := newly[events[n]]; !shown || got != want {
			t.Errorf("example %d is %v (shown %v), want %v", n, got, shown, want)
		}
	}
	if strings.Contains(out, testSecret) || strings.Contains(out, testRoutingKey) {
		t.Error("a secret is printed")
	}
}

func TestABacktestOfTheSameRulesHasNoDifference(t *testing.T) {
	t.Parallel()
	live, _, _ := livedThrough(t, nil)
	out := works(t, nil, "backtest", "-c", changedFor(t, live, liveRules), "--against", live)
	if !strings.Contains(out, "7 events: no difference; 6 incidents, ") || strings.Contains(out, "→ ") && !strings.Contains(out, live+" → ") || strings.Contains(out, "page\n") {
		t.Error(out)
	}
}

// Without --against it is config.yaml in the current folder, unless that is the
// one that -c names: then there is nothing to compare with.
func TestABacktestComparesWithTheUsualFile(t *testing.T) {
	t.Parallel()
	live, _, _ := livedThrough(t, nil)
	changed := changedFor(t, live, changedRules)
	run := func(dir string, args ...string) string {
		t.Helper()
		cmd := bridgeCommand(t.Context(), append([]string{"backtest"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return string(out)
	}
	if out := run(filepath.Dir(live), "-c", changed); !strings.Contains(out, "2 fewer pages (4 → 2)") {
		t.Errorf("beside config.yaml: %s", out)
	}
	for _, dir := range []string{t.TempDir(), filepath.Dir(changed)} {
		out := run(dir, "-c", changed)
		if !strings.Contains(out, "7 events: 6 incidents, ") || !strings.Contains(out, "2 pages, 2 runs") || strings.Contains(out, "→") {
			t.Errorf("alone: %s", out)
		}
	}
}

// A backup is enough, with no secret at hand.
func TestABacktestOfABackupNeedsNoSecrets(t *testing.T) {
	t.Parallel()
	live, _, _ := livedThrough(t, nil)
	backup := filepath.Join(t.TempDir(), "a backup.db")
	works(t, nil, "backup", backup, "-c", live)
	dir := t.TempDir()
	bare := func(name, rules string) string {
		text, err := os.ReadFile(writeConfiguration(t, dir, "/nowhere/bridge.db", "http://127.0.0.1:9", rules))
		if err != nil {
			t.Fatal(err)
		}
		return written(t, t.TempDir(), strings.Replace(string(text), "xoxb-test", `"${NOT_SET_ANYWHERE}"`, 1))
	}
	out := works(t, nil, "backtest", "-c", bare("new", changedRules), "--against", bare("old", liveRules), "--store", backup)
	if !strings.Contains(out, "2 fewer pages (4 → 2)") || !strings.Contains(out, "Why: BRIDGE_STORE__SQLITE__PATH='"+backup+"' datasync-bridge explain ev_") {
		t.Error(out)
	}
	o := command(t, nil, "backtest", "-c", bare("new", changedRules), "--store", backup+".gone")
	if o.code != exitFailed || !strings.Contains(o.err, "no such file") {
		t.Errorf("a store that is not there: %v", o)
	}
	o = command(t, nil, "backtest", "-c", bare("new", changedRules), "--store", backup, "--since", "1d", "--until", "2d")
	if o.code != exitUsage {
		t.Errorf("--since after --until: %v", o)
	}
	if out := works(t, nil, "backtest", "-c", bare("new", changedRules), "--store", backup, "--since", "3d", "--until", "2d"); !strings.Contains(out, "no event is kept of that time") {
		t.Error(out)
	}
}

// TestTheCommandsBeforeNewRulesGoLiveWork runs what docs/operating.md says there.
func TestTheCommandsBeforeNewRulesGoLiveWork(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## Before new rules go live\n")
	section, _, _ = strings.Cut(section, "\n## ")
	lines := regexp.MustCompile(`(?m)^\$ datasync-bridge (.*)$`).FindAllStringSubmatch(section, -1)
	if !found || len(lines) < 3 {
		t.Fatalf("the section has %d commands", len(lines))
	}
	live, _, _ := livedThrough(t, nil)
	changed, dir := changedFor(t, live, changedRules), t.TempDir()
	works(t, nil, "backup", filepath.Join(dir, "bridge.db"), "-c", live)
	places := strings.NewReplacer("/etc/datasync-bridge/config.yaml", live, "old.yaml", live, "new.yaml", changed,
		"/backups/bridge.db", filepath.Join(dir, "bridge.db"))
	for _, line := range lines {
		works(t, nil, strings.Fields(places.Replace(line[1]))...)
	}
}

func TestTheExamplesOfABacktestAreThoseOfOneSide(t *testing.T) {
	t.Parallel()
	at := func(n int) paging {
		return paging{event: fmt.Sprintf("ev_%013d", n), at: rehearsalStart.Add(time.Duration(n) * time.Minute)}
	}
	var p pagings
	for n := range 30 {
		p.take([]paging{at(n)}, +1)
		if n >= 20 { // and alarms anew on one side only
			p.take([]paging{at(n), at(n)}, -1)
		} else if n%2 == 0 { // the other side pages later
			p.take([]paging{at(n)}, -1)
		}
	}
	found := p.examples(func(event string) string { return "explain " + event })
	var newly, gone []string
	for _, e := range found {
		if e.Newly {
			newly = append(newly, e.Event[15:])
		} else {
			gone = append(gone, e.Event[14:])
		}
	}
	if len(found) != maxExamples || !slices.Equal(newly, []string{"1", "3", "5", "7", "9"}) || !slices.Equal(gone, []string{"20", "21", "22", "23", "24"}) {
		t.Errorf("newly %v, no longer %v", newly, gone)
	}
}

func TestAmountsInWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		old, new int
		want     string
	}{
		{48, 36, "12 fewer pages (48 → 36)"},
		{0, 1, "1 more page (0 → 1)"},
		{7, 7, "pages unchanged"},
		{999, 1_204_331, "1,203,332 more pages (999 → 1,204,331)"},
	} {
		if got := moved("page", tt.old, tt.new); got != tt.want {
			t.Errorf("%d to %d: %q, want %q", tt.old, tt.new, got, tt.want)
		}
	}
}
