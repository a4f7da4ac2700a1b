package remediation

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"datasync-bridge/event"
)

const (
	maxHold   = time.Hour
	minExpiry = time.Minute
	maxExpiry = 7 * 24 * time.Hour
	maxName   = 100 // runes of an approver's name
)

type reporter func(path, problem string)

// Validate reports every fault of an entry with defaults that can be seen from
// the entry alone. Compile reports these as well.
func (c Config) Validate(report func(path, problem string)) {
	if c.Name == "" {
		report("name", "is missing; rules name it in remediate")
	}
	if c.Workflow == "" {
		report("workflow", "is missing; name the Datasync workflow to run")
	}
	switch c.Mode {
	case ModeOff, ModeDryRun, ModeApprove, ModeAuto:
	default:
		report("mode", fmt.Sprintf("%q is no mode; use off, dry-run, approve or auto", c.Mode))
	}
	switch c.Does {
	case Resend, Reprocess, Regenerate:
	default:
		report("does", fmt.Sprintf("%q is nothing that a workflow does; use resend, reprocess or regenerate-mdn", c.Does))
	}
	if c.Cooldown < 0 {
		report("cooldown", fmt.Sprintf("must not be negative (got %s)", c.Cooldown))
	}
	c.checkHold(report)
	c.checkApprove(report)
	if c.Mode == ModeAuto && c.Does == Reprocess && c.Idempotent.ConfirmedBy == "" {
		report("idempotent.confirmed_by", "is missing; mode auto reprocesses only where somebody has tried, in the sandbox, that doing it twice does nothing twice")
	}
	c.checkOverride(report)
	for i, code := range c.UnsentCodes {
		if strings.TrimSpace(code) == "" {
			report(fmt.Sprintf("unsent_codes[%d]", i), "is empty; write a value of error.code, such as CONNECTION_REFUSED")
		}
	}
	_, faults := c.limits()
	_, more := parseParams(c.Params)
	for _, f := range append(faults, more...) {
		report(f.path, f.text)
	}
}

func (c Config) checkHold(report reporter) {
	switch {
	case c.Hold < 0 || c.Hold > maxHold:
		report("hold", fmt.Sprintf("must be from 0s to %s (got %s)", maxHold, c.Hold))
	case c.Hold > 0 && c.Mode == ModeApprove:
		report("hold", "is for mode auto: no page waits for a person's approval; remove it")
	}
}

func (c Config) checkApprove(report reporter) {
	a := c.Approve
	if c.Mode == ModeApprove && len(a.By) == 0 {
		report("approve.by", "is missing; mode approve needs the names of those who may approve, such as [ana]")
	}
	for i, name := range a.By {
		at := fmt.Sprintf("approve.by[%d]", i)
		switch {
		case name == "" || name != strings.TrimSpace(name) || len([]rune(name)) > maxName || strings.ContainsFunc(name, unicode.IsControl):
			report(at, fmt.Sprintf("%q is no name; write it as admin.users has it, or local: and the user of the machine", name))
		case slices.Contains(a.By[:i], name):
			report(at, fmt.Sprintf("%q is named twice; one person approves once", name))
		}
	}
	if a.Expires < minExpiry || a.Expires > maxExpiry {
		report("approve.expires", fmt.Sprintf("must be from %s to 7d (got %s)", minExpiry, a.Expires))
	}
	if a.TwoAbove == "" {
		return
	}
	switch amount, ok := decimal(a.TwoAbove); {
	case !ok || strings.HasPrefix(amount, "-"):
		report("approve.two_above", fmt.Sprintf("%q is no amount; write a plain decimal in quotes, such as \"10000\"", a.TwoAbove))
	case len(a.By) == 1:
		report("approve.two_above", "needs two people, and approve.by names one; add another")
	}
}

func (c Config) checkOverride(report reporter) {
	o := c.Override
	if o == nil {
		return
	}
	if c.Mode == ModeApprove {
		report("override", "lifts what mode auto refuses; with mode approve a person decides, so remove it")
	}
	if c.Does == Regenerate {
		report("override", "cannot lift anything of regenerate-mdn: a receipt must say what happened; remove it")
	}
	if strings.TrimSpace(o.By) == "" {
		report("override.by", "is missing; an override names who answers for it")
	}
	if strings.TrimSpace(o.Why) == "" {
		report("override.why", "is missing; say why the guard rail may be lifted")
	}
	if len(o.DocumentTypes) == 0 {
		report("override.document_types", "is missing; name the document types that it is for, such as [\"850\"]")
	}
	for i, document := range o.DocumentTypes {
		p, listed := policies[normal(document)]
		at := fmt.Sprintf("override.document_types[%d]", i)
		switch {
		case !listed:
			report(at, fmt.Sprintf("%q is no document type that may ever run by itself; remove it, or use mode approve", document))
		case p.firm:
			report(at, fmt.Sprintf("%s can never run by itself: %s; remove it, or use mode approve", document, p.why))
		}
	}
	if len(o.Classes) == 0 {
		report("override.classes", "is missing; name the failure classes that it is for, such as [connectivity]")
	}
	for i, class := range o.Classes {
		at := fmt.Sprintf("override.classes[%d]", i)
		switch {
		case never[class] != "":
			report(at, fmt.Sprintf("%s can never lead to a run: %s; remove it", class, never[class]))
		case !slices.Contains(liftable, class):
			report(at, fmt.Sprintf("%q is no failure class; use one of %s", class, joined(liftable)))
		}
	}
}

// liftable are the classes that an override may name.
var liftable = []event.Class{
	event.Connectivity, event.Authentication, event.Certificate, event.Configuration, event.Integrity,
	event.PartnerFault, event.Validation, event.MappingFault, event.Storage, event.Platform, event.MDNTimeout,
	event.MDNNegative, event.FunctionalReject, event.AckOverdue, event.SLA, event.UnknownClass,
}

func joined(classes []event.Class) string {
	words := make([]string, len(classes))
	for i, c := range classes {
		words[i] = string(c)
	}
	return strings.Join(words, ", ")
}
