package notifiers_test

import (
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/notifiers/notifiertest"
	"datasync-bridge/routing/incident"
)

func statusOf(d incident.Delivery) string {
	return strings.Join(notifiers.Compose(d, notifiertest.Style).Status, "\n")
}

func TestRouting33_ARequestNamesItsCommandForEachRunByItself(t *testing.T) {
	s, at := notifiertest.Sample("02_failed_asn_final", event.Connectivity, event.Error)
	until := at.Add(time.Hour)
	for _, tt := range []struct {
		name  string
		entry incident.AwaitedRuns
		want  string
	}{
		{"one", incident.AwaitedRuns{Runs: []string{"rn_1"}, Expires: until},
			"⏳ Approval needed: resend_asn, until 10:46 CT: datasync-bridge runs approve rn_1"},
		{"several", incident.AwaitedRuns{Runs: []string{"rn_1", "rn_2"}, Expires: until},
			"⏳ Approval needed: resend_asn ×2, until 10:46 CT: datasync-bridge runs approve rn_1, likewise rn_2"},
		{"more than are listed", incident.AwaitedRuns{Runs: []string{"rn_1", "rn_2", "rn_3", "rn_4"}, More: 7, Expires: until},
			"⏳ Approval needed: resend_asn ×11, until 10:46 CT: datasync-bridge runs approve rn_1, likewise rn_2, rn_3 and 8 more"},
		{"some that are only counted", incident.AwaitedRuns{More: 2, Expires: until},
			"⏳ Approval needed: resend_asn ×2, until 10:46 CT: datasync-bridge runs list --state awaiting"},
		{"one whose time is over", incident.AwaitedRuns{Runs: []string{"rn_1"}, Expires: at},
			"⏳ Approval needed: resend_asn: datasync-bridge runs approve rn_1"},
	} {
		tt.entry.Workflow = "resend_asn"
		s.Awaiting = []incident.AwaitedRuns{tt.entry}
		if got := statusOf(notifiertest.Delivery(incident.Update, s, at, "")); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	over, end := notifiertest.Ended(s, incident.Recovered, time.Minute)
	if got := statusOf(notifiertest.Delivery(incident.Update, over, end, "")); strings.Contains(got, "Approval") {
		t.Errorf("it is over and shows %q", got)
	}
}

func TestRouting35_AHeldPageIsShownOnlyWhileItWaits(t *testing.T) {
	s, at := notifiertest.Sample("02_failed_asn_final", event.Connectivity, event.Error)
	s.HoldUntil, s.HoldFor, s.Held = at.Add(10*time.Minute), "resend_asn", []string{"edi-pager", "lead-pager"}
	want := "Not paged yet: resend_asn is tried first; edi-pager, lead-pager are paged at 09:56 CT if it does not help"
	if got := statusOf(notifiertest.Delivery(incident.Opening, s, at, "")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	over, _ := notifiertest.Ended(s, incident.Recovered, time.Minute)
	calm := s
	calm.Open = 0
	for name, d := range map[string]incident.Delivery{
		"its time is over":      notifiertest.Delivery(incident.Update, s, s.HoldUntil, ""),
		"it is over":            notifiertest.Delivery(incident.Update, over, at, ""),
		"nothing of it is open": notifiertest.Delivery(incident.Update, calm, at, ""),
	} {
		if got := statusOf(d); strings.Contains(got, "paged") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
