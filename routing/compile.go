package routing

import (
	"fmt"
	"slices"
	"time"

	"datasync-bridge/routing/incident"
)

// Names are what rules may refer to.
type Names struct {
	Notifiers    map[string]incident.Notifier
	Remediations map[string]bool
	// Aliases are alias → canonical type, Types the canonical ones.
	Aliases map[string]string
	Types   []string
	// Hash is the configuration's, recorded with every decision.
	Hash string
}

// Table is a compiled configuration. It never changes, so any number of
// goroutines may ask it.
type Table struct {
	names    Names
	defaults Defaults
	// builtIn reports that defaults.severity is the list of this package.
	builtIn bool
	// quietDefaults are those of defaults.notify that wake nobody.
	quietDefaults []string
	// paths are all that conditions look at; conditions know them by number.
	paths         []string
	rules         []rule
	ruleIndex     index
	severity      []severityRule
	severityFrom  []string
	severityIndex index
	inhibits      []inhibit
	silences      []incident.Silence
	calendars     map[string]incident.Calendar
	digests       map[string]incident.Schedule
	// words are the templates of rules and of the defaults, by name.
	words map[string]*words
}

// rule is a compiled rule with what it was written as.
type rule struct {
	Rule
	conditions []condition
	// when is nil where the rule has none.
	when *whenCondition
	// window is nil where it may tell its notifiers at any time.
	window *incident.Window
	// words are nil where it has no template.
	words *words
	// label is the rule as reasons call it: `rule "x" (line 63)`.
	label string
}

type severityRule struct {
	SeverityRule
	conditions []condition
}

// compiler gathers problems and the paths that conditions look at.
type compiler struct {
	names    Names
	zone     *time.Location
	slots    map[string]int
	paths    []string
	problems []Problem
}

func (c *compiler) fault(path, text string) {
	c.problems = append(c.problems, Problem{Path: path, Text: text})
}

func (c *compiler) warn(path, text string) {
	c.problems = append(c.problems, Problem{Path: path, Text: text, Warning: true})
}

// slot returns the number of a path.
func (c *compiler) slot(path string) int {
	n, ok := c.slots[path]
	if !ok {
		n = len(c.paths)
		c.slots[path] = n
		c.paths = append(c.paths, path)
	}
	return n
}

// Compile turns a configuration into a Table, or tells all that is wrong with
// it. The Table is nil if a problem is no Warning.
// Gaps are filled by WithDefaults, and Validate is called, so callers need not.
func Compile(cfg Config, names Names) (*Table, []Problem) {
	c := &compiler{names: names, slots: map[string]int{}}
	t := &Table{names: names, builtIn: cfg.Defaults.Severity == nil}
	cfg = cfg.WithDefaults()
	t.defaults = cfg.Defaults
	c.zone = zoneOf(cfg.Defaults)

	cfg.Validate(c.fault)
	c.checkDefaults(cfg.Defaults)
	before := len(c.problems)
	conditions := make([][]condition, 0, max(len(cfg.Rules), len(cfg.Defaults.Severity)))
	for i, s := range cfg.Defaults.Severity {
		m := matchCompiler{compiler: c, noSeverity: true}
		s := severityRule{s, m.compile(fmt.Sprintf("defaults.severity[%d].match", i), s.Match)}
		t.severity = append(t.severity, s)
		conditions = append(conditions, s.conditions)
	}
	if t.builtIn {
		// A mapping need not list all types of the built-in list, and nobody
		// could correct a spelling there.
		c.problems = c.problems[:before]
	}
	t.severityIndex = newIndex(conditions)
	for i := range t.severity {
		t.severityFrom = append(t.severityFrom, t.severityName(i))
	}

	c.hours(cfg, t)
	t.silences = c.fileSilences(cfg.Silences)
	t.words = map[string]*words{byDefaults: c.words("defaults", cfg.Defaults.Title, cfg.Defaults.Text, cfg.Defaults.Fields)}
	conditions = conditions[:0]
	for i := range cfg.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		r := c.rule(at, cfg, cfg.Rules[i])
		r.window = c.window(at, t, cfg.Rules[i])
		if r.words = c.words(at, r.Title, r.Text, r.Fields); r.words != nil {
			t.words[r.Name] = r.words
		}
		t.rules = append(t.rules, r)
		conditions = append(conditions, r.conditions)
	}
	c.checkOrder(cfg.Rules)
	t.inhibits = c.inhibits(cfg.Inhibit)
	if hasFault(c.problems) {
		return nil, c.problems
	}
	t.ruleIndex = newIndex(conditions)
	t.paths = c.paths
	t.quietDefaults = slices.DeleteFunc(slices.Clone(cfg.Defaults.Notify), func(name string) bool {
		return names.Notifiers[name].Pager
	})
	return t, c.problems
}

