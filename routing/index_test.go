package routing

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"datasync-bridge/event"
)

// drawWord draws from few words, so that rules and events often meet.
func drawWord(t *rapid.T, what string) string {
	return rapid.SampledFrom([]string{"", "a", "ab", "abc", "b", "ba", "856", "8*6"}).Draw(t, what)
}

// drawMatch draws what rules may ask of paths that hold texts, lists and raw
// values of any kind.
func drawMatch(t *rapid.T) Match {
	texts := []string{"a", "ab", "abc", "b", "ba", "856", "a*", "ab*", "*b", `8\*6`}
	text := func() any { return rapid.SampledFrom(texts).Draw(t, "text") }
	asks := []func() any{
		text, text,
		func() any { return []any{text(), text()} },
		func() any { return map[string]any{"not": text()} },
		func() any { return map[string]any{"not": "abc", "regex": "a.*"} },
		func() any {
			return map[string]any{"regex": rapid.SampledFrom([]string{"ab?", "b.*", "a|ba", ".b"}).Draw(t, "regex")}
		},
	}
	raw := []func() any{
		func() any { return map[string]any{"exists": rapid.Bool().Draw(t, "exists")} },
		func() any { return []any{text(), json.Number("856")} },
		func() any { return []any{text(), true} },
		func() any { return map[string]any{"gte": json.Number("856")} },
	}
	m := Match{}
	for _, path := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"type", event.PartnerID, "acknowledgment.codes", "data.x"}), rapid.ID[string]).Draw(t, "paths") {
		of := asks
		if path == "data.x" {
			of = slices.Concat(asks, raw)
		}
		m[path] = rapid.SampledFrom(of).Draw(t, path)()
	}
	return m
}

func drawEvent(t *rapid.T) event.Event {
	ev := failure(with(event.PartnerID, drawWord(t, "partner")), with("acknowledgment.codes", []string{drawWord(t, "code"), drawWord(t, "code")}))
	ev.Type = drawWord(t, "type")
	switch rapid.IntRange(0, 4).Draw(t, "raw") {
	case 0:
		ev.Data = map[string]any{"x": drawWord(t, "x")}
	case 1:
		ev.Data = map[string]any{"x": []any{drawWord(t, "x"), json.Number("856"), drawWord(t, "x")}}
	case 2:
		ev.Data = map[string]any{"x": json.Number("856.0")}
	case 3:
		ev.Data = map[string]any{"x": true}
	}
	return ev
}

// TestTheIndexDecidesAsAskingEveryRuleWould compares with the naive way: every
// condition of every rule, in file order.
func TestTheIndexDecidesAsAskingEveryRuleWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var cfg Config
		for i := range rapid.IntRange(0, 12).Draw(t, "rules") {
			stop := rapid.IntRange(0, 7).Draw(t, "stop") == 0
			cfg.Rules = append(cfg.Rules, Rule{Name: strconv.Itoa(i), Match: drawMatch(t), Stop: stop})
		}
		for range rapid.IntRange(0, 4).Draw(t, "severities") {
			m := drawMatch(t)
			m["source"] = []any{"datasync", "x*"} // no catch-all before the end
			cfg.Defaults.Severity = append(cfg.Defaults.Severity, SeverityRule{Match: m, Severity: event.Critical})
		}
		cfg.Defaults.Severity = append(cfg.Defaults.Severity, SeverityRule{Match: Match{}, Severity: event.Warning})
		cfg.Defaults.Notify = []string{"slack"}
		tab, _ := Compile(cfg, names())
		if tab == nil {
			t.Skip("a rule that is never reached")
		}
		for range 10 {
			sameAsNaive(t, tab, drawEvent(t))
		}
	})
}

func sameAsNaive(t *rapid.T, tab *Table, ev event.Event) {
	e := evaluation{table: tab, ev: &ev, values: tab.values(nil)}
	_, from := e.defaultSeverity()
	want := slices.IndexFunc(tab.severity, func(s severityRule) bool { return e.naive(s.conditions) })
	if from != tab.severityFrom[want] {
		t.Fatalf("severity by %s, asking every entry by %s", from, tab.severityFrom[want])
	}
	var matched []*rule
	for i := range tab.rules {
		if r := &tab.rules[i]; e.naive(r.conditions) {
			if matched = append(matched, r); r.Stop {
				break
			}
		}
	}
	if got, _ := e.rules(nil); !slices.Equal(got, matched) {
		t.Fatalf("matched %v, asking every rule %v", got, matched)
	}
}

// naive asks every test of every condition.
func (e *evaluation) naive(conditions []condition) bool {
	for _, c := range conditions {
		for _, test := range c.tests {
			if !test.holds(valueAt(e.ev, c.path)) {
				return false
			}
		}
	}
	return true
}
