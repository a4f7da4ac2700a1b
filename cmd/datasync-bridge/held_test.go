package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/routing/incident"
)

// triesFirst resends status messages by itself before anybody is paged.
const triesFirst = `
defaults: {notify: [ops]}
rules:
  - {name: status, match: {type: transaction.failed, transaction.document_type: "214"}, notify: [ops, pager], remediate: resend-status}
remediations:
  - name: resend-status
    workflow: resend_status
    params: {transaction_id: "{{ .transaction.id }}"}
    mode: auto
    hold: 10m
    limit: {per_transaction: 2/24h}
`

// confirmed adds that somebody has tried that a repeated key runs nothing twice.
const confirmed = `
datasync: {base_url: "http://127.0.0.1:1/v1", client_id: sandbox, client_secret: sandbox-secret, reconcile: {}, enrich: {},
  idempotency: {confirmed_by: ana}}
`

// disconnects makes a status message fail because nobody was reached.
func (a *asking) disconnects(id string) {
	a.t.Helper()
	a.sandbox.Put(sandbox.Transaction{ID: id, DocumentType: "214", Partner: sandbox.Partner{ID: "par_1", Name: "Harrowgate"}})
	a.sandbox.Fail(id, sandbox.Failure{Code: "CONNECTION_REFUSED", Category: "connectivity", Message: "no route"})
	a.pass(2 * time.Second)
}

// TestAHeldPageRingsAsSoonAsItsRunCannotHelp: whatever ends the run.
func TestAHeldPageRingsAsSoonAsItsRunCannotHelp(t *testing.T) {
	ctx := context.Background()
	fault := func(f sandbox.Fault) func(a *asking) {
		return func(a *asking) { a.sandbox.FailNext("/v1/automations/run", f) }
	}
	for name, tt := range map[string]struct {
		do   func(a *asking)
		says string
	}{
		"Datasync refuses it":   {fault(sandbox.Fault{Status: 422}), "failed, nothing was done"},
		"its outcome is unsure": {fault(sandbox.Fault{Status: 500, AfterActing: true}), "without a clear answer"},
		"all runs are stopped": {func(a *asking) {
			if err := a.desk.Stop(ctx, "", "ana", "not now"); err != nil {
				a.t.Error(err)
			}
		}, "stopped by ana"},
		"runs are switched off": {func(a *asking) { a.killSwitch = "off" }, "BRIDGE_AUTOMATIONS"},
	} {
		t.Run(name, func(t *testing.T) {
			rehearseAsking(t, triesFirst, func(a *asking) {
				a.pass(6 * time.Minute)
				a.sandbox.LoseWebhooks(func(_ int, kind string) bool { return kind != "transaction.failed" })
				tt.do(a)
				a.disconnects("T1")
				a.pass(time.Minute)
				a.says(a.wants("PagerDuty", "trigger A")[0], tt.says)
				a.pass(20 * time.Minute)
				if n := len(a.sandbox.Runs()); n > 1 {
					t.Errorf("Datasync ran it %d times", n)
				}
			})
		})
	}
}

func TestAPageThatARunMadeNeedlessIsNeverSent(t *testing.T) {
	rehearseAsking(t, triesFirst, func(a *asking) {
		a.pass(6 * time.Minute)
		a.disconnects("T1")
		a.pass(time.Hour)
		a.wants("PagerDuty", "")
		if n := len(a.sandbox.Runs()); n != 1 {
			t.Errorf("Datasync ran it %d times, want once", n)
		}
		if got := a.runs(); got["done"] != 1 || len(got) != 1 {
			t.Errorf("runs %v, want one done", got)
		}
		if all := a.incidents(); len(all) != 1 || all[0].State != incident.Resolved {
			t.Errorf("incidents %+v, want one that is over", all)
		}
	})
}

func TestAHeldPageRingsInTimeWithDatasyncDown(t *testing.T) {
	rehearseAsking(t, triesFirst, func(a *asking) {
		a.pass(6 * time.Minute)
		a.sandbox.Down(true)
		a.disconnects("T1")
		a.pass(9*time.Minute + 50*time.Second)
		a.wants("PagerDuty", "")
		a.pass(20 * time.Second)
		a.wants("PagerDuty", "trigger A")
		a.sandbox.Down(false)
		a.pass(30 * time.Minute)
		if n := len(a.sandbox.Runs()); n != 1 {
			t.Errorf("Datasync ran it %d times once it was back, want once", n)
		}
		a.wants("PagerDuty", "resolve A")
	})
}

// TestAHeldPageRingsWhereNobodyCarriesRunsOut: no worker, and a restart in between.
func TestAHeldPageRingsWhereNobodyCarriesRunsOut(t *testing.T) {
	rules := asksDatasync + triesFirst
	rehearse(t, rules, func(r *rehearsal) {
		r.failed("T1", "transaction.document_type", "214")
		r.pass(5 * time.Minute)
		r.wants("PagerDuty", "")
		r.end()
		r.begin(rules)
		r.pass(4*time.Minute + 50*time.Second)
		r.wants("PagerDuty", "")
		r.pass(10 * time.Second)
		r.wants("PagerDuty", "trigger A")
	})
}

