package notifiers_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/notifiers/notifiertest"
	"datasync-bridge/routing/incident"
)

func TestAMessageIsTheSameAfterTheStoreKeptItAsJSON(t *testing.T) {
	for _, c := range notifiertest.Cases() {
		raw, err := json.Marshal(c.Delivery)
		if err != nil {
			t.Fatal(err)
		}
		var back incident.Delivery
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		was, is := notifiers.Compose(c.Delivery, notifiertest.Style), notifiers.Compose(back, notifiertest.Style)
		if !reflect.DeepEqual(was, is) {
			t.Errorf("%s:\n%+v\nbecame\n%+v", c.Name, was, is)
		}
	}
}

func TestEachSampleSaysWhoWhatAndWhy(t *testing.T) {
	s, at := notifiertest.Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	m := notifiers.Compose(notifiertest.Delivery(incident.Opening, s, at, ""), notifiertest.Style)
	got := map[string]string{"partner": m.Partner, "due": m.Due, "left": m.Left, "why": m.Why, "title": m.Title()}
	for _, f := range m.Facts {
		got[f.Label] = f.Text
	}
	for label, want := range map[string]string{
		"title": "🔴 CRITICAL · 856 ship notice not delivered", "partner": "Harrowgate Grocers",
		"due": "14:00 CT", "left": "in 4 h 13 min", "why": "rule page-tenders-and-goods",
		"Document": "856 ship notice", "References": "PO PO-88214 · shipment SH-55120", "Attempts": "4 of 4",
		"Error":   "4 of 4 delivery attempts failed: no response within 60s (CONNECTION_TIMEOUT, connectivity)",
		"Contact": "EDI Desk · edi-desk@harrowgate.example · +1-555-0110 · Mon-Fri 07:00-17:00 America/Chicago",
	} {
		if got[label] != want {
			t.Errorf("%s: %q, want %q", label, got[label], want)
		}
	}
}

func TestTheEndIsNeverToldAsMoreThanItIs(t *testing.T) {
	s, _ := notifiertest.Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	s.Notes = []string{"resolved by hand by ana: partner rang"}
	for how, want := range map[incident.Resolution]struct{ title, status string }{
		incident.Recovered:   {"✅ RESOLVED after 2 h 5 min · 856 ship notice", "Recovered at 11:51 CT."},
		incident.Unconfirmed: {"⚪ CLOSED, NO RECOVERY SEEN after 2 h 5 min · 856 ship notice", "no recovery seen"},
		incident.Manual:      {"☑️ CLOSED BY HAND after 2 h 5 min · 856 ship notice", "resolved by hand by ana: partner rang"},
	} {
		over, end := notifiertest.Ended(s, how, 2*time.Hour+5*time.Minute)
		m := notifiers.Compose(notifiertest.Delivery(incident.Resolve, over, end, ""), notifiertest.Style)
		if m.Title() != want.title || !m.Over || !strings.Contains(strings.Join(m.Status, " "), want.status) {
			t.Errorf("%s: %q, status %q", how, m.Title(), m.Status)
		}
	}
}

func TestPolling6_WhatIsNoLongerListedIsNotToldAsDelivered(t *testing.T) {
	s, _ := notifiertest.Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	three := notifiertest.Grouped(s, map[string]int{"856": 3}, "856")
	for _, tt := range []struct {
		s             incident.Snapshot
		cleared       int
		title, status string
	}{
		{s, 1, "☑️ NO LONGER LISTED AS FAILED after 34 min · 856 ship notice", "does not say that it was delivered"},
		{three, 3, "☑️ NO LONGER LISTED AS FAILED after 34 min · 856 ship notice ×3", "does not say that it was delivered"},
		{three, 2, "✅ RESOLVED after 34 min · 856 ship notice ×3", "2 of 3 are only no longer listed as failed by Datasync"},
	} {
		over, end := notifiertest.Ended(tt.s, incident.Recovered, 34*time.Minute)
		over.Polling.Cleared = tt.cleared
		m := notifiers.Compose(notifiertest.Delivery(incident.Resolve, over, end, ""), notifiertest.Style)
		if status := strings.Join(m.Status, " "); m.Title() != tt.title || !strings.Contains(status, tt.status) {
			t.Errorf("%d cleared: %q, status %q", tt.cleared, m.Title(), status)
		}
	}
}

