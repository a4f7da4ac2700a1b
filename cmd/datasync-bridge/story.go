package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web"
)

// scene is one chapter of the demo: what happens at Datasync, and what must
// have arrived at its end.
type scene struct {
	title  string
	expect string
	play   func(ctx context.Context, st *stage) (got string, err error)
}

// play goes through the story; each scene waits for what it expects.
func (st *stage) play(ctx context.Context) error {
	began := time.Now()
	var missing []string
	for n, s := range story {
		st.screen.chapter(n+1, s.title, s.expect)
		got, err := s.play(ctx, st)
		st.screen.flush()
		if err != nil {
			missing = append(missing, s.title)
			got = err.Error()
		}
		st.screen.verdict(n+1, s, got, err == nil)
	}
	st.screen.summary(time.Since(began))
	if len(missing) > 0 {
		return fmt.Errorf("the demo missed something: %s", strings.Join(missing, "; "))
	}
	return nil
}

var (
	harrowgate = sandbox.Partner{ID: "par_7h2k9", Name: "Harrowgate Grocers", Contact: sandbox.Contact{
		Name: "EDI Desk", Email: "edi-desk@harrowgate.example", Phone: "+1-555-0110", Hours: "Mon-Fri 07:00-17:00 America/Chicago"}}
	juniper = sandbox.Partner{ID: "par_3m8qd", Name: "Juniper Vale Stores", Contact: sandbox.Contact{
		Name: "B2B Operations", Email: "b2b-ops@junipervale.example", Phone: "+1-555-0121"}}
	saltmarsh = sandbox.Partner{ID: "par_5c1wb", Name: "Saltmarsh Fulfilment"}
	oakmere   = sandbox.Partner{ID: "par_9x4tn", Name: "Oakmere Wholesale"}
	pellwick  = sandbox.Partner{ID: "par_2r6vf", Name: "Pellwick Freight Lines"}

	noResponse = sandbox.Failure{Code: "CONNECTION_TIMEOUT", Category: "connectivity", Message: "no response within 60s", Retryable: true}
	refused    = sandbox.Failure{Code: "CONNECTION_REFUSED", Category: "connectivity", Message: "as2.saltmarsh.example refused the connection", Retryable: true}
	badUnit    = sandbox.Failure{Code: "MAPPING_ERROR", Category: "mapping", Message: "unit of measure 'CX' is not mapped"}
)

var story = []scene{
	{"a delivery is retried and heals", "nobody is told", retryHeals},
	{"a ship notice fails for good, then is delivered", "Slack and one page; both end", shipNoticeFails},
	{"a partner is down: 40 documents fail, then drain", "one Slack message, one page, one end", partnerOutage},
	{"no MDN for an invoice, which then comes late", "delivery unknown in Slack, no page; ends", lateMDN},
	{"a load status does not get through: the bridge has it resent", "one run, its result in the thread; ends", runRepairs},
	{"somebody forges an event", "refused, nobody is told", forgedEvent},
	{"Datasync delivers the same event twice", "one alert", duplicateEvent},
	{"a webhook is lost, and polling finds the failure", "one alert that says so", lostWebhook},
	{"an invoice fails: the bridge asks a person before it is resent", "asked in the thread, one run; ends", invoiceAsked},
	{"Slack answers 429 for a while", "the alert waits and arrives once", slackBusy},
}

func retryHeals(ctx context.Context, st *stage) (string, error) {
	before := st.counts()
	id := st.sandbox.Put(sandbox.Transaction{DocumentType: "850", DocumentName: "purchase_order", Partner: harrowgate,
		References: map[string]string{"po_number": "PO-88214"}})
	st.sandbox.Retry(id, noResponse, 1, 4, 5*time.Minute)
	if err := st.planned(ctx, st.sandbox.Deliver(id)); err != nil {
		return "", err
	}
	return st.nobody(before)
}

