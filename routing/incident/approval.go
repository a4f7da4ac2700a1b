package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// maxAwaited bounds the ids that one request lists.
	maxAwaited = 50
	// maxApprovers bounds the names that a request prints.
	maxApprovers = 10
)

// request returns the incident's one request for a remediation, nil for none.
func (i *Incident) request(remediation string) *AwaitedRuns {
	for k := range i.Awaiting {
		if i.Awaiting[k].Remediation == remediation {
			return &i.Awaiting[k]
		}
	}
	return nil
}

// awaits reports whether a person was asked about the run already.
func (i *Incident) awaits(run Run) bool {
	entry := i.request(run.Remediation)
	return entry != nil && slices.Contains(entry.Runs, run.ID)
}

// ask puts a run to whoever may approve it. The first of a remediation is a
// message that people see; those after it stand in the list that it points to.
func (c *change) ask(run Run) {
	text := c.question(run)
	c.say("approval", "approval is needed for "+strings.ReplaceAll(text, "\n", " · "))
	c.timeline[len(c.timeline)-1].Run = run.ID
	if c.inc.State != Open {
		return
	}
	c.overtaken(run)
	if first := c.await(run); first {
		for i := range c.inc.Told {
			t := &c.inc.Told[i]
			if c.live(t.Notifier) && !c.m.Notifiers[t.Notifier].Pager && t.Alarms > 0 && !t.Over && c.may(t) {
				c.queue(t, ApprovalAsk, t.Alarms, text)
			}
		}
	}
	c.editAll()
}

// await adds the run to its request, and reports whether that is new.
func (c *change) await(run Run) (first bool) {
	entry := c.inc.request(run.Remediation)
	if first = entry == nil; first {
		c.inc.Awaiting = append(c.inc.Awaiting, AwaitedRuns{Remediation: run.Remediation, Workflow: run.name()})
		entry = &c.inc.Awaiting[len(c.inc.Awaiting)-1]
	}
	if len(entry.Runs) >= maxAwaited {
		entry.More++
	} else {
		entry.Runs = append(slices.Clip(entry.Runs), run.ID)
		entry.Until = append(slices.Clip(entry.Until), run.Approval.Expires)
	}
	if sooner(run.Approval.Expires, entry.Expires) {
		entry.Expires = run.Approval.Expires
	}
	return first
}

// answered takes a run that no longer waits off its request, and reports
// whether it was on one.
func (c *change) answered(run Run) bool {
	entry := c.inc.request(run.Remediation)
	if entry == nil {
		return false
	}
	switch i := slices.Index(entry.Runs, run.ID); {
	case i >= 0:
		entry.Runs = slices.Delete(slices.Clone(entry.Runs), i, i+1)
		if i < len(entry.Until) {
			entry.Until = slices.Delete(slices.Clone(entry.Until), i, i+1)
		}
	case entry.More > 0 && justEnded(run):
		entry.More--
	default:
		return false
	}
	entry.Expires = time.Time{}
	for _, t := range entry.Until {
		if sooner(t, entry.Expires) {
			entry.Expires = t
		}
	}
	if len(entry.Runs) == 0 && entry.More <= 0 {
		c.inc.Awaiting = slices.DeleteFunc(c.inc.Awaiting, func(a AwaitedRuns) bool { return a.Remediation == run.Remediation })
	}
	c.dropAsks()
	return true
}

// justEnded reports whether a run's wait ended with this change: its consent is
// complete, or it is refused without. It tells so of runs that are only counted.
func justEnded(run Run) bool {
	a := run.Approval
	consent := len(a.Given) >= max(1, a.Needed)
	asked := !a.AskedAt.IsZero() && run.StartedAt.IsZero()
	return asked && (run.State == RunQueued && consent || run.State == RunRefused && !consent)
}

// dropAsks drops questions that were never put, once nothing waits for them.
func (c *change) dropAsks() {
	if len(c.inc.Awaiting) > 0 {
		return
	}
	for _, q := range c.inc.Queue {
		if q.Kind == ApprovalAsk && q.State == Waiting && !q.Attempted {
			c.drops = append(c.drops, Drop{Delivery: q.ID, Why: "answered before it was sent"})
		}
	}
}

