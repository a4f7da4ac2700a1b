package main

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ruleTests runs the command over files and returns what it printed.
func ruleTests(t *testing.T, want int, args ...string) (out, errs string) {
	t.Helper()
	var stdout, stderr strings.Builder
	code := run(t.Context(), append([]string{"test"}, args...), streams{strings.NewReader(""), &stdout, &stderr})
	if code != want {
		t.Fatalf("exit code %d, want %d\n%s%s", code, want, stdout.String(), stderr.String())
	}
	return stdout.String(), stderr.String()
}

func situation(t *testing.T, number string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "docs", "situations", number+"-*.yaml"))
	if err != nil || len(files) != 1 {
		t.Fatalf("situation %s has files %v (%v)", number, files, err)
	}
	ruleTests(t, exitOK, files...)
}

func TestSituation01RetriesThatHeal(t *testing.T)             { situation(t, "01") }
func TestSituation02AFinalASNFailureAndRecovery(t *testing.T) { situation(t, "02") }
func TestSituation03APartnerOutageBesideAnother(t *testing.T) { situation(t, "03") }
func TestSituation04AnMDNTimeoutAndTheLateMDN(t *testing.T)   { situation(t, "04") }
func TestSituation05AnInvoiceResendOnce(t *testing.T)         { situation(t, "05") }
func TestSituation06AFunctionalReject(t *testing.T)           { situation(t, "06") }
func TestSituation07ACertificateAndItsSymptoms(t *testing.T)  { situation(t, "07") }
func TestSituation08AWeekend(t *testing.T)                    { situation(t, "08") }
func TestSituation09AnSLAWarnedViolatedAndLate(t *testing.T)  { situation(t, "09") }
func TestSituation10OutOfOrder(t *testing.T)                  { situation(t, "10") }
func TestSituation11UntrustedAndMalformed(t *testing.T)       { situation(t, "11") }
func TestSituation12AutomationAndOutage(t *testing.T)         { situation(t, "12") }

func TestTheExamplesOwnTestsPass(t *testing.T) {
	ruleTests(t, exitOK, filepath.Join("..", "..", "config.example.tests.yaml"))
}

