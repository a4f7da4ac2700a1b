package notifiertest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Case is a delivery with a name for its golden file.
type Case struct {
	Name     string
	Delivery incident.Delivery
}

// Thread is the root that Cases' replies and edits refer to.
const Thread = "C0123ABCD/1773153971.000100"

// Cases are every kind of delivery, over the sample events and grouped incidents.
func Cases() []Case {
	return slices.Concat(openings(), polled(), changes(), others(), gathered())
}

// polled are incidents that polling, or the bridge itself, had a part in.
func polled() []Case {
	s, at := Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	found := Grouped(s, map[string]int{"856": 3}, "856")
	found.Notes = []string{"found by polling, no webhook had come: 3 documents"}
	found.Lead.Fields = maps.Clone(found.Lead.Fields)
	found.Lead.Fields[event.PartnerStatus] = "suspended"
	refined := s
	refined.Notes = []string{"webhook came 12 min late, polling had found it"}
	gone, end := Ended(s, incident.Recovered, 34*time.Minute)
	gone.Polling.Cleared = 1
	partly, later := Ended(Grouped(s, map[string]int{"856": 3}, "856"), incident.Recovered, 34*time.Minute)
	partly.Polling.Cleared = 2
	quiet, silent := Own("webhooks_quiet")
	heard, again := Ended(quiet, incident.Recovered, 47*time.Minute)
	failing, refused := Own("signatures_failing")
	verified, believed := Ended(failing, incident.Recovered, 47*time.Minute)
	list := []Case{
		{"opening_found_by_polling", Delivery(incident.Opening, found, at, "")},
		{"update_refined", Delivery(incident.Update, refined, at.Add(12*time.Minute), "")},
		{"resolve_no_longer_listed", Delivery(incident.Resolve, gone, end, "")},
		{"resolve_partly_no_longer_listed", Delivery(incident.Resolve, partly, later, "")},
		{"opening_bridge_webhooks_quiet", Delivery(incident.Opening, quiet, silent, "")},
		{"resolve_bridge_webhooks_quiet", Delivery(incident.Resolve, heard, again, "")},
		{"opening_bridge_signatures_failing", Delivery(incident.Opening, failing, refused, "")},
		{"resolve_bridge_signatures_failing", Delivery(incident.Resolve, verified, believed, "")},
	}
	for i := range list {
		if !list[i].Delivery.Kind.Alarms() {
			list[i].Delivery.Thread = Thread
		}
	}
	return list
}

// openings are one per sample that opens something, and grouped ones.
func openings() []Case {
	var list []Case
	for _, o := range []struct {
		sample   string
		class    event.Class
		severity event.Severity
	}{
		{"01_retrying_asn", event.Connectivity, event.Warning},
		{"02_failed_asn_final", event.Connectivity, event.Critical},
		{"04_mdn_timeout_invoice", event.MDNTimeout, event.Warning},
		{"06_mdn_failed_decryption", event.MDNNegative, event.Error},
		{"08_rejected_997", event.FunctionalReject, event.Error},
		{"10_ack_overdue", event.AckOverdue, event.Warning},
		{"11_sla_warning_tender", event.SLA, event.Critical},
		{"13_certificate_expiring", event.Certificate, event.Warning},
		{"15_connection_failed_sftp", event.Authentication, event.Error},
		{"18_automation_failed", event.AutomationFault, event.Warning},
	} {
		s, at := Sample(o.sample, o.class, o.severity)
		list = append(list, Case{"opening_" + o.sample, Delivery(incident.Opening, s, at, "")})
	}
	s, at := Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	three := Grouped(s, map[string]int{"856": 3}, "856")
	outage := Grouped(s, map[string]int{"856": 25, "810": 12, "855": 3}, "856", "810", "855")
	outage.Notes = []string{"Dry run: would have run resend_status for txn_01JP4F7S01", "Told edi-pager at 09:46 CT"}
	mixed := Grouped(s, map[string]int{"856": 2, "810": 1}, "856", "810")
	mixed.Members[2].Class = event.MDNTimeout
	left := Grouped(s, map[string]int{"856": 2, "810": 1}, "856", "810")
	left.Open, left.Documents[0].Open, left.Members = 1, 0, left.Members[2:]
	several := Grouped(s, map[string]int{"856": 3}, "856")
	several.Members[1].Partner, several.Members[2].Partner = "Juniper Vale Stores", "Oakmere Wholesale"
	invoices, later := Sample("04_mdn_timeout_invoice", event.MDNTimeout, event.Warning)
	missed, late := Sample("11_sla_warning_tender", event.SLA, event.Critical)
	missed.Lead.Type = "sla.violated"
	inbound, arrived := Sample("18_automation_failed", event.MappingFault, event.Error)
	inbound.Lead.Type = "transaction.failed"
	trying := s
	trying.HoldUntil, trying.HoldFor, trying.Held = at.Add(10*time.Minute), "resend_status", []string{"edi-pager"}
	trying.Notes = []string{"resend_status will be run"}
	return append(list,
		Case{"opening_pager_held", Delivery(incident.Opening, trying, at, "")},
		Case{"opening_released", Delivery(incident.Opening, s, at.Add(2*time.Minute),
			"resend_status failed, nothing was done: Datasync says that a scope is missing")},
		Case{"opening_deadline_missed", Delivery(incident.Opening, missed, late.Add(25*time.Minute), "")},
		Case{"opening_inbound_not_processed", Delivery(incident.Opening, inbound, arrived, "")},
		Case{"opening_three_ship_notices", Delivery(incident.Opening, three, at, "")},
		Case{"opening_outage_of_40", Delivery(incident.Opening, outage, at, "")},
		Case{"opening_one_left_of_three", Delivery(incident.Opening, left, at, "")},
		Case{"opening_three_partners", Delivery(incident.Opening, several, at, "")},
		Case{"opening_mixed_classes", Delivery(incident.Opening, mixed, at, "")},
		Case{"opening_two_invoices_without_mdn", Delivery(incident.Opening, Grouped(invoices, map[string]int{"810": 2}, "810"), later, "")},
	)
}