func (c *compiler) rule(at string, cfg Config, r Rule) rule {
	compiled := rule{Rule: r, label: label(r), conditions: matchCompiler{compiler: c}.compile(at+".match", r.Match)}
	if r.When != "" {
		compiled.when = c.when(at+".when", r.When)
	}
	c.checkNotifiers(at+".notify", r.Notify)
	if r.Copy && len(r.Notify) == 0 {
		c.warn(at+".copy", "copies to nobody, because the rule has no notify")
	}
	told := r.Notify
	if r.Notify == nil {
		told = cfg.Defaults.Notify
	}
	c.checkEscalate(at, told, r.Escalate)
	c.checkPaths(at+".group.by", r.Group.By)
	if r.Remediate != "" && !c.names.Remediations[r.Remediate] {
		known := make([]string, 0, len(c.names.Remediations))
		for name := range c.names.Remediations {
			known = append(known, name)
		}
		slices.Sort(known)
		c.fault(at+".remediate", fmt.Sprintf("no remediation named %q", r.Remediate)+
			orElse(suggest(r.Remediate, known), "; define it under remediations"))
	}
	return compiled
}

// checkDefaults checks what only the known names can tell.
func (c *compiler) checkDefaults(d Defaults) {
	c.checkNotifiers("defaults.notify", d.Notify)
	c.checkPaths("defaults.group.by", d.Group.By)
	quiet := slices.ContainsFunc(d.Notify, func(name string) bool {
		n := c.names.Notifiers[name]
		return !n.Pager || c.quietFallback(n)
	})
	if len(d.Notify) > 0 && !quiet {
		c.warn("defaults.notify", "names pagers only; notes, sandbox events and events of unauthenticated "+
			"sources never page, so nobody is told of them: add a notifier that does not page")
	}
}

func (c *compiler) quietFallback(n incident.Notifier) bool {
	f, ok := c.names.Notifiers[n.FallbackTo]
	return ok && !f.Pager && !f.Retired
}

func (c *compiler) checkNotifiers(at string, names []string) {
	for i, name := range names {
		here := fmt.Sprintf("%s[%d]", at, i)
		n, ok := c.names.Notifiers[name]
		switch {
		case !ok:
			c.fault(here, fmt.Sprintf("no notifier named %q", name)+
				orElse(suggest(name, c.notifierNames()), "; define it under notifiers"))
		case n.Retired:
			c.fault(here, fmt.Sprintf("notifier %q is retired: it ends what is open and gets nothing new; remove it here", name))
		case slices.Contains(names[:i], name):
			c.warn(here, fmt.Sprintf("names %q twice; it is told once", name))
		}
	}
}

func (c *compiler) notifierNames() []string {
	names := make([]string, 0, len(c.names.Notifiers))
	for name := range c.names.Notifiers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (c *compiler) checkEscalate(at string, told []string, steps []Escalate) {
	told = slices.Clone(told)
	for k, step := range steps {
		here := fmt.Sprintf("%s.escalate[%d].notify", at, k)
		c.checkNotifiers(here, step.Notify)
		for i, name := range step.Notify {
			if slices.Contains(told, name) {
				c.fault(fmt.Sprintf("%s[%d]", here, i),
					fmt.Sprintf("%q is already told by then; escalate to someone else", name))
			}
		}
		told = append(told, step.Notify...)
	}
}

func (c *compiler) checkPaths(at string, paths []string) {
	for i, path := range paths {
		here := fmt.Sprintf("%s[%d]", at, i)
		if c.path(here, path) && slices.Contains(paths[:i], path) {
			c.warn(here, fmt.Sprintf("names %q twice", path))
		}
	}
}

// severityName is what SeverityFrom says of entry i of the list.
func (t *Table) severityName(i int) string {
	name := fmt.Sprintf("defaults.severity[%d]", i)
	switch line := t.severity[i].Line; {
	case t.builtIn:
		return name + " (built in)"
	case line > 0:
		return fmt.Sprintf("%s (line %d)", name, line)
	}
	return name
}

func (r *rule) String() string { return r.label }

func label(r Rule) string {
	if r.Line > 0 {
		return fmt.Sprintf("rule %q (line %d)", r.Name, r.Line)
	}
	return fmt.Sprintf("rule %q", r.Name)
}
