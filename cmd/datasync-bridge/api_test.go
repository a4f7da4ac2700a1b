package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
)

// newDatasync is a stand-in of the API, and the section that points at it.
func newDatasync(t *testing.T, o sandbox.Options) (far *sandbox.Sandbox, section string) {
	t.Helper()
	far = sandbox.New(o)
	server := httptest.NewServer(far.Handler())
	t.Cleanup(server.Close)
	return far, fmt.Sprintf("\ndatasync: {base_url: %q, client_id: sandbox, client_secret: sandbox-secret}\n", server.URL+"/v1")
}

// apiConfiguration is a configuration that calls a stand-in of the API.
func apiConfiguration(t *testing.T, section, rest string) string {
	t.Helper()
	return configuration(t, "http://127.0.0.1:1", "defaults: {notify: [ops]}\n"+section+rest)
}

const publicURL = "BRIDGE_SERVER__PUBLIC_URL=http://127.0.0.1:18080"

func TestSubscribeSaysWhatItSendsAndSendsIt(t *testing.T) {
	t.Parallel()
	far, section := newDatasync(t, sandbox.Options{})
	rules := "rules:\n  - {name: a, match: {type: [transaction.failed, mdn.timeout, sla.missed]}, notify: [ops]}\n"
	path := apiConfiguration(t, section, rules)
	env := []string{publicURL}

	planned := works(t, env, "subscribe", "--dry-run", "-c", path)
	for _, want := range []string{
		"url     http://127.0.0.1:18080/hooks/datasync\n", "name    datasync-bridge-datasync\n", "mdn.timeout", "sla.violated                 assumed",
		"transaction.delivered", "documented; the other names are assumed", "nothing was sent",
	} {
		if !strings.Contains(planned, want) {
			t.Errorf("the dry run lacks %q:\n%s", want, planned)
		}
	}
	if len(far.Calls()) > 0 {
		t.Errorf("a dry run made calls: %v", far.Calls())
	}
	done := works(t, env, "subscribe", "-c", path)
	if !strings.HasPrefix(done, strings.Split(planned, "\nnothing")[0]) {
		t.Errorf("what was planned is not what was sent:\n%s\n%s", planned, done)
	}
	if !strings.Contains(done, "subscribed: id sub_") || !strings.Contains(done, "request req_") || !strings.Contains(done, "sources[0].verify.secrets") {
		t.Errorf("the answer lacks its ids or the next step:\n%s", done)
	}
	var sub subscription
	text := works(t, env, "subscribe", "-c", path, "-o", "json", "--name", "ops", "--events", "mdn.timeout,x.y", "--url", "http://127.0.0.1:1/other")
	if err := json.Unmarshal([]byte(text), &sub); err != nil || sub.ID == "" || sub.RequestID == "" || sub.Name != "ops" ||
		!slices.Equal(sub.Events, []string{"mdn.timeout", "x.y"}) || sub.URL != "http://127.0.0.1:1/other" {
		t.Errorf("-o json printed %s (%v)", text, err)
	}
}

func TestSubscribeRefusesWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	far, section := newDatasync(t, sandbox.Options{Scopes: []string{"transactions:read"}})
	path := apiConfiguration(t, section, "")
	sandboxed := apiConfiguration(t, strings.Replace(section, "{base_url", "{environment: sandbox, base_url", 1), "")
	without := apiConfiguration(t, "", "")
	for _, tt := range []struct {
		name, path string
		env        []string
		args       []string
		code       int
		says       []string
	}{
		{"no public address", path, nil, nil, exitFailed, []string{"server.public_url is missing", "--url"}},
		{"no credentials", without, []string{publicURL}, nil, exitFailed, []string{"client_id", "API Access"}},
		{"an unknown source", path, []string{publicURL}, []string{"--source", "x"}, exitUsage, []string{"no source named", "datasync"}},
		{"an empty type", path, []string{publicURL}, []string{"--events", "a,,b"}, exitUsage, []string{"--events"}},
		{"plain http to elsewhere", path, nil, []string{"--url", "http://ops.example.com/x"}, exitFailed, []string{"https"}},
		{"a password in the address", path, nil, []string{"--url", "https://u:canary@ops.example.com"}, exitUsage, []string{"without user and password"}},
		{"production events through the sandbox", sandboxed, []string{publicURL}, nil, exitFailed, []string{"production", "datasync.environment is sandbox"}},
		{"an unknown form", path, []string{publicURL}, []string{"-o", "csv"}, exitUsage, []string{"neither table nor json"}},
		{"a scope that is missing", path, []string{publicURL}, nil, exitFailed, []string{"403", "scope", "quote request req_"}},
	} {
		o := command(t, tt.env, append([]string{"subscribe", "-c", tt.path}, tt.args...)...)
		if o.code != tt.code {
			t.Errorf("%s: %v\nwant exit %d", tt.name, o, tt.code)
		}
		for _, words := range tt.says {
			if !strings.Contains(o.err, words) {
				t.Errorf("%s: %v\nlacks %q", tt.name, o, words)
			}
		}
		if strings.Contains(o.err+o.out, "canary") {
			t.Errorf("%s: repeats a password: %v", tt.name, o)
		}
	}
	if o := command(t, []string{publicURL}, "subscribe", "--dry-run", "-c", without); o.code != exitOK {
		t.Errorf("a dry run without credentials: %v", o)
	}
	if n := far.Calls()["/v1/webhooks/subscriptions"]; n > 1 {
		t.Errorf("%d subscriptions were asked for: %v", n, far.Calls())
	}
}

func putMany(far *sandbox.Sandbox, n int) {
	for i := range n {
		far.Put(sandbox.Transaction{
			ID: fmt.Sprintf("txn_%04d", i), DocumentType: []string{"856", "810"}[i%2], Status: "failed", Amount: "-12.50", Currency: "USD",
			OccurredAt: time.Now().Add(-time.Duration(i) * time.Minute), Partner: sandbox.Partner{ID: "par_1", Name: "=HYPERLINK(1)\x1b[2J"},
		})
	}
}

func TestTransactionsAreListedInThreeForms(t *testing.T) {
	t.Parallel()
	far, section := newDatasync(t, sandbox.Options{})
	putMany(far, 250) // more than one page
	far.Put(sandbox.Transaction{ID: "txn_other", DocumentType: "856", Status: "delivered", OccurredAt: time.Now()})
	path := apiConfiguration(t, section, "")
	list := func(args ...string) outcome {
		t.Helper()
		o := command(t, nil, append([]string{"datasync", "transactions", "-c", path, "--log-level", "error"}, args...)...)
		if o.code != exitOK || strings.Contains(o.out+o.err, "\x1b") {
			t.Fatalf("%v: %v", args, o)
		}
		return o
	}
	if o := list("--status", "failed", "--since", "2h", "--document-type", "810", "--limit", "1000"); strings.Count(o.out, "\n") != 61 ||
		!strings.Contains(o.out, "txn_0001") || strings.Contains(o.out, "txn_0002") || o.err != "" {
		t.Errorf("a table of an hour's invoices: %v", o)
	}
	if o := list("--status", "failed", "--limit", "10"); strings.Count(o.out, "\n") != 11 || !strings.Contains(o.err, "cut at --limit 10") {
		t.Errorf("a table that is cut: %v", o)
	}
	if o := list("--partner", "par_none"); o.out != "no transactions\n" {
		t.Errorf("an empty table: %v", o)
	}
	var items []transactionView
	o := list("--status", "failed", "--limit", "250", "-o", "json")
	if err := json.Unmarshal([]byte(o.out), &items); err != nil || len(items) != 250 || len(items[0].Raw) == 0 || items[0].Amount != "-12.50" && items[0].Amount != "-12.5" || o.err != "" {
		t.Errorf("as JSON: %d items, %v; %s", len(items), err, o.err)
	}
	if o := list("--partner", "par_none", "-o", "json"); strings.TrimSpace(o.out) != "[]" {
		t.Errorf("an empty list as JSON is %q", o.out)
	}
	rows, err := csv.NewReader(strings.NewReader(list("--status", "failed", "-o", "csv").out)).ReadAll()
	if err != nil || len(rows) != 251 || rows[0][0] != "id" {
		t.Fatalf("as CSV: %d rows, %v", len(rows), err)
	}
	name, amount := slices.Index(rows[0], "partner_name"), slices.Index(rows[0], "amount")
	if rows[1][name] != "'=HYPERLINK(1)[2J" || !strings.HasPrefix(rows[1][amount], "-12.5") {
		t.Errorf("a spreadsheet would run %q, or a script not read the number %q", rows[1][name], rows[1][amount])
	}
	for _, args := range [][]string{
		{"--since", "yesterday"}, {"--until", "-1h"}, {"--limit", "0"}, {"--limit", "10001"}, {"-o", "xml"}, {"extra"},
	} {
		if o := command(t, nil, append([]string{"datasync", "transactions", "-c", path}, args...)...); o.code != exitUsage {
			t.Errorf("%v: %v\nwant exit 2", args, o)
		}
	}
}

