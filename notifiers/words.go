package notifiers

import (
	"fmt"
	"strings"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// documents names X12 transaction sets and EDIFACT message types as the people
// who work with them say it.
var documents = map[string]string{
	"204": "load tender", "210": "freight invoice", "214": "shipment status",
	"753": "routing request", "754": "routing instructions", "810": "invoice",
	"812": "credit or debit adjustment", "820": "payment remittance", "824": "application advice",
	"830": "forecast", "832": "price catalog", "840": "request for quotation",
	"846": "inventory report", "850": "purchase order", "852": "product activity",
	"855": "purchase order acknowledgment", "856": "ship notice", "860": "purchase order change",
	"862": "shipping schedule", "865": "purchase order change acknowledgment",
	"867": "product transfer", "940": "warehouse order", "943": "stock transfer",
	"944": "stock transfer receipt", "945": "warehouse shipping advice",
	"947": "inventory adjustment", "990": "tender response",
	"997": "functional acknowledgment", "999": "implementation acknowledgment",
	"TA1": "interchange acknowledgment",

	"ORDERS": "purchase order", "ORDRSP": "order response", "ORDCHG": "order change",
	"DESADV": "ship notice", "INVOIC": "invoice", "REMADV": "remittance advice",
	"IFTMIN": "transport instruction", "IFTSTA": "transport status",
	"CONTRL": "syntax acknowledgment", "APERAK": "application acknowledgment",
	"RECADV": "receiving advice", "INVRPT": "inventory report", "DELFOR": "forecast",
	"DELJIT": "delivery schedule", "PRICAT": "price catalog", "SLSRPT": "sales report",
}

// Document names a document type: "856 ship notice". A type that is not in the
// list keeps the name it came with.
func Document(kind, name string) string {
	kind, name = Clean(kind, 20), spaced(Clean(name, 40))
	if known, ok := documents[kind]; ok {
		name = known
	}
	if name == kind {
		name = ""
	}
	if text := join(" ", kind, name); text != "" {
		return text
	}
	return "document"
}

// Subject names what an incident is about: "856 ship notice ×3", "40 documents",
// "SFTP connection".
func Subject(s incident.Snapshot) string {
	f := fields(s.Lead.Fields)
	switch family, _, _ := strings.Cut(s.Lead.Type, "."); {
	case strings.HasPrefix(s.Lead.Type, "partner.certificate_"):
		return join(" ", spaced(f.text(event.CertificateRole, 40)), "certificate")
	case strings.HasPrefix(s.Lead.Type, "partner.connection_"):
		return join(" ", f.text(event.Protocol, 20), "connection")
	case family == "automation":
		return join(" ", "automation", f.text(event.RunName, 60))
	case s.Class == event.BridgeClass:
		return f.text(event.BridgeSubject, 80)
	}
	kinds, counted := documentCounts(s)
	switch {
	case len(kinds) > 1:
		return fmt.Sprintf("%d documents", counted)
	case len(kinds) == 1:
		return Document(kinds[0].Type, kinds[0].Name) + times(counted)
	case f.text(event.DocumentType, 20) != "" || f.text(event.TransactionID, 20) != "":
		return Document(f.text(event.DocumentType, 20), f.text(event.DocumentName, 40)) + times(members(s))
	}
	return ""
}

// documentCounts returns the document types that count now: those of open
// members, or of all once nothing is open, and how many documents that makes.
func documentCounts(s incident.Snapshot) (kinds []incident.DocumentCount, counted int) {
	for _, d := range s.Documents {
		n := d.Total
		if s.Open > 0 {
			n = d.Open
		}
		if n > 0 && d.Type != "" {
			d.Open = n
			kinds = append(kinds, d)
			counted += n
		}
	}
	return kinds, counted
}

// members is how many the incident is about: the open ones, or all at its end.
func members(s incident.Snapshot) int {
	if s.Open > 0 {
		return s.Open
	}
	return s.Total
}

func times(n int) string {
	if n <= 1 {
		return ""
	}
	return fmt.Sprintf(" ×%d", n)
}

// Headline says what happened in domain words, without severity or partner:
// "856 ship notice ×3 not delivered".
func Headline(s incident.Snapshot) string {
	if n := members(s); n > 1 && mixed(s) {
		// The lead's words are true of the lead alone: a document whose delivery
		// is merely unknown must not be counted as not delivered.
		first := s
		first.Documents, first.Open, first.Total, first.Members = nil, 1, 1, nil
		return fmt.Sprintf("%s, and %d more", Headline(first), n-1)
	}
	what := Subject(s)
	if what == "" {
		what = "event"
	}
	if text := ownHeadlines[s.Lead.Type]; text != "" && s.Class == event.BridgeClass {
		return text
	}
	if text := headlineByType(s, what); text != "" {
		return text
	}
	return headlineByClass(s, what)
}

// ownHeadlines word what the bridge tells of itself. Its events say the rest.
var ownHeadlines = map[string]string{
	"bridge.webhooks_quiet":     "webhooks have gone quiet",
	"bridge.signatures_failing": "webhooks fail verification",
	"bridge.delivery_dead":      "a notification was given up",
	"bridge.queue_old":          "events wait too long to be handled",
	"bridge.store_degraded":     "the bridge's store is in trouble",
	"bridge.mapping_broken":     "events no longer fit the mapping",
	"bridge.config_rejected":    "a changed configuration was refused",
}

func mixed(s incident.Snapshot) bool {
	for _, m := range s.Members {
		if m.Class != "" && m.Class != s.Members[0].Class {
			return true
		}
	}
	return false
}

func headlineByType(s incident.Snapshot, what string) string {
	f := fields(s.Lead.Fields)
	inbound := f.text(event.Direction, 20) == "inbound"
	switch s.Lead.Type {
	case "transaction.failed":
		if inbound {
			return what + " received but not processed"
		}
		return what + " not delivered"
	case "transaction.retrying":
		return what + " not delivered yet, still retrying"
	case "transaction.rejected":
		by := "rejected by partner"
		if inbound {
			by = "from partner rejected"
		}
		return what + " " + by + bracketed(f.text(event.AckKind, 20))
	case "acknowledgment.overdue":
		return fmt.Sprintf("%s overdue for %s", acknowledgment(f), what)
	case "mdn.timeout":
		return "delivery unknown: no MDN for " + what
	case "mdn.failed":
		return negativeMDN(f, what)
	case "sla.warning":
		return "deadline near: " + what
	case "sla.violated":
		return "deadline missed: " + what
	case "partner.certificate_expiring":
		if days := f.number(event.DaysRemaining); days != "" {
			return fmt.Sprintf("%s expires in %s days", what, days)
		}
		return what + " expires soon"
	case "partner.certificate_expired":
		return what + " has expired"
	case "partner.connection_failed":
		return what + " down"
	case "automation.failed":
		return what + " failed"
	}
	return ""
}

// headlineByClass words the types that a user's own mapping brought.
func headlineByClass(s incident.Snapshot, what string) string {
	switch s.Class {
	case event.MDNTimeout:
		return "delivery unknown: no MDN for " + what
	case event.FunctionalReject:
		return what + " rejected by partner" + bracketed(fields(s.Lead.Fields).text(event.AckKind, 20))
	case event.AckOverdue:
		return fmt.Sprintf("%s overdue for %s", acknowledgment(fields(s.Lead.Fields)), what)
	case event.UnknownClass, "":
		return join(": ", Clean(s.Lead.Type, 80), what)
	}
	return join(": ", Clean(s.Lead.Type, 80), what) + bracketed(Clean(s.Class.Words(), 40))
}

// negativeMDN tells a refusal from a receipt that only could not be verified:
// then the document may well have arrived.
func negativeMDN(f fields, what string) string {
	_, modifier, _ := strings.Cut(f.text(event.Disposition, 200), ";")
	modifier = strings.ToLower(strings.TrimSpace(modifier))
	kind, reason, _ := strings.Cut(modifier, ":")
	if modifier != "" && !strings.Contains(kind, "error") && !strings.Contains(kind, "fail") {
		return "receipt not proven: MDN could not be verified for " + what
	}
	return what + " refused by negative MDN" + bracketed(strings.ReplaceAll(strings.TrimSpace(reason), "-", " "))
}

func acknowledgment(f fields) string {
	if kind := f.text(event.AckKind, 20); kind != "" {
		return kind
	}
	return "acknowledgment"
}

func bracketed(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// advice is the one thing that a tired person must not get wrong.
func advice(s incident.Snapshot) string {
	if s.State == incident.Resolved || mixed(s) {
		return ""
	}
	switch s.Lead.Type {
	case "bridge.webhooks_quiet", "bridge.signatures_failing":
		if s.Class == event.BridgeClass {
			return "Failures are found by polling meanwhile, and later. MDN and SLA events cannot be."
		}
	}
	switch s.Class {
	case event.MDNTimeout:
		return "The partner may have it. Confirm before any resend: a resend can duplicate it."
	case event.FunctionalReject:
		return "It arrived, but its data was rejected. An unchanged resend will be rejected again."
	case event.AckOverdue:
		return "Nothing has failed yet. Only the acknowledgment is missing."
	case event.MDNNegative:
		switch event.Class(fields(s.Lead.Fields).text(event.ErrorCategory, 40)) {
		case event.Certificate, event.Configuration, event.Authentication:
			return "A resend cannot succeed until both sides' certificates and settings match."
		}
	}
	return ""
}
