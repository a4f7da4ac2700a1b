package remediation

import (
	"strings"

	"datasync-bridge/event"
)

// refusal says why an event may start no run in any mode, "" where it may.
func (r remediation) refusal(ev event.Event) string {
	for _, why := range []string{r.untrusted(ev), unsettled(ev), ownDoing(ev), unnamed(ev), r.unreceipted(ev)} {
		if why != "" {
			return why
		}
	}
	return ""
}

// untrusted: only authentic, known events that came by webhook or
// reconciliation count, from the environment that the client calls.
func (r remediation) untrusted(ev event.Event) string {
	switch {
	case ev.Quarantine != "":
		return never[event.QuarantineClass]
	case !ev.Authentic:
		return "the event's signature was not verified"
	case ev.Environment != r.environment:
		return "only " + string(r.environment) + " events start runs (this one is " + string(ev.Environment) + ")"
	case ev.Origin != event.OriginWebhook && ev.Origin != event.OriginReconcile:
		return "only events by webhook or reconciliation start runs (this one is by " + string(ev.Origin) + ")"
	case ev.Conflict:
		return "the sender used this event's id for other content"
	case !ev.Known:
		return "the event type is not in the mapping"
	}
	return ""
}

// unsettled: a failure that Datasync still works on, or that is none, is left
// to it.
func unsettled(ev event.Event) string {
	final, told := ev.Flag(event.AttemptFinal)
	switch {
	case ev.Type == "transaction.retrying" || (told && !final):
		return "Datasync is still retrying"
	case ev.Effect != event.Open:
		return "the event opens nothing (its effect is " + string(ev.Effect) + ")"
	}
	return ""
}

// ownDoing: what a run caused never starts another.
func ownDoing(ev event.Event) string {
	switch {
	case strings.HasPrefix(ev.Type, "automation."), ev.Text(event.RunID) != "", ev.Text(event.RunKey) != "":
		return never[event.AutomationFault]
	case strings.HasPrefix(ev.Type, "bridge."):
		return never[event.BridgeClass]
	case never[ev.Class] != "":
		return ev.Class.Words() + ": " + never[ev.Class]
	}
	return ""
}

// unnamed: what is read before the call is compared with the event, so the
// event must say what it is about.
func unnamed(ev event.Event) string {
	switch {
	case strings.TrimSpace(ev.Text(event.DocumentType)) == "":
		return "the event names no document type"
	case ev.Text(event.TransactionID) == "":
		return "the event names no transaction"
	case ev.Text(event.PartnerID) == "":
		return "the event names no partner, so its limit cannot be counted"
	}
	return ""
}

// unreceipted: a receipt is made anew for inbound messages alone, and never a
// positive one for a message that failed a security check.
func (r remediation) unreceipted(ev event.Event) string {
	switch {
	case r.does != Regenerate:
		return ""
	case ev.Text(event.Direction) != "inbound":
		return "an MDN is regenerated for inbound messages only"
	case insecure(ev):
		return ev.Class.Words() + ": a failed security check is never turned into a positive receipt"
	}
	return ""
}
