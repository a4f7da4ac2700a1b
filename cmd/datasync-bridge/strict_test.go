package main

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing"
	"datasync-bridge/routing/calendar"
)

const dubiousRules = `
  - {name: forgotten, terminal: {}}
defaults: {notify: [ops]}
rules:
  - {name: by-partner, match: {type: transaction.failed}, notify: [ops], group: {by: [partner.id]}}
  - {name: by-host, match: {class: connectivity}, notify: [ops], group: {by: [transport.endpoint_host]}}
  - {name: receipts, match: {type: mdn.timeout}, notify: [ops], group: {by: [source]}}
  - {name: office-hours, match: {class: validation}, severity: critical, notify: [pager]}
remediations:
  - {name: unused, workflow: resend_it}
`

func TestRouting38StrictChecksWarnOfWhatIsDubious(t *testing.T) {
	t.Parallel()
	path := configuration(t, "http://127.0.0.1:1", dubiousRules)
	if o := command(t, nil, "check", "-c", path); o.code != exitOK {
		t.Fatalf("check: %v\nwant exit 0: what is dubious is no fault", o)
	}
	o := command(t, nil, "check", "--strict", "-c", path)
	if o.code != exitFailed {
		t.Errorf("check --strict: exit %d, want 1", o.code)
	}
	for _, want := range []string{
		`notifiers\[2\]: "forgotten" is told nothing`,
		`rules\[1\].group.by: "by-host" groups by transport.endpoint_host where rules\[0\] "by-partner" groups by partner.id, and both can match class connectivity`,
		`remediations\[0\]: "unused" never runs`,
	} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(path) + `:\d+:\d+: warning: ` + want).MatchString(o.out) {
			t.Errorf("it does not warn of %s", want)
		}
	}
	if strings.Contains(o.out, "receipts") {
		t.Error("it warns of receipts, whose class no other rule matches")
	}
	if !strings.Contains(o.err, "no store at") || !strings.Contains(o.err, "which --strict takes for a failure") {
		t.Errorf("it says %q", o.err)
	}
	if t.Failed() {
		t.Log(o.out)
	}
}

// TestRouting38StrictChecksOfHoursAndSilences asks about keys that no file may
// hold yet.
func TestRouting38StrictChecksOfHoursAndSilences(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(configuration(t, "http://127.0.0.1:1", dubiousRules), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	work := map[string]string{"mon-fri": "08:00-18:00"}
	cfg.Calendars = []calendar.Config{{Name: "business", Hours: work}, {Name: "office", Hours: work}}
	cfg.Digests = []routing.Digest{{Name: "morning", Calendar: "business", At: "08:00"}}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cfg.Silences = []routing.Silence{{ID: "old", From: event.Moment{Time: begin}, Until: event.Moment{Time: begin.Add(time.Hour)}}}
	cfg.Rules[3].OnlyDuring = "business"
	found, err := dubious(cfg, begin.Add(48*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"office" is the same as "business"`, `"office" is never asked`, `"morning" is never told`, `"old" ended`,
		`"office-hours" pages pager, and only during calendar "business"`,
	} {
		if !strings.Contains(found.Error(), want) {
			t.Errorf("it does not warn of %s:\n%v", want, found)
		}
	}
}

func TestRouting38AStrictCheckPassesWhatIsInOrder(t *testing.T) {
	t.Parallel()
	path := configuration(t, "http://127.0.0.1:1", "defaults: {notify: [ops]}\nrules: [{name: page, match: {type: transaction.failed}, notify: [pager]}]\n")
	if o := command(t, nil, "check", "--strict", "-c", path); o.code != exitOK || strings.Contains(o.out, "warning") {
		t.Errorf("%v\nwant exit 0", o)
	}
}

func TestRouting38AStrictCheckComparesRulesWithHistory(t *testing.T) {
	rehearse(t, paged+"  - {name: never, match: {type: mdn.timeout}, notify: [ops]}\n", func(r *rehearsal) {
		r.failed("txn_1")
		r.pass(time.Minute)
		var log bytes.Buffer
		c := &cli{streams: streams{err: &log}, configPath: filepath.Join(r.dir, "config.yaml"), logFormat: "text", logLevel: "info"}
		found, err := c.strictly(context.Background(), r.cfg, 30*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		text := found.Error()
		if !strings.Contains(text, `rules[1]: "never" has matched nothing in the last 30 d (1 event) under this name`) || strings.Contains(text, `"page" has`) {
			t.Errorf("it warns of %s", text)
		}
		r.pass(2 * time.Hour)
		if found, err := c.strictly(context.Background(), r.cfg, time.Hour); err != nil || strings.Contains(found.Error(), "matched nothing") {
			t.Errorf("without events it warns of %s, %v", found, err)
		}
		if !strings.Contains(log.String(), "no event was decided in the last 1 h") {
			t.Errorf("it says %q", log.String())
		}
	})
}
