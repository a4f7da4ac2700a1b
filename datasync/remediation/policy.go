package remediation

import (
	"slices"
	"strings"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// never are the classes that lead to no run in any mode.
var never = map[event.Class]string{
	event.AutomationFault: "what a run caused never starts another",
	event.QuarantineClass: "the event could not be read",
	event.BridgeClass:     "the bridge's own trouble is not the transaction's",
}

// harmful are the classes where a second copy cannot help or may do harm,
// whatever the document: mode auto leaves them alone, a person is warned.
var harmful = map[event.Class]string{
	event.MDNTimeout:       "delivery is unknown and a resend may duplicate the document",
	event.MDNNegative:      "the partner refused the message and would refuse it again",
	event.FunctionalReject: "the partner refused the content and would refuse it again",
	event.Certificate:      "a certificate must be put right first",
	event.Authentication:   "the login must be put right first",
	event.Configuration:    "the configuration must be put right first",
	event.Validation:       "the content must be put right first",
	event.MappingFault:     "the mapping must be put right first",
	event.Integrity:        "a person must look at the message first",
}

// overtaken says what has become known of a transaction since nobody was asked
// about its run, and forbids it now, "" for nothing.
func overtaken(run incident.Run, classes []event.Class) string {
	if run.Mode != ModeAuto {
		return "" // whoever approves sees the incident
	}
	for _, c := range classes {
		helps := run.Does == Regenerate && slices.Contains(receiptClasses, c)
		if why, bad := harmful[c]; bad && c != run.Class && !helps {
			return "it is open as " + c.Words() + " as well by now: " + why
		}
	}
	return ""
}

// policy is what a document type allows without a person.
type policy struct {
	// classes are those in which a second copy helps and does no harm; none
	// means that it takes a person, and why says so.
	classes []event.Class
	why     string
	// unsent: only with evidence that the partner took no byte of the first.
	unsent bool
	// flow: a workflow that reprocesses shipments is meant for it.
	flow bool
	// firm: no override lifts it.
	firm  bool
	money bool
}

// passing are the classes that go away by themselves.
var passing = []event.Class{event.Connectivity, event.PartnerFault, event.Platform, event.Storage}

var (
	receipts = policy{classes: passing}
	latest   = policy{classes: []event.Class{event.Connectivity}}
	goods    = policy{classes: []event.Class{event.Connectivity}, unsent: true, flow: true,
		why: "a second ship notice means double receiving and a chargeback"}
	stock    = policy{flow: true, why: "a second one may create new outbound documents"}
	orders   = policy{why: "a second order means a double shipment or a double tender"}
	invoices = policy{money: true, why: "a second invoice means double payment or rejection"}
	payments = policy{money: true, firm: true, why: "a payment is never repeated automatically"}
	credits  = policy{money: true, firm: true, why: "a credit note is never repeated automatically"}
	unlisted = policy{firm: true, why: "nothing is known of what a second copy of this document does"}
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

// policyOf knows a document by its type, and by its name where that says more:
// a credit note may travel as an invoice.
func policyOf(documentType, name string) policy {
	p, listed := policies[documentType]
	name = strings.ToLower(name)
	switch {
	case strings.Contains(name, "credit"):
		return credits
	case strings.Contains(name, "payment") || strings.Contains(name, "remittance"):
		return payments
	}
	if !listed {
		return unlisted
	}
	return p
}

// objection is why mode auto leaves something to a person; firm ones stand
// against any override. The zero value is none.
type objection struct {
	why  string
	firm bool
}

// automatic judges what mode auto may do about an event that may start a run
// at all.
func (r remediation) automatic(ev event.Event) objection {
	document := normal(ev.Text(event.DocumentType))
	p := policyOf(document, ev.Text(event.DocumentName))
	if p.firm {
		return objection{document + ": " + p.why, true}
	}
	switch r.does {
	case Regenerate:
		if !slices.Contains(receiptClasses, ev.Class) {
			return objection{ev.Class.Words() + ": a new receipt is not known to help", true}
		}
		return objection{}
	case Reprocess:
		if !r.idempotent {
			return objection{"reprocessing may create new outbound documents, and nobody has confirmed that this workflow does not", true}
		}
		if !p.flow {
			return objection{document + ": reprocessing is for shipments", true}
		}
		p.classes, p.unsent = passing, false
	default:
		if ev.Text(event.Direction) == "inbound" {
			return objection{document + " is inbound: there is nothing of ours to send again", true}
		}
	}
	switch why, bad := harmful[ev.Class]; {
	case bad:
		return objection{why: ev.Class.Words() + ": " + why}
	case len(p.classes) == 0:
		return objection{why: document + ": " + p.why}
	case ev.Class == event.UnknownClass:
		return objection{why: document + ": nothing tells why it failed, so nothing tells that a run would help"}
	case !slices.Contains(p.classes, ev.Class):
		return objection{why: document + ": a run is not known to help with " + ev.Class.Words()}
	case p.unsent:
		if evidence := r.arrived(ev); evidence != "" {
			return objection{why: document + ": " + p.why + ", and " + evidence}
		}
	}
	return objection{}
}

// receiptClasses are those in which an inbound message may be in order and its
// MDN lost all the same.
var receiptClasses = []event.Class{event.Connectivity, event.Platform, event.MDNTimeout}

// arrived says what keeps an event from proving that no byte of the document
// was accepted, "" where it proves it.
func (r remediation) arrived(ev event.Event) string {
	code := strings.ToUpper(strings.TrimSpace(ev.Text(event.ErrorCode)))
	if !r.unsent[code] {
		return "the error does not prove that the partner took no byte"
	}
	if _, answered := ev.Number("transport.http_status"); answered {
		return "the partner's server answered"
	}
	if !ev.Time("transport.sent_at").IsZero() {
		return "Datasync says that it was sent"
	}
	for path := range ev.Fields {
		if strings.HasPrefix(path, "mdn.") {
			return "an MDN was awaited"
		}
	}
	return ""
}

// insecure reports that a message failed a security check, or may have: its
// receipt must never be made positive afterwards.
func insecure(ev event.Event) bool {
	switch ev.Class {
	case event.Certificate, event.Authentication, event.Integrity:
		return true
	}
	cause := strings.ToLower(ev.Text(event.ErrorCategory) + " " + ev.Text(event.ErrorCode) + " " + ev.Text(event.Disposition))
	for _, word := range []string{"certificate", "authentication", "decryption", "integrity", "security", "signature"} {
		if strings.Contains(cause, word) {
			return true
		}
	}
	if verified, told := ev.Flag("mdn.mic_verified"); told && !verified {
		return true
	}
	return ev.Class == event.MDNNegative && strings.TrimSpace(cause) == ""
}

// warning is what a person who is asked must know, "" for nothing special.
func warning(does string, ev event.Event) string {
	document := normal(ev.Text(event.DocumentType))
	p := policyOf(document, ev.Text(event.DocumentName))
	var parts []string
	if why := harmful[ev.Class]; why != "" && does != Regenerate {
		parts = append(parts, ev.Class.Words()+": "+why)
	}
	if does != Regenerate && p.why != "" {
		parts = append(parts, document+": "+p.why)
	}
	if does == Resend && ev.Text(event.Direction) == "inbound" {
		parts = append(parts, "the document is inbound")
	}
	return strings.Join(parts, "; ")
}
