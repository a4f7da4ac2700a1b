package routing

import (
	"maps"
	"slices"
	"time"

	"datasync-bridge/event"
)

// What holds where the configuration is silent.
const (
	DefaultStaleAfter    = 12 * time.Hour
	DefaultCloseAfter    = 72 * time.Hour
	DefaultReopenWithin  = 30 * time.Minute
	DefaultGroupInterval = time.Hour
	DefaultMaxMembers    = 20

	// MaxMaxMembers is the most that group.max_members may list.
	MaxMaxMembers = 100
)

// DefaultRepeat reminds by severity.
func DefaultRepeat() Repeat {
	return Repeat{
		event.Critical.String(): event.Span(time.Hour),
		event.Error.String():    event.Span(4 * time.Hour),
		event.Warning.String():  event.Span(24 * time.Hour),
		event.Info.String():     event.Never,
	}
}

// Event types whose severity is not the catch-all's.
const (
	typeRetrying = "transaction.retrying"
	typeFailed   = "transaction.failed"
	typeExpiring = "partner.certificate_expiring"
)

// DefaultSeverity is the list that holds without defaults.severity: the event
// catalogue's column. Line is 0 throughout.
func DefaultSeverity() []SeverityRule {
	types := func(names ...string) Match {
		list := make([]any, len(names))
		for i, n := range names {
			list[i] = n
		}
		return Match{"type": list}
	}
	expiring := func(days int) Match {
		return Match{"type": typeExpiring, event.DaysRemaining: map[string]any{"lte": days}}
	}
	return []SeverityRule{
		{Match: types("sla.violated", "partner.certificate_expired"), Severity: event.Critical},
		{Match: expiring(3), Severity: event.Error},
		{Match: expiring(14), Severity: event.Warning},
		{Match: types(typeExpiring, typeRetrying), Severity: event.Info},
		{Match: types("mdn.timeout", "acknowledgment.overdue", "automation.failed"), Severity: event.Warning},
		{Match: types(
			typeFailed, "transaction.rejected", "mdn.failed", "sla.warning", "partner.connection_failed",
		), Severity: event.Error},
		{Match: types("bridge.signatures_failing", "bridge.queue_old", "bridge.config_rejected"), Severity: event.Warning},
		{Match: types(
			"bridge.webhooks_quiet", "bridge.delivery_dead", "bridge.store_degraded", "bridge.mapping_broken",
		), Severity: event.Error},
		{Match: types(
			"transaction.cleared", "bridge.webhooks_resumed", "bridge.signatures_verified",
		), Severity: event.Info},
		{Match: types(
			"transaction.delivered", "acknowledgment.received", "mdn.received",
			"partner.certificate_updated", "partner.connection_restored",
			"automation.completed", "webhook.test",
		), Severity: event.Info},
		{Match: Match{}, Severity: event.Error},
	}
}

// WithDefaults returns the configuration with every gap filled. The lists and
// maps that it was called on are left alone.
func (c Config) WithDefaults() Config {
	d := c.Defaults
	if d.StaleAfter == 0 {
		d.StaleAfter = event.Span(DefaultStaleAfter)
	}
	if d.CloseAfter == 0 {
		d.CloseAfter = event.Span(DefaultCloseAfter)
	}
	if d.ReopenWithin == 0 {
		d.ReopenWithin = DefaultReopenWithin
	}
	if d.TimeZone == "" {
		d.TimeZone = "UTC"
	}
	if d.Severity == nil {
		d.Severity = DefaultSeverity()
	}
	repeat := DefaultRepeat()
	maps.Copy(repeat, d.Repeat)
	d.Repeat = repeat
	d.Group = d.Group.or(Group{
		Wait: new(time.Duration), Interval: new(DefaultGroupInterval),
		ResolveWait: new(time.Duration), MaxMembers: new(DefaultMaxMembers),
	})
	c.Defaults = d
	c.Rules = slices.Clone(c.Rules)
	for i := range c.Rules {
		c.Rules[i].Escalate = slices.Clone(c.Rules[i].Escalate)
		for k := range c.Rules[i].Escalate {
			if step := &c.Rules[i].Escalate[k]; step.Unless == "" {
				step.Unless = unlessAcknowledged
			}
		}
	}
	return c
}

// unlessAcknowledged is the one reason for which an escalation is called off.
const unlessAcknowledged = "acknowledged"

// or fills each key that g leaves open from other.
func (g Group) or(other Group) Group {
	if g.By == nil {
		g.By = other.By
	}
	if g.Wait == nil {
		g.Wait = other.Wait
	}
	if g.Interval == nil {
		g.Interval = other.Interval
	}
	if g.ResolveWait == nil {
		g.ResolveWait = other.ResolveWait
	}
	if g.MaxMembers == nil {
		g.MaxMembers = other.MaxMembers
	}
	return g
}
