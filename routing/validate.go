package routing

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

// Validate reports every fault that the configuration shows by itself, after
// WithDefaults. What needs the names of notifiers, types and remediations is
// found by Compile, which calls Validate.
func (c Config) Validate(report func(path, problem string)) {
	c.Defaults.validate(func(path, problem string) { report("defaults."+path, problem) })
	names := make(map[string]int, len(c.Rules))
	for i := range c.Rules {
		r := &c.Rules[i]
		at := fmt.Sprintf("rules[%d]", i)
		r.validate(func(path, problem string) { report(at+"."+path, problem) })
		if r.Name == "" {
			continue
		}
		if first, twice := names[r.Name]; twice {
			report(at+".name", fmt.Sprintf("%q is also the name of rules[%d]; every rule needs its own", r.Name, first))
			continue
		}
		names[r.Name] = i
	}
}

func (d Defaults) validate(report func(path, problem string)) {
	if len(d.Notify) == 0 {
		report("notify", "must name at least one notifier; it hears of whatever no rule handles")
	}
	d.Group.validate("group.", report)
	words := make([]string, len(event.Severities))
	for i, s := range event.Severities {
		words[i] = s.String()
	}
	for _, name := range slices.Sorted(maps.Keys(d.Repeat)) {
		if !slices.Contains(words, name) {
			report("repeat."+name, fmt.Sprintf("no severity named %q", name)+
				orElse(suggest(name, words), "; use info, warning, error or critical"))
			continue
		}
		validSpan("repeat."+name, d.Repeat[name], report)
	}
	validSpan("stale_after", d.StaleAfter, report)
	validSpan("close_after", d.CloseAfter, report)
	above("reopen_within", d.ReopenWithin, report)
	if a := d.RetryingAlert; a != nil {
		a.validate(report)
	}
	if d.TimeZone == "Local" {
		report("time_zone", "must be a named zone, such as America/Chicago; Local differs by machine")
	} else if _, err := time.LoadLocation(d.TimeZone); err != nil {
		report("time_zone", fmt.Sprintf("no time zone named %q; use an IANA name such as America/Chicago, or UTC", d.TimeZone))
	}
	for i, host := range d.LinkHosts {
		if !hostName.MatchString(host) {
			report(fmt.Sprintf("link_hosts[%d]", i),
				fmt.Sprintf("must be a host name alone, such as console.datasync.com, without scheme, port, path or star (got %q)", host))
		}
	}
	d.validateSeverity(report)
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

func (d Defaults) validateSeverity(report func(path, problem string)) {
	for i, s := range d.Severity {
		at := fmt.Sprintf("severity[%d]", i)
		if s.Severity == 0 {
			report(at+".severity", "is missing; use info, warning, error or critical")
		}
		if len(s.Match) == 0 && i < len(d.Severity)-1 {
			report(at+".match", "matches everything, so no later entry is reached; move it to the end")
		}
	}
	if n := len(d.Severity); n == 0 || len(d.Severity[n-1].Match) > 0 {
		report("severity", "must end with a catch-all, such as {match: {}, severity: error}")
	}
}

func (a RetryingAlert) validate(report func(path, problem string)) {
	if a.Attempts < 0 {
		report("retrying_alert.attempts", fmt.Sprintf("must be above zero (got %d)", a.Attempts))
	}
	if a.After < 0 {
		report("retrying_alert.after", fmt.Sprintf("must be above zero (got %s)", a.After))
	}
	if a.Attempts == 0 && a.After == 0 {
		report("retrying_alert", "needs attempts, after or both, such as {attempts: 3, after: 30m}")
	}
}

func (g Group) validate(prefix string, report func(path, problem string)) {
	if g.By != nil && len(g.By) == 0 {
		report(prefix+"by", "is empty; name at least one path, or remove the key")
	}
	if g.Wait != nil && *g.Wait < 0 {
		report(prefix+"wait", fmt.Sprintf("must not be negative (got %s)", *g.Wait))
	}
	if g.ResolveWait != nil && *g.ResolveWait < 0 {
		report(prefix+"resolve_wait", fmt.Sprintf("must not be negative (got %s)", *g.ResolveWait))
	}
	if g.Interval != nil {
		above(prefix+"interval", *g.Interval, report)
	}
	if g.MaxMembers != nil && (*g.MaxMembers < 1 || *g.MaxMembers > MaxMaxMembers) {
		report(prefix+"max_members", fmt.Sprintf("must be between 1 and %d (got %d)", MaxMaxMembers, *g.MaxMembers))
	}
}

func (r *Rule) validate(report func(path, problem string)) {
	if strings.TrimSpace(r.Name) == "" {
		report("name", "is missing; the history names rules")
	}
	if r.Name == byDefaults {
		report("name", "is what the history calls defaults.notify; name the rule otherwise")
	}
	if r.Notify != nil && len(r.Notify) == 0 {
		report("notify", "is empty; name a notifier, or remove the key to add none")
	}
	if r.When != "" && strings.TrimSpace(r.When) == "" {
		report("when", "is blank; write a condition or remove the key")
	}
	r.Group.validate("group.", report)
	for k, step := range r.Escalate {
		at := fmt.Sprintf("escalate[%d].", k)
		above(at+"after", step.After, report)
		if step.Unless != unlessAcknowledged {
			report(at+"unless", fmt.Sprintf("must be acknowledged (got %q)", step.Unless))
		}
		if len(step.Notify) == 0 {
			report(at+"notify", "must name at least one notifier")
		}
	}
	if !r.Drop {
		return
	}
	if strings.TrimSpace(r.Why) == "" {
		report("why", "is missing; a rule that drops says why, and the history repeats it")
	}
	if len(r.Notify) > 0 {
		report("notify", "a rule that drops tells nobody; remove notify or drop")
	}
	if r.Copy {
		report("copy", "a rule that drops has nothing to copy; remove copy or drop")
	}
	if len(r.Escalate) > 0 {
		report("escalate", "a rule that drops tells nobody; remove escalate or drop")
	}
	if r.Remediate != "" {
		report("remediate", "a rule that drops repairs nothing; remove remediate or drop")
	}
}

func above(path string, d time.Duration, report func(path, problem string)) {
	if d <= 0 {
		report(path, fmt.Sprintf("must be above zero (got %s)", d))
	}
}

func validSpan(path string, s event.Span, report func(path, problem string)) {
	if d, ends := s.Ends(); ends && d <= 0 {
		report(path, fmt.Sprintf("must be above zero, or never (got %s)", d))
	}
}

// maxSubsets bounds the keys of a match that checkOrder looks at together.
const maxSubsets = 6

// checkOrder finds rules that are never reached: an earlier rule stops, has no
// condition, and asks for nothing that the later one does not ask for too.
func (c *compiler) checkOrder(rules []Rule) {
	stops := map[string]int{}
	for i := range rules {
		r := &rules[i]
		at := fmt.Sprintf("rules[%d]", i)
		keys := matchKeys(r.Match)
		if first, ok := earliestStop(stops, keys); ok {
			c.fault(at, fmt.Sprintf("is never reached: rules[%d] %q matches all that it would match, and stops; move it up or remove it",
				first, rules[first].Name))
		}
		ends := r.Stop || r.Drop
		if len(keys) == 0 && r.When == "" && !ends && i < len(rules)-1 {
			c.warn(at+".match", "matches every event; if that is meant, make it the last rule")
		}
		all := strings.Join(keys, "\n")
		if _, known := stops[all]; ends && r.When == "" && !known {
			stops[all] = i
		}
	}
}

// matchKeys spells each key of a match with its value, sorted.
func matchKeys(m Match) []string {
	keys := make([]string, 0, len(m))
	for _, path := range slices.Sorted(maps.Keys(m)) {
		value, err := json.Marshal(m[path])
		if err != nil {
			value = fmt.Append(nil, m[path])
		}
		keys = append(keys, path+"="+string(value))
	}
	return keys
}

// earliestStop finds the first rule that stops for a part of these keys.
func earliestStop(stops map[string]int, keys []string) (int, bool) {
	if len(stops) == 0 {
		return 0, false
	}
	first, found := 0, false
	try := func(part []string) {
		if i, ok := stops[strings.Join(part, "\n")]; ok && (!found || i < first) {
			first, found = i, true
		}
	}
	try(keys)
	if len(keys) > maxSubsets {
		try(nil)
		return first, found
	}
	for chosen := range 1 << len(keys) {
		part := make([]string, 0, len(keys))
		for k, key := range keys {
			if chosen>>k&1 == 1 {
				part = append(part, key)
			}
		}
		try(part)
	}
	return first, found
}
