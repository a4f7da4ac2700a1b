package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/datasync/enrich"
	"datasync-bridge/datasync/reconcile"
	"datasync-bridge/datasync/remediation"
	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/event"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/routing/incident"
)

// asking is a rehearsal that asks Datasync as well: the poller, the partners'
// worker and the runs' worker as `serve` wires them, against the stand-in.
type asking struct {
	*rehearsal
	sandbox  *sandbox.Sandbox
	desk     *remediation.Desk
	arrivals *arrivals
	// killSwitch is what BRIDGE_AUTOMATIONS says; set it before time passes.
	killSwitch string
}

const asksDatasync = `
datasync: {base_url: "http://127.0.0.1:1/v1", client_id: sandbox, client_secret: sandbox-secret, reconcile: {}, enrich: {}}
`

// rehearseAsking begins with defaults, rules and remediations as YAML.
func rehearseAsking(t *testing.T, rules string, play func(a *asking)) {
	t.Helper()
	if !strings.Contains(rules, "\ndatasync:") {
		rules = asksDatasync + rules
	}
	rehearse(t, rules, func(r *rehearsal) {
		a := &asking{rehearsal: r, arrivals: newArrivals(r.cfg.Sources, r.store.Now)}
		a.sandbox = sandbox.New(sandbox.Options{Clock: time.Now, Client: &http.Client{Transport: standin.Transport(http.HandlerFunc(a.webhook))}})
		api := datasync.New(r.cfg.Datasync, &http.Client{Transport: standin.Transport(a.sandbox.Handler()), Timeout: 10 * time.Second}, datasync.Options{})
		parts, err := compile(r.cfg)
		if err != nil {
			t.Fatal(err)
		}
		polled := *r.cfg.Datasync.Reconcile
		polled.Source = r.cfg.PolledSource()
		poller, err := reconcile.New(polled, r.store, api, reconcile.Options{Traffic: a.arrivals})
		if err != nil {
			t.Fatal(err)
		}
		a.desk = newDesk(newLive(r.cfg, parts), r.store, nil)
		ctx, stop := context.WithCancel(context.Background())
		var rooms sync.WaitGroup
		defer rooms.Wait()
		defer stop()
		rooms.Go(func() { a.sandbox.Run(ctx) })
		for _, run := range []func(context.Context) error{
			poller.Run,
			(&ownWatch{store: r.store, looks: []look{a.arrivals.look()}, log: slog.New(slog.DiscardHandler)}).run,
			enrich.New(*r.cfg.Datasync.Enrich, r.cfg.ReminderSource(), r.store, parts.machine, api, enrich.Options{}).Run,
			remediation.NewWorker(r.store, parts.machine, api, remediation.NewReader(api), remediation.WorkerOptions{
				Environment: r.cfg.Datasync.Environment, Config: func() string { return r.cfg.Hash }, Entry: parts.entry,
				Idempotent: r.cfg.Datasync.Idempotency.ConfirmedBy != "", Getenv: func(string) string { return a.killSwitch },
			}).Run,
		} {
			rooms.Go(func() {
				if err := run(ctx); err != nil {
					t.Errorf("a room ended with %v", err)
				}
			})
		}
		if _, err := api.Subscribe(ctx, "rehearsal", "http://127.0.0.1:8080/hooks/datasync", []string{"*"}); err != nil {
			t.Fatal(err)
		}
		play(a)
	})
}

// webhook takes what the sandbox delivers, as the receiver would.
func (a *asking) webhook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Error(err)
	}
	a.serial++
	a.arrivals.answered(a.source, string(event.Accepted))
	a.acceptBody(body, sha256.Sum256(body))
	w.WriteHeader(http.StatusAccepted)
}

// breaks makes a document fail for good and lets two seconds pass.
func (a *asking) breaks(t sandbox.Transaction) {
	a.t.Helper()
	if t.Partner.ID == "" {
		t.Partner = sandbox.Partner{ID: "par_" + t.ID, Name: "Partner of " + t.ID, Contact: sandbox.Contact{Name: "Desk of " + t.ID, Phone: "+1-555-0100"}}
	}
	a.sandbox.Put(t)
	a.sandbox.Fail(t.ID, sandbox.Failure{Code: "X", Category: "validation", Message: "segment missing"})
	a.pass(2 * time.Second)
}

// openings are the channel's top-level messages so far.
func (a *asking) openings() int {
	n := 0
	for _, m := range a.slack.Messages("C1") {
		if m.Thread == "" {
			n++
		}
	}
	return n
}

// stored are all runs, newest first.
func (a *asking) stored() []incident.Run {
	a.t.Helper()
	all, err := a.store.Runs(context.Background(), incident.Filter{Limit: 1000})
	if err != nil {
		a.t.Fatal(err)
	}
	return all
}

func (a *asking) runs() map[string]int {
	a.t.Helper()
	got := map[string]int{}
	for _, r := range a.stored() {
		got[string(r.State)]++
	}
	return got
}

