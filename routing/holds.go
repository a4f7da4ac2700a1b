package routing

import (
	"fmt"
	"maps"
	"slices"

	"datasync-bridge/routing/calendar"
	"datasync-bridge/routing/incident"
)

// Calendars are those of the configuration, by name.
func (t *Table) Calendars() map[string]incident.Calendar { return t.calendars }

// Digests are when the digests of the configuration are told, by name.
func (t *Table) Digests() map[string]incident.Schedule { return t.digests }

// hours compiles calendars, and the digests that are told on their days.
func (c *compiler) hours(cfg Config, t *Table) {
	t.calendars, t.digests = map[string]incident.Calendar{}, map[string]incident.Schedule{}
	compiled := map[string]*calendar.Calendar{}
	for i, k := range cfg.Calendars {
		at := fmt.Sprintf("calendars[%d]", i)
		made := calendar.Compile(k, func(key, problem string) { c.fault(at+"."+key, problem) })
		if _, taken := compiled[k.Name]; c.named(at, k.Name, taken) {
			compiled[k.Name], t.calendars[k.Name] = made, made
		}
	}
	for i, d := range cfg.Digests {
		at := fmt.Sprintf("digests[%d]", i)
		days, ok := compiled[d.Calendar]
		if !ok {
			c.fault(at+".calendar", c.unknown("calendar", d.Calendar, t.calendars))
			days = calendar.Compile(calendar.Config{}, func(string, string) {})
		}
		daily, err := days.Daily(d.At)
		if err != nil {
			c.fault(at+".at", err.Error())
		}
		_, taken := t.digests[d.Name]
		if !c.named(at, d.Name, taken) {
			continue
		}
		if _, calendar := compiled[d.Name]; calendar {
			c.fault(at+".name", fmt.Sprintf("%q is the name of a calendar too; name it otherwise, because history names what held a message", d.Name))
		}
		t.digests[d.Name] = daily
	}
}

// named reports whether an entry has a name of its own.
func (c *compiler) named(at, name string, taken bool) bool {
	switch {
	case name == "":
		c.fault(at+".name", "is missing")
	case taken:
		c.fault(at+".name", fmt.Sprintf("%q is taken; every entry needs its own", name))
	default:
		return true
	}
	return false
}

// unknown words that an entry names something that does not exist.
func (c *compiler) unknown(what, name string, known any) string {
	var names []string
	switch known := known.(type) {
	case map[string]incident.Calendar:
		names = slices.Sorted(maps.Keys(known))
	case map[string]incident.Schedule:
		names = slices.Sorted(maps.Keys(known))
	}
	if name == "" {
		return "is missing; name a " + what
	}
	return fmt.Sprintf("no %s named %q", what, name) + orElse(suggest(name, names), fmt.Sprintf("; define it under %ss", what))
}

// window compiles when a rule may tell its notifiers, nil for always.
func (c *compiler) window(at string, t *Table, r Rule) *incident.Window {
	if r.OnlyDuring == "" && r.Digest == "" {
		if r.Outside != "" {
			c.fault(at+".outside", "says what happens outside only_during, which is missing")
		}
		return nil
	}
	w := &incident.Window{Rule: r.Name, Calendar: r.OnlyDuring, Outside: r.Outside, Digest: r.Digest}
	if _, known := t.calendars[r.OnlyDuring]; r.OnlyDuring != "" && !known {
		c.fault(at+".only_during", c.unknown("calendar", r.OnlyDuring, t.calendars))
	}
	if _, known := t.digests[r.Digest]; r.Digest != "" && !known {
		c.fault(at+".digest", c.unknown("digest", r.Digest, t.digests))
	}
	switch {
	case r.OnlyDuring == "" && r.Outside != "":
		c.fault(at+".outside", "says what happens outside only_during, which is missing")
	case r.OnlyDuring == "":
		w.Outside = incident.Digested
	case r.Outside == "":
		w.Outside = incident.Delayed
	case !slices.Contains(outsides, r.Outside):
		c.fault(at+".outside", fmt.Sprintf("must be delay, digest or drop (got %q)", r.Outside))
	}
	if r.OnlyDuring != "" && r.Digest != "" && w.Outside != incident.Digested {
		c.fault(at+".digest", "is told what comes outside only_during; write outside: digest too, or remove it")
	}
	c.checkWindowed(at, w, r)
	return w
}

var outsides = []incident.Outside{incident.Delayed, incident.Digested, incident.Left}

// checkWindowed reports windows that do not fit the rest of their rule.
func (c *compiler) checkWindowed(at string, w *incident.Window, r Rule) {
	key := at + ".only_during"
	if r.OnlyDuring == "" {
		key = at + ".digest"
	}
	switch {
	case r.Drop:
		c.fault(key, "a rule that drops tells nobody at any time; remove one of them")
		return
	case len(r.Notify) == 0 && len(r.Escalate) == 0:
		c.warn(key, "holds nothing back, because the rule has no notify")
		return
	}
	if w.Outside != incident.Digested {
		return
	}
	for i, name := range r.Notify {
		if c.names.Notifiers[name].Pager {
			c.fault(fmt.Sprintf("%s.notify[%d]", at, i), fmt.Sprintf("%q is a pager, and a digest pages nobody; "+
				"name it in a rule of its own, or write outside: delay", name))
		}
	}
}

// windows is a list of one, nil for always.
func windows(w *incident.Window) []incident.Window {
	if w == nil {
		return nil
	}
	return []incident.Window{*w}
}

// opened are the windows of a notifier that one more rule names: none at all,
// as soon as one rule may tell it at any time. Of equal ones the first stands
// for all.
func opened(list []incident.Window, more ...incident.Window) []incident.Window {
	if len(list) == 0 || len(more) == 0 {
		return nil
	}
	for _, w := range more {
		equal := func(o incident.Window) bool {
			return o.Calendar == w.Calendar && o.Outside == w.Outside && o.Digest == w.Digest
		}
		if !slices.ContainsFunc(list, equal) {
			list = append(list, w)
		}
	}
	return list
}