// changes are what follows on one incident.
func changes() []Case {
	s, at := Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	mark := &incident.Mark{By: "ana", At: at.Add(16 * time.Minute), Why: "calling the partner"}
	taken := s
	taken.Acknowledged = mark
	back := s
	back.Reopenings = 1
	flapping := s
	flapping.Flapping, flapping.Reopenings = true, 3
	over, end := Ended(s, incident.Recovered, 34*time.Minute+32*time.Second)
	silent, closed := Ended(s, incident.Unconfirmed, 72*time.Hour)
	manual, byHand := Ended(taken, incident.Manual, 95*time.Minute)
	manual.Notes = []string{"resolved by hand by ana: partner confirmed by telephone"}
	held := s
	held.Open = 0
	outage := Grouped(s, map[string]int{"856": 25, "810": 15}, "856", "810")
	outageOver, outageEnd := Ended(outage, incident.Recovered, 3*time.Hour+5*time.Minute)
	mdn, _ := Sample("04_mdn_timeout_invoice", event.MDNTimeout, event.Warning)
	mdnOver, mdnEnd := Ended(mdn, incident.Recovered, 6*time.Minute)

	spared := over
	spared.Notes = []string{"It recovered while resend_status was tried first, so edi-pager was not paged"}
	invoice, asked := Sample("04_mdn_timeout_invoice", event.Connectivity, event.Error)
	invoice.Lead.Type = "transaction.failed"
	delete(invoice.Lead.Fields, event.WaitedSince)
	invoice.Awaiting = []incident.AwaitedRuns{{
		Remediation: "resend-invoice", Workflow: "resend_invoice", Runs: []string{"rn_0ktq3v9a1c2e4"}, Expires: asked.Add(4 * time.Hour),
	}}
	three := Grouped(invoice, map[string]int{"810": 3}, "810")
	three.Awaiting = []incident.AwaitedRuns{{
		Remediation: "resend-invoice", Workflow: "resend_invoice", Expires: asked.Add(4 * time.Hour),
		Runs: []string{"rn_0ktq3v9a1c2e4", "rn_0ktq3v9a1c2e5", "rn_0ktq3v9a1c2e6"},
	}}
	question := "resend_invoice on 810 invoice PO-30981 (txn_01JP4H2M6C) of Juniper Vale Stores, 48210.55 USD" +
		"\nWhy a person decides: an invoice that arrives twice may be paid twice\nMust approve: two of ana, ben, cho"

	down, _ := Sample("15_connection_failed_sftp", event.Authentication, event.Error)
	up, upAt := Ended(down, incident.Recovered, 107*time.Minute)

	list := []Case{
		{"resolve_connection_restored", Delivery(incident.Resolve, up, upAt, "")},
		{"alarm_worse", Delivery(incident.Alarm, outage, at.Add(20*time.Minute), "severity rose from warning to critical")},
		{"reopened", Delivery(incident.Reopening, back, at.Add(time.Hour), "12 min after it was resolved")},
		{"update_acknowledged", Delivery(incident.Update, taken, at.Add(16*time.Minute), "")},
		{"update_flapping", Delivery(incident.Update, flapping, at.Add(2*time.Hour), "")},
		{"update_resolved", Delivery(incident.Update, over, end, "")},
		{"resolve", Delivery(incident.Resolve, over, end, "")},
		{"resolve_outage", Delivery(incident.Resolve, outageOver, outageEnd, "")},
		{"resolve_mdn_late", Delivery(incident.Resolve, mdnOver, mdnEnd, "MDN received 36 min after sending")},
		{"resolve_unconfirmed", Delivery(incident.Resolve, silent, closed, "")},
		{"resolve_manual", Delivery(incident.Resolve, manual, byHand, "")},
		{"update_held", Delivery(incident.Update, held, at.Add(34*time.Minute), "")},
		{"reminder", Delivery(incident.Reminder, s, at.Add(time.Hour), "")},
		{"acknowledged", Delivery(incident.Acknowledged, taken, at.Add(16*time.Minute), "")},
		{"escalated", Delivery(incident.Escalated, s, at.Add(15*time.Minute), "not acknowledged for 15 min, so lead-pager was told")},
		{"run", Delivery(incident.RunResult, s, at.Add(time.Minute), "resend_status was refused by Datasync: scope missing (request id req_7f3e2a90c1)")},
		{"resolve_pager_spared", Delivery(incident.Resolve, spared, end, spared.Notes[0])},
		{"approval", Delivery(incident.ApprovalAsk, invoice, asked.Add(time.Minute), question)},
		{"update_approval_of_three", Delivery(incident.Update, three, asked.Add(2*time.Minute), "")},
		{"run_approved", Delivery(incident.RunResult, invoice, asked.Add(9*time.Minute), "resend_invoice for txn_01JP4H2M6C was approved by ana, and 1 more must approve it: the partner asked for it")},
		{"counted", Delivery(incident.Counted, flapping, at.Add(3*time.Hour), "7 changes in the last hour")},
	}
	for i := range list {
		list[i].Delivery.Thread = Thread
	}
	return list
}