// question says what is asked, a line each: what would be run on which document
// of whom, why a person must decide, and who may. Until when, and by which
// command, stands in the snapshot's list: each medium prints times in its zone.
func (c *change) question(run Run) string {
	f := run.Facts
	document, reference, partner := cut(f.Document, 40), "", cmp.Or(f.Partner, run.Partner)
	for _, m := range c.inc.Listed {
		if m.Transaction == run.Transaction && m.Transaction != "" {
			document = strings.TrimSpace(cmp.Or(document, m.DocumentType) + " " + strings.ReplaceAll(m.DocumentName, "_", " "))
			reference, partner = m.Reference, cmp.Or(m.Partner, partner)
			break
		}
	}
	text := run.name() + " on " + cmp.Or(document, "a document")
	if reference != "" {
		text += " " + reference
	}
	if run.Transaction != "" {
		text += " (" + cut(run.Transaction, 80) + ")"
	}
	if partner != "" {
		text += " of " + cut(partner, 80)
	}
	if f.Amount != "" {
		text += strings.TrimRight(", "+cut(f.Amount, 40)+" "+cut(f.Currency, 10), " ")
	}
	if run.Why != "" {
		text += "\nWhy a person decides: " + cut(strings.ReplaceAll(run.Why, "\n", " "), 300)
	}
	return text + approvers(run.Approval)
}

func approvers(a Approval) string {
	if len(a.By) == 0 {
		return ""
	}
	names := make([]string, 0, maxApprovers)
	for _, name := range a.By[:min(len(a.By), maxApprovers)] {
		names = append(names, cut(name, 40))
	}
	text := strings.Join(names, ", ")
	if more := len(a.By) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	switch a.Needed {
	case 0, 1:
		return "\nMay approve: " + text
	case 2:
		return "\nMust approve: two of " + text
	}
	return fmt.Sprintf("\nMust approve: %d of %s", a.Needed, text)
}

// proposal is the record of a run that was proposed: where a person or an
// override has a part in it, and where a guard rail refused it.
func proposal(run Run) []Audit {
	line := runAudit(run, AuditProposed)
	switch {
	case run.State == RunRefused:
		line.Action = AuditRefused
	case run.Override != "":
		line.Why = strings.TrimSuffix("override: "+run.Override+"; "+run.Why, "; ")
	case run.State != RunProposed:
		return nil
	}
	return []Audit{line}
}

// auditOf is the record of a run's change: a person's deed, or the bridge's.
func auditOf(run Run, deed *Audit) Audit {
	if deed == nil {
		return runAudit(run, map[RunState]string{
			RunAwaiting: AuditAsked, RunRefused: AuditRefused,
			RunDone: AuditEnded, RunFailed: AuditEnded, RunUnknown: AuditEnded,
		}[run.State])
	}
	line, own := *deed, runAudit(run, deed.Action)
	if missing := run.Approval.Needed - len(run.Approval.Given); deed.Action == AuditApproved && missing > 0 {
		own.Result = fmt.Sprintf("%d more needed", missing)
	}
	line.Subject = cmp.Or(line.Subject, own.Subject)
	line.Incident, line.Event = cmp.Or(line.Incident, own.Incident), cmp.Or(line.Event, own.Event)
	line.Run, line.Key = cmp.Or(line.Run, own.Run), cmp.Or(line.Key, own.Key)
	line.RequestID, line.Result = cmp.Or(line.RequestID, own.RequestID), cmp.Or(line.Result, own.Result)
	return line
}

// runAudit is a line on a run, by the bridge. A run that is only proposed has no
// id yet: what it is to be done to stands for it.
func runAudit(run Run, action string) Audit {
	return Audit{
		Actor: ActorBridge, Action: action, Why: run.Why, Incident: run.Incident, Event: run.Event,
		Subject: cmp.Or(run.ID, strings.TrimSuffix(run.Remediation+" for "+run.Transaction, " for ")),
		Run:     run.ID, Key: run.Key, RequestID: run.RequestID, Result: string(run.State),
	}
}
