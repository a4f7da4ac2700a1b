package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/web"
)

// approvable are rules under which failures of statuses wait for the local user.
func approvable(by string) string {
	return `rules:
  - {name: a, match: {type: transaction.failed}, notify: [ops], remediate: resend-status}
remediations:
  - {name: resend-status, workflow: resend_status, does: resend, mode: approve, params: {transaction_id: "{{ .transaction.id }}"}, cooldown: 1s,
     approve: {by: [` + strconv.Quote(by) + `]}}
`
}

// awaitingApproval is a bridge with n runs that wait for approval, in one incident.
func awaitingApproval(t *testing.T, by string, n int) (far *sandbox.Sandbox, s *served, runs []string) {
	t.Helper()
	far, section := newDatasync(t, sandbox.Options{})
	s = startServe(t, apiConfiguration(t, section, approvable(by)))
	for i := range n {
		h := happening{id: i, kind: "transaction.failed", transaction: i, document: "214", partner: "01"}
		far.Put(sandbox.Transaction{
			ID: "txn_" + strconv.Itoa(i), DocumentType: "214", Status: "failed", OccurredAt: time.Now(),
			Partner: sandbox.Partner{ID: "par_01", Name: "Partner 01"},
		})
		s.accept(h.body())
	}
	eventually(t, 30*time.Second, "the runs wait for approval", func() bool {
		runs = s.runsIn("awaiting")
		return len(runs) == n
	})
	return far, s, runs
}