func TestAListingThatBreaksOffSaysSoAndKeepsWhatCame(t *testing.T) {
	t.Parallel()
	far, section := newDatasync(t, sandbox.Options{})
	putMany(far, 150)
	path := apiConfiguration(t, section, "")
	far.FailNext("/v1/transactions", sandbox.Fault{}) // the first page is well
	far.FailNext("/v1/transactions", sandbox.Fault{Status: http.StatusUnprocessableEntity, Message: "cursor is no good", Times: 10})
	o := command(t, nil, "datasync", "transactions", "--status", "failed", "-o", "csv", "-c", path)
	if o.code != exitFailed || strings.Count(o.out, "\n") != 101 || !strings.Contains(o.err, "broke off after 100 transactions") ||
		!strings.Contains(o.err, "cursor is no good") || !strings.Contains(o.err, "req_") {
		t.Errorf("%v\nwant exit 1, the first page, and why", o)
	}
	far.Heal()
	far.FailNext("/v1/transactions", sandbox.Fault{Status: http.StatusUnprocessableEntity, Message: "status is no good", Times: 10})
	if o := command(t, nil, "datasync", "transactions", "-c", path); o.code != exitFailed || o.out != "" || !strings.Contains(o.err, "status is no good") {
		t.Errorf("%v\nwant exit 1 and why, and no word that there are no transactions", o)
	}
}

func TestTheTokenIsShownOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	_, section := newDatasync(t, sandbox.Options{})
	path := apiConfiguration(t, section, "")
	for _, form := range []string{"table", "json"} {
		shown := works(t, nil, "datasync", "token", "-c", path, "-o", form)
		if strings.Contains(shown, "eyJ") || !strings.Contains(shown, "sandbox") || !strings.Contains(shown, "expires") {
			t.Errorf("-o %s shows the token, or not its claims:\n%s", form, shown)
		}
		if asked := works(t, nil, "datasync", "token", "--show", "-c", path, "-o", form); !strings.Contains(asked, "eyJ") {
			t.Errorf("-o %s --show shows no token:\n%s", form, asked)
		}
	}
	wrong := apiConfiguration(t, strings.Replace(section, "sandbox-secret", canaryClient, 1), "")
	if o := command(t, nil, "datasync", "token", "-c", wrong); o.code != exitFailed || !strings.Contains(o.err, "API Access") ||
		!strings.Contains(o.err, "req_") || strings.Contains(o.err+o.out, canaryClient) {
		t.Errorf("a wrong secret: %v\nwant exit 1, where to look, and no secret", o)
	}
}

