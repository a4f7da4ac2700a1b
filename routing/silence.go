package routing

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Quiet is a set of silences. It never changes, so any number of goroutines may
// ask it.
type Quiet struct {
	paths    []string
	silences []silence
}

type silence struct {
	incident.Silence
	conditions []condition
}

// Silences are those of the configuration and those made at run time. What
// rules would not accept as a condition silences nothing: it was checked when
// it was made, but perhaps by another version.
func (t *Table) Silences(made []incident.Silence) *Quiet {
	q := &Quiet{}
	c := &compiler{names: t.names, slots: map[string]int{}}
	for _, s := range slices.Concat(t.silences, made) {
		before := len(c.problems)
		conditions := matchCompiler{compiler: c}.compile("match", s.Match)
		if s.Expired == nil && len(s.Match) > 0 && !hasFault(c.problems[before:]) {
			q.silences = append(q.silences, silence{s, conditions})
		}
	}
	q.paths = c.paths
	return q
}

// Silencing implements incident.Silences.
func (q *Quiet) Silencing(ev event.Event, at time.Time) (incident.Silence, bool) {
	var found *silence
	var values []resolved
	for i := range q.silences {
		s := &q.silences[i]
		if at.Before(s.From) || !at.Before(s.Until) || found != nil && !s.Until.After(found.Until) {
			continue
		}
		if values == nil {
			values = make([]resolved, len(q.paths))
		}
		if q.holds(s, &ev, values) {
			found = s
		}
	}
	if found == nil {
		return incident.Silence{}, false
	}
	return found.Silence, true
}

func (q *Quiet) holds(s *silence, ev *event.Event, values []resolved) bool {
	for i := range s.conditions {
		v := &values[s.conditions[i].slot]
		if !v.done {
			v.value, v.done = valueAt(ev, q.paths[s.conditions[i].slot]), true
		}
		if !s.conditions[i].holds(&v.value) {
			return false
		}
	}
	return true
}

// CheckSilence says what is wrong with a silence's condition, with paths such
// as match.partner.id. Conditions on the raw payload are refused: a silence is
// also asked about incidents, which keep none.
func CheckSilence(names Names, match Match) []Problem {
	c := &compiler{names: names, slots: map[string]int{}}
	c.silence("match", match)
	return c.problems
}

func (c *compiler) silence(at string, match Match) {
	if len(match) == 0 {
		c.fault(at, "is missing; name at least one field: a silence of everything hides also what nobody expects")
	}
	matchCompiler{compiler: c}.compile(at, match)
	for _, path := range slices.Sorted(maps.Keys(match)) {
		if strings.HasPrefix(path, "data.") {
			c.fault(at+"."+path, "a silence is also asked about incidents, which keep no raw payload; use a path of the normalized event")
		}
	}
}

// fileSilences checks those of the configuration.
func (c *compiler) fileSilences(list []Silence) []incident.Silence {
	out := make([]incident.Silence, 0, len(list))
	for i, s := range list {
		at := fmt.Sprintf("silences[%d]", i)
		same := func(o incident.Silence) bool { return o.ID == s.ID }
		switch {
		case s.ID == "":
			c.fault(at+".id", "is missing; the history names silences")
		case slices.ContainsFunc(out, same):
			c.fault(at+".id", fmt.Sprintf("%q is taken; every silence needs its own", s.ID))
		case strings.HasPrefix(s.ID, RunTimeSilence):
			c.fault(at+".id", fmt.Sprintf("begins with %s, as those that are made at run time do; name it otherwise", RunTimeSilence))
		}
		c.silence(at+".match", s.Match)
		for key, text := range map[string]string{"by": s.By, "why": s.Why} {
			if strings.TrimSpace(text) == "" {
				c.fault(at+"."+key, "is missing; whoever is not told wants to know")
			}
		}
		switch {
		case s.Until.IsZero():
			c.fault(at+".until", `is missing; write it as "2026-12-01 06:00 America/Chicago"`)
		case !s.Until.After(s.From.Time):
			c.fault(at+".until", "must be after from")
		}
		out = append(out, incident.Silence{
			ID: s.ID, Match: s.Match, From: s.From.Time, Until: s.Until.Time, By: s.By, Why: s.Why, FromFile: true,
		})
	}
	return out
}

// RunTimeSilence begins the ids of silences that are made at run time.
const RunTimeSilence = "sl_"