func (s *served) runsIn(state string) []string {
	s.t.Helper()
	var ids []string
	for _, r := range listJSON[struct{ ID string }](s.t, "runs", "list", "--state", state, "-c", s.config) {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	return ids
}

func (s *served) deedsRecorded() []string {
	s.t.Helper()
	var deeds []string
	for _, a := range listJSON[struct{ Action, Actor string }](s.t, "audit", "list", "-c", s.config) {
		if strings.HasPrefix(a.Actor, "local:") && a.Action != "exported" {
			deeds = append(deeds, a.Action)
		}
	}
	slices.Reverse(deeds)
	return deeds
}

func TestPeopleApproveDenyAndStopRunsThroughTheRunningBridge(t *testing.T) {
	t.Parallel()
	far, s, runs := awaitingApproval(t, web.LocalName(), 4)

	if shown := s.works("runs", "show", runs[0]); !strings.Contains(shown, "given            0 of 1") || !strings.Contains(shown, "document type  214") {
		t.Errorf("runs show does not show what it waits for:\n%s", shown)
	}
	incident := s.idOf("incidents")
	if o := s.command("runs", "approve", "--incident", incident); o.code != exitUsage || !strings.Contains(o.out, runs[3]) {
		t.Errorf("approving unasked: %v\nwant exit 2, after the list", o)
	}
	s.works("runs", "approve", runs[0], "--why", "nothing arrived")
	eventually(t, 30*time.Second, "the approved run is done", func() bool { return slices.Equal(s.runsIn("done"), runs[:1]) })
	if n := len(far.Runs()); n != 1 {
		t.Errorf("%d runs at Datasync, want one", n)
	}
	if o := s.command("runs", "approve", runs[0]); o.code != exitFailed || !strings.Contains(o.err, "once") {
		t.Errorf("approving a second time: %v", o)
	}
	s.works("runs", "deny", runs[1], "--why", "they have it")
	s.works("runs", "stop", runs[2], "--why", "they send it anew")
	if got := s.runsIn("refused"); !slices.Equal(got, runs[1:3]) {
		t.Errorf("refused are %v, want %v", got, runs[1:3])
	}
	s.works("runs", "stop", "--remediation", "resend-status", "--why", "wait")
	s.works("runs", "resume", "--remediation", "resend-status", "--why", "go on")
	o := s.command("runs", "approve", "--incident", incident, "--remediation", "resend-status", "--yes")
	if o.code != exitOK || !strings.Contains(o.out, runs[3]) || strings.Contains(o.out, runs[1]) {
		t.Errorf("approving those of an incident: %v", o)
	}
	eventually(t, 30*time.Second, "the last run is done", func() bool { return slices.Contains(s.runsIn("done"), runs[3]) })
	want := []string{
		"run.approved", "run.approval-refused", "run.denied", "runs.stopped", "runs.stopped", "runs.resumed", "run.approved",
	}
	if got := s.deedsRecorded(); !slices.Equal(got, want) {
		t.Errorf("recorded %v\nwant     %v", got, want)
	}
	if o := s.command("runs", "approve", "--incident", incident, "--yes"); o.code != exitFailed || !strings.Contains(o.err, "no run waits") {
		t.Errorf("approving where nothing waits: %v", o)
	}
	if o := s.command("runs", "clear", runs[0], "--outcome", "done", "--why", "seen"); o.code != exitFailed || !strings.Contains(o.err, "not unknown") {
		t.Errorf("clearing what is clear: %v", o)
	}
	if n := len(far.Runs()); n != 2 {
		t.Errorf("%d runs at Datasync, want two", n)
	}
}

func TestWhoeverMayNotApproveIsRefusedAndThatIsRecorded(t *testing.T) {
	t.Parallel()
	far, s, runs := awaitingApproval(t, "local:somebody-else", 1)
	if o := s.command("runs", "approve", runs[0]); o.code != exitFailed || !strings.Contains(o.err, "refused") {
		t.Errorf("%v\nwant exit 1 and a refusal", o)
	}
	if got := s.deedsRecorded(); !slices.Equal(got, []string{"run.approval-refused"}) || len(far.Runs()) > 0 {
		t.Errorf("recorded %v, ran %v", got, far.Runs())
	}
	s.stop()
	if o := s.command("runs", "approve", runs[0]); o.code != exitFailed || !strings.Contains(o.err, "refused") {
		t.Errorf("on the file: %v\nwant exit 1 and a refusal", o)
	}
	s.works("runs", "deny", runs[0], "--why", "nobody is here to approve it")
	if got := s.deedsRecorded(); !slices.Equal(got, []string{"run.approval-refused", "run.approval-refused", "run.denied"}) {
		t.Errorf("recorded %v", got)
	}
}

func TestADeedOnRunsThatSaysTooLittleIsAUsageError(t *testing.T) {
	t.Parallel()
	path := apiConfiguration(t, "", "")
	for _, args := range [][]string{
		{"approve"}, {"approve", "rn_1", "--incident", "in_1"}, {"approve", "rn_1", "--remediation", "x"},
		{"deny", "rn_1"}, {"deny", "--why", "x"}, {"stop", "--why", "x"}, {"stop", "rn_1", "--all", "--why", "x"}, {"stop", "--all"},
		{"stop", "--all", "--remediation", "x", "--why", "x"}, {"stop", "--remediation", "unknown", "--why", "x"},
		{"resume", "--why", "x"}, {"resume", "--all"}, {"clear", "rn_1", "--why", "x"}, {"clear", "rn_1", "--outcome", "unknown", "--why", "x"},
		{"clear", "rn_1", "--outcome", "done"},
	} {
		if o := command(t, nil, append(append([]string{"runs"}, args...), "-c", path)...); o.code != exitUsage {
			t.Errorf("runs %v: %v\nwant exit 2", args, o)
		}
	}
}

func TestTheRecordOfDeedsIsListedExportedAndVerified(t *testing.T) {
	t.Parallel()
	s := startServe(t, apiConfiguration(t, "", ""))
	s.works("runs", "stop", "--all", "--why", "=1+1")
	s.works("runs", "resume", "--all", "--why", "a test")
	s.works("backup", filepath.Join(t.TempDir(), "copy.db"))
	table := s.works("audit", "list")
	for _, want := range []string{"runs.stopped", "a test", "exported", "backup"} {
		if !strings.Contains(table, want) {
			t.Errorf("the list lacks %q:\n%s", want, table)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(s.works("audit", "list", "-o", "csv"))).ReadAll()
	if err != nil || len(rows) != 4 || rows[3][5] != "'=1+1" {
		t.Errorf("as CSV: %q, %v", rows, err)
	}
	var lines []struct {
		ID              int64
		Subject, Result string
	}
	if err := json.Unmarshal([]byte(s.works("audit", "list", "--action", "exported", "--limit", "1", "-o", "json")), &lines); err != nil ||
		len(lines) != 1 || lines[0].ID != 4 || lines[0].Subject != "audit" || lines[0].Result != "csv, 3 lines" {
		t.Errorf("the newest export is %+v (%v)", lines, err)
	}
	if out := s.works("audit", "list", "--run", "rn_0000000000001"); out != "nothing was recorded\n" {
		t.Errorf("of another run: %s", out)
	}
	if out := s.works("audit", "verify"); !strings.HasPrefix(out, "intact") || !strings.Contains(out, "lines  5\n") {
		t.Errorf("verify says %s", out)
	}
	for _, args := range [][]string{{"list", "-o", "xml"}, {"verify", "-o", "csv"}, {"list", "--limit", "-1"}, {"list", "--since", "x"}, {"list", "--action", "run.aproved"}} {
		if o := s.command(append([]string{"audit"}, args...)...); o.code != exitUsage {
			t.Errorf("audit %v: %v\nwant exit 2", args, o)
		}
	}
	s.stop()
	// Somebody who may write the file goes past the triggers.
	file := filepath.Join(dataDir(s.config), "bridge.db")
	text, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(text, []byte("a test")) {
		t.Fatalf("the store does not hold the reason as text (%v)", err)
	}
	if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte("a test"), []byte("a jest")), 0o600); err != nil {
		t.Fatal(err)
	}
	o := s.command("audit", "verify", "-o", "json")
	var found checked
	if err := json.Unmarshal([]byte(o.out), &found); err != nil || o.code != exitFailed || found.Intact || !strings.Contains(found.Fault, "line 2") {
		t.Errorf("a changed line: %v (%v)\nwant exit 1 and the line", o, err)
	}
	if o := s.command("audit", "verify"); o.code != exitFailed || !strings.HasPrefix(o.out, "BROKEN: ") || !strings.Contains(o.out, "line 2 was changed") {
		t.Errorf("a changed line: %v", o)
	}
}
