package remediation

import (
	"slices"
	"strings"

	"datasync-bridge/event"
)

// never are the classes where a resend cannot help or may do harm, whatever the
// document and whatever the workflow: the bridge cannot tell what a workflow
// does, so it takes each for a resend.
var never = map[event.Class]string{
	event.MDNTimeout:       "delivery is unknown and a resend may duplicate the document",
	event.MDNNegative:      "the partner refused the message and would refuse it again",
	event.FunctionalReject: "the partner refused the content and would refuse it again",
	event.Certificate:      "a certificate must be put right first",
	event.Authentication:   "the login must be put right first",
	event.Configuration:    "the configuration must be put right first",
	event.Validation:       "the content must be put right first",
	event.MappingFault:     "the mapping must be put right first",
	event.Integrity:        "a person must look at the message first",
	event.AutomationFault:  "what a run caused never starts another",
	event.QuarantineClass:  "the event could not be read",
}

// policy is what a document type allows without a person.
type policy struct {
	// classes are those in which a run helps and does no harm; none means that
	// it takes a person, and why says so.
	classes []event.Class
	why     string
}

var (
	receipts = policy{classes: []event.Class{event.Connectivity, event.PartnerFault, event.Platform, event.Storage}}
	latest   = policy{classes: []event.Class{event.Connectivity, event.AckOverdue}}
	goods    = policy{why: "a second ship notice means double receiving and a chargeback, and no event proves that the partner took no byte"}
	stock    = policy{why: "reprocessing may create new outbound documents"}
	orders   = policy{why: "a second order means a double shipment or a double tender"}
	invoices = policy{why: "a second invoice means double payment or rejection"}
	payments = policy{why: "a payment is never repeated automatically"}
	credits  = policy{why: "a credit note is never repeated automatically"}
	unlisted = policy{why: "nothing is known of what a second copy of this document does"}
)

var policies = map[string]policy{
	"997": receipts, "999": receipts, "TA1": receipts, "CONTRL": receipts,
	"214": latest, "846": latest, "990": latest, "IFTSTA": latest,
	"856": goods, "DESADV": goods,
	"940": stock, "945": stock, "943": stock, "944": stock,
	"850": orders, "860": orders, "204": orders, "ORDERS": orders, "ORDCHG": orders, "IFTMIN": orders,
	"810": invoices, "210": invoices, "INVOIC": invoices,
	"820": payments, "REMADV": payments, "PAYORD": payments, "PAYEXT": payments,
	"812": credits, "CREADV": credits, "CREEXT": credits,
}

// refusal says why an event may start no run at all, "" where it may. It knows
// nothing of modes: a dry run tells what auto would do.
func refusal(ev event.Event) string {
	for _, rule := range []func(event.Event) string{untrusted, unsettled, ownDoing, unfit} {
		if why := rule(ev); why != "" {
			return why
		}
	}
	return ""
}

// untrusted: only authentic, known production events that came by webhook or
// reconciliation count.
func untrusted(ev event.Event) string {
	switch {
	case ev.Quarantine != "":
		return "the event could not be read"
	case !ev.Authentic:
		return "the event's signature was not verified"
	case ev.Environment != event.Production:
		return "only production events start runs (this one is " + string(ev.Environment) + ")"
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
	if strings.HasPrefix(ev.Type, "automation.") || ev.Text(event.RunID) != "" || ev.Text(event.RunKey) != "" {
		return never[event.AutomationFault]
	}
	return ""
}

// unfit: the class and the document must be such that a second copy helps and
// does no harm.
func unfit(ev event.Event) string {
	if why, harmful := never[ev.Class]; harmful {
		return ev.Class.Words() + ": " + why
	}
	if strings.Contains(strings.ToLower(ev.Text(event.DocumentName)), "credit") {
		return credits.why
	}
	document := strings.ToUpper(strings.TrimSpace(ev.Text(event.DocumentType)))
	p, listed := policies[document]
	if !listed {
		p = unlisted
	}
	switch {
	case document == "":
		return "the event names no document type"
	case len(p.classes) == 0:
		return document + ": " + p.why
	case !slices.Contains(p.classes, ev.Class):
		return document + ": a run is not known to help with " + ev.Class.Words()
	case ev.Text(event.Direction) == "inbound":
		return document + " is inbound: " + stock.why
	case ev.Text(event.TransactionID) == "":
		return "the event names no transaction"
	case ev.Text(event.PartnerID) == "":
		return "the event names no partner, so its limit cannot be counted"
	}
	return ""
}
