package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/receiver"
)

func TestRouting40TheHeartbeatIsCalledWhileAllIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, status atomic.Int64
		status.Store(http.StatusOK)
		far := standin.Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls.Add(1)
			w.WriteHeader(int(status.Load()))
		}))
		var full atomic.Bool
		var log strings.Builder
		h := &heartbeat{
			Heartbeat: config.Heartbeat{URL: "https://switch.example/ping/secret-of-a-switch", Every: time.Minute},
			client:    &http.Client{Transport: far},
			well: func(context.Context) error {
				if full.Load() {
					return errors.New("the store is full")
				}
				return nil
			},
			metrics: newBeatMetrics(),
			log:     slog.New(slog.NewTextHandler(&log, nil)),
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.run(ctx) }()
		pass := func(d time.Duration) {
			<-time.After(d)
			synctest.Wait()
		}
		pass(10*time.Minute + time.Second)
		if n := calls.Load(); n != 11 {
			t.Errorf("%d calls in ten minutes", n)
		}
		full.Store(true)
		pass(10 * time.Minute)
		if n := calls.Load(); n != 11 {
			t.Errorf("it is called though the store is full: %d", n)
		}
		full.Store(false)
		status.Store(http.StatusNotFound)
		pass(time.Minute)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, words := range []string{"the store is full", "answered 404"} {
			if !strings.Contains(log.String(), words) {
				t.Errorf("the log does not say %q:\n%s", words, log.String())
			}
		}
		if strings.Contains(log.String(), "secret-of-a-switch") {
			t.Error("the log holds the address")
		}
	})
}

func TestTheHeartbeatsAddressIsInNoError(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, address := range []string{gone.URL + "/secret-of-a-switch", "https://\x7f/secret-of-a-switch"} {
		h := &heartbeat{Heartbeat: config.Heartbeat{URL: event.Secret(address), Every: time.Minute}, client: http.DefaultClient, metrics: newBeatMetrics(),
			well: func(context.Context) error { return nil }}
		if err := h.beat(t.Context()); err == nil || strings.Contains(err.Error(), "secret-of-a-switch") {
			t.Errorf("it says %v", err)
		}
	}
}

func TestRouting40GivenUpDeliveriesOldQueuesAndAFullDiskAreTold(t *testing.T) {
	rehearse(t, `
notifiers:
  - {name: ops, slack: {token: xoxb-test, channel: C1}}
  - {name: pager, pagerduty: {routing_key: "0123456789abcdef0123456789abcdef"}, retry: {give_up_after: 10m}}
defaults: {notify: [ops], repeat: never}
rules:
  - {name: own, match: {class: bridge}, notify: [ops, pager]}
  - {name: page, match: {type: transaction.failed}, notify: [pager]}
`, func(r *rehearsal) {
		disk := uint64(fewBytes - 1)
		l := &storeLook{store: r.store, space: func() (free, all uint64, err error) { return disk, 1 << 40, nil }}
		own := &ownWatch{store: r.store, log: r.reloader.log, looks: l.looks()}
		look := func() {
			own.look(context.Background())
			r.pass(watchEvery)
		}
		look()
		r.says(r.wants("Slack", "post")[0], "the bridge's store is in trouble", "1023 MiB are free")
		r.wants("PagerDuty", "trigger A")
		disk = 1 << 39
		look()
		r.wants("Slack", "reply, edit")
		r.wants("PagerDuty", "resolve A")
		r.pager.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Status: http.StatusInternalServerError} })
		r.failed("txn_1")
		r.pass(20 * time.Minute)
		look()
		r.says(r.wants("Slack", "post")[0], "a notification was given up", "notifier/pager")
		r.pager.SetFaults(nil)
		r.pass(givenUpFor)
		look()
		r.wants("Slack", "reply, edit")
		r.wants("PagerDuty", "") // of its own trouble it is not told
	})
}

func TestATroubleOfASourceThatIsGoneEnds(t *testing.T) {
	now := time.Date(2026, 3, 10, 14, 0, 0, 0, time.UTC)
	one, other := receiver.Source{Name: "one"}, receiver.Source{Name: "other"}
	a := newArrivals([]receiver.Source{one, other}, func() time.Time { return now })
	a.answered("one", string(event.Accepted))
	heard := a.LastWebhook("one")
	for range failingAtLeast {
		now = now.Add(failingFor)
		a.answered("one", "signature_mismatch")
	}
	troubles := func() int {
		list, err := a.troubles(context.Background(), func(string, string) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if n := troubles(); n != 1 {
		t.Errorf("there are %d troubles, want the failing signatures", n)
	}
	a.use([]receiver.Source{other})
	if n := troubles(); n != 0 || !a.LastWebhook("one").Equal(heard) {
		t.Errorf("of a source that is gone: %d troubles, last heard at %v", n, a.LastWebhook("one"))
	}
	a.use([]receiver.Source{one, other})
	if n := troubles(); n != 1 {
		t.Errorf("there are %d troubles after it came back", n)
	}
}
