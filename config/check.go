package config

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"datasync-bridge/datasync/remediation"
	"datasync-bridge/outbound"
	"datasync-bridge/receiver"
	"datasync-bridge/receiver/mapping"
	"datasync-bridge/routing"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web"
)

// fill lets each room put in what the file leaves out.
func (c *Config) fill() {
	c.Server = c.Server.WithDefaults()
	c.Admin = c.Admin.WithDefaults()
	c.Store = c.Store.WithDefaults()
	c.Datasync = c.Datasync.WithDefaults()
	c.Outbound = c.Outbound.WithDefaults()
	if c.Heartbeat != nil {
		*c.Heartbeat = c.Heartbeat.WithDefaults()
	}
	if t := c.Telemetry.Traces; t != nil {
		*t = t.WithDefaults()
	}
	for i := range c.Sources {
		c.Sources[i] = c.Sources[i].WithDefaults()
	}
	for i := range c.Notifiers {
		c.Notifiers[i].fill()
	}
	for i := range c.Remediations {
		c.Remediations[i] = c.Remediations[i].WithDefaults()
	}
	// A list of severities that the file leaves out stays out: routing has its
	// own then, and says so when it explains a decision.
	severity := c.Defaults.Severity
	filled := c.Routing().WithDefaults()
	c.Defaults, c.Rules = filled.Defaults, filled.Rules
	c.Defaults.Severity = severity
}

func (n *Notifier) fill() {
	if n.Slack != nil {
		*n.Slack = n.Slack.WithDefaults()
	}
	if n.PagerDuty != nil {
		*n.PagerDuty = n.PagerDuty.WithDefaults()
	}
	if n.Terminal != nil {
		*n.Terminal = n.Terminal.WithDefaults()
	}
	if n.Fallback != nil {
		*n.Fallback = n.Fallback.WithDefaults()
	}
	n.Retry = n.Retry.WithDefaults()
}

// check reports what the rooms find in their sections, then what only the
// whole can show.
func (c *Config) check(b *book) {
	below := func(base string) func(path, text string) {
		return func(path, text string) { b.problem(join(base, path), text, false) }
	}
	if c.Version != 1 {
		below("")("version", "must be 1, the only version there is")
	}
	c.Server.Validate(below("server"))
	c.Admin.Validate(below("admin"))
	c.Store.Validate(below("store"))
	c.Datasync.Validate(below("datasync"))
	c.Outbound.Validate(below("outbound"))
	if c.Heartbeat != nil {
		c.Heartbeat.Validate(below("heartbeat"))
	}
	if t := c.Telemetry.Traces; t != nil {
		t.Validate(below("telemetry.traces"))
	}
	if c.Admin.Listen == c.Server.Listen && !strings.HasSuffix(c.Admin.Listen, ":0") {
		below("")("admin.listen", "is also server.listen; give the admin listener an address of its own")
	}
	c.checkSources(b, below)
	c.checkRedact(below("store"))
	c.checkNotifiers(b, below)
	c.checkReconcile(below)
	c.checkRemediations(b)
	c.checkApprovers(below)
	c.checkRouting(b)
}

func (c *Config) checkSources(b *book, below func(string) func(path, text string)) {
	receiver.ValidateSources(c.Sources, below("sources"))
	for i := range c.Sources {
		s := &c.Sources[i]
		at := fmt.Sprintf("sources[%d]", i)
		s.Validate(below(at))
		if s.Verify == nil {
			continue
		}
		if slices.Contains(s.Verify.Signed, "{url}") && s.Verify.URL == "" && c.Server.PublicURL == "" {
			below(at)("verify.signed", "holds {url}: set verify.url, or server.public_url as the sender calls it")
		}
		s.Verify.Warnings(time.Now(), func(path, text string) { b.problem(join(at+".verify", path), text, true) })
	}
}

// checkRedact refuses paths that would leave events without their type.
func (c *Config) checkRedact(report func(path, text string)) {
	for i, text := range c.Store.Redact {
		at := fmt.Sprintf("redact[%d]", i)
		if _, err := mapping.ParsePath(text); err != nil {
			report(at, err.Error())
			continue
		}
		for k := range c.Sources {
			if found := c.Sources[k].Mapping.TypeCovered(text); found != "" {
				report(at, fmt.Sprintf("%q would blank %s, where source %q looks for an event's type; name what is below it", text, found, c.Sources[k].Name))
				break
			}
		}
	}
}

func (c *Config) checkRemediations(b *book) {
	_, problems := remediation.Compile(c.Remediations, remediation.Options{
		Environment: c.Datasync.Environment, Configured: c.Datasync.Configured(), CanRead: true,
		ConfigHash: c.Hash, Calendars: c.CalendarNames(),
	})
	for _, p := range problems {
		b.problem(p.Path, p.Text, false)
	}
}

// CalendarNames lists the calendars in file order.
func (c *Config) CalendarNames() []string {
	names := make([]string, len(c.Calendars))
	for i := range c.Calendars {
		names[i] = c.Calendars[i].Name
	}
	return names
}