// TestAStoppedRunThatMayHaveActedIsLeftToAPerson: it was to be asked for again
// under its key when somebody stopped all runs.
func TestAStoppedRunThatMayHaveActedIsLeftToAPerson(t *testing.T) {
	rehearseAsking(t, confirmed+triesFirst, func(a *asking) {
		a.pass(6 * time.Minute)
		a.sandbox.LoseWebhooks(func(_ int, kind string) bool { return kind != "transaction.failed" })
		a.sandbox.FailNext("/v1/automations/run", sandbox.Fault{Status: 500})
		a.disconnects("T1")
		if err := a.desk.Stop(context.Background(), "", "ana", "not now"); err != nil {
			t.Fatal(err)
		}
		before := total(a.sandbox.Calls())
		a.pass(30 * time.Minute)
		run := a.stored()[0]
		if run.State != incident.RunUnknown || !run.NextAt.IsZero() || !strings.Contains(run.Why, "stopped by ana") || !strings.Contains(run.Why, "runs clear") {
			t.Errorf("run %s (%s), next at %v, want it left to a person", run.State, run.Why, run.NextAt)
		}
		if n := total(a.sandbox.Calls()) - before; n > 40 {
			t.Errorf("Datasync was asked %d times in half an hour", n)
		}
	})
}

// TestWhatForbidsARunCountsUntilItIsSent: what would have kept it from being
// proposed comes while it waits for Datasync to answer.
func TestWhatForbidsARunCountsUntilItIsSent(t *testing.T) {
	rehearseAsking(t, triesFirst, func(a *asking) {
		a.pass(6 * time.Minute)
		a.sandbox.Down(true)
		a.disconnects("T|1%")
		a.pass(time.Minute)
		a.sandbox.Tell("mdn.timeout", "T|1%", nil)
		a.pass(time.Minute)
		a.sandbox.Down(false)
		a.pass(10 * time.Minute)
		run := a.stored()
		if last := run[len(run)-1]; last.State != incident.RunRefused || !strings.Contains(last.Why, "by now") {
			t.Errorf("the run is %s (%s), want it refused for the MDN that is missing", last.State, last.Why)
		}
		if n := len(a.sandbox.Runs()); n != 0 {
			t.Errorf("Datasync ran it %d times", n)
		}
	})
}

// TestATransactionIsFoundHoweverItIsSpelled: its handle is not its id, and a
// key that no header can hold is not sent.
func TestATransactionIsFoundHoweverItIsSpelled(t *testing.T) {
	for id, want := range map[string]int{"T|1": 1, "50%": 1, "tx/../1?a=b#c": 1, "T 1": 0, "\u00dcbertrag": 0} {
		rehearseAsking(t, triesFirst, func(a *asking) {
			a.pass(6 * time.Minute)
			a.disconnects(id)
			a.pass(time.Minute)
			if n := len(a.sandbox.Runs()); n != want {
				t.Errorf("Datasync ran %q %d times, want %d: %+v", id, n, want, a.stored())
			}
			if paged := len(a.news("PagerDuty")) > 0; paged == (want > 0) {
				t.Errorf("%q: paged: %v", id, paged)
			}
		})
	}
}

// TestARunThatFailsAfterItWasAccepted: Datasync takes each run, and tells later
// that it failed.
func TestARunThatFailsAfterItWasAccepted(t *testing.T) {
	rehearseAsking(t, triesFirst, func(a *asking) {
		a.pass(6 * time.Minute)
		for n, id := range []string{"T1", "T2", "T3", "T4"} {
			a.sandbox.FailRun(sandbox.Failure{Code: "WORKFLOW_STEP_FAILED", Category: "platform"})
			a.disconnects(id)
			a.pass(time.Minute)
			run := a.stored()[0]
			if n == 3 {
				if run.State != incident.RunRefused || !strings.Contains(run.Why, "the last 3 runs for partner par_1") {
					t.Errorf("the run after three that failed is %s (%s)", run.State, run.Why)
				}
				break
			}
			if run.State != incident.RunFailed || !strings.Contains(run.Why, "WORKFLOW_STEP_FAILED") || run.RemoteID == "" {
				t.Errorf("run %d is %s (%s), want it failed by its event", n+1, run.State, run.Why)
			}
			if n == 0 {
				a.says(a.wants("PagerDuty", "trigger A")[0], "was accepted by Datasync and failed there")
			}
		}
		lines, err := a.store.Audit(context.Background(), incident.Filter{State: incident.AuditEnded, Run: a.stored()[1].ID})
		if err != nil || len(lines) == 0 || lines[0].Result != string(incident.RunFailed) {
			t.Errorf("the audit holds %+v (%v), want that it failed", lines, err)
		}
		if n := len(a.sandbox.Runs()); n != 3 {
			t.Errorf("Datasync ran %d, want three", n)
		}
	})
}
