package pagerduty_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/notifiers/notifiertest"
	"datasync-bridge/notifiers/pagerduty"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/routing/incident"
)

func delivery(kind incident.DeliveryKind, alarm int) incident.Delivery {
	s, at := notifiertest.Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	d := notifiertest.Delivery(kind, s, at, "text")
	d.Alarm = alarm
	return d
}

func send(t *testing.T, n *pagerduty.Notifier, kind incident.DeliveryKind, alarm int) {
	t.Helper()
	if _, err := n.Send(t.Context(), delivery(kind, alarm)); err != nil {
		t.Fatalf("%s %d: %v", kind, alarm, err)
	}
}

func TestRouting18_AnAlarmAnewIsAnAlertOfItsOwn(t *testing.T) {
	far, n := service(t)
	send(t, n, incident.Opening, 1)
	send(t, n, incident.Alarm, 2)
	send(t, n, incident.Alarm, 3)
	send(t, n, incident.Acknowledged, 2)
	send(t, n, incident.Resolve, 1)
	send(t, n, incident.Resolve, 3)
	var got []string
	for _, a := range far.Alerts() {
		got = append(got, a.DedupKey+" "+string(a.State))
	}
	want := []string{"in_0ktq3v9a1c2e4 resolved", "in_0ktq3v9a1c2e4#2 acknowledged", "in_0ktq3v9a1c2e4#3 resolved"}
	if !slices.Equal(got, want) {
		t.Errorf("alerts %q, want %q", got, want)
	}
	if dropped := far.Dropped(); len(dropped) > 0 {
		t.Errorf("PagerDuty dropped %v", dropped)
	}
}

func TestARepeatedTriggerIsTheSameAlert(t *testing.T) {
	far, n := service(t)
	far.SetFaults(func(n int, _ *http.Request) standin.Fault { return standin.Fault{Acted: n == 1, Reset: n == 1} })
	if _, err := n.Send(t.Context(), delivery(incident.Opening, 1)); !notifiers.IsUnclear(err) {
		t.Fatalf("first attempt: %v, want unclear", err)
	}
	send(t, n, incident.Opening, 1)
	if alerts := far.Alerts(); len(alerts) != 1 || len(alerts[0].History) != 2 {
		t.Errorf("alerts %+v, want one with both triggers", alerts)
	}
}

func TestRouting21_AReopeningTriggersWithTheSameKey(t *testing.T) {
	far, n := service(t)
	send(t, n, incident.Opening, 1)
	send(t, n, incident.Resolve, 1)
	send(t, n, incident.Reopening, 1)
	alerts := far.Alerts()
	if len(alerts) != 2 || alerts[0].DedupKey != alerts[1].DedupKey || alerts[1].State != standin.Triggered {
		t.Errorf("alerts %+v, want a second one with the same key", alerts)
	}
}

func TestAPagerTakesNothingButAlarmsAndTheirEnd(t *testing.T) {
	for _, kind := range notifiertest.Kinds {
		far, n := service(t)
		_, err := n.Send(t.Context(), delivery(kind, 1))
		taken := kind.Alarms() || kind == incident.Resolve || kind == incident.Acknowledged
		if taken && err != nil || !taken && !notifiers.IsPermanent(err) {
			t.Errorf("%s: error %v", kind, err)
		}
		if calls := len(far.Requests()); taken != (calls == 1) {
			t.Errorf("%s: %d calls", kind, calls)
		}
	}
}

func TestAnEndThroughAnotherRoutingKeyIsRefusedAloud(t *testing.T) {
	far, n := service(t)
	for _, kind := range []incident.DeliveryKind{incident.Resolve, incident.Acknowledged} {
		d := delivery(kind, 1)
		d.Fingerprint = notifiers.Fingerprint("another key")
		if _, err := n.Send(t.Context(), d); !notifiers.IsPermanent(err) || !strings.Contains(err.Error(), "another routing key") {
			t.Errorf("%s: error %v, want a permanent one that says why", kind, err)
		}
		d.Fingerprint = notifiers.Fingerprint(key)
		if _, err := n.Send(t.Context(), d); err != nil {
			t.Errorf("%s through the same key: %v", kind, err)
		}
	}
	d := delivery(incident.Opening, 1)
	d.Fingerprint = notifiers.Fingerprint("another key")
	if _, err := n.Send(t.Context(), d); err != nil || len(far.Alerts()) != 1 {
		t.Errorf("an alarm must ring whichever key it was queued for: %v", err)
	}
}

