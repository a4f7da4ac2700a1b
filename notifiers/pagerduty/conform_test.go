package pagerduty_test

import (
	"net/http"
	"testing"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/notifiers/notifiertest"
	"datasync-bridge/notifiers/pagerduty"
	"datasync-bridge/routing/incident"
)

func opening() incident.Delivery {
	s, at := notifiertest.Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	return notifiertest.Delivery(incident.Opening, s, at, "")
}

func TestPagerDutyConforms(t *testing.T) {
	permanent, unclear := notifiertest.Verdict{Permanent: true}, notifiertest.Verdict{Unclear: true}
	notifiertest.Conform(t, notifiertest.Subject{
		New: func(base string, client *http.Client) notifiers.Notifier {
			return pagerduty.New(pagerduty.Config{RoutingKey: key, EventsURL: base}, notifiertest.Style, client)
		},
		Base: "https://events.example", Secrets: []string{key}, Delivery: opening(),
		Accepted: notifiertest.Answer{Name: "202", Status: 202, Body: `{"status":"success","message":"Event processed","dedup_key":"x"}`, Want: notifiertest.Verdict{Sent: true}},
		Answers: []notifiertest.Answer{
			notifiertest.Says("202 that says nothing", 202, "", "", notifiertest.Verdict{Sent: true}),
			notifiertest.Says("200 is not 202", 200, "", `{"status":"success"}`, unclear),
			notifiertest.Says("400", 400, "", `{"status":"invalid event","message":"Event object is invalid","errors":["'payload.summary' is missing or blank"]}`, permanent),
			notifiertest.Says("400 with a bare string", 400, "", "Invalid routing key", permanent),
			notifiertest.Says("403", 403, "", "", permanent),
			notifiertest.Says("404", 404, "", "", permanent),
			notifiertest.Says("413", 413, "", "", permanent),
			notifiertest.Says("503", 503, "", "", unclear),
		},
	})
}