// others are openings by another way, and what is no incident.
func others() []Case {
	s, at := Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	over, end := Ended(s, incident.Recovered, 8*time.Minute)
	sandbox := s
	sandbox.Environment = event.Sandbox
	repeat := Delivery(incident.Opening, s, at, "")
	repeat.Unclear = true
	notice := incident.Delivery{
		ID: "dl_0000000000002", Order: "notice", Notifier: "edi", Kind: incident.Noticed, QueuedAt: at,
		Text: "datasync sent an event of the unknown type partner.capability_changed. It is stored as ev_0ktq3v9a1c2e4; add the type to the mapping to route it.",
	}
	return []Case{
		{"opened_and_resolved", Delivery(incident.Resolve, over, end, "")},
		{"fallback", Delivery(incident.Fallback, s, at.Add(3*time.Minute), "NOT PAGED: PagerDuty did not accept this within 3 min (status 500)")},
		{"opening_sandbox", Delivery(incident.Opening, sandbox, at, "")},
		{"opening_may_be_a_repeat", repeat},
		{"notice", notice},
	}
}

// gathered are what rules word, what explains other things, and digests.
func gathered() []Case {
	s, at := Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	worded := s
	worded.Lead.Words = incident.Words{
		Title:  "Harrowgate waits for <its> ship notice",
		Text:   "Call the dock before 14:00.\nRunbook: see the wiki, page ASN.",
		Fields: []incident.NamedText{{Name: "Buyer", Text: "team north"}, {Name: "", Text: "left out"}},
	}
	certificate, expired := Sample("13_certificate_expiring", event.Certificate, event.Critical)
	certificate.Lead.Type = "partner.certificate_expired"
	for i := range 6 {
		certificate.Symptoms = append(certificate.Symptoms, incident.Symptom{
			Incident: fmt.Sprintf("in_0ktq3v9a1c2e%d", i), Class: event.MDNNegative, Line: fmt.Sprintf("810 invoice INV-20440%d, MDN failed", i),
		})
	}
	certificate.MoreSymptoms = 2
	monday := time.Date(2026, 12, 14, 14, 0, 0, 0, time.UTC)
	return []Case{
		{"opening_worded", Delivery(incident.Opening, worded, at, "")},
		{"opening_explains", Delivery(incident.Opening, certificate, expired, "")},
		{"digest", digest(incident.DigestView{
			Name: "morning", Since: monday.Add(-72 * time.Hour), Ended: 5, More: 3,
			Items: []incident.DigestItem{
				item("Juniper Vale Stores", "810 invoice INV-204417, transaction failed", event.Error, monday.Add(-55*time.Hour)),
				item("Oakmere Wholesale", "214 shipment status, transaction failed: 3 of 5 open", event.Warning, monday.Add(-30*time.Hour)),
				item("Juniper Vale Stores", "810 invoice INV-204431, transaction failed", event.Warning, monday.Add(-2*time.Hour)),
				item("", "partner certificate expiring", event.Info, monday.Add(-time.Hour)),
			},
		}, monday)},
		{"digest_of_what_is_over", digest(incident.DigestView{Name: "morning", Ended: 2}, monday)},
	}
}

func item(partner, line string, s event.Severity, opened time.Time) incident.DigestItem {
	return incident.DigestItem{
		Digest: "digest:morning|edi", Name: "morning", Notifier: "edi", Incident: "in_0ktq3v9a1c2e4",
		Environment: event.Production, Partner: partner, Severity: s, Line: line, OpenedAt: opened,
	}
}

func digest(v incident.DigestView, at time.Time) incident.Delivery {
	s := incident.Snapshot{Digest: &v, Severity: event.Info, Environment: event.Production}
	for _, i := range v.Items {
		s.Severity = max(s.Severity, i.Severity)
	}
	return incident.Delivery{ID: "dl_0000000000003", Order: "digest:morning|edi", Notifier: "edi", Kind: incident.DigestTold, Snapshot: s, QueuedAt: at}
}
