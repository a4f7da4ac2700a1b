package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"datasync-bridge/config"
)

func TestTheRehearsalsConfigurationLoadsWithoutAnyVariable(t *testing.T) {
	cfg, err := config.Load(filepath.Join("..", "..", "docs", "rehearsal.yaml"), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings) > 0 {
		t.Errorf("it warns of %v", cfg.Warnings)
	}
}

// TestWhatTheExampleCommentsOutLoadsToo removes the comment signs that the
// example asks its reader to remove: of the API and of the invoices' repair.
func TestWhatTheExampleCommentsOutLoadsToo(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "config.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	example := string(text)
	begin, end := strings.Index(example, "# datasync:\n"), strings.Index(example, "# Who is told.")
	repair := strings.Index(example, "  # - name: resend-invoice")
	if begin < 0 || end < begin || repair < end {
		t.Fatal("the example is laid out in another way than this test knows")
	}
	sign := regexp.MustCompile(`(?m)^# ?`)
	whole := example[:begin] + sign.ReplaceAllString(example[begin:end], "") + example[end:repair] +
		strings.ReplaceAll(example[repair:], "\n  # ", "\n  ")
	whole = strings.Replace(whole, "  # - name: resend-invoice", "  - name: resend-invoice", 1)
	whole = strings.Replace(whole, "  listen: \"127.0.0.1:9090\"\n", `  listen: "127.0.0.1:9090"
  users:
    - {name: ana, token_sha256: "`+strings.Repeat("a", 64)+`", roles: [view, operate, approve]}
    - {name: ben, token_sha256: "`+strings.Repeat("b", 64)+`", roles: [approve]}
`, 1)
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, config.Options{Env: []string{
		"DATASYNC_CLIENT_ID=x", "DATASYNC_CLIENT_SECRET=y", "DATASYNC_WEBHOOK_SECRET=of-more-than-sixteen-bytes",
		"SLACK_BOT_TOKEN=xoxb-1", "PAGERDUTY_ROUTING_KEY=0123456789abcdef0123456789abcdef",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Datasync.Reconcile == nil || cfg.Datasync.Enrich == nil || len(cfg.Remediations) != 2 {
		t.Errorf("the example's blocks were not read: %+v, %d remediations", cfg.Datasync, len(cfg.Remediations))
	}
}

// TestWhatToWatchExists holds the table of docs/operating.md, and every other
// metric that the documents name, against what the program shows.
func TestWhatToWatchExists(t *testing.T) {
	all := exported(t)
	row := regexp.MustCompile(`(?m)^\| ` + "`" + `(bridge_\w+)(?:\{([\w,]+)\})?` + "`")
	named := regexp.MustCompile("`" + `(bridge_\w+)`)
	root := filepath.Join("..", "..")
	listed := map[string]bool{}
	for _, file := range []string{"README.md", "SECURITY.md", filepath.Join("docs", "operating.md")} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			if _, ok := all[m[1]]; !ok {
				t.Errorf("%s names %s, which the program does not show", file, m[1])
			}
		}
		for _, m := range row.FindAllStringSubmatch(string(text), -1) {
			listed[m[1]] = true
			for _, label := range strings.Split(m[2], ",") {
				if label != "" && !slices.Contains(all[m[1]], label) {
					t.Errorf("%s: %s has no label %s, only %v", file, m[1], label, all[m[1]])
				}
			}
		}
	}
	for name := range all {
		if strings.HasPrefix(name, "bridge_") && !listed[name] {
			t.Errorf("%s stands in no table of docs/operating.md", name)
		}
	}
}

// TestEveryPromiseHasATest: each number that docs/semantics.md lists under
// rules, incidents, notifications and runs stands in the name of a test.
func TestEveryPromiseHasATest(t *testing.T) {
	root := filepath.Join("..", "..")
	semantics, err := os.ReadFile(filepath.Join(root, "docs", "semantics.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	name := regexp.MustCompile(`func TestRouting_?0*(\d+)`)
	err = filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range name.FindAllSubmatch(text, -1) {
			named[string(found[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	promised := 0
	for _, section := range strings.Split(string(semantics), "\n## ") {
		if strings.HasPrefix(section, "Receiving") || strings.HasPrefix(section, "Polling") {
			continue
		}
		for _, line := range regexp.MustCompile(`(?m)^(\d+)\. `).FindAllStringSubmatch(section, -1) {
			promised++
			if !named[line[1]] {
				t.Errorf("no test is named TestRouting%s…", line[1])
			}
		}
	}
	if promised < 35 {
		t.Errorf("only %d promises were found", promised)
	}
}
