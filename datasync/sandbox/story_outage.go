package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// paper is a business document of a story.
type paper struct {
	documentType, name, label string
	reference, number         string
	amount                    string
}

func (d paper) String() string {
	return fmt.Sprintf("%-3s %-15s %s", d.documentType, d.label, d.number)
}

// The made-up trading partners of the stories.
var (
	saltmarsh = Partner{ID: "par_5c1wb", Name: "Saltmarsh Fulfilment", Contact: Contact{
		Name: "WMS Integration Desk", Email: "wms-integration@saltmarsh.example", Phone: "+1-555-0143", Hours: "Mon-Sun 06:00-22:00 America/New_York"}}
	harrowgate = Partner{ID: "par_7h2k9", Name: "Harrowgate Grocers", Contact: Contact{
		Name: "EDI Desk", Email: "edi-desk@harrowgate.example", Phone: "+1-555-0110", Hours: "Mon-Fri 07:00-17:00 America/Chicago"}}
	juniper = Partner{ID: "par_3m8qd", Name: "Juniper Vale Stores", Contact: Contact{
		Name: "B2B Operations", Email: "b2b-ops@junipervale.example", Phone: "+1-555-0121"}}
	oakmere = Partner{ID: "par_9x4tn", Name: "Oakmere Wholesale", Contact: Contact{
		Name: "Supplier EDI", Email: "edi@oakmere.example"}}

	refused   = Failure{Code: "CONNECTION_REFUSED", Category: "connectivity", Message: "as2.saltmarsh.example refused the connection", Retryable: true}
	noMapping = Failure{Code: "MAPPING_ERROR", Category: "mapping", Message: "unit of measure 'CX' is not mapped"}
	badStreet = Failure{Code: "VALIDATION_ERROR", Category: "validation", Message: "N1 loop lacks the ship-to location"}
)

// as2Of is the configuration that GET /partners/{id} tells of a story's partner.
func as2Of(p Partner, certificates ...Certificate) Partner {
	_, host, _ := strings.Cut(p.Contact.Email, "@")
	p.Transport = map[string]any{"as2": map[string]any{
		"as2_id": strings.ToUpper(strings.TrimSuffix(host, ".example")), "url": "https://as2." + host + "/in", "mdn": "sync"}}
	p.Certificates = certificates
	return p
}

// fate is what becomes of a webhook.
type fate string

const (
	arrives fate = ""
	isLost  fate = "its webhook is lost"
	isLate  fate = "its webhook is held back"
)

// put makes a document of a story; nothing is told yet.
func (p *player) put(partner Partner, d paper) string {
	t := Transaction{DocumentType: d.documentType, DocumentName: d.name, Partner: partner, Amount: d.amount,
		References: map[string]string{d.reference: d.number}}
	if d.amount != "" {
		t.Currency = "USD"
	}
	if as2, ok := partner.Transport["as2"].(map[string]any); ok {
		t.EndpointHost = strings.TrimSuffix(strings.TrimPrefix(text(as2, "url"), "https://"), "/in")
	}
	return p.s.Put(t)
}

// fail lets a document fail for good, and its webhook have its fate.
func (p *player) fail(ctx context.Context, id string, d paper, f Failure, of fate) {
	if p.err != nil {
		return
	}
	kind := Failed
	switch of {
	case isLost:
		p.s.LoseNext(1)
		kind = Lost
	case isLate:
		p.s.DelayWebhooks(1)
		kind = Late
	}
	p.emits(p.s.Fail(id, f))
	if of == arrives {
		p.step(ctx, kind, "%v", d)
		return
	}
	p.step(ctx, kind, "%-32v %s", d, of)
}

// numbers names the documents that have a fate.
func numbers(documents []paper, fates map[int]fate, of fate) string {
	var list []string
	for i, d := range documents {
		if fates[i] == of {
			list = append(list, d.number)
		}
	}
	return strings.Join(list, ", ")
}