const asksForInvoices = `
defaults: {notify: [ops]}
rules:
  - {name: invoices, match: {transaction.document_type: "810"}, notify: [ops], remediate: resend-invoice}
remediations:
  - name: resend-invoice
    workflow: resend_invoice
    params: {transaction_id: "{{ .transaction.id }}"}
    mode: approve
    approve: {by: ["local:ana"], expires: 4h}
`

func TestWithDatasyncDownForAnHourNoAlertWaitsAndAllCatchesUp(t *testing.T) {
	rehearseAsking(t, asksForInvoices, func(a *asking) {
		a.pass(6 * time.Minute) // the first poll
		a.sandbox.Down(true)
		before := total(a.sandbox.Calls())

		lost := 0
		for n := range 12 { // an hour
			transaction := sandbox.Transaction{ID: fmt.Sprintf("T%02d", n), DocumentType: "850"}
			switch n {
			case 3, 6, 9:
				a.sandbox.LoseNext(1)
				lost++
			case 8:
				transaction.DocumentType, transaction.Amount, transaction.Currency = "810", "900", "USD"
			}
			a.breaks(transaction)
			if got := a.openings(); got != n+1-lost {
				t.Fatalf("two seconds after failure %d there are %d messages, want %d: an alert waited for Datasync", n+1, got, n+1-lost)
			}
			a.pass(5*time.Minute - 2*time.Second)
		}
		if calls := total(a.sandbox.Calls()) - before; calls > 400 {
			t.Errorf("Datasync was asked %d times in an hour in which it answered nothing", calls)
		}
		if got := a.runs(); got["proposed"] != 1 || len(got) != 1 {
			t.Errorf("runs %v, want one that waits to be read", got)
		}

		a.sandbox.Down(false)
		a.pass(20 * time.Minute)
		if got := a.openings(); got != 12 {
			t.Errorf("%d messages for 12 failures after Datasync came back", got)
		}
		if got := a.runs(); got["awaiting"] != 1 || len(got) != 1 {
			t.Errorf("runs %v, want the one that is asked for", got)
		}
		a.wantRows(9+12, 12) // webhooks, and what the poll found once
		for _, m := range a.slack.Messages("C1") {
			if m.Thread == "" && !strings.Contains(m.Text+string(m.Blocks), "+1-555-0100") {
				t.Errorf("a message does not name the partner's contact by now: %s", m.Readable())
			}
		}
	})
}

func total(calls map[string]int) (n int) {
	for _, c := range calls {
		n += c
	}
	return n
}

// wantRows checks that an outage left no more behind than what happened.
func (a *asking) wantRows(events, partners int) {
	a.t.Helper()
	all, err := a.store.Events(context.Background(), incident.Filter{Limit: 1000})
	if err != nil {
		a.t.Fatal(err)
	}
	stats, err := a.store.Stats(context.Background())
	if err != nil {
		a.t.Fatal(err)
	}
	if len(all) != events || stats.Partners != partners || stats.Pending != 0 {
		a.t.Errorf("%d events, %d partners, %d pending; want %d, %d, none", len(all), stats.Partners, stats.Pending, events, partners)
	}
}

func TestAnApprovalExpires(t *testing.T) {
	rehearseAsking(t, asksForInvoices, func(a *asking) {
		a.breaks(sandbox.Transaction{ID: "T1", DocumentType: "810", Amount: "900", Currency: "USD"})
		a.pass(time.Minute)
		if got := a.runs(); got["awaiting"] != 1 {
			t.Fatalf("runs %v, want one that waits", got)
		}
		a.pass(4*time.Hour + time.Minute)
		if got := a.runs(); got["refused"] != 1 || len(got) != 1 {
			t.Errorf("runs %v after four hours, want one refused", got)
		}
		all, err := a.store.Runs(context.Background(), incident.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.desk.Approve(context.Background(), []string{all[0].ID}, "local:ana", ""); err == nil {
			t.Error("it was approved after its expiry")
		}
		a.pass(time.Minute)
		if n := len(a.sandbox.Runs()); n != 0 {
			t.Errorf("Datasync ran it %d times", n)
		}
		lines, err := a.store.Audit(context.Background(), incident.Filter{State: incident.AuditNotApproved})
		if err != nil || len(lines) != 1 || lines[0].Actor != "local:ana" {
			t.Errorf("the audit holds %+v (%v), want the refused approval", lines, err)
		}
		synctest.Wait()
	})
}

// TestWhatAWebhookDidNotEndPollingEnds: the recovery's webhook is lost.
func TestWhatAWebhookDidNotEndPollingEnds(t *testing.T) {
	rehearseAsking(t, "\ndefaults: {notify: [ops]}\nrules:\n  - {name: all, match: {}, notify: [ops, pager]}\n", func(a *asking) {
		a.pass(6 * time.Minute)
		a.breaks(sandbox.Transaction{ID: "T1", DocumentType: "856"})
		a.wants("PagerDuty", "trigger A")
		a.pass(time.Hour)
		a.wants("PagerDuty", "")
		a.sandbox.LoseNext(1)
		a.sandbox.Deliver("T1")
		a.pass(12 * time.Minute) // two polls
		a.wants("PagerDuty", "resolve A")
	})
}
