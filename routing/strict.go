package routing

import (
	"slices"

	"datasync-bridge/event"
)

// known are the paths by which Could asks whether a rule is for an event: they
// follow from its type and category, of which there are few.
var known = []string{"type", "class", "severity", event.ErrorCategory}

// Could returns the rules, by place in the file, that could match some event of
// the type, class and category of this one, whatever else they ask for.
func (t *Table) Could(ev event.Event) []int {
	e := evaluation{table: t, ev: &ev, values: t.values(nil)}
	e.defaultSeverity()
	var could []int
	for i := range t.rules {
		holds := true
		for k := range t.rules[i].conditions {
			c := &t.rules[i].conditions[k]
			holds = holds && (!slices.Contains(known, c.path) || c.holds(e.value(c.slot)))
		}
		if holds {
			could = append(could, i)
		}
	}
	return could
}