func TestAnAutomationRunsOnceAndOnlyWhenItIsMeant(t *testing.T) {
	t.Parallel()
	far, section := newDatasync(t, sandbox.Options{})
	far.Put(sandbox.Transaction{ID: "txn_1", DocumentType: "214", Status: "failed", OccurredAt: time.Now()})
	path := apiConfiguration(t, section, "")
	args := []string{"datasync", "run", "resend_invoice", "--param", "transaction_id=txn_1", "-c", path}

	if o := command(t, nil, args...); o.code != exitUsage || !strings.Contains(o.err, "--yes") {
		t.Errorf("without a terminal and --yes: %v\nwant exit 2", o)
	}
	if o := command(t, []string{"BRIDGE_AUTOMATIONS=off"}, append(args, "--yes")...); o.code != exitFailed || !strings.Contains(o.err, "BRIDGE_AUTOMATIONS") {
		t.Errorf("switched off: %v\nwant exit 1", o)
	}
	for _, pair := range []string{"transaction_id", "=x", "transaction_id=txn_1"} {
		if o := command(t, nil, append(args, "--yes", "--param", pair)...); o.code != exitUsage {
			t.Errorf("--param %s: %v\nwant exit 2", pair, o)
		}
	}
	if len(far.Runs()) != 0 {
		t.Fatalf("refused runs were run: %+v", far.Runs())
	}
	o := command(t, nil, append(args, "--yes")...)
	if o.code != exitOK || !strings.Contains(o.out, "resend_invoice:txn_1:cli-") || !strings.Contains(o.out, "request  req_") ||
		!strings.Contains(o.err, "nothing of this is recorded") {
		t.Errorf("a run: %v", o)
	}
	far.FailNext("/v1/automations/run", sandbox.Fault{Status: http.StatusUnprocessableEntity, Message: "no such transaction"})
	if o := command(t, nil, append(args, "--yes")...); o.code != exitFailed || !strings.Contains(o.err, "nothing was run") || !strings.Contains(o.err, "no such transaction") {
		t.Errorf("a refusal: %v", o)
	}
	for name, fault := range map[string]sandbox.Fault{
		"a failure after acting": {Status: http.StatusInternalServerError, AfterActing: true},
		"a reset after acting":   {Reset: true, AfterActing: true},
	} {
		before := len(far.Runs())
		far.FailNext("/v1/automations/run", fault)
		if o := command(t, nil, append(args, "--yes")...); o.code != exitFailed || !strings.Contains(o.err, "may have run: check before you run it again") {
			t.Errorf("%s: %v", name, o)
		}
		if n := len(far.Runs()) - before; n != 1 {
			t.Errorf("%s: it ran %d times", name, n)
		}
	}
}

func TestARunByHandIsRecordedBeforeAndAfterTheCall(t *testing.T) {
	t.Parallel()
	far, section := newDatasync(t, sandbox.Options{})
	far.Put(sandbox.Transaction{ID: "txn_1", DocumentType: "214", Status: "failed", OccurredAt: time.Now()})
	s := startServe(t, apiConfiguration(t, section, ""))
	deeds := func() []string {
		var lines []string
		for _, a := range listJSON[struct{ Action, Subject, Actor, Key, Result, Why string }](t, "audit", "list", "--action", "datasync.called", "-c", s.config) {
			if !strings.HasPrefix(a.Actor, "local:") || a.Key != "key-1" || a.Subject != "run resend_invoice" {
				t.Errorf("line %+v", a)
			}
			lines = append(lines, a.Result)
		}
		slices.Reverse(lines)
		return lines
	}
	run := []string{"datasync", "run", "resend_invoice", "--param", "transaction_id=txn_1", "--key", "key-1", "--yes"}
	s.works(run...)
	if got := deeds(); len(got) != 2 || !strings.HasPrefix(got[0], "about to call") || !strings.HasPrefix(got[1], "accepted run_") {
		t.Errorf("recorded %q", got)
	}
	s.works("runs", "stop", "--all", "--why", "a test")
	if o := s.command(run...); o.code != exitFailed || !strings.Contains(o.err, "a test") {
		t.Errorf("a run after runs stop --all: %v", o)
	}
	s.works("runs", "resume", "--all", "--why", "it was a test")
	far.FailNext("/v1/automations/run", sandbox.Fault{Status: http.StatusBadGateway})
	s.command(run...)
	if got := deeds(); len(got) != 4 || !strings.HasPrefix(got[3], "unknown: 502") {
		t.Errorf("recorded %q", got)
	}
	// Without a bridge to speak to, and a store that it holds, nothing is run.
	before := len(far.Runs())
	if o := command(t, []string{"BRIDGE_ADMIN__LISTEN=127.0.0.1:1"}, append(run, "-c", s.config)...); o.code != exitFailed || !strings.Contains(o.err, "could not be recorded") {
		t.Errorf("a run that cannot be recorded: %v", o)
	}
	if len(far.Runs()) != before {
		t.Error("it ran all the same")
	}
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