func TestARefusalShowsPagerDutysReasons(t *testing.T) {
	far := standin.NewPagerDuty(standin.PagerDutyOptions{RoutingKeys: map[string]string{key: "edi"}})
	far.SetFaults(func(int, *http.Request) standin.Fault {
		return standin.Fault{Status: 400, Body: `{"status":"invalid event","message":"Event object is invalid","errors":["'payload.summary' is missing or blank"]}`}
	})
	n := pagerduty.New(pagerduty.Config{RoutingKey: key, EventsURL: "https://events.example"}, notifiertest.Style, &http.Client{Transport: standin.Transport(far)})
	_, err := n.Send(t.Context(), delivery(incident.Opening, 1))
	want := "pagerduty answered status 400: Event object is invalid: 'payload.summary' is missing or blank"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestRouting31_NothingFromOutsideForgesOrOverflows(t *testing.T) {
	for _, many := range []bool{false, true} {
		for _, kind := range []incident.DeliveryKind{incident.Opening, incident.Alarm, incident.Reopening, incident.Fallback} {
			far, n := service(t)
			if _, err := n.Send(t.Context(), notifiertest.Hostile(kind, many)); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			var sent struct {
				Links   []struct{ Href string }
				Payload struct{ Summary string }
			}
			body := far.Requests()[0].Body
			if err := json.Unmarshal(body, &sent); err != nil {
				t.Fatal(err)
			}
			if len(body) > 512<<10 || utf8.RuneCountInString(sent.Payload.Summary) > 1024 {
				t.Errorf("%s: body %d bytes, summary %d", kind, len(body), utf8.RuneCountInString(sent.Payload.Summary))
			}
			if len(sent.Links) > 0 {
				t.Errorf("%s: a forged address became a link: %v", kind, sent.Links)
			}
			var all any
			if err := json.Unmarshal(body, &all); err != nil {
				t.Fatal(err)
			}
			walk(all, func(text string) {
				if r, bad := notifiertest.Concealed(text); bad {
					t.Errorf("%s: %U in %.80q", kind, r, text)
				}
			})
		}
	}
}

func walk(v any, visit func(string)) {
	switch v := v.(type) {
	case string:
		visit(v)
	case []any:
		for _, item := range v {
			walk(item, visit)
		}
	case map[string]any:
		for name, item := range v {
			visit(name)
			walk(item, visit)
		}
	}
}

func TestDetailsListTheMembersAndSayHowManyAreMissing(t *testing.T) {
	s, at := notifiertest.Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	s = notifiertest.Grouped(s, map[string]int{"856": 40}, "856") // of which 20 are listed
	if listed, not := transactions(t, notifiertest.Delivery(incident.Opening, s, at, "")); listed != 20 || not != 20 {
		t.Errorf("%d listed, %d not, want 20 and 20", listed, not)
	}
	s.Members = slices.Repeat(s.Members, 30)
	s.Open = 600
	if listed, not := transactions(t, notifiertest.Delivery(incident.Opening, s, at, "")); listed != 300 || not != 300 {
		t.Errorf("%d listed, %d not, want 300 and 300", listed, not)
	}
}

func TestTheWorstBodyStaysUnderPagerDutysLimit(t *testing.T) {
	s := notifiertest.Hostile(incident.Opening, true)
	worst := strings.Repeat("<", 2000) // six bytes each in JSON
	for i := range s.Snapshot.Members {
		s.Snapshot.Members[i].Transaction, s.Snapshot.Members[i].Reference = worst, worst
	}
	for path, v := range s.Snapshot.Lead.Fields {
		if _, ok := v.(string); ok {
			s.Snapshot.Lead.Fields[path] = worst
		}
	}
	far, n := service(t)
	if _, err := n.Send(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if size := len(far.Requests()[0].Body); size > 400<<10 || size < 200<<10 {
		t.Errorf("%d bytes: want far under 512 KB, and enough to prove it", size)
	}
}

func transactions(t *testing.T, d incident.Delivery) (listed, not int) {
	t.Helper()
	far, n := service(t)
	if _, err := n.Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	var payload struct {
		Details struct {
			Transactions []string `json:"transactions"`
			NotListed    int      `json:"transactions_not_listed"`
		} `json:"custom_details"`
	}
	if err := json.Unmarshal(far.Alerts()[0].Payload, &payload); err != nil {
		t.Fatal(err)
	}
	return len(payload.Details.Transactions), payload.Details.NotListed
}

func TestConfigFaultsAreAllReportedWithTheirPaths(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  pagerduty.Config
		want []string
	}{
		{"a key", pagerduty.Config{RoutingKey: key}, nil},
		{"none", pagerduty.Config{}, []string{"routing_key"}},
		{"too short", pagerduty.Config{RoutingKey: event.Secret(key[:31])}, []string{"routing_key"}},
		{"not https", pagerduty.Config{RoutingKey: key, EventsURL: "http://events.pagerduty.com"}, []string{"events_url"}},
		{"loopback", pagerduty.Config{RoutingKey: key, EventsURL: "http://localhost:9"}, nil},
		{"both", pagerduty.Config{EventsURL: "ftp://x"}, []string{"routing_key", "events_url"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			tt.cfg.WithDefaults().Validate(func(path, _ string) { got = append(got, path) })
			if !slices.Equal(got, tt.want) {
				t.Errorf("faults at %q, want %q", got, tt.want)
			}
		})
	}
	for given, want := range map[string]string{
		"": "https://events.pagerduty.com", "https://events.eu.pagerduty.com/": "https://events.eu.pagerduty.com",
		"https://events.pagerduty.com/v2/enqueue": "https://events.pagerduty.com",
	} {
		if got := (pagerduty.Config{EventsURL: given}).WithDefaults().EventsURL; got != want {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
	}
}

func TestTraitsNameThePlaceAndNeverTheKey(t *testing.T) {
	got := pagerduty.Config{RoutingKey: key}.Traits("edi-pager")
	want := incident.Notifier{Name: "edi-pager", Pager: true, Destination: "events.pagerduty.com", Fingerprint: notifiers.Fingerprint(key)}
	if got.Name != want.Name || !got.Pager || got.Edits || got.Destination != want.Destination || got.Fingerprint != want.Fingerprint {
		t.Errorf("%+v, want %+v", got, want)
	}
	if strings.Contains(got.Fingerprint, key[:6]) {
		t.Errorf("the fingerprint %q shows the key", got.Fingerprint)
	}
}

func TestALongIncidentIDStaysUnderTheDedupLimit(t *testing.T) {
	far, n := service(t)
	for _, alarm := range []int{1, 2} {
		d := delivery(incident.Opening, alarm)
		d.Incident = strings.Repeat("i", 300)
		if _, err := n.Send(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	alerts := far.Alerts()
	if len(alerts) != 2 || len(alerts[0].DedupKey) > 255 {
		t.Errorf("%d alerts, key of %d: want two under different keys of at most 255", len(alerts), len(alerts[0].DedupKey))
	}
}

func TestTheTimestampIsWhenItHappened(t *testing.T) {
	far, n := service(t)
	send(t, n, incident.Opening, 1)
	var payload struct{ Timestamp time.Time }
	if err := json.Unmarshal(far.Alerts()[0].Payload, &payload); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 3, 10, 14, 46, 9, 0, time.UTC); !payload.Timestamp.Equal(want) {
		t.Errorf("timestamp %v, want %v", payload.Timestamp, want)
	}
}