func shipNoticeFails(ctx context.Context, st *stage) (string, error) {
	id := st.sandbox.Put(sandbox.Transaction{DocumentType: "856", DocumentName: "shipment", Partner: harrowgate,
		References: map[string]string{"shipment_id": "SH-55120", "po_number": "PO-88214"}, EndpointHost: "as2.harrowgate.example",
		Deadline: time.Now().Add(4*time.Hour + 14*time.Minute), DeadlineName: "ASN before dock appointment"})
	st.sandbox.Fail(id, noResponse)
	if err := st.until(ctx, "Slack and PagerDuty are told of SH-55120", func() bool {
		return st.opened("SH-55120") == 1 && st.alerts(harrowgate.Name, standin.Triggered) == 1
	}); err != nil {
		return "", err
	}
	st.breathe(ctx)
	st.sandbox.Deliver(id)
	err := st.until(ctx, "Slack and PagerDuty are told that it is over", func() bool {
		return st.ended("SH-55120") == 1 && st.alerts(harrowgate.Name, standin.Resolved) == 1
	})
	return "1 message, 1 page, both ended", err
}

func partnerOutage(ctx context.Context, st *stage) (string, error) {
	kinds := []struct{ document, name string }{{"810", "invoice"}, {"855", "purchase_order_acknowledgment"}, {"846", "inventory"}, {"940", "warehouse_order"}}
	ids := make([]string, 0, 40)
	for n := range 40 {
		kind := kinds[n%len(kinds)]
		if n == 39 { // the last one to fail is the one that matters
			kind.document, kind.name = "856", "shipment"
		}
		ids = append(ids, st.sandbox.Put(sandbox.Transaction{DocumentType: kind.document, DocumentName: kind.name, Partner: saltmarsh,
			References: map[string]string{"po_number": fmt.Sprintf("PO-4%04d", n)}, EndpointHost: "as2.saltmarsh.example"}))
	}
	for _, id := range ids {
		st.sandbox.Fail(id, refused)
	}
	if err := st.until(ctx, "one page for the outage", func() bool { return st.alerts(saltmarsh.Name, standin.Triggered) == 1 }); err != nil {
		return "", err
	}
	st.breathe(ctx)
	for _, id := range ids[:39] {
		st.sandbox.Deliver(id)
	}
	if err := st.sandbox.Settled(ctx); err != nil {
		return "", err
	}
	if st.alerts(saltmarsh.Name, standin.Resolved) > 0 {
		return "", errors.New("the page ended while one document was still failing")
	}
	st.breathe(ctx)
	st.sandbox.Deliver(ids[39])
	err := st.until(ctx, "the outage is over in Slack and PagerDuty", func() bool {
		return st.ended(saltmarsh.Name) == 1 && st.alerts(saltmarsh.Name, standin.Resolved) == 1
	})
	if n := st.opened(saltmarsh.Name); err == nil && n != 1 {
		err = fmt.Errorf("%d Slack messages were posted instead of one", n)
	}
	return "40 failures: 1 message, 1 page, both ended with the last one", err
}

func lateMDN(ctx context.Context, st *stage) (string, error) {
	id := st.sandbox.Put(sandbox.Transaction{DocumentType: "810", DocumentName: "invoice", Partner: juniper, Amount: "48210.55", Currency: "USD",
		References: map[string]string{"invoice_number": "INV-204417"}, MessageID: "<DS-7730@datasync.example>"})
	st.sandbox.MDNTimeout(id, 30*time.Minute)
	if err := st.until(ctx, "Slack is told of INV-204417", func() bool { return st.opened("INV-204417") == 1 }); err != nil {
		return "", err
	}
	st.breathe(ctx)
	st.sandbox.MDNReceived(id, true)
	err := st.until(ctx, "Slack is told that the MDN came", func() bool { return st.ended("INV-204417") == 1 })
	if n := st.alerts(juniper.Name, ""); err == nil && n > 0 {
		err = errors.New("somebody was paged for an invoice's receipt")
	}
	return "1 message, ended; no page", err
}

func runRepairs(ctx context.Context, st *stage) (string, error) {
	id := st.sandbox.Put(sandbox.Transaction{DocumentType: "214", DocumentName: "load_status", Partner: pellwick,
		References: map[string]string{"shipment_id": "LD-771203"}})
	// Datasync takes its time, so that Slack hears of the trouble first.
	st.sandbox.FailNext("/v1/automations/run", sandbox.Fault{Delay: 1500 * time.Millisecond})
	st.sandbox.Fail(id, noResponse)
	err := st.until(ctx, "the run's result and the end are told", func() bool {
		return len(st.sandbox.Runs()) == 1 && st.ended("LD-771203") == 1 && st.replies("LD-771203", "resend_status") == 1
	})
	return "resend_status ran once and repaired it", err
}

