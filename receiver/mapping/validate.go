package mapping

import (
	"fmt"
	"slices"
	"strings"

	"datasync-bridge/event"
)

// WithDefaults fills the profile's name.
func (c Config) WithDefaults() Config {
	if c.Profile == "" {
		c.Profile = "datasync"
	}
	return c
}

// Validate reports every fault of a configuration whose defaults are filled.
func (c Config) Validate(report func(path, problem string)) {
	p, known := profiles[c.Profile]
	if !known {
		report("profile", fmt.Sprintf("no profile %q; use %s", c.Profile, strings.Join(sorted(profiles), ", ")))
		return
	}
	c.validatePaths(p, report)
	for _, sent := range sorted(c.Aliases) {
		at := "aliases." + sent
		name, ends := c.resolve(p, sent)
		_, known := p.effects[name]
		_, added := c.Effects[name]
		switch {
		case !ends:
			report(at, "leads back to itself")
		case !known && !added:
			report(at, fmt.Sprintf("no event type %q%s, or give it an effect", name, suggest(name, sorted(p.effects))))
		}
	}
	for _, sent := range sorted(c.Effects) {
		switch c.Effects[sent] {
		case event.Open, event.Settle, event.Note, event.None:
		default:
			report("effects."+sent, fmt.Sprintf("no effect %q; use open, settle, note or none", c.Effects[sent]))
		}
	}
}

func (c Config) validatePaths(p profile, report func(path, problem string)) {
	for _, name := range sorted(c.Paths) {
		at := "paths." + name
		_, envelope := p.paths[name]
		if f, known := event.FieldAt(name); (!known || f.Own) && !envelope {
			report(at, fmt.Sprintf("no field %q%s", name, suggest(name, fieldNames())))
		}
		if len(c.Paths[name]) == 0 {
			report(at, "needs at least one path")
		}
		for i, text := range c.Paths[name] {
			if _, err := ParsePath(text); err != nil {
				report(fmt.Sprintf("%s[%d]", at, i), err.Error())
			}
		}
	}
}

// schema lists the fields that payloads fill, with references of the user's own.
func (c Config) schema() []event.Field {
	var rows []event.Field
	for _, f := range event.Schema {
		if !f.Own {
			rows = append(rows, f)
		}
	}
	for _, name := range sorted(c.Paths) {
		listed := slices.ContainsFunc(rows, func(f event.Field) bool { return f.Path == name })
		if f, ok := event.FieldAt(name); ok && !f.Own && !listed {
			rows = append(rows, f)
		}
	}
	return rows
}

// canonical resolves every alias to its last name.
func (c Config) canonical() map[string]string {
	p := profiles[c.Profile]
	all := map[string]string{}
	for _, aliases := range []map[string]string{p.aliases, c.Aliases} {
		for sent := range aliases {
			if name, ends := c.resolve(p, sent); ends && name != sent {
				all[sent] = name
			}
		}
	}
	return all
}

// resolve follows the user's aliases before the profile's; it reports false
// for a circle.
func (c Config) resolve(p profile, sent string) (name string, ends bool) {
	name = sent
	for range len(c.Aliases) + len(p.aliases) + 1 {
		next, ok := c.Aliases[name]
		if !ok {
			next, ok = p.aliases[name]
		}
		if !ok {
			return name, true
		}
		name = next
	}
	return name, false
}

func fieldNames() []string {
	names := []string{envelopeType, envelopeID, envelopeTime, envelopeEnvironment, envelopeLive}
	for _, f := range event.Schema {
		if !f.Own {
			names = append(names, f.Path)
		}
	}
	return names
}

// suggest names the candidate that shares the most letters at both ends.
func suggest(name string, candidates []string) string {
	best, score := "", 0
	for _, c := range candidates {
		if s := alike(name, c); s > score {
			best, score = c, s
		}
	}
	if score*2 < len(name) {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

func alike(a, b string) int {
	n, m := 0, 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	for m < len(a)-n && m < len(b)-n && a[len(a)-1-m] == b[len(b)-1-m] {
		m++
	}
	return n + m
}
