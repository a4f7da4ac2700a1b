package script

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// duplicate is the outcome of an event that the store has already.
const duplicate = "duplicate"

var (
	outcomes = texts(incident.Opened, incident.Joined, incident.Raised, incident.Reopened, incident.Confirmed,
		incident.Refined, incident.Settled, incident.Unfitting, incident.Notified, incident.Ignored,
		incident.DroppedBy, incident.Outdated, incident.OldNews, duplicate)
	effects = texts(event.Open, event.Settle, event.Note, event.None)
	classes = texts(append(slices.Clone(event.Categories), event.MDNTimeout, event.MDNNegative, event.FunctionalReject,
		event.AckOverdue, event.SLA, event.AutomationFault, event.QuarantineClass, event.UnknownClass, event.BridgeClass)...)
	kinds = texts(incident.Opening, incident.Alarm, incident.Reopening, incident.Fallback, incident.Resolve, incident.Update,
		incident.Reminder, incident.Acknowledged, incident.Escalated, incident.RunResult, incident.ApprovalAsk,
		incident.Counted, incident.Noticed, incident.DigestTold)
	// toPagers are the kinds that a pager is told; of all others to expect that
	// it is not is to expect nothing.
	toPagers = texts(incident.Opening, incident.Alarm, incident.Reopening, incident.Resolve, incident.Acknowledged)
	holds    = texts(incident.HeldBySilence, incident.HeldByCause, incident.HeldByWindow, incident.HeldByDigest)
	runs     = texts(incident.RunProposed, incident.RunAwaiting, incident.RunQueued, incident.RunStarted, incident.RunDone,
		incident.RunFailed, incident.RunRefused, incident.RunUnknown, incident.RunDry)
	states      = []string{string(incident.Open), acknowledged, string(incident.Resolved)}
	resolutions = texts(incident.Recovered, incident.Unconfirmed, incident.Manual)
)

// acknowledged is the state of an open incident that somebody took.
const acknowledged = "acknowledged"

func texts[T ~string](words ...T) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = string(w)
	}
	return list
}

// expect checks one expectation; happens says that an event precedes it.
func (c *checker) expect(e *Expect, path string, happens bool) {
	about := map[string]bool{
		"outcome": e.Outcome != "", "type": e.Type != "", "effect": e.Effect != "", "class": e.Class != "",
		"severity": e.Severity != 0, "rules": e.Rules != nil, "notifiers": e.Notifiers != nil, "why": e.Why != "", "held": e.Held != nil,
		"not.rules": e.Not != nil && e.Not.Rules != nil, "not.notifiers": e.Not != nil && e.Not.Notifiers != nil,
	}
	some := e.Messages != nil || e.Sent != nil || e.Pages != nil || e.NothingSent != nil || e.Open != nil || e.Resolved != nil ||
		e.Incidents != nil || e.Runs != nil || e.Not != nil
	for _, key := range slices.Sorted(maps.Keys(about)) {
		some = some || about[key]
		if about[key] && !happens {
			c.report(path+"."+key, "is about an event, and there is none here")
		}
	}
	if !some {
		c.report(path, "expects nothing, so it can never fail; remove it, or say what must be so")
	}
	c.words(e, path)
	c.names(path+".rules", "rule", e.Rules, c.world.Rules)
	c.names(path+".notifiers", "notifier", e.Notifiers, c.notifiers())
	c.sent(e, path)
	for i, m := range e.Messages {
		c.message(m, fmt.Sprintf("%s.messages[%d]", path, i), false)
	}
	for i, inc := range e.Incidents {
		c.incident(inc, fmt.Sprintf("%s.incidents[%d]", path, i))
	}
	for i, r := range e.Runs {
		c.run(r, fmt.Sprintf("%s.runs[%d]", path, i))
	}
	if e.Not != nil {
		c.not(e.Not, path+".not")
	}
}

func (c *checker) words(e *Expect, path string) {
	c.oneOf(path+".outcome", "outcome", e.Outcome, outcomes)
	c.oneOf(path+".effect", "effect", e.Effect, effects)
	c.oneOf(path+".class", "class", e.Class, classes)
	c.held(path+".held", e.Held)
}

func (c *checker) held(path string, held map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(held)) {
		c.names(path+"."+name, "notifier", []string{name}, c.notifiers())
		c.oneOf(path+"."+name, "hold", held[name], holds)
	}
}

