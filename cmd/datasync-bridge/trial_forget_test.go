package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/trial"
)

// manyRules uses what makes a trial remember: waits, reopenings, retries,
// reminders, escalations, runs, windows, digests, silences, causes.
const manyRules = `
calendars: [{name: business, tz: America/Chicago, hours: {mon-fri: "08:00-18:00"}}]
digests: [{name: morning, calendar: business, at: "08:00"}]
silences:
  - {id: moving, match: {partner.id: par_001}, from: 2026-03-12 00:00 UTC, until: 2026-03-14 00:00 UTC, by: ana, why: moving}
inhibit: [{by: {type: partner.connection_failed}, mutes: {class: connectivity, type: transaction.failed}, same: [partner.id]}]
defaults:
  notify: [ops]
  group: {wait: 30s, interval: 1h, resolve_wait: 2m}
  repeat: {critical: 1h, error: 4h, warning: 24h, info: never}
  close_after: 24h
  reopen_within: 30m
  stale_after: 12h
  retrying_alert: {attempts: 3, after: 30m}
rules:
  - name: goods
    match: {class: [connectivity, authentication], transaction.document_type: ["856"]}
    severity: critical
    notify: [pager]
    escalate: [{after: 15m, unless: acknowledged, notify: [ops]}]
  - name: deadlines
    match: {type: "sla.*"}
    notify: [pager]
  - name: late
    match: {type: mdn.timeout}
    group: {wait: 15m}
    only_during: business
    notify: [ops]
  - name: small
    match: {class: validation}
    digest: morning
    notify: [ops]
  - name: resends
    match: {type: transaction.failed, transaction.document_type: "846"}
    remediate: resend-stock
datasync: {client_id: x, client_secret: y}
remediations:
  - name: resend-stock
    workflow: resend_inventory
    params: {transaction_id: "{{ .transaction.id }}"}
    mode: dry-run
`

// TestATrialThatForgetsTellsTheSame plays months through a trial that forgets
// and one that does not: the same must be decided, sent and run.
func TestATrialThatForgetsTellsTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg, err := config.Load(writeConfiguration(t, dir, filepath.Join(dir, "bridge.db"), "http://127.0.0.1:9", manyRules), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			var said [2][]string
			var trials [2]*trial.Bridge
			forgotten := 0
			for i := range trials {
				trials[i] = trialOf(t, cfg, trial.Observer{
					Decided: func(ev event.Event, d incident.Decision) {
						said[i] = append(said[i], fmt.Sprint(ev.ID, d.Outcome, d.Incident))
					},
					Sent:      func(d incident.Delivery) { said[i] = append(said[i], d.SettledAt.String()+spokenOf(d)+d.Text) },
					Ran:       func(r incident.Run) { said[i] = append(said[i], fmt.Sprint(r.Incident, r.Remediation, r.State)) },
					Forgotten: func(string) { forgotten++ },
				})
			}
			trials[1].Forget(memoryOf(cfg))
			m := newMonths(seed, rehearsalStart, 20, 5*time.Minute)
			for n := range 6_000 {
				st := storedAs(n, m.next())
				for _, b := range trials {
					if _, err := b.Post(st); err != nil {
						t.Fatal(err)
					}
				}
				if a, b := len(said[0]), len(said[1]); a != b || said[0][a-1] != said[1][b-1] {
					t.Fatalf("after %d events:\n%q\nforgetting\n%q", n, tail(said[0]), tail(said[1]))
				}
			}
			differ, digests := 0, 0
			for i := range said[0] {
				if said[0][i] != said[1][i] {
					differ++
				}
				if strings.Contains(said[0][i], string(incident.DigestTold)) {
					digests++
				}
			}
			if differ > 0 || forgotten < 1000 || digests < 10 || len(said[0]) < 10_000 {
				t.Errorf("%d of %d said differ; %d incidents were forgotten, %d digests told", differ, len(said[0]), forgotten, digests)
			}
		})
	}
}

func trialOf(t *testing.T, cfg *config.Config, o trial.Observer) *trial.Bridge {
	t.Helper()
	p, err := compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return trial.New(trial.Parts{Mapper: p.mapper, Router: p.table, Planner: p.machine, Proposer: p.guard}, rehearsalStart, o)
}

// storedAs is a received event as the store would give it back.
func storedAs(n int, in event.Received) event.Stored {
	return event.Stored{ID: fmt.Sprintf("ev_%013d", n+1), Received: in, Status: event.Accepted, State: event.Planned}
}

func tail(list []string) []string { return list[max(0, len(list)-5):] }
