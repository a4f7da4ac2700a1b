package notifiers_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/notifiers/notifiertest"
	"datasync-bridge/routing/incident"
)

func snapshot(kind string, class event.Class, fields map[string]any) incident.Snapshot {
	return incident.Snapshot{
		State: incident.Open, Class: class, Severity: event.Error, Open: 1, Total: 1,
		Lead: incident.Lead{Type: kind, Fields: fields},
	}
}

func TestHeadlineSpeaksTheDomainsWords(t *testing.T) {
	invoice := map[string]any{event.DocumentType: "810"}
	with := func(more map[string]any) map[string]any {
		m := map[string]any{event.DocumentType: "810"}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	for _, tt := range []struct {
		name string
		s    incident.Snapshot
		want string
	}{
		{"outbound", snapshot("transaction.failed", event.Connectivity, invoice), "810 invoice not delivered"},
		{"inbound", snapshot("transaction.failed", event.MappingFault, with(map[string]any{event.Direction: "inbound"})), "810 invoice received but not processed"},
		{"retrying", snapshot("transaction.retrying", event.Connectivity, invoice), "810 invoice not delivered yet, still retrying"},
		{"rejected", snapshot("transaction.rejected", event.FunctionalReject, with(map[string]any{event.AckKind: "997"})), "810 invoice rejected by partner (997)"},
		{"rejected, kind unknown", snapshot("transaction.rejected", event.FunctionalReject, invoice), "810 invoice rejected by partner"},
		{"rejected by us", snapshot("transaction.rejected", event.FunctionalReject, with(map[string]any{event.Direction: "inbound"})), "810 invoice from partner rejected"},
		{"acknowledgment overdue", snapshot("acknowledgment.overdue", event.AckOverdue, with(map[string]any{event.AckKind: "997"})), "997 overdue for 810 invoice"},
		{"acknowledgment of unknown kind overdue", snapshot("acknowledgment.overdue", event.AckOverdue, invoice), "acknowledgment overdue for 810 invoice"},
		{"no MDN", snapshot("mdn.timeout", event.MDNTimeout, invoice), "delivery unknown: no MDN for 810 invoice"},
		{"no MDN by a user's own type", snapshot("as2.silence", event.MDNTimeout, invoice), "delivery unknown: no MDN for 810 invoice"},
		{"negative MDN", snapshot("mdn.failed", event.MDNNegative, with(map[string]any{event.Disposition: "automatic-action/MDN-sent-automatically; processed/Error: decryption-failed"})), "810 invoice refused by negative MDN (decryption failed)"},
		{"failure MDN", snapshot("mdn.failed", event.MDNNegative, with(map[string]any{event.Disposition: "x; failed/Failure: unsupported format"})), "810 invoice refused by negative MDN (unsupported format)"},
		{"MDN that does not verify", snapshot("mdn.failed", event.MDNNegative, with(map[string]any{event.Disposition: "automatic-action/MDN-sent-automatically; processed"})), "receipt not proven: MDN could not be verified for 810 invoice"},
		{"deadline near", snapshot("sla.warning", event.SLA, map[string]any{event.DocumentType: "204"}), "deadline near: 204 load tender"},
		{"deadline missed", snapshot("sla.violated", event.SLA, map[string]any{event.DocumentType: "DESADV"}), "deadline missed: DESADV ship notice"},
		{"certificate expiring", snapshot("partner.certificate_expiring", event.Certificate, map[string]any{event.CertificateRole: "partner_encryption", event.DaysRemaining: 14.0}), "partner encryption certificate expires in 14 days"},
		{"certificate expiring, no count", snapshot("partner.certificate_expiring", event.Certificate, nil), "certificate expires soon"},
		{"certificate expired", snapshot("partner.certificate_expired", event.Certificate, map[string]any{event.CertificateRole: "signing"}), "signing certificate has expired"},
		{"connection down", snapshot("partner.connection_failed", event.Connectivity, map[string]any{event.Protocol: "SFTP"}), "SFTP connection down"},
		{"automation failed", snapshot("automation.failed", event.AutomationFault, map[string]any{event.RunName: "resend_invoice"}), "automation resend_invoice failed"},
		{"a document of no known type", snapshot("transaction.failed", event.UnknownClass, map[string]any{event.DocumentType: "ZZZ", event.DocumentName: "crate_label"}), "ZZZ crate label not delivered"},
		{"nothing known at all", snapshot("transaction.failed", event.UnknownClass, nil), "event not delivered"},
		{"webhooks quiet", snapshot("bridge.webhooks_quiet", event.BridgeClass, map[string]any{event.BridgeSubject: "webhooks of datasync"}), "webhooks have gone quiet"},
		{"signatures failing", snapshot("bridge.signatures_failing", event.BridgeClass, nil), "webhooks fail verification"},
		{"who else says so", snapshot("bridge.webhooks_quiet", event.UnknownClass, nil), "bridge.webhooks_quiet: event"},
		{"a trouble without words of its own", snapshot("bridge.other", event.BridgeClass, map[string]any{event.BridgeSubject: "disk"}), "bridge.other: disk (bridge)"},
		{"a user's own type", snapshot("order.stuck", event.Storage, invoice), "order.stuck: 810 invoice (storage)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := notifiers.Headline(tt.s); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestHeadlineCountsDocuments(t *testing.T) {
	s := snapshot("transaction.failed", event.Connectivity, map[string]any{event.DocumentType: "856"})
	for _, tt := range []struct {
		name      string
		documents map[string]int
		order     []string
		want      string
	}{
		{"one type", map[string]int{"856": 3}, []string{"856"}, "856 ship notice ×3 not delivered"},
		{"several types", map[string]int{"856": 3, "810": 2}, []string{"856", "810"}, "5 documents not delivered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := notifiers.Headline(notifiertest.Grouped(s, tt.documents, tt.order...)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("the open ones while it is open", func(t *testing.T) {
		g := notifiertest.Grouped(s, map[string]int{"856": 3}, "856")
		g.Open, g.Documents[0].Open = 2, 2
		if got, want := notifiers.Headline(g), "856 ship notice ×2 not delivered"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

var failureWords = regexp.MustCompile(`(?i)\bfail|not delivered|undelivered`)

func TestRouting11_AMissingMDNIsNeverToldAsAFailure(t *testing.T) {
	s, at := notifiertest.Sample("04_mdn_timeout_invoice", event.MDNTimeout, event.Warning)
	many := notifiertest.Grouped(s, map[string]int{"810": 4}, "810")
	over, end := notifiertest.Ended(s, incident.Unconfirmed, 72*time.Hour)
	for _, d := range []incident.Delivery{
		notifiertest.Delivery(incident.Opening, s, at, ""),
		notifiertest.Delivery(incident.Alarm, many, at, ""),
		notifiertest.Delivery(incident.Reminder, s, at.Add(time.Hour), ""),
		notifiertest.Delivery(incident.Resolve, over, end, ""),
	} {
		m := notifiers.Compose(d, notifiertest.Style)
		text := strings.Join(append(m.Status, m.Summary(), m.Counts, m.Advice, m.News), " ")
		if found := failureWords.FindString(text); found != "" {
			t.Errorf("%s says %q: %s", d.Kind, found, text)
		}
	}
	mixed := notifiertest.Grouped(snapshot("transaction.failed", event.Connectivity, map[string]any{event.DocumentType: "856"}), map[string]int{"856": 2}, "856")
	mixed.Members[1].Class = event.MDNTimeout
	if got, want := notifiers.Headline(mixed), "856 ship notice not delivered, and 1 more"; got != want {
		t.Errorf("among failures it is counted as one of them: %q, want %q", got, want)
	}
}

func TestDocument(t *testing.T) {
	for _, tt := range []struct{ kind, name, want string }{
		{"856", "shipment", "856 ship notice"},
		{"INVOIC", "", "INVOIC invoice"},
		{"753", "", "753 routing request"},
		{"XYZ", "crate_label", "XYZ crate label"},
		{"XYZ", "", "XYZ"},
		{"XYZ", "XYZ", "XYZ"},
		{"", "invoice", "invoice"},
		{"", "", "document"},
	} {
		if got := notifiers.Document(tt.kind, tt.name); got != tt.want {
			t.Errorf("Document(%q, %q) = %q, want %q", tt.kind, tt.name, got, tt.want)
		}
	}
}
