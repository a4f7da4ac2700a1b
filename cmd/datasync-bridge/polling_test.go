package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

const tellsAll = "\ndefaults: {notify: [ops]}\nrules:\n  - {name: all, match: {}, notify: [ops, pager]}\n"

// becomes changes what Datasync says of a transaction, and tells nobody.
func (a *asking) becomes(id, status string) {
	a.t.Helper()
	t, known := a.sandbox.Transaction(id)
	if !known {
		a.t.Fatalf("the sandbox holds no %s", id)
	}
	t.Status = status
	a.sandbox.Put(t)
}

func TestWhatALeftOutFailureIsListedAsAgainAlarmsAnew(t *testing.T) {
	rehearseAsking(t, tellsAll, func(a *asking) {
		a.pass(6 * time.Minute)
		a.breaks(sandbox.Transaction{ID: "T1", DocumentType: "856"})
		a.wants("PagerDuty", "trigger A")
		a.pass(20 * time.Minute)
		a.becomes("T1", "processing")
		a.pass(12 * time.Minute)
		a.wants("PagerDuty", "resolve A")
		a.becomes("T1", "failed") // at the same time as before
		a.pass(12 * time.Minute)
		a.wants("PagerDuty", "trigger A")
		a.pass(time.Hour)
		a.wants("PagerDuty", "")
		a.becomes("T1", "processing")
		a.pass(30 * time.Minute)
		a.wants("PagerDuty", "resolve A")
	})
}

func TestPollingFindsThatWhatRecoveredFailsAgain(t *testing.T) {
	// Polls come at times of their own, and one late in the story would find that
	// webhooks have been quiet for half an hour: that is told too, and not meant here.
	patient := strings.Replace(asksDatasync, "reconcile: {}", "reconcile: {quiet_after: 4h}", 1)
	rehearseAsking(t, patient+tellsAll, func(a *asking) {
		a.pass(6 * time.Minute)
		a.breaks(sandbox.Transaction{ID: "T1", DocumentType: "856"})
		a.wants("PagerDuty", "trigger A")
		a.sandbox.Deliver("T1")
		a.pass(2 * time.Minute)
		a.wants("PagerDuty", "resolve A")
		a.sandbox.LoseNext(1)
		a.sandbox.Fail("T1", sandbox.Failure{Code: "X", Category: "validation", Message: "segment missing"})
		a.pass(7 * time.Minute)
		a.wants("PagerDuty", "trigger A")
		a.pass(10 * time.Minute)
		a.wants("PagerDuty", "")
		a.sandbox.LoseNext(1)
		a.sandbox.Deliver("T1")
		a.pass(13 * time.Minute)
		a.wants("PagerDuty", "resolve A")
	})
}

// said counts the channel's top-level messages that hold a text, and the replies.
func (a *asking) said(text string) (roots, replies int) {
	for _, m := range a.slack.Messages("C1") {
		switch {
		case !strings.Contains(m.Readable(), text):
		case m.Thread == "":
			roots++
		default:
			replies++
		}
	}
	return roots, replies
}

func TestWebhooksThatGoQuietAreToldOnceAndTheirReturnEndsIt(t *testing.T) {
	rehearseAsking(t, "\ndefaults: {notify: [ops]}\n", func(a *asking) {
		a.pass(6 * time.Minute)
		a.breaks(sandbox.Transaction{ID: "T0", DocumentType: "850"})
		a.sandbox.LoseNext(1000)
		for n := range 8 { // two hours
			a.breaks(sandbox.Transaction{ID: "T" + string(rune('1'+n)), DocumentType: "850"})
			a.pass(15 * time.Minute)
		}
		if n, replies := a.said("webhooks have gone quiet"); n != 1 || replies != 0 {
			t.Errorf("the silence was told %d times in two hours, and %d times more below", n, replies)
		}
		if n := a.openings(); n != 10 {
			t.Errorf("%d messages for nine failures and the silence", n)
		}
		a.sandbox.Heal()
		a.breaks(sandbox.Transaction{ID: "T9", DocumentType: "850"})
		a.pass(20 * time.Minute)
		if n, replies := a.said("It was: webhooks have gone quiet"); n != 1 || replies != 1 {
			t.Errorf("%d messages and %d replies tell its end", n, replies)
		}
	})
}

