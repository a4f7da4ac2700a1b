package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/routing/incident"
)

// resendInvoices lets ana and ben approve resends of invoices; two must above
// ten thousand.
const resendInvoices = `
defaults: {notify: [ops]}
rules:
  - name: invoices
    match: {type: transaction.failed, transaction.document_type: "810"}
    notify: [ops]
    remediate: resend-invoice
remediations:
  - name: resend-invoice
    workflow: resend_invoice
    params: {transaction_id: "{{ .transaction.id }}"}
    mode: approve
    approve: {by: [ana, ben], expires: 4h, two_above: "10000"}
`

// withPeople gives a configuration accounts: each name's token is "token of NAME".
func withPeople(t *testing.T, config string, names ...string) string {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	var users []string
	for _, name := range names {
		sum := sha256.Sum256([]byte("token of " + name))
		users = append(users, fmt.Sprintf("{name: %s, token_sha256: %q, roles: [view, operate, approve]}", name, hex.EncodeToString(sum[:])))
	}
	const admin = `admin: {listen: "127.0.0.1:0"}`
	if !strings.Contains(string(text), admin) {
		t.Fatal("the configuration has no admin section to put people in")
	}
	changed := strings.Replace(string(text), admin, fmt.Sprintf("admin: {listen: \"127.0.0.1:0\", users: [%s]}", strings.Join(users, ", ")), 1)
	if err := os.WriteFile(config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// by runs a command line in a person's name beside the running bridge.
func (s *served) by(name string, args ...string) outcome {
	s.t.Helper()
	return command(s.t, append(s.addresses(), tokenVariable+"=token of "+name), append(args, "-c", s.config)...)
}

func invoice(id, amount string) sandbox.Transaction {
	return sandbox.Transaction{ID: id, DocumentType: "810", Amount: amount, Currency: "USD"}
}

// asked starts a bridge at which the resend of one invoice waits for approval.
func asked(t *testing.T, amount string, o sandbox.Options) (*withDatasync, *served, string) {
	t.Helper()
	d := withSandbox(t, o)
	s := d.serve(withPeople(t, d.configuration("", resendInvoices), "ana", "ben", "carl"))
	d.fail(invoice("txn_1", amount), "connectivity")
	return d, s, s.run(incident.RunAwaiting).ID
}

func TestAnApprovalIsUsedOnce(t *testing.T) {
	t.Parallel()
	d, s, id := asked(t, "1250.00", sandbox.Options{})
	eventually(t, 20*time.Second, "people are asked in the channel", func() bool {
		for _, m := range d.slack.Messages(testChannel) {
			if m.Thread != "" && strings.Contains(m.Text+string(m.Blocks), "runs approve "+id) {
				return true
			}
		}
		return false
	})
	if o := s.by("carl", "runs", "approve", id); o.code == exitOK || !strings.Contains(o.err, "carl") {
		t.Errorf("somebody who is not listed approved: %v", o)
	}
	if o := s.by("ana", "runs", "approve", id, "--why", "partner confirms that nothing came"); o.code != exitOK {
		t.Fatalf("ana approved: %v", o)
	}
	s.run(incident.RunDone)
	if o := s.by("ana", "runs", "approve", id); o.code == exitOK {
		t.Errorf("the same run was approved a second time: %v", o)
	}
	if runs := d.datasync.Runs(); len(runs) != 1 || runs[0].Workflow != "resend_invoice" || runs[0].Transaction != "txn_1" {
		t.Errorf("Datasync ran %+v, want resend_invoice of txn_1 once", runs)
	}
	got := s.audited()
	for action, want := range map[string]int{
		incident.AuditAsked: 1, incident.AuditApproved: 1, incident.AuditNotApproved: 2, incident.AuditStarted: 1, incident.AuditEnded: 1,
	} {
		if got[action] != want {
			t.Errorf("%d lines %s in the audit, want %d (%v)", got[action], action, want, got)
		}
	}
}

func TestAnApprovalFromTwoPlacesAtOnceIsOneRun(t *testing.T) {
	t.Parallel()
	d, s, id := asked(t, "1250.00", sandbox.Options{})
	outcomes := make([]outcome, 2)
	var both sync.WaitGroup
	for i, name := range []string{"ana", "ben"} {
		both.Go(func() { outcomes[i] = s.by(name, "runs", "approve", id) })
	}
	both.Wait()
	s.run(incident.RunDone)
	if approved := len(outcomes) - min(outcomes[0].code, 1) - min(outcomes[1].code, 1); approved != 1 {
		t.Errorf("%d of two approvals at once were good, want one:\n%v\n%v", approved, outcomes[0], outcomes[1])
	}
	if n := len(d.datasync.Runs()); n != 1 {
		t.Errorf("Datasync ran it %d times", n)
	}
	if got := s.audited(); got[incident.AuditApproved] != 1 || got[incident.AuditNotApproved] != 1 || got[incident.AuditStarted] != 1 {
		t.Errorf("the audit holds %v, want one approval, one refusal, one start", got)
	}
}

func TestALargeInvoiceTakesTwoPeople(t *testing.T) {
	t.Parallel()
	d, s, id := asked(t, "12000.00", sandbox.Options{})
	if o := s.by("ana", "runs", "approve", id); o.code != exitOK || !strings.Contains(o.out, "1 more must approve it") {
		t.Fatalf("ana approved: %v", o)
	}
	if o := s.by("ana", "runs", "approve", id); o.code == exitOK {
		t.Errorf("one person counted twice: %v", o)
	}
	if r := s.run(incident.RunAwaiting); r.ID != id {
		t.Errorf("run %s waits, want %s", r.ID, id)
	}
	if n := len(d.datasync.Runs()); n != 0 {
		t.Fatalf("Datasync ran it %d times on one person's word", n)
	}
	if o := s.by("ben", "runs", "approve", id); o.code != exitOK {
		t.Fatalf("ben approved: %v", o)
	}
	s.run(incident.RunDone)
	if n := len(d.datasync.Runs()); n != 1 {
		t.Errorf("Datasync ran it %d times", n)
	}
}

func TestWhatWasDeliveredMeanwhileIsNotSentAgain(t *testing.T) {
	t.Parallel()
	d, s, id := asked(t, "1250.00", sandbox.Options{})
	d.datasync.LoseNext(1) // the bridge does not hear of it
	d.datasync.Deliver("txn_1")
	if o := s.by("ana", "runs", "approve", id); o.code != exitOK {
		t.Fatalf("ana approved: %v", o)
	}
	refused := s.run(incident.RunRefused)
	if refused.ID != id || len(d.datasync.Runs()) != 0 {
		t.Errorf("run %s was refused (%s) and Datasync ran %d, want %s refused and none", refused.ID, refused.Why, len(d.datasync.Runs()), id)
	}
	if got := s.audited(); got[incident.AuditApproved] != 1 || got[incident.AuditRefused] != 1 {
		t.Errorf("the audit holds %v, want the approval and the refusal", got)
	}
}

func TestABridgeKilledBetweenKeyAndAnswerChecksAndDoesNotRepeat(t *testing.T) {
	t.Parallel()
	d, s, id := asked(t, "1250.00", sandbox.Options{IgnoreKeys: true})
	d.datasync.FailNext("/v1/automations/run", sandbox.Fault{AfterActing: true, Delay: time.Minute})
	if o := s.by("ana", "runs", "approve", id); o.code != exitOK {
		t.Fatalf("ana approved: %v", o)
	}
	eventually(t, 20*time.Second, "Datasync has run it and not answered", func() bool { return len(d.datasync.Runs()) == 1 })
	s.kill()
	s = startServe(t, s.config)
	checked := s.run(incident.RunDone, incident.RunUnknown)
	if checked.ID != id {
		t.Errorf("run %s is %s, want %s checked", checked.ID, checked.State, id)
	}
	eventually(t, 30*time.Second, "a check found it done", func() bool { return s.run(incident.RunDone, incident.RunUnknown).State == string(incident.RunDone) })
	if n := len(d.datasync.Runs()); n != 1 {
		t.Errorf("Datasync ran it %d times", n)
	}
	if got := s.audited(); got[incident.AuditStarted] != 1 {
		t.Errorf("the audit holds %v, want one start", got)
	}
}

// TestRouting36AnApprovalHoldsForItsEntry: what waits outlives a change
// elsewhere, and is void once its own remediation is changed.
func TestRouting36AnApprovalHoldsForItsEntry(t *testing.T) {
	t.Parallel()
	d, s, id := asked(t, "1250.00", sandbox.Options{})
	change := func(from, to string) {
		t.Helper()
		s.stop()
		text, err := os.ReadFile(s.config)
		if err == nil {
			err = os.WriteFile(s.config, []byte(strings.Replace(string(text), from, to, 1)+"# changed\n"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		s = startServe(t, s.config)
	}
	change("", "")
	if o := s.by("ben", "runs", "list"); o.code != exitOK {
		t.Fatal(o)
	}
	if r := s.run(incident.RunAwaiting, incident.RunRefused); r.State != string(incident.RunAwaiting) {
		t.Fatalf("after a change elsewhere run %s is %s, want it to wait", r.ID, r.State)
	}
	change("expires: 4h", "expires: 3h")
	if r := s.run(incident.RunRefused); r.ID != id {
		t.Errorf("run %s was refused, want %s", r.ID, id)
	}
	if o := s.by("ana", "runs", "approve", id); o.code == exitOK || len(d.datasync.Runs()) != 0 {
		t.Errorf("it could be approved all the same: %v", o)
	}
}

// TestAnAPIThatFailsAfterActingIsAskedOnce: it ignores idempotency keys, acts,
// and then fails in each of the ways there are; the failure is told again and
// again. Whoever sent it twice would have run it twice.
func TestAnAPIThatFailsAfterActingIsAskedOnce(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sandbox.Fault{
		"500":       {Status: 500, AfterActing: true},
		"reset":     {Reset: true, AfterActing: true},
		"timeout":   {Delay: 15 * time.Second, AfterActing: true},
		"truncated": {Truncate: true, AfterActing: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Webhooks of the run itself are lost: nothing says that it worked.
			d, s, id := asked(t, "1250.00", sandbox.Options{IgnoreKeys: true})
			d.datasync.LoseWebhooks(func(_ int, eventType string) bool { return eventType != "transaction.failed" })
			d.datasync.FailNext("/v1/automations/run", fault)
			if o := s.by("ana", "runs", "approve", id); o.code != exitOK {
				t.Fatalf("ana approved: %v", o)
			}
			s.run(incident.RunUnknown, incident.RunDone)
			for range 5 { // and it fails again
				d.datasync.Fail("txn_1", sandbox.Failure{Code: "CONNECTION_REFUSED", Category: "connectivity"})
			}
			if err := d.datasync.Settled(t.Context()); err != nil {
				t.Fatal(err)
			}
			calm(t, openStore(t, s.config))
			for _, r := range s.runs() {
				if r.State == string(incident.RunAwaiting) {
					s.by("ana", "runs", "approve", r.ID)
				}
			}
			calm(t, openStore(t, s.config))
			if n := len(d.datasync.Runs()); n != 1 {
				t.Errorf("Datasync ran it %d times, want once\n%v", n, s.runs())
			}
		})
	}
}
