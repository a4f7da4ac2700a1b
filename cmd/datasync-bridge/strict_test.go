package main

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const dubiousRules = `
  - {name: forgotten, terminal: {}}
defaults: {notify: [ops]}
calendars:
  - {name: business, tz: America/Chicago, hours: {mon-fri: "08:00-18:00"}}
  - {name: office, tz: America/Chicago, hours: {mon-fri: "08:00-18:00"}}
  - {name: weekend, tz: America/Chicago, hours: {"sat,sun": "00:00-24:00"}}
digests:
  - {name: morning, calendar: business, at: "08:00"}
silences:
  - {id: old, match: {partner.id: par_1}, from: 2026-01-01 00:00 UTC, until: 2026-01-02 00:00 UTC, by: ana, why: moving}
rules:
  - {name: by-partner, match: {type: transaction.failed}, notify: [ops], group: {by: [partner.id]}}
  - {name: by-host, match: {class: connectivity}, notify: [ops], group: {by: [transport.endpoint_host]}}
  - {name: receipts, match: {type: mdn.timeout}, notify: [ops], group: {by: [source]}}
  - {name: office-hours, match: {class: validation}, severity: critical, only_during: business, notify: [pager]}
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
		`calendars\[1\]: "office" is the same as "business"`,
		`calendars\[1\]: "office" is never asked`,
		`calendars\[2\]: "weekend" is never asked`,
		`digests\[0\]: "morning" is never told`,
		`silences\[0\]: "old" ended \d+ d .*ago`,
		`rules\[1\].group.by: "by-host" groups by transport.endpoint_host where rules\[0\] "by-partner" groups by partner.id, and both can match class connectivity`,
		`rules\[3\].notify\[0\]: "office-hours" pages pager, and only during calendar "business"`,
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
