package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing"
)

// scrutiny collects what is dubious about a configuration that loads.
type scrutiny struct {
	cfg   *config.Config
	found config.Faults
}

func (s *scrutiny) warn(path, format string, args ...any) {
	s.found = append(s.found, s.cfg.Warning(path, fmt.Sprintf(format, args...)))
}

// dubious finds what check --strict warns of without any history.
func dubious(cfg *config.Config, now time.Time) (config.Faults, error) {
	s := &scrutiny{cfg: cfg}
	s.unnamed()
	s.passed(now)
	s.heldPages()
	s.twins()
	err := s.splits()
	return s.found, err
}

// merged puts warnings in the order of the file, each once.
func merged(cfg *config.Config, found config.Faults) config.Faults {
	all := append(slices.Clone(cfg.Warnings), found...)
	slices.SortStableFunc(all, func(a, b config.Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(all)
}

// unmatched warns of rules that matched nothing of what was decided.
func unmatched(cfg *config.Config, matched map[string]int, events int, age time.Duration) config.Faults {
	if events == 0 {
		return nil
	}
	s := &scrutiny{cfg: cfg}
	for i := range cfg.Rules {
		if name := cfg.Rules[i].Name; matched[name] == 0 {
			s.warn(fmt.Sprintf("rules[%d]", i), "%q has matched nothing in the last %s (%s) under this name", name, spoken(age), count(events, "event"))
		}
	}
	return s.found
}

// unnamed warns of what stands there and is never used.
func (s *scrutiny) unnamed() {
	used := s.named()
	for i := range s.cfg.Notifiers {
		n := &s.cfg.Notifiers[i]
		if !n.Retired && !used["notifier "+n.Name] {
			s.warn(fmt.Sprintf("notifiers[%d]", i), "%q is told nothing: no rule, default, escalation or fallback names it", n.Name)
		}
	}
	for i, r := range s.cfg.Remediations {
		if !used["remediation "+r.Name] {
			s.warn(fmt.Sprintf("remediations[%d]", i), "%q never runs: no rule names it under remediate", r.Name)
		}
	}
	for i, d := range s.cfg.Digests {
		if !used["digest "+d.Name] {
			s.warn(fmt.Sprintf("digests[%d]", i), "%q is never told: no rule names it under digest", d.Name)
		}
	}
	for i, c := range s.cfg.Calendars {
		if !used["calendar "+c.Name] {
			s.warn(fmt.Sprintf("calendars[%d]", i), "%q is never asked: no only_during and no digest names it", c.Name)
		}
	}
}

// named are the kinds and names that something refers to.
func (s *scrutiny) named() map[string]bool {
	used := map[string]bool{}
	note := func(kind string, names ...string) {
		for _, name := range names {
			used[kind+" "+name] = true
		}
	}
	note("notifier", s.cfg.Defaults.Notify...)
	for i := range s.cfg.Rules {
		r := &s.cfg.Rules[i]
		note("notifier", r.Notify...)
		for _, step := range r.Escalate {
			note("notifier", step.Notify...)
		}
		note("remediation", r.Remediate)
		note("digest", r.Digest)
		note("calendar", r.OnlyDuring)
	}
	for i := range s.cfg.Notifiers {
		if f := s.cfg.Notifiers[i].Fallback; f != nil {
			note("notifier", f.To)
		}
	}
	for _, r := range s.cfg.Remediations {
		note("calendar", r.OnlyDuring)
	}
	for _, d := range s.cfg.Digests {
		if used["digest "+d.Name] {
			note("calendar", d.Calendar)
		}
	}
	return used
}

// passed warns of silences that are over.
func (s *scrutiny) passed(now time.Time) {
	for i, silence := range s.cfg.Silences {
		if !silence.Until.IsZero() && !silence.Until.After(now) {
			s.warn(fmt.Sprintf("silences[%d]", i), "%q ended %s ago; remove it", silence.ID, spoken(now.Sub(silence.Until.Time)))
		}
	}
}

// heldPages warns of pagers that a window keeps from being told what is critical.
func (s *scrutiny) heldPages() {
	traits := s.cfg.NotifierTraits()
	for i := range s.cfg.Rules {
		r := &s.cfg.Rules[i]
		if r.OnlyDuring == "" || !critical(r) {
			continue
		}
		for k, name := range r.Notify {
			if traits[name].Pager {
				s.warn(fmt.Sprintf("rules[%d].notify[%d]", i, k), "%q pages %s, and only during calendar %q: outside of it nobody is woken, however critical it is",
					r.Name, name, r.OnlyDuring)
			}
		}
	}
}

// critical reports whether a rule gives or asks for that severity.
func critical(r *routing.Rule) bool {
	asked, err := json.Marshal(r.Match["severity"])
	return r.Severity == event.Critical || err == nil && r.Severity == 0 && strings.Contains(string(asked), `"critical"`)
}

// twins warns of calendars and digests that are the same under two names.
func (s *scrutiny) twins() {
	first := map[string]string{}
	same := func(list string, i int, name string, what any) {
		text, err := json.Marshal(what)
		key := list + string(text)
		if err != nil {
			return
		}
		if earlier, twice := first[key]; twice {
			s.warn(fmt.Sprintf("%s[%d]", list, i), "%q is the same as %q; keep one of them", name, earlier)
			return
		}
		first[key] = name
	}
	for i, c := range s.cfg.Calendars {
		name := c.Name
		c.Name, c.Line = "", 0
		same("calendars", i, name, c)
	}
	for i, d := range s.cfg.Digests {
		name := d.Name
		d.Name, d.Line = "", 0
		same("digests", i, name, d)
	}
}

// splits warns of pairs of rules that give one class of failure different
// incident keys: what has one cause is then told as two incidents.
func (s *scrutiny) splits() error {
	classes, err := s.pairs()
	if err != nil {
		return err
	}
	for _, pair := range slices.SortedFunc(maps.Keys(classes), func(a, b [2]int) int {
		return cmp.Or(cmp.Compare(a[1], b[1]), cmp.Compare(a[0], b[0]))
	}) {
		a, b := &s.cfg.Rules[pair[0]], &s.cfg.Rules[pair[1]]
		names := slices.Sorted(maps.Keys(classes[pair]))
		s.warn(fmt.Sprintf("rules[%d].group.by", pair[1]), "%q groups by %s where rules[%d] %q groups by %s, and both can match class %s: one cause may open two incidents",
			b.Name, strings.Join(b.Group.By, ", "), pair[0], a.Name, strings.Join(a.Group.By, ", "), strings.Join(names, ", "))
	}
	return nil
}

// pairs are the rules that set different keys, with the classes that both could
// match.
func (s *scrutiny) pairs() (map[[2]int]map[string]bool, error) {
	p, err := compile(s.cfg)
	if err != nil {
		return nil, err
	}
	found := map[[2]int]map[string]bool{}
	for _, ev := range samples(p.mapper) {
		var keyed []int
		for _, i := range p.table.Could(ev) {
			if s.cfg.Rules[i].Group.By == nil {
				continue
			}
			for _, k := range keyed {
				if slices.Equal(sorted(s.cfg.Rules[i].Group.By), sorted(s.cfg.Rules[k].Group.By)) {
					continue
				}
				pair := [2]int{k, i}
				if found[pair] == nil {
					found[pair] = map[string]bool{}
				}
				found[pair][string(ev.Class)] = true
			}
			keyed = append(keyed, i)
		}
	}
	return found, nil
}

func sorted(paths []string) []string {
	out := slices.Clone(paths)
	slices.Sort(out)
	return out
}

// samples are openings of every type that the mappings know, in every category:
// there are few hundred.
func samples(m mapper) []event.Event {
	var out []event.Event
	for source, mapping := range m.bySource {
		for _, kind := range mapping.Types() {
			for _, category := range append([]event.Class{""}, event.Categories...) {
				body, err := json.Marshal(map[string]any{"type": kind, "data": map[string]any{"error": map[string]any{"category": category}}})
				if err != nil {
					continue
				}
				ev, err := m.Normalize(event.Stored{ID: "ev_sample", Received: event.Received{Source: source, Authentic: true, Body: body}})
				if err == nil && ev.Effect == event.Open {
					out = append(out, ev)
				}
			}
		}
	}
	return out
}
