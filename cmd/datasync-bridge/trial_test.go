package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/event"
)

// inSandbox makes a configuration one of Datasync's sandbox: its source and its
// client of the API.
func inSandbox(t *testing.T, config string) string {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(
		"path: /hooks/datasync\n", "path: /hooks/datasync\n    environment: sandbox\n",
		"client_id: sandbox,", "environment: sandbox, client_id: sandbox,").Replace(string(text))
	if err := os.WriteFile(config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

const resendTrials = `
defaults: {notify: [ops]}
rules:
  - name: invoices in the sandbox
    match: {environment: sandbox, transaction.document_type: "810"}
    notify: [ops]
    remediate: resend-invoice
remediations:
  - name: resend-invoice
    workflow: resend_invoice
    params: {transaction_id: "{{ .transaction.id }}"}
    mode: approve
    approve: {by: [ana], expires: 4h}
`

// A whole rehearsal in Datasync's sandbox, of which production hears nothing.
func TestASandboxIsWorkedInWithoutACallToProduction(t *testing.T) {
	t.Parallel()
	d := withSandbox(t, sandbox.Options{})
	trial, production := d.datasync.InSandbox(), d.datasync
	// The same document fails in production, where nobody must look.
	production.Put(sandbox.Transaction{ID: "txn_1", DocumentType: "810", Status: "delivered", Amount: "900", Currency: "USD"})
	s := d.serve(withPeople(t, inSandbox(t, d.configuration(", reconcile: {every: 1s}, enrich: {}", resendTrials)), "ana"))
	polled(s)

	partner := sandbox.Partner{ID: "par_1", Name: "Harrowgate Grocers", Contact: sandbox.Contact{Name: "EDI desk", Phone: "+44-20-5550100"}}
	trial.LoseNext(1) // found by polling
	trial.Put(sandbox.Transaction{ID: "txn_1", DocumentType: "810", Amount: "900", Currency: "USD", Partner: partner})
	trial.Fail("txn_1", sandbox.Failure{Code: "X", Category: "connectivity", Message: "connection refused"})
	run := s.run("awaiting")
	eventually(t, 20*time.Second, "the message names the contact", func() bool {
		roots := d.roots()
		return len(roots) == 1 && strings.Contains(roots[0].Readable(), "+44-20-5550100") && strings.Contains(roots[0].Readable(), "found by polling")
	})
	if o := s.by("ana", "runs", "approve", run.ID); o.code != exitOK {
		t.Fatalf("ana approved: %v", o)
	}
	s.run("done")
	if runs := trial.Runs(); len(runs) != 1 || runs[0].Transaction != "txn_1" {
		t.Errorf("the sandbox ran %+v, want the invoice once", runs)
	}
	eventually(t, 20*time.Second, "it is resolved", func() bool { return strings.Contains(d.roots()[0].Readable(), "RESOLVED") })
	out := s.works("datasync", "transactions", "--status", "delivered") + s.works("datasync", "partners", "get", "par_1")
	if !strings.Contains(out, "txn_1") || !strings.Contains(out, "Harrowgate") {
		t.Errorf("the commands show %s", out)
	}
	if got := origins(t, s.config); got[event.OriginReconcile] != 1 || len(got) != 1 {
		t.Errorf("found by %v, want polling", got)
	}
	if len(d.pager.Alerts()) != 0 {
		t.Error("somebody was paged")
	}
	if calls := production.Calls(); len(calls) != 0 {
		t.Errorf("production was called: %v", calls)
	}
}