// sent checks the counts of what was sent.
func (c *checker) sent(e *Expect, path string) {
	switch {
	case e.NothingSent == nil:
	case !*e.NothingSent:
		c.report(path+".nothing_sent", "is true or left out; what must be sent stands under sent or messages")
	case e.Messages != nil || e.Sent != nil || e.Pages != nil:
		c.report(path+".nothing_sent", "says all there is to say of messages; remove messages, sent and pages beside it")
	}
	for key, n := range map[string]*int{"pages": e.Pages, "open": e.Open, "resolved": e.Resolved} {
		if n != nil && *n < 0 {
			c.report(path+"."+key, "must be 0 or more")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Sent)) {
		c.names(path+".sent."+name, "notifier", []string{name}, c.notifiers())
		if e.Sent[name] < 0 {
			c.report(path+".sent."+name, "must be 0 or more")
		}
	}
	if e.Sent != nil && len(e.Sent) == 0 {
		c.report(path+".sent", "is empty, so it can never fail; name a notifier, such as {edi-slack: 1}")
	}
}

func (c *checker) message(m Message, path string, not bool) {
	if m.To != "" {
		c.names(path+".to", "notifier", []string{m.To}, c.notifiers())
	}
	c.oneOf(path+".kind", "kind of message", m.Kind, kinds)
	c.texts(path+".text", m.Text)
	c.texts(path+".without", m.Without)
	empty := m.To == "" && m.Kind == "" && len(m.Text)+len(m.Without) == 0
	switch {
	case empty && not:
		c.report(path, "says nothing; nothing_sent: true is what it would mean")
	case empty:
		c.report(path, "says nothing of the message; name to, kind, text or without")
	case m.Kind != "" && c.world.Notifiers[m.To].Pager && !slices.Contains(toPagers, m.Kind):
		c.report(path, "%s is a pager, which is never told a message of kind %s: this can never %s", m.To, m.Kind,
			map[bool]string{true: "fail", false: "hold"}[not])
	}
	if not && len(m.Without) > 0 {
		c.report(path+".without", "is a not inside a not; say text")
	}
}

// texts refuses what stands in every message.
func (c *checker) texts(path string, texts Texts) {
	for i, text := range texts {
		if strings.Trim(text, "*") == "" {
			c.report(fmt.Sprintf("%s[%d]", path, i), "stands in every message; say what must stand in this one")
		}
	}
}

func (c *checker) incident(i Incident, path string) {
	c.oneOf(path+".state", "state", i.State, states)
	c.oneOf(path+".class", "class", i.Class, classes)
	c.oneOf(path+".resolution", "resolution", i.Resolution, resolutions)
	c.oneOf(path+".environment", "environment", i.Environment, texts(event.Production, event.Sandbox))
	c.held(path+".held", i.Held)
}

func (c *checker) run(r Run, path string) {
	if r.Remediation != "" {
		c.names(path+".remediation", "remediation", []string{r.Remediation}, c.world.Remediations)
	}
	c.oneOf(path+".state", "state of a run", r.State, runs)
}

func (c *checker) not(n *Not, path string) {
	empty := len(n.Rules)+len(n.Notifiers)+len(n.Messages)+len(n.Runs) == 0
	if empty {
		c.report(path, "names nothing, so it can never fail")
	}
	c.names(path+".rules", "rule", n.Rules, c.world.Rules)
	c.names(path+".notifiers", "notifier", n.Notifiers, c.notifiers())
	for i, m := range n.Messages {
		c.message(m, fmt.Sprintf("%s.messages[%d]", path, i), true)
	}
	for i, r := range n.Runs {
		c.run(r, fmt.Sprintf("%s.runs[%d]", path, i))
	}
}

// names refuses names that the configuration does not have: nothing ever has
// them, so to expect that it has not can never fail.
func (c *checker) names(path, what string, names, known []string) {
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", path, i)
		if slices.Contains(names[:i], name) {
			c.report(at, "%q stands here twice", name)
		}
		if !slices.Contains(known, name) {
			c.report(at, "no %s is named %q%s", what, name, config.Suggest(name, known))
		}
	}
}

func (c *checker) notifiers() []string { return slices.Sorted(maps.Keys(c.world.Notifiers)) }
