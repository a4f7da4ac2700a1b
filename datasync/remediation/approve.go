package remediation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"datasync-bridge/routing/incident"
)

// verdict is what became of a person's word: refused says why it does not
// count, else result says what it led to.
type verdict struct {
	refused string
	result  string
}

// enough is the result of an approval that starts a run.
const enough = "enough"

// approve judges a person's approval of a run, under the configuration of now.
// It is pure. Who gave the word is known already; whether it counts is not.
func approve(run incident.Run, by incident.Mark, config string) (incident.Run, verdict) {
	no := func(format string, args ...any) (incident.Run, verdict) {
		return run, verdict{refused: fmt.Sprintf(format, args...)}
	}
	switch run.State {
	case incident.RunAwaiting:
	case incident.RunProposed:
		return no("its transaction is yet to be read; it can be approved once it is asked for")
	case incident.RunRefused:
		return no("it was refused already: %s", run.Why)
	default:
		return no("it is decided already (%s); an approval counts once", run.State)
	}
	switch {
	case !slices.Contains(run.Approval.By, by.By):
		return no("%s may not approve it; %s may", by.By, strings.Join(run.Approval.By, ", "))
	case !by.At.Before(run.Approval.Expires):
		return no("the request expired at %s", stamp(run.Approval.Expires))
	case run.Config != config:
		return no("void: the configuration changed since it was asked for")
	case slices.ContainsFunc(run.Approval.Given, func(m incident.Mark) bool { return m.By == by.By }):
		return no("%s has approved it already; somebody else must as well", by.By)
	}
	run.Approval.Given = append(slices.Clone(run.Approval.Given), by)
	given, needed := len(approvers(run.Approval)), max(1, run.Approval.Needed)
	if given < needed {
		return run, verdict{result: fmt.Sprintf("%d of %d", given, needed)}
	}
	run.State, run.NextAt = incident.RunQueued, by.At
	run.Why = "for " + run.Transaction + ", approved by " + strings.Join(approvers(run.Approval), " and ")
	return run, verdict{result: enough}
}

// approvers are the different people whose approval counts.
func approvers(a incident.Approval) []string {
	var names []string
	for _, m := range a.Given {
		if slices.Contains(a.By, m.By) && !slices.Contains(names, m.By) && m.At.Before(a.Expires) {
			names = append(names, m.By)
		}
	}
	return names
}

// unapproved says why a run may not start for want of approval, "" where it may.
func unapproved(run incident.Run, now time.Time) string {
	a := run.Approval
	switch {
	case run.Mode != ModeApprove:
		return ""
	case a.Bound == "" || a.Expires.IsZero():
		return "nobody was asked to approve it"
	case !now.Before(a.Expires):
		return "its approval expired at " + stamp(a.Expires)
	case len(approvers(a)) < max(1, a.Needed):
		return fmt.Sprintf("%d of %d approvals were given", len(approvers(a)), max(1, a.Needed))
	}
	return ""
}

// asked turns a proposed run into a request for approval of what was read. Its
// Why stays what to mind, the reason why a person decides.
func asked(run incident.Run, r Reading, now time.Time) incident.Run {
	run.State = incident.RunAwaiting
	run.Approval.AskedAt, run.Approval.Expires = now, now.Add(cmp.Or(run.Approval.Lasts, DefaultExpiry))
	run.Approval.Bound, run.Approval.Given = bound(run, r), nil
	run.NextAt = run.Approval.Expires
	return run
}

// lapsed says why a request is over, "" while it stands.
func lapsed(run incident.Run, config string, now time.Time) string {
	switch {
	case run.Config != config:
		return voided
	case !now.Before(run.Approval.Expires):
		return "nobody approved it by " + stamp(run.Approval.Expires)
	}
	return ""
}

// voided is why a run of another configuration is not sent.
const voided = "void: the configuration changed"

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
