package routing

import (
	"fmt"
	"testing"

	"datasync-bridge/event"
)

// manyRules are n rules as a large operation would have them: most for one
// partner and document, one in ten with a glob, a regex or a condition. One in
// a thousand (at least one) applies to failure().
func manyRules(n int) []Rule {
	rules := make([]Rule, n)
	for i := range rules {
		partner := fmt.Sprintf("par_%d", i)
		if i%1000 == min(n/2, 500) {
			partner = "par_7h2k9"
		}
		r := Rule{
			Name: fmt.Sprintf("rule-%d", i), Notify: []string{"archive"},
			Match: Match{"type": "transaction.failed", event.PartnerID: partner, event.DocumentType: []any{"856", "DESADV"}},
		}
		if partner != "par_7h2k9" {
			switch i % 40 {
			case 1:
				r.Match = Match{"type": fmt.Sprintf("sla.%d.*", i), event.DocumentType: "810"}
			case 11:
				r.Match = Match{event.PartnerID: map[string]any{"regex": fmt.Sprintf("par_%d_[0-9]+", i)}}
			case 21:
				r.When = "transaction.amount > 100"
			case 31:
				r.Match[event.PartnerID] = fmt.Sprintf("x%d*", i)
			}
		}
		rules[i] = r
	}
	return rules
}

// flatRules are n rules that each ask one field for one value, as the flat
// routes do by which Alertmanager is measured (tools/matching); the one in the
// middle applies to failure().
func flatRules(n int, stop bool) []Rule {
	rules := make([]Rule, n)
	for i := range rules {
		partner := fmt.Sprintf("par_%05d", i)
		if i == n/2 {
			partner = "par_7h2k9"
		}
		rules[i] = Rule{
			Name: fmt.Sprintf("rule-%d", i), Notify: []string{"archive"}, Stop: stop,
			Match: Match{event.PartnerID: partner},
		}
	}
	return rules
}

// BenchmarkFlat has rules that stop, as routes with continue: false do, and
// rules as they are by default, of which every one that matches counts.
func BenchmarkFlat(b *testing.B) {
	for _, stop := range []bool{true, false} {
		for _, n := range []int{10, 1_000, 10_000} {
			b.Run(fmt.Sprintf("stop=%t/rules=%d", stop, n), func(b *testing.B) {
				match(b, table(b, config(flatRules(n, stop)...)), 1)
			})
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			match(b, table(b, config(manyRules(n)...)), max(1, n/1000))
		})
	}
}

// match asks the rules alone, as Alertmanager's Route.Match asks its routes.
func match(b *testing.B, tab *Table, want int) {
	ev := failure()
	tab.Decide(ev)
	b.ReportAllocs()
	for b.Loop() {
		var values [fewPaths]resolved
		var matched [fewRules]*rule
		e := evaluation{table: tab, ev: &ev, values: tab.values(values[:])}
		if got, _ := e.rules(matched[:0]); len(got) != want {
			b.Fatalf("%d rules matched", len(got))
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			tab, ev := table(b, config(manyRules(n)...)), failure()
			b.ReportAllocs()
			for b.Loop() {
				tab.Decide(ev)
			}
		})
	}
}

func BenchmarkWhen(b *testing.B) {
	tab := table(b, config(Rule{When: `transaction.amount > 10000 && transaction.currency == "USD"`}))
	ev := failure()
	b.ReportAllocs()
	for b.Loop() {
		tab.Decide(ev)
	}
}

func BenchmarkCompile(b *testing.B) {
	cfg := config(manyRules(10_000)...)
	b.ReportAllocs()
	for b.Loop() {
		table(b, cfg)
	}
}
