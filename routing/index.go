package routing

import (
	"regexp"
	"slices"
)

// index finds the rules that could match an event without asking each of them.
// Every rule stands under one of its keys, the one that fewest rules share;
// rules without a key that can be looked up are candidates always.
type index struct {
	slots  []slotIndex
	always []int32
	// rest are the conditions of each rule that its being found leaves to ask.
	rest [][]condition
}

// slotIndex finds rules by what one path holds.
type slotIndex struct {
	slot  int
	exact map[string][]int32
	// prefix finds globs and regexes by the text that they begin with; lengths
	// are those that occur, ascending.
	prefix  map[string][]int32
	lengths []int
}

// lookup is a text under which a rule can be found.
type lookup struct {
	slot   int
	text   string
	prefix bool
}

func newIndex(rules [][]condition) index {
	shared := map[lookup]int{}
	for _, conditions := range rules {
		for i := range conditions {
			for _, l := range conditions[i].lookups() {
				shared[l]++
			}
		}
	}
	ix := index{rest: slices.Clone(rules)}
	for n, conditions := range rules {
		best, cost, key := []lookup(nil), 0, 0
		for i := range conditions {
			ls := conditions[i].lookups()
			worst := 0
			for _, l := range ls {
				worst = max(worst, shared[l])
			}
			if ls != nil && (best == nil || worst < cost) {
				best, cost, key = ls, worst, i
			}
		}
		if best == nil {
			ix.always = append(ix.always, int32(n))
		}
		if best != nil && conditions[key].provedBy(best) {
			ix.rest[n] = slices.Concat(conditions[:key], conditions[key+1:])
		}
		for _, l := range best {
			ix.add(l, int32(n))
		}
	}
	return ix
}

func (ix *index) add(l lookup, rule int32) {
	at := slices.IndexFunc(ix.slots, func(s slotIndex) bool { return s.slot == l.slot })
	if at < 0 {
		at = len(ix.slots)
		ix.slots = append(ix.slots, slotIndex{slot: l.slot, exact: map[string][]int32{}, prefix: map[string][]int32{}})
	}
	s := &ix.slots[at]
	if !l.prefix {
		s.exact[l.text] = append(s.exact[l.text], rule)
		return
	}
	s.prefix[l.text] = append(s.prefix[l.text], rule)
	if i, found := slices.BinarySearch(s.lengths, len(l.text)); !found {
		s.lengths = slices.Insert(s.lengths, i, len(l.text))
	}
}

// lookups returns texts of which one must stand at the path wherever the
// condition holds, nil where there is no such list.
func (c *condition) lookups() []lookup {
	for i := range c.tests {
		t := &c.tests[i]
		switch {
		case t.op == opRegex:
			if p := literalPrefix(t.source); p != "" {
				return []lookup{{c.slot, p, true}}
			}
		case t.op == opIs && len(t.want.numbers) == 0 && t.want.flags == [2]bool{}:
			if ls := t.want.lookups(c.slot); ls != nil {
				return ls
			}
		}
	}
	return nil
}

// provedBy reports whether the condition holds wherever one of its lookups is
// found: it asks for one of these texts, and for nothing else.
func (c *condition) provedBy(lookups []lookup) bool {
	return len(c.tests) == 1 && !slices.ContainsFunc(lookups, func(l lookup) bool { return l.prefix })
}

func (o *oneOf) lookups(slot int) []lookup {
	ls := make([]lookup, 0, len(o.texts)+len(o.globs))
	for t := range o.texts {
		ls = append(ls, lookup{slot, t, false})
	}
	for _, g := range o.globs {
		if g.prefix == "" {
			return nil
		}
		if l := (lookup{slot, g.prefix, true}); !slices.Contains(ls, l) {
			ls = append(ls, l)
		}
	}
	return ls
}

// literalPrefix is what every match of the expression begins with. The anchored
// form would hide it, so the expression as written is asked.
func literalPrefix(source string) string {
	re, err := regexp.Compile(source)
	if err != nil {
		return ""
	}
	p, _ := re.LiteralPrefix()
	return p
}

// candidates appends the rules that could match, in file order.
func (ix *index) candidates(e *evaluation, to []int32) []int32 {
	to = append(to, ix.always...)
	for i := range ix.slots {
		s := &ix.slots[i]
		v := e.value(s.slot)
		if v.kind == isText { // most are: that needs no copies
			to = s.find(v.text, to)
			continue
		}
		v.any(func(v value) bool {
			if v.kind == isText {
				to = s.find(v.text, to)
			}
			return false
		})
	}
	if len(to) < 2 {
		return to
	}
	// One list alone is in order and names nothing twice.
	for i := 1; i < len(to); i++ {
		if to[i] <= to[i-1] {
			slices.Sort(to)
			return slices.Compact(to)
		}
	}
	return to
}

func (s *slotIndex) find(text string, to []int32) []int32 {
	to = append(to, s.exact[text]...)
	for _, n := range s.lengths {
		if n > len(text) {
			break
		}
		to = append(to, s.prefix[text[:n]]...)
	}
	return to
}