func TestPolling7_APartnerThatIsNotActiveIsShownAsThat(t *testing.T) {
	for status, want := range map[string]string{"active": "", "Active": "", "": "", "suspended": "suspended", "on_hold": "on hold"} {
		s, at := notifiertest.Sample("02_failed_asn_final", event.Connectivity, event.Critical)
		s.Lead.Fields[event.PartnerStatus] = status
		got := ""
		for _, f := range notifiers.Compose(notifiertest.Delivery(incident.Opening, s, at, ""), notifiertest.Style).Facts {
			if f.Label == "Partner status" {
				got = f.Text
			}
		}
		if got != want {
			t.Errorf("%q is shown as %q, want %q", status, got, want)
		}
	}
}

func TestRouting29_AFallbackBeginsByAnnouncingThatNobodyWasPaged(t *testing.T) {
	s, at := notifiertest.Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	for text, want := range map[string]string{
		"NOT PAGED: PagerDuty did not accept (status 500)": "NOT PAGED: PagerDuty did not accept (status 500) · 🔴 CRITICAL · 856",
		"PagerDuty did not accept":                         "NOT PAGED: PagerDuty did not accept · 🔴 CRITICAL · 856",
		"NOT TOLD: edi-slack did not accept: is_archived":  "NOT TOLD: edi-slack did not accept: is_archived · 🔴 CRITICAL · 856",
		"": "NOT PAGED: the pager did not accept this alarm · 🔴 CRITICAL · 856",
	} {
		m := notifiers.Compose(notifiertest.Delivery(incident.Fallback, s, at, text), notifiertest.Style)
		if !strings.HasPrefix(m.Summary(), want) {
			t.Errorf("%q gave %q, want it to begin %q", text, m.Summary(), want)
		}
	}
}

func TestWhatMayBeARepeatSaysSo(t *testing.T) {
	d := notifiertest.Cases()[0].Delivery
	for _, unclear := range []bool{true, false} {
		d.Unclear = unclear
		footer := strings.Join(notifiers.Compose(d, notifiertest.Style).Footer, " ")
		if strings.Contains(footer, "may be a repeat") != unclear {
			t.Errorf("unclear %t: footer %q", unclear, footer)
		}
	}
}

func TestAnAddressThatMayNotBeALinkIsPrintedAsText(t *testing.T) {
	d := notifiertest.Cases()[1].Delivery
	m := notifiers.Compose(d, notifiers.Style{})
	if len(m.Links) > 0 || !strings.Contains(fmt.Sprint(m.Facts), "https://console.datasync.example/") {
		t.Errorf("links %v, facts %v", m.Links, m.Facts)
	}
}

func TestVerdictsSurviveWrappingAndEachOther(t *testing.T) {
	base := errors.New("no")
	both := fmt.Errorf("send: %w", notifiers.Unclear(notifiers.Wait(time.Second, base)))
	if wait, paused := notifiers.RetryAfter(both); !paused || wait != time.Second || !notifiers.IsUnclear(both) || notifiers.IsPermanent(both) || !errors.Is(both, base) {
		t.Errorf("wrapped: pause %v %t, unclear %t, permanent %t", wait, paused, notifiers.IsUnclear(both), notifiers.IsPermanent(both))
	}
	if _, paused := notifiers.RetryAfter(base); paused || notifiers.IsPermanent(nil) || notifiers.IsUnclear(base) {
		t.Error("a plain error carries a verdict")
	}
}

func TestRedactKeepsTheVerdict(t *testing.T) {
	secret := errors.New("called https://x.example/hush?a")
	for name, err := range map[string]error{
		"permanent": notifiers.Permanent(secret), "unclear": notifiers.Unclear(secret),
		"wait": notifiers.Wait(3*time.Second, secret), "plain": secret,
	} {
		clean := notifiers.Redact(err, "hush", "")
		if strings.Contains(clean.Error(), "hush") || errors.Is(clean, secret) {
			t.Errorf("%s: still shows the secret: %v", name, clean)
		}
		if notifiertest.Of(clean) != notifiertest.Of(err) {
			t.Errorf("%s: verdict %+v became %+v", name, notifiertest.Of(err), notifiertest.Of(clean))
		}
	}
	if err := errors.New("fine"); !errors.Is(notifiers.Redact(err, "hush"), err) {
		t.Error("an error without a secret must stay itself")
	}
}
