package sandbox

import (
	"context"
	"math"
	"slices"
	"time"
)

func playInvoice(ctx context.Context, p *player) {
	invoice := paper{"810", "invoice", "invoice", "invoice_number", "INV-204417", "18250.00"}
	noResponse := Failure{Code: "CONNECTION_TIMEOUT", Category: "connectivity", Message: "no response within 60s", Retryable: true}
	partner := as2Of(juniper)
	p.s.PutPartner(partner)
	id := p.put(partner, invoice)
	p.emits(p.s.Retry(id, noResponse, 1, 4, 5*time.Minute))
	p.step(ctx, Retrying, "%v  %s USD to %s: %s", invoice, invoice.amount, partner.Name, noResponse.Message)
	p.fail(ctx, id, invoice, noResponse, arrives)
	p.step(ctx, Partners, "%s answers again, but an invoice that was given up stays so until it is sent again", partner.Name)
	p.step(ctx, Waiting, "for an approved resend of %s, at most %v", id, p.Patience)
	p.step(ctx, Waiting, "the bridge asks for approval where its rule has remediate: with workflow: resend_invoice, mode: approve: datasync-bridge runs approve ID")

	ran := func() bool { return slices.ContainsFunc(p.s.started, func(r Run) bool { return r.Transaction == id }) }
	if !p.await(ctx, ran) {
		p.step(ctx, Trouble, "no run of %s came", id)
		p.expect("%s: open, and a request to approve its resend that nobody has answered or that was refused", invoice.number)
		return
	}
	for _, r := range p.runsOf(id) {
		p.step(ctx, Ran, "%s of %s under the key %q", r.Workflow, invoice.number, r.Key)
	}
	if t, _ := p.s.Transaction(id); t.Status != delivered {
		p.step(ctx, Trouble, "the run failed; the invoice still waits")
		p.expect("%s: open, with the run's failure in its thread", invoice.number)
		return
	}
	p.step(ctx, Delivered, "%v", invoice)
	if n := len(p.runsOf(id)); n > 1 {
		p.step(ctx, Trouble, "it ran %d times: %s may be asked to pay twice", n, partner.Name)
	}
	p.expect("%s: resolved, with the run's result in its thread", invoice.number)
	p.expect("one run, and audit lines that name who approved it")
}

func (p *player) runsOf(transaction string) []Run {
	return slices.DeleteFunc(p.s.Runs(), func(r Run) bool { return r.Transaction != transaction })
}

func playCertificate(ctx context.Context, p *player) {
	const day = 24 * time.Hour
	now := p.s.o.Clock()
	ends := now.Add(13*day + time.Hour)
	certificate := Certificate{ID: "crt_harrow_enc", Role: "encryption", Subject: "CN=as2.harrowgate.example", NotAfter: ends,
		Fingerprint: "9F:2C:41:7B:00:AA:5E:18:6D:33:C4:90:12:77:BE:08:5A:E1:4F:D2:66:81:3B:C9:70:24:FE:19:AD:5C:88:03"}
	partner := as2Of(harrowgate, certificate)
	p.s.PutPartner(partner)
	p.emits(p.s.EmitPartner("partner.certificate_expiring", partner, map[string]any{"certificate": certificate.object(now, 14)}))
	p.step(ctx, Partners, "%s (%s): its %s certificate ends on %s, in 13 days", partner.Name, partner.ID, certificate.Role, ends.UTC().Format("2 January 2006"))
	p.step(ctx, Partners, "a bridge with datasync.enrich finds that by itself too (enrich.partners: [%s])", partner.ID)

	next := certificate
	next.NotAfter = now.Add(397 * day)
	next.Fingerprint = "31:0B:7E:55:D0:9A:C2:68:F4:1D:83:AE:27:60:95:BB:0C:E9:42:76:18:FD:A3:5F:C8:04:91:6B:DE:37:7A:E2"
	partner = as2Of(harrowgate, next)
	if p.err != nil {
		return
	}
	p.s.PutPartner(partner)
	p.emits(p.s.EmitPartner("partner.certificate_updated", partner, map[string]any{"certificate": next.object(now, 0)}))
	p.step(ctx, Partners, "%s has replaced it; the new one ends on %s", partner.Name, next.NotAfter.UTC().Format("2 January 2006"))
	p.expect("%s: one warning for the threshold of 14 days, not one for each event; it is over", partner.Name)
	p.expect("after the next read of the partner, no reminder of the old certificate comes any more")
}

// object is what events tell of a certificate; threshold 0 is none.
func (c Certificate) object(now time.Time, threshold int) map[string]any {
	object := map[string]any{
		"id": c.ID, "role": c.Role, "subject": c.Subject, "sha256_fingerprint": c.Fingerprint,
		"not_after": c.NotAfter.UTC().Format(time.RFC3339), "days_remaining": int(math.Floor(c.NotAfter.Sub(now).Hours() / 24)),
	}
	if threshold > 0 {
		object["threshold_days"] = threshold
	}
	return object
}