func playOutage(ctx context.Context, p *player) {
	documents := []paper{
		{"810", "invoice", "invoice", "invoice_number", "INV-70411", "4210.00"},
		{"846", "inventory", "inventory", "po_number", "IV-3301", ""},
		{"856", "shipment", "ship notice", "shipment_id", "SH-55120", ""},
		{"855", "purchase_order_acknowledgment", "order response", "po_number", "PO-88214", ""},
		{"856", "shipment", "ship notice", "shipment_id", "SH-55121", ""},
		{"940", "warehouse_order", "warehouse order", "po_number", "WO-1907", ""},
		{"810", "invoice", "invoice", "invoice_number", "INV-70412", "18250.00"},
		{"214", "load_status", "load status", "shipment_id", "LD-77120", ""},
		{"940", "warehouse_order", "warehouse order", "po_number", "WO-1908", ""},
		{"856", "shipment", "ship notice", "shipment_id", "SH-55122", ""},
		{"810", "invoice", "invoice", "invoice_number", "INV-70413", "990.40"},
		{"846", "inventory", "inventory", "po_number", "IV-3302", ""},
	}
	fates := map[int]fate{2: isLost, 6: isLost, 9: isLost, 4: isLate, 10: isLate}

	partner := as2Of(saltmarsh, Certificate{ID: "crt_saltmarsh", Role: "encryption", Subject: "CN=as2.saltmarsh.example", NotAfter: p.s.o.Clock().AddDate(0, 7, 0)})
	p.s.PutPartner(partner)
	down := p.s.o.Clock()
	p.connection("partner.connection_failed", partner, map[string]any{"error": refused.object(), "queued_transactions": len(documents)})
	p.step(ctx, Partners, "%s (%s) stops answering: %s", partner.Name, partner.ID, refused.Message)

	ids := make([]string, len(documents))
	for i, d := range documents {
		ids[i] = p.put(partner, d)
		p.emits(p.s.Retry(ids[i], refused, 1, 4, 5*time.Minute))
	}
	p.step(ctx, Retrying, "%d documents: the first attempt of 4 failed; nobody need be told yet", len(documents))
	for i, d := range documents {
		p.fail(ctx, ids[i], d, refused, fates[i])
	}
	p.stumble(ctx)
	polled := p.awaitPoll(ctx)
	if polled {
		p.step(ctx, API, "was polled: the lost failures can now be known")
	} else {
		p.step(ctx, Trouble, "no poll came: the lost failures (%s) stay unknown", numbers(documents, fates, isLost))
	}
	p.late(ctx)
	p.s.Heal()
	p.step(ctx, API, "answers as it should again")

	p.connection("partner.connection_restored", partner, map[string]any{"queued_transactions": len(documents), "down_since": down.UTC().Format(stamp)})
	p.step(ctx, Partners, "%s answers again", partner.Name)
	p.deliver(ctx, ids, 4)

	p.expect("%s: one incident, not %d; it is over, everywhere it was told", partner.Name, len(documents)+1)
	if polled {
		p.expect("%s: marked as found by polling", numbers(documents, fates, isLost))
		p.expect("%s: told once, though their webhooks came late", numbers(documents, fates, isLate))
	} else {
		p.expect("%s: missing; set datasync.reconcile so that they are found", numbers(documents, fates, isLost))
	}
	p.expect("no alert waited for the API while it was slow")
}

// connection tells of a partner's endpoint.
func (p *player) connection(eventType string, partner Partner, data map[string]any) {
	if p.err == nil {
		as2, _ := partner.Transport["as2"].(map[string]any)
		host := strings.TrimSuffix(strings.TrimPrefix(text(as2, "url"), "https://"), "/in")
		data["transport"] = map[string]any{"protocol": "AS2", "endpoint_host": host}
		p.emits(p.s.EmitPartner(eventType, partner, data))
	}
}

// stumble makes the API slow, and fail for a few calls.
func (p *player) stumble(ctx context.Context) {
	if p.err == nil {
		p.s.FailAll(Fault{Delay: p.Pace / 2})
		p.s.FailNext(p.s.base+"/*", Fault{Status: http.StatusServiceUnavailable, Times: 5})
		p.step(ctx, API, "answers 503 five times, then slowly")
	}
}

// late lets arrive what was held back.
func (p *player) late(ctx context.Context) {
	if p.err == nil {
		p.step(ctx, Late, "%d webhooks that were held back arrive now", p.s.ReleaseWebhooks())
	}
}

// deliver lets documents be delivered, some at a time.
func (p *player) deliver(ctx context.Context, ids []string, together int) {
	for i, id := range ids {
		if p.err != nil {
			return
		}
		p.emits(p.s.Deliver(id))
		if n := i + 1; n%together == 0 || n == len(ids) {
			p.step(ctx, Delivered, "%d of %d documents", n, len(ids))
		}
	}
}

func playLost(ctx context.Context, p *player) {
	documents := []paper{
		{"850", "purchase_order", "order", "po_number", "PO-31001", ""},
		{"856", "shipment", "ship notice", "shipment_id", "SH-61002", ""},
		{"810", "invoice", "invoice", "invoice_number", "INV-41003", "1250.50"},
		{"850", "purchase_order", "order", "po_number", "PO-31004", ""},
		{"856", "shipment", "ship notice", "shipment_id", "SH-61005", ""},
		{"940", "warehouse_order", "warehouse order", "po_number", "WO-21006", ""},
		{"810", "invoice", "invoice", "invoice_number", "INV-41007", "310.00"},
		{"850", "purchase_order", "order", "po_number", "PO-31008", ""},
		{"856", "shipment", "ship notice", "shipment_id", "SH-61009", ""},
		{"214", "load_status", "load status", "shipment_id", "LD-81010", ""},
	}
	fates := map[int]fate{2: isLost, 5: isLost, 8: isLost, 4: isLate, 7: isLate}
	// Classes whose incidents are of one transaction: ten failures are ten alerts.
	failures := []Failure{noMapping, badStreet}
	partners := []Partner{as2Of(harrowgate), as2Of(juniper), as2Of(oakmere)}
	for i, d := range documents {
		partner := partners[i%len(partners)]
		p.fail(ctx, p.put(partner, d), d, failures[i%len(failures)], fates[i])
	}
	p.late(ctx)
	p.expect("%d incidents, one for each document, each told once", len(documents))
	if p.awaitPoll(ctx) {
		p.step(ctx, API, "was polled: the lost failures can now be known")
		p.expect("%s: marked as found by polling", numbers(documents, fates, isLost))
	} else {
		p.step(ctx, Trouble, "no poll came: %s stay unknown", numbers(documents, fates, isLost))
		p.expect("%s: missing; set datasync.reconcile so that they are found", numbers(documents, fates, isLost))
	}
	p.expect("%s: told once, though their webhooks came late", numbers(documents, fates, isLate))
	p.expect("all of them still fail here; what settles them is told by /_control/events")
}