// checkReconcile sees to it that what polling finds belongs to a source: its
// events are told and grouped as that source's.
func (c *Config) checkReconcile(below func(string) func(path, text string)) {
	if c.Datasync.Enrich != nil && c.ReminderSource() == "" {
		below("datasync")("enrich", fmt.Sprintf("no source is of environment %s, which datasync.environment names", c.Datasync.Environment))
	}
	if c.Datasync.Reconcile == nil {
		return
	}
	report := below("datasync.reconcile")
	switch name := c.PolledSource(); {
	case name == "" && c.Datasync.Reconcile.Source == "":
		report("", fmt.Sprintf("needs source: the name of one of the sources of environment %s that polling stands in for", c.Datasync.Environment))
	case name == "":
		report("source", fmt.Sprintf("no source of environment %s is named %q", c.Datasync.Environment, c.Datasync.Reconcile.Source)+
			suggest(c.Datasync.Reconcile.Source, c.sourceNames()))
	}
}

// PolledSource is the source whose events polling stands in for: the one that
// is named, else the only one of the API client's environment; "" for none.
func (c *Config) PolledSource() string {
	wanted := ""
	if c.Datasync.Reconcile != nil {
		wanted = c.Datasync.Reconcile.Source
	}
	found := ""
	for i := range c.Sources {
		s := &c.Sources[i]
		switch {
		case s.Environment != c.Datasync.Environment:
		case wanted == s.Name && wanted != "":
			return s.Name
		case wanted == "" && found != "":
			return "" // which one, the operator must say
		case wanted == "":
			found = s.Name
		}
	}
	return found
}

// ReminderSource is the source whose events reminders of certificates are: the
// polled one, else the first of the API client's environment.
func (c *Config) ReminderSource() string {
	if name := c.PolledSource(); name != "" {
		return name
	}
	for i := range c.Sources {
		if c.Sources[i].Environment == c.Datasync.Environment {
			return c.Sources[i].Name
		}
	}
	return ""
}

func (c *Config) sourceNames() []string {
	names := make([]string, 0, len(c.Sources))
	for i := range c.Sources {
		names = append(names, c.Sources[i].Name)
	}
	slices.Sort(names)
	return names
}

// checkApprovers refuses an approver whom nobody could ever be: a name without
// an account that may approve.
func (c *Config) checkApprovers(below func(string) func(path, text string)) {
	mayApprove := map[string]bool{}
	for _, u := range c.Admin.Users {
		mayApprove[u.Name] = slices.Contains(u.Roles, web.Approve)
	}
	for i := range c.Remediations {
		for k, name := range c.Remediations[i].Approve.By {
			may, known := mayApprove[name]
			report := below(fmt.Sprintf("remediations[%d].approve", i))
			at := fmt.Sprintf("by[%d]", k)
			switch {
			case strings.HasPrefix(name, web.LocalPrefix):
				if len(c.Admin.Users) > 0 {
					report(at, fmt.Sprintf("%q is a user of this machine, who has no account once admin.users names some", name))
				}
			case !known:
				report(at, fmt.Sprintf("no admin user is named %q", name)+suggest(name, slices.Sorted(maps.Keys(mayApprove)))+
					"; without admin.users an approver is local: and the name of the user of this machine, such as local:root")
			case !may:
				report(at, fmt.Sprintf("admin user %q lacks the role approve", name))
			}
		}
	}
}

// nameForm is what a name may look like: it stands in records and metrics.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (c *Config) checkNotifiers(b *book, below func(string) func(path, text string)) {
	if len(c.Notifiers) == 0 {
		below("")("notifiers", "is missing; name at least one, such as {name: screen, terminal: {}}")
	}
	first := map[string]int{}
	for i := range c.Notifiers {
		n := &c.Notifiers[i]
		at := fmt.Sprintf("notifiers[%d]", i)
		report := below(at)
		earlier, taken := first[n.Name]
		switch {
		case n.Name == "":
			report("name", "is missing; rules name notifiers by it")
		case !nameForm.MatchString(n.Name):
			report("name", "must be letters, digits, dots, hyphens and underscores, at most 64")
		case taken:
			report("name", fmt.Sprintf("%q is also the name of notifiers[%d]; every notifier needs its own", n.Name, earlier))
		default:
			first[n.Name] = i
		}
		n.checkMedium(b, at, report)
		n.checkAddresses(report)
		n.Retry.Validate(below(at + ".retry"))
		if n.Fallback != nil {
			n.Fallback.Validate(below(at + ".fallback"))
		}
	}
	for i := range c.Notifiers {
		if n := &c.Notifiers[i]; n.Fallback != nil && n.Fallback.To != "" {
			if text := c.fallbackProblem(n); text != "" {
				below(fmt.Sprintf("notifiers[%d].fallback", i))("to", text)
			}
		}
	}
}