func forgedEvent(ctx context.Context, st *stage) (string, error) {
	before := st.counts()
	body := []byte(`{"id":"evt_forged","type":"transaction.failed","created_at":"2026-01-01T00:00:00Z","data":{"transaction":{"id":"txn_x","document_type":"856"}}}`)
	answers, err := st.sandbox.Answered(ctx, st.sandbox.EmitRaw(body, true))
	if err != nil {
		return "", err
	}
	if len(answers) != 1 || answers[0].Status != http.StatusUnauthorized {
		return "", fmt.Errorf("a forged event was answered %+v", answers)
	}
	told, err := st.nobody(before)
	return "401, " + told, err
}

func duplicateEvent(ctx context.Context, st *stage) (string, error) {
	id := st.sandbox.Put(sandbox.Transaction{DocumentType: "850", DocumentName: "purchase_order", Partner: oakmere,
		References: map[string]string{"po_number": "PO-31007"}})
	first := st.sandbox.Fail(id, badUnit)
	if err := st.until(ctx, "Slack is told of PO-31007", func() bool { return st.opened("PO-31007") == 1 }); err != nil {
		return "", err
	}
	if !st.sandbox.Redeliver(first) {
		return "", errors.New("the sandbox has forgotten the event")
	}
	if err := st.sandbox.Settled(ctx); err != nil {
		return "", err
	}
	if err := st.planned(ctx, first); err != nil {
		return "", err
	}
	if n := st.opened("PO-31007"); n != 1 {
		return "", fmt.Errorf("%d messages for one event", n)
	}
	return "202, then 200 duplicate; 1 message", nil
}

func lostWebhook(ctx context.Context, st *stage) (string, error) {
	id := st.sandbox.Put(sandbox.Transaction{DocumentType: "940", DocumentName: "warehouse_order", Partner: oakmere,
		References: map[string]string{"po_number": "WO-1907"}})
	st.sandbox.LoseNext(1)
	st.sandbox.Fail(id, badUnit)
	err := st.until(ctx, "Slack is told of WO-1907, as found by polling", func() bool {
		roots := st.roots("WO-1907")
		return len(roots) == 1 && strings.Contains(roots[0].Readable(), "found by polling")
	})
	return "no webhook came; 1 message, marked as found by polling", err
}

func invoiceAsked(ctx context.Context, st *stage) (string, error) {
	id := st.sandbox.Put(sandbox.Transaction{DocumentType: "810", DocumentName: "invoice", Partner: juniper, Amount: "1250.00", Currency: "USD",
		References: map[string]string{"invoice_number": "INV-70411"}})
	st.sandbox.Fail(id, noResponse)
	var waiting []incident.Run
	err := st.until(ctx, "a person is asked in the thread", func() bool {
		waiting, _ = st.bridge.store.Runs(ctx, incident.Filter{State: string(incident.RunAwaiting)})
		return len(waiting) == 1 && st.replies("INV-70411", "runs approve "+waiting[0].ID) == 1
	})
	if err != nil {
		return "", err
	}
	st.breathe(ctx)
	ran := len(st.sandbox.Runs())
	if err := st.bridge.desk.Approve(ctx, []string{waiting[0].ID}, web.LocalName(), "Juniper Vale confirms that nothing came"); err != nil {
		return "", err
	}
	err = st.until(ctx, "the invoice is resent once and delivered", func() bool { return st.ended("INV-70411") == 1 })
	if n := len(st.sandbox.Runs()) - ran; err == nil && n != 1 {
		err = fmt.Errorf("the invoice was resent %d times", n)
	}
	return "asked, approved, resent once; ended", err
}

func slackBusy(ctx context.Context, st *stage) (string, error) {
	var refusals atomic.Int32
	st.slack.SetFaults(func(int, *http.Request) standin.Fault {
		if refusals.Add(1) <= 2 {
			return standin.Fault{Status: http.StatusTooManyRequests, RetryAfter: "1"}
		}
		return standin.Fault{}
	})
	id := st.sandbox.Put(sandbox.Transaction{DocumentType: "820", DocumentName: "payment", Partner: oakmere,
		References: map[string]string{"invoice_number": "INV-9001"}})
	st.sandbox.Fail(id, badUnit)
	err := st.until(ctx, "the alert arrives after Slack's pause", func() bool { return st.opened("INV-9001") == 1 })
	return fmt.Sprintf("%d× 429, then 1 message", min(refusals.Load(), 2)), err
}
