package reconcile_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/reconcile"
	"datasync-bridge/event"
)

// told lists the own events with their messages.
func (w *world) told() (list []string) {
	for _, in := range w.events() {
		if in.Origin != event.OriginBridge {
			continue
		}
		var body struct {
			Type string
			Data struct {
				Bridge struct{ Subject string }
				Error  struct{ Message string }
			}
		}
		if err := json.Unmarshal(in.Body, &body); err != nil {
			w.Fatal(err)
		}
		if in.Source != "bridge" || !in.Authentic || in.Environment != event.Production || body.Data.Bridge.Subject != "webhooks of datasync" {
			w.Errorf("own event %+v: %s", in, in.Body)
		}
		list = append(list, strings.TrimPrefix(body.Type, "bridge.")+": "+body.Data.Error.Message)
	}
	return list
}

func TestQuietWebhooksAreToldOnceAndTheirReturnToo(t *testing.T) {
	play(t, func(w *world) {
		w.o.Traffic = w
		w.begin()
		pass(time.Hour)
		w.hears(time.Now())
		pass(10 * time.Minute)
		w.api.fails("T1")
		pass(10 * time.Minute)
		w.api.fails("T2")
		w.api.fails("T3")
		pass(9 * time.Minute)
		if got := w.told(); len(got) != 0 {
			t.Errorf("told within half an hour: %q", got)
		}
		pass(7 * time.Minute)
		got := w.told()
		if len(got) != 1 || !strings.HasPrefix(got[0], "webhooks_quiet: polling found 3 failures since 01:1") ||
			!strings.HasSuffix(got[0], "UTC, but no webhook has come since 01:00 UTC: is the subscription still active?") {
			t.Fatalf("told %q", got)
		}
		w.api.fails("T4")
		pass(5 * time.Hour)
		w.crash()
		pass(5 * time.Hour)
		if got := w.told(); len(got) != 1 {
			t.Errorf("told again: %q", got)
		}
		w.hears(time.Now())
		pass(6 * time.Minute)
		if got := w.told(); len(got) != 2 || !strings.HasPrefix(got[1], "webhooks_resumed: webhooks come again since 11:") {
			t.Errorf("told %q", got)
		}
		pass(5 * time.Hour)
		if got := w.told(); len(got) != 2 {
			t.Errorf("told again: %q", got)
		}
	})
}

func TestWebhooksThatComeAreNotQuiet(t *testing.T) {
	for _, tt := range []struct {
		name  string
		story func(w *world)
	}{
		{"the failure was told by a webhook, and then nothing fails", func(w *world) {
			w.api.fails("T1")
			w.hears(time.Now().Add(time.Second))
		}},
		{"its webhook came late", func(w *world) {
			w.hears(time.Now())
			pass(10 * time.Minute)
			w.api.fails("T1")
			pass(10 * time.Minute)
			w.hears(time.Now())
		}},
		{"nothing fails at all", func(w *world) { w.hears(time.Now()) }},
		{"it failed while the bridge was not there", func(w *world) {
			w.stop()
			pass(time.Hour)
			w.api.fails("T1", at(time.Now().Add(-5*time.Minute)))
			w.store.epoch++
			w.begin()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			play(t, func(w *world) {
				w.o.Traffic = w
				w.begin()
				pass(time.Hour)
				tt.story(w)
				pass(5 * time.Hour)
				if got := w.told(); len(got) != 0 {
					t.Errorf("told %q", got)
				}
			})
		})
	}
}

func TestSilenceFromTheBeginningIsTold(t *testing.T) {
	play(t, func(w *world) {
		w.o.Traffic = w
		w.begin()
		pass(10 * time.Minute)
		w.api.fails("T1")
		pass(time.Hour)
		if got := w.told(); len(got) != 1 || !strings.Contains(got[0], "1 failure since") || !strings.Contains(got[0], "since the bridge began at 00:00 UTC") {
			t.Errorf("told %q", got)
		}
	})
}

func TestOwnEventsAreTheSameForTheSameMoment(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a := reconcile.OwnEvent("bridge.signatures_failing", "signatures of datasync", "one", event.Production, now)
	if b := reconcile.OwnEvent("bridge.signatures_failing", "signatures of datasync", "one", event.Production, now); a.Key != b.Key || a.BodyHash != b.BodyHash {
		t.Error("made twice, they differ")
	}
	for _, b := range []event.Received{
		reconcile.OwnEvent("bridge.signatures_verified", "signatures of datasync", "one", event.Production, now),
		reconcile.OwnEvent("bridge.signatures_failing", "signatures of other", "one", event.Production, now),
		reconcile.OwnEvent("bridge.signatures_failing", "signatures of datasync", "one", event.Sandbox, now),
		reconcile.OwnEvent("bridge.signatures_failing", "signatures of datasync", "one", event.Production, now.Add(time.Second)),
	} {
		if a.Key == b.Key {
			t.Errorf("%s is taken for the same event", b.Body)
		}
	}
}

func TestConfigurationThatCannotPollIsRefused(t *testing.T) {
	play(t, func(w *world) {
		cfg := w.cfg
		cfg.Start = "yesterday"
		if _, err := reconcile.New(cfg, w.store, w.api, w.o); err == nil {
			t.Error("start: yesterday was taken")
		}
		cfg = w.cfg
		cfg.Source = ""
		if _, err := reconcile.New(cfg, w.store, w.api, w.o); err == nil {
			t.Error("no source was taken")
		}
	})
}
