package pagerduty_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"datasync-bridge/notifiers"
	"datasync-bridge/notifiers/notifiertest"
	"datasync-bridge/notifiers/pagerduty"
	"datasync-bridge/notifiers/standin"
)

const key = "0123456789abcdef0123456789abcdef"

func service(t *testing.T) (*standin.PagerDuty, *pagerduty.Notifier) {
	t.Helper()
	far := standin.NewPagerDuty(standin.PagerDutyOptions{RoutingKeys: map[string]string{key: "edi"}})
	cfg := pagerduty.Config{RoutingKey: key, EventsURL: "https://events.example"}
	return far, pagerduty.New(cfg, notifiertest.Style, &http.Client{Transport: standin.Transport(far)})
}

func TestEachAlertAsPagerDutyGetsIt(t *testing.T) {
	for _, c := range notifiertest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			far, n := service(t)
			_, err := n.Send(t.Context(), c.Delivery)
			if notifiers.IsPermanent(err) && len(far.Requests()) == 0 {
				notifiertest.Golden(t, c.Name+".golden", "refused: "+err.Error()+"\n")
				return
			}
			if err != nil {
				t.Fatalf("send: %v", err)
			}
			var body bytes.Buffer
			if err := json.Indent(&body, far.Requests()[0].Body, "", "  "); err != nil {
				t.Fatal(err)
			}
			notifiertest.Golden(t, c.Name+".golden", body.String()+"\n")
		})
	}
}