func TestSignaturesThatFailAreToldOnceAndAGoodOneEndsIt(t *testing.T) {
	rehearseAsking(t, "\ndefaults: {notify: [ops]}\n", func(a *asking) {
		fail := func(n int, every time.Duration) {
			for range n {
				a.arrivals.answered("datasync", "signature_mismatch")
				a.pass(every)
			}
		}
		fail(4, time.Minute)
		a.arrivals.answered("datasync", string(event.Duplicate)) // a good one in between
		fail(4, time.Minute)
		if n := a.openings(); n != 0 {
			t.Fatalf("%d messages though no five in a row failed", n)
		}
		fail(6, time.Second)
		a.pass(watchEvery)
		if n := a.openings(); n != 1 {
			t.Fatalf("%d messages for ten in a row", n)
		}
		fail(200, time.Minute)
		// A process that begins anew finds what was told, whatever else is open.
		var many incident.Plan
		for n := range 1001 {
			id := fmt.Sprintf("in_1%010d00", n)
			many.Incidents = append(many.Incidents, incident.Incident{ID: id, Key: id, Environment: event.Production, Source: "datasync",
				State: incident.Open, OpenedAt: a.store.Now()})
		}
		if err := a.store.Apply(context.Background(), many); err != nil {
			t.Fatal(err)
		}
		again := ownWatch{store: a.store, looks: []look{newArrivals(a.cfg.Sources, a.store.Now).look()}, log: slog.New(slog.DiscardHandler)}
		if err := again.remember(context.Background()); err != nil || !again.isTold(signaturesFailing, "signatures of datasync") {
			t.Errorf("another process knows %+v (%v)", again.told, err)
		}
		if again.look(context.Background()); len(again.told) != 1 {
			t.Errorf("another process ends it: %+v", again.told)
		}
		if n, replies := a.said("webhooks fail verification"); n != 1 || replies != 0 {
			t.Errorf("it was told %d times, and %d times more below", n, replies)
		}
		a.breaks(sandbox.Transaction{ID: "T1", DocumentType: "850"})
		a.pass(time.Hour)
		if n, replies := a.said("It was: webhooks fail verification"); n != 1 || replies != 1 || a.openings() != 2 {
			t.Errorf("%d messages and %d replies tell its end, of %d messages", n, replies, a.openings())
		}
	})
}

// expires is the webhook of a certificate's threshold, as Datasync would send it.
func (a *asking) expires(ends time.Time, threshold int) {
	a.t.Helper()
	a.send("partner.certificate_expiring", "partner.id", "par_1", "partner.name", "Acme", "certificate.id", "crt_1", "certificate.not_after", ends,
		"certificate.days_remaining", threshold, "certificate.threshold_days", threshold)
}

func TestAThresholdOfACertificateIsToldOnceHoweverItIsKnown(t *testing.T) {
	for _, first := range []string{"webhook", "poll"} {
		t.Run(first+" first", func(t *testing.T) {
			rehearseAsking(t, "\ndefaults: {notify: [ops]}\n", func(a *asking) {
				ends := time.Now().Add(31*24*time.Hour - time.Hour).Truncate(time.Second)
				a.sandbox.PutPartner(sandbox.Partner{ID: "par_1", Name: "Acme", Certificates: []sandbox.Certificate{{ID: "crt_1", Role: "signing", NotAfter: ends}}})
				if first == "webhook" {
					a.expires(ends, 30)
				}
				a.breaks(sandbox.Transaction{ID: "T1", DocumentType: "850", Partner: sandbox.Partner{ID: "par_1", Name: "Acme"}})
				a.pass(3 * time.Hour)
				if first == "poll" {
					a.expires(ends, 30)
				}
				a.pass(2 * time.Hour)
				if n := a.openings(); n != 2 {
					t.Errorf("%d messages for a failure and a threshold", n)
				}
				if _, replies := a.said("certificate"); replies != 0 {
					t.Errorf("%d replies repeat the threshold", replies)
				}
			})
		})
	}
}