// TestEveryRuleOfTheExampleHasATestAndANearMiss: each is named among rules that
// match, and in a file that has more tests than those.
func TestEveryRuleOfTheExampleIsTested(t *testing.T) {
	tests, err := os.ReadFile(filepath.Join("..", "..", "config.example.tests.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range exampleRules(t) {
		if !regexp.MustCompile(`rules: \[[^\]]*\b` + regexp.QuoteMeta(rule) + `\b`).Match(tests) {
			t.Errorf("no test of the example expects rule %s to match", rule)
		}
	}
}

func exampleRules(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, rules, _ := strings.Cut(string(text), "\nrules:\n")
	rules, _, _ = strings.Cut(rules, "\nremediations:\n")
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^  - name: (\S+)$`).FindAllStringSubmatch(rules, -1) {
		names = append(names, m[1])
	}
	if len(names) < 3 {
		t.Fatalf("the example's rules are %v", names)
	}
	return names
}

func TestTheExamplesOfTheRuleTestsPageWork(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "rule-tests.md"))
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(filepath.Join("..", "..", "config.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.example.yaml")
	if err := os.WriteFile(config, example, 0o600); err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 2 {
		t.Fatalf("the page has %d examples", len(blocks))
	}
	for _, b := range blocks {
		ruleTests(t, exitOK, "-c", config, written(t, dir, b[1]))
	}
	failing := "config: config.example.yaml\ntests:\n  - name: an order pages\n    steps:\n" +
		"      - event: {type: transaction.failed, transaction.document_type: \"850\"}\n        expect: {rules: [page-tenders-and-goods]}\n"
	out, _ := ruleTests(t, exitFailed, written(t, dir, failing))
	shown := regexp.MustCompile("(?s)```text\n(.*?)```").FindSubmatch(page)
	got := regexp.MustCompile(`, [0-9a-z.µ]+\n$`).ReplaceAllString(strings.ReplaceAll(out, filepath.Join(dir, "tests.yaml"), "tests.yaml"), "\n")
	line := regexp.MustCompile(`\(line \d+\)`) // the example may grow
	if line.ReplaceAllString(got, "") != line.ReplaceAllString(string(shown[1]), "") {
		t.Errorf("the page shows\n%s\nand it prints\n%s", shown[1], got)
	}
}

// written puts tests into a file.
func written(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "tests.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// trials are one test that passes and one that does not, of the example.
func trials(t *testing.T) string {
	t.Helper()
	config, err := filepath.Abs(filepath.Join("..", "..", "config.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return written(t, t.TempDir(), "config: "+config+`
tests:
  - name: a ship notice pages
    steps:
      - event: {type: transaction.failed, transaction.document_type: "856", partner.name: "<script>\e[31m"}
        expect: {pages: 1}
  - name: an order pages
    steps:
      - event: {type: transaction.failed, transaction.document_type: "850"}
      - at: 30s
        expect: {pages: 1, messages: [{to: edi-pager}]}
`)
}

func TestFailedTestsAreReportedToPeopleProgramsAndCI(t *testing.T) {
	results := filepath.Join(t.TempDir(), "results.xml")
	path := trials(t)
	out, _ := ruleTests(t, exitFailed, path, "--junit", results)
	for _, want := range []string{"FAIL  an order pages (" + path + ":7)", ":11:28: messages", "- want to edi-pager", "+ got  to edi-slack, opening", "edi-slack by defaults", "1 FAILED, 1 passed"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("it is coloured though nobody sees it")
	}
	text, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	var junit struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suites   []struct {
			Cases []struct {
				Name    string  `xml:"name,attr"`
				Failure *string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &junit); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if junit.Tests != 2 || junit.Failures != 1 || len(junit.Suites) != 1 || junit.Suites[0].Cases[0].Failure != nil || junit.Suites[0].Cases[1].Failure == nil {
		t.Errorf("JUnit says\n%s", text)
	}
	out, _ = ruleTests(t, exitFailed, path, "-o", "json")
	var listed []struct {
		Name     string
		Failures []struct{ Place, What string }
	}
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed) != 2 || len(listed[0].Failures) != 0 || len(listed[1].Failures) != 2 {
		t.Errorf("as JSON: %v\n%s", err, out)
	}
	out, _ = ruleTests(t, exitFailed, path, "-v")
	if !strings.Contains(out, "ok    a ship notice pages") || !strings.Contains(out, "sent     to edi-pager, opening") {
		t.Errorf("-v prints\n%s", out)
	}
}

func TestAFileThatCannotBeRunExitsWithTwoAndSaysWhere(t *testing.T) {
	t.Setenv("BRIDGE_SERVER__LISTEN", "not an address") // the environment is not read
	dir := t.TempDir()
	config, err := filepath.Abs(filepath.Join("..", "..", "config.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	faulty := written(t, dir, "config: "+config+"\ntests:\n  - name: t\n    steps:\n      - {event: {type: x}, expect: {rules: [page-tenders]}}\n")
	out, errs := ruleTests(t, exitUsage, faulty)
	if out != "" || !strings.Contains(errs, faulty+":5:45: ") || !strings.Contains(errs, `no rule is named "page-tenders"`) {
		t.Errorf("%s%s", out, errs)
	}
	if _, errs := ruleTests(t, exitUsage, filepath.Join(dir, "nowhere.yaml")); !strings.Contains(errs, "nowhere.yaml") {
		t.Error(errs)
	}
	broken := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(broken, []byte("version: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := ruleTests(t, exitUsage, "-c", broken, written(t, dir, "tests: [{name: t, steps: [{event: {type: x}, expect: {open: 0}}]}]\n")); !strings.Contains(errs, broken+":1:1: version") {
		t.Error(errs)
	}
	if _, errs := ruleTests(t, exitUsage); !strings.Contains(errs, "datasync-bridge test TESTS.yaml...") {
		t.Error(errs)
	}
}

// TestEveryExpectationCanFail breaks each of them once.
func TestEveryExpectationCanFail(t *testing.T) {
	config, err := filepath.Abs(filepath.Join("..", "..", "config.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for key, wrong := range map[string]string{
		"outcome":        "{outcome: joined}",
		"type":           "{type: mdn.timeout}",
		"effect":         "{effect: note}",
		"class":          "{class: mapping}",
		"severity":       "{severity: info}",
		"rules":          "{rules: [page-tenders-and-goods, failed-status]}",
		"notifiers":      "{notifiers: [edi-slack]}",
		"why":            "{why: the moon is full}",
		"held":           "{held: {edi-slack: digest}}",
		"messages":       "{messages: [{to: edi-pager}, {to: edi-slack, text: [ship notice, INV-1]}]}",
		"nothing_sent":   "{nothing_sent: true}",
		"sent.edi-slack": "{sent: {edi-slack: 2}}",
		"pages":          "{pages: 0}",
		"open":           "{open: 2}",
		"resolved":       "{resolved: 1}",
		"incidents":      "{incidents: [{members: 2}]}",
		"runs":           "{runs: [{remediation: resend-status}]}",
		"not.rules":      "{not: {rules: [failed-status, page-tenders-and-goods]}}",
		"not.notifiers":  "{not: {notifiers: [edi-pager]}}",
		"not.messages":   "{not: {messages: [{kind: opening, text: not delivered}]}}",
	} {
		text := "config: " + config + "\ntests:\n  - name: t\n    steps:\n" +
			"      - event: {type: transaction.failed, transaction.id: t1, transaction.document_type: \"856\", error.category: connectivity}\n" +
			"        expect: " + wrong + "\n"
		out, _ := ruleTests(t, exitFailed, written(t, t.TempDir(), text))
		if strings.Count(out, "tests.yaml:6:") != 1 || !strings.Contains(out, ": "+key+"\n") {
			t.Errorf("%s is wrong, and it prints\n%s", wrong, out)
		}
	}
}

func TestAnEventFileIsSentAsItIsAndItsIDMakesDuplicates(t *testing.T) {
	config, err := filepath.Abs(filepath.Join("..", "..", "config.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	body := `{"id": "evt_1", "event_type": "transaction.failed", "timestamp": "2026-01-05T08:59:00Z",
		"transaction": {"id": "txn_1", "document_type": "856"}, "partner_id": "par_1"}`
	if err := os.WriteFile(filepath.Join(dir, "event.json"), []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	ruleTests(t, exitOK, written(t, dir, "config: "+config+`
tests:
  - name: a file
    steps:
      - event_file: event.json
        expect: {rules: [page-tenders-and-goods], outcome: opened}
      - event_file: event.json
        expect: {outcome: duplicate, nothing_sent: true}
      - event_file: event.json # the same id with other bytes
        with: {partner.name: Somebody else}
        expect: {outcome: joined}
      - event_file: event.json
        with: {id: "evt_{n}0", created_at: -13h}
        repeat: 2
        expect: {outcome: old}
`))
}
