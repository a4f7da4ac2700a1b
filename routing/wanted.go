package routing

import (
	"maps"
	"slices"
	"strings"

	"datasync-bridge/event"
)

// ownTypes begin the names of what the bridge tells itself, and typeCleared is
// what it concludes from a listing: nobody can subscribe to either.
const (
	ownTypes    = "bridge."
	typeCleared = "transaction.cleared"
)

// Wanted lists the canonical types that must be delivered for the rules to do
// their work, sorted. A rule that matches by type wants those types, patterns
// spelled out over the types in effects; one that does not, and having no rule
// at all, wants every type that opens something. Beside them stand all that
// settle: an alarm whose end is never heard of would stay open.
func (t *Table) Wanted(effects map[string]event.Effect) []string {
	wanted := map[string]bool{}
	everything := func() {
		for name, effect := range effects {
			if effect == event.Open || effect == event.Note {
				wanted[name] = true
			}
		}
	}
	rules := 0
	for i := range t.rules {
		r := &t.rules[i]
		if r.Drop {
			continue // what is told to nobody need not come
		}
		rules++
		if !r.wants(t.paths, effects, wanted) {
			everything()
		}
	}
	if rules == 0 {
		everything()
	}
	if t.defaults.RetryingAlert != nil {
		wanted[typeRetrying] = true
	}
	for name, effect := range effects {
		if effect == event.Settle {
			wanted[name] = true
		}
	}
	maps.DeleteFunc(wanted, func(name string, _ bool) bool {
		return name == typeCleared || strings.HasPrefix(name, ownTypes)
	})
	return slices.Sorted(maps.Keys(wanted))
}

// wants adds the types that a rule names, and reports whether it names any.
func (r *rule) wants(paths []string, effects map[string]event.Effect, into map[string]bool) bool {
	named := false
	for i := range r.conditions {
		c := &r.conditions[i]
		if paths[c.slot] != "type" {
			continue
		}
		named = true
		for name := range effects {
			if c.holds(&value{kind: isText, text: name}) {
				into[name] = true
			}
		}
		for k := range c.tests { // and what the mapping does not know
			if c.tests[k].op == opIs {
				for name := range c.tests[k].want.texts {
					into[name] = true
				}
			}
		}
	}
	return named
}