func (n *Notifier) checkMedium(b *book, at string, report func(path, text string)) {
	media := 0
	medium := func(key string, set bool, validate func(func(path, text string))) {
		// A block that could not be read is one all the same.
		if b.bad[join(at, key)] {
			media++
		} else if set {
			media++
			validate(func(path, text string) { report(join(key, path), text) })
		}
	}
	medium("slack", n.Slack != nil, func(r func(path, text string)) { n.Slack.Validate(r) })
	medium("pagerduty", n.PagerDuty != nil, func(r func(path, text string)) { n.PagerDuty.Validate(r) })
	medium("terminal", n.Terminal != nil, func(r func(path, text string)) { n.Terminal.Validate(r) })
	if media != 1 {
		report("", fmt.Sprintf("must have exactly one of slack, pagerduty, terminal (has %d)", media))
	}
}

// checkAddresses refuses at load what no call would be made to. The problem
// names the host alone: a webhook's path is a secret.
func (n *Notifier) checkAddresses(report func(path, text string)) {
	check := func(path, address string) {
		// The medium has judged the rest; plain http is for loopback there too.
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" {
			return
		}
		if err := outbound.Allowed(u); errors.Is(err, outbound.ErrRefused) {
			report(path, err.Error())
		}
	}
	if n.Slack != nil {
		check("slack.api_url", n.Slack.APIURL)
		check("slack.webhook_url", n.Slack.WebhookURL.Reveal())
	}
	if n.PagerDuty != nil {
		check("pagerduty.events_url", n.PagerDuty.EventsURL)
	}
}

// fallbackProblem says what keeps a notifier's fallback from working, "" for
// nothing. It must not page, because it also stands in for the pager in a
// sandbox; and it has no fallback itself, so that nothing goes in circles.
func (c *Config) fallbackProblem(n *Notifier) string {
	traits := c.NotifierTraits()
	to, ok := traits[n.Fallback.To]
	switch {
	case !ok:
		return fmt.Sprintf("no notifier named %q", n.Fallback.To) + suggest(n.Fallback.To, slices.Sorted(maps.Keys(traits)))
	case to.Name == n.Name:
		return "names the notifier itself; name another one"
	case to.Pager:
		return fmt.Sprintf("%q is a pager; name one that only posts, such as a Slack channel", to.Name)
	case to.FallbackTo != "":
		return fmt.Sprintf("%q has a fallback itself; fallbacks do not chain", to.Name)
	case to.Retired:
		return fmt.Sprintf("%q is retired and gets nothing new; name another one", to.Name)
	}
	return ""
}

// NotifierTraits is what planning and rules must know of each notifier.
func (c *Config) NotifierTraits() map[string]incident.Notifier {
	traits := make(map[string]incident.Notifier, len(c.Notifiers))
	for i := range c.Notifiers {
		n := &c.Notifiers[i]
		t := incident.Notifier{Name: n.Name}
		switch {
		case n.Slack != nil:
			t = n.Slack.Traits(n.Name)
		case n.PagerDuty != nil:
			t = n.PagerDuty.Traits(n.Name)
		case n.Terminal != nil:
			t = n.Terminal.Traits(n.Name)
		}
		if n.Fallback != nil {
			t.FallbackTo, t.FallbackAfter = n.Fallback.To, n.Fallback.After
		}
		t.Retired = n.Retired
		if _, taken := traits[n.Name]; !taken {
			traits[n.Name] = t
		}
	}
	return traits
}

// Names is what rules may refer to.
func (c *Config) Names() routing.Names {
	names := routing.Names{
		Notifiers:    c.NotifierTraits(),
		Remediations: make(map[string]bool, len(c.Remediations)),
		Aliases:      map[string]string{},
		Hash:         c.Hash,
	}
	for i := range c.Remediations {
		names.Remediations[c.Remediations[i].Name] = true
	}
	for i := range c.Sources {
		m, err := mapping.New(c.Sources[i].Mapping)
		if err != nil {
			continue // its faults are reported with its source
		}
		names.Types = append(names.Types, m.Types()...)
		// Where sources differ, the first one's word stands.
		aliases := m.Aliases()
		maps.Copy(aliases, names.Aliases)
		names.Aliases = aliases
	}
	slices.Sort(names.Types)
	names.Types = slices.Compact(names.Types)
	return names
}

func (c *Config) checkRouting(b *book) {
	_, problems := routing.Compile(c.Routing(), c.Names())
	for _, p := range problems {
		if p.Line > 0 {
			b.inText(p)
			continue
		}
		b.problem(p.Path, p.Text, p.Warning)
	}
}

// inText reports a problem inside a condition at its own line and column.
func (b *book) inText(p routing.Problem) {
	start, ok := b.texts[p.Path]
	if !ok || b.bad[p.Path] {
		b.problem(p.Path, p.Text, p.Warning)
		return
	}
	at := place{start.file, start.line + p.Line - 1, p.Col}
	if p.Line == 1 || b.blocks[p.Path] { // else it begins after what stands before the text, and goes on anywhere
		at.col += start.col - 1
	}
	b.push(Fault{
		File: at.file, Line: at.line, Col: at.col, Path: p.Path, Text: strings.TrimSpace(p.Text), Warning: p.Warning,
		Excerpt: b.excerpt(at.line, at.col),
	})
}
