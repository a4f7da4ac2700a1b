package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// alertRules are the rules of docs/monitoring/alerts.yaml. Their own module
// plays them (make alerts); here they are held against the program.
func alertRules(t *testing.T) (rules []alertRule) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitoring", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []alertRule } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	if len(rules) < 15 {
		t.Fatalf("only %d alerts", len(rules))
	}
	return rules
}

type alertRule struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

var (
	seriesName  = regexp.MustCompile(`\b((?:bridge|go|process)_\w+)(?:\{([^}]*)\})?`)
	labelName   = regexp.MustCompile(`(\w+)\s*[=!]~?\s*"`)
	byLabels    = regexp.MustCompile(`by \(([\w, ]+)\)`)
	quotedWords = regexp.MustCompile(`"[^"]*"`)
)

// holdExpression reports the series and labels of an expression that the
// program does not show.
func holdExpression(t *testing.T, where, expr string, all map[string][]string) {
	t.Helper()
	known := []string{"instance", "le"} // of Prometheus, and of every histogram
	found := seriesName.FindAllStringSubmatch(expr, -1)
	if len(found) == 0 {
		t.Errorf("%s asks for no series of the program: %s", where, expr)
	}
	for _, m := range found {
		name := m[1]
		if _, ok := all[name]; !ok {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, part)
			}
		}
		labels, ok := all[name]
		if !ok {
			t.Errorf("%s: the program does not show %s", where, m[1])
		}
		known = append(known, labels...)
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			if l[1] != "instance" && !slices.Contains(labels, l[1]) {
				t.Errorf("%s: %s has no label %s", where, m[1], l[1])
			}
		}
	}
	for _, m := range byLabels.FindAllStringSubmatch(quotedWords.ReplaceAllString(expr, ""), -1) {
		for _, l := range strings.Split(m[1], ",") {
			if l = strings.TrimSpace(l); !slices.Contains(known, l) {
				t.Errorf("%s: nothing in it has a label %s: %s", where, l, expr)
			}
		}
	}
}

func TestAlertsAskForWhatTheProgramShows(t *testing.T) {
	all, names := exported(t), map[string]bool{}
	commands := map[string]bool{}
	for _, cmd := range newRoot(streams{}).Commands() {
		commands[cmd.Name()] = true
	}
	inText := regexp.MustCompile("`datasync-bridge (\\w[\\w-]*)")
	metric := regexp.MustCompile("`(bridge_\\w+)`")
	for _, r := range alertRules(t) {
		if names[r.Alert] {
			t.Errorf("two alerts are named %s", r.Alert)
		}
		names[r.Alert] = true
		holdExpression(t, r.Alert, r.Expr, all)
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Labels["severity"] == "" {
			t.Errorf("%s lacks summary, description or severity", r.Alert)
		}
		for _, m := range inText.FindAllStringSubmatch(r.Annotations["description"], -1) {
			if !commands[m[1]] {
				t.Errorf("%s names the command %q, which there is not", r.Alert, m[1])
			}
		}
		for _, m := range metric.FindAllStringSubmatch(r.Annotations["description"], -1) {
			if _, ok := all[m[1]]; !ok {
				t.Errorf("%s names %s, which the program does not show", r.Alert, m[1])
			}
		}
	}
}

type panel struct {
	ID          int
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct{ Expr, RefID string }
}

func TestTheDashboardAsksForWhatTheProgramShows(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitoring", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		UID, Title string
		Panels     []panel
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	all, ids, rows := exported(t), map[int]string{}, 0
	taken := map[[2]int]string{}
	for _, p := range board.Panels {
		if other, ok := ids[p.ID]; ok || p.ID == 0 {
			t.Errorf("panel %q has id %d, as %q has", p.Title, p.ID, other)
		}
		ids[p.ID] = p.Title
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x > 23 {
					t.Fatalf("panel %q lies over %q or the edge at %d,%d", p.Title, other, x, y)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows++
			continue
		}
		if p.FieldConfig.Defaults.Unit == "" || p.Title == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d %q lacks unit, title or series", p.ID, p.Title)
		}
		for _, q := range p.Targets {
			holdExpression(t, p.Title, q.Expr, all)
		}
	}
	if rows != 4 || len(ids) < 20 {
		t.Errorf("%d rows and %d panels", rows, len(ids))
	}
}
