package incident

import (
	"testing"
	"time"

	"datasync-bridge/event"
)

// ownEvent is what the bridge tells of itself.
func ownEvent(kind, subject string, effect event.Effect, more ...func(*happening)) happening {
	base := []func(*happening){
		func(h *happening) { h.ev.Origin = event.OriginBridge },
		with(event.BridgeSubject, subject), to("slack"),
		decided(func(d *Decision) { d.Key = "bridge " + kind + subject }),
	}
	return happens("bridge."+kind, effect, event.BridgeClass, append(base, more...)...)
}

func TestRouting40_OwnEventsOpenAndEndLikeAnyOther(t *testing.T) {
	for _, tt := range []struct {
		name, kind, subject, end, endSubject string
		want                                 Outcome
	}{
		{"webhooks", "webhooks_quiet", "A", "webhooks_resumed", "A", Settled},
		{"signatures", "signatures_failing", "A", "signatures_verified", "A", Settled},
		{"of another source", "webhooks_quiet", "A", "webhooks_resumed", "B", Unfitting},
		{"of another family", "webhooks_quiet", "A", "signatures_verified", "A", Unfitting},
		{"no delivery ends them", "delivery_dead", "A", "webhooks_resumed", "A", Unfitting},
	} {
		settling{tt.name, ownEvent(tt.kind, tt.subject, event.Open), ownEvent(tt.end, tt.endSubject, event.Settle), tt.want}.run(t)
	}
	w := newWorld(t)
	outcome(t, w.event(ownEvent("webhooks_quiet", "A", event.Open)), Opened)
	outcome(t, w.event(ownEvent("webhooks_quiet", "A", event.Open)), Joined)
	outcome(t, w.event(ownEvent("webhooks_quiet", "B", event.Open)), Opened)
	outcome(t, w.event(ownEvent("signatures_failing", "A", event.Open)), Opened)
	w.wantOpen(3)
	w.event(delivered("T1"))
	w.wantOpen(3)
	w.event(ownEvent("webhooks_resumed", "A", event.Settle, occurred(start.Add(time.Minute))))
	outcome(t, w.event(ownEvent("webhooks_quiet", "A", event.Open)), Outdated)
}

func TestRouting40_OwnEventsMayPageAndNeverRunAnything(t *testing.T) {
	w := newWorld(t)
	d := w.event(ownEvent("webhooks_quiet", "A", event.Open, to("pager"), proposing(Run{Workflow: "x", State: RunQueued})))
	outcome(t, d, Opened)
	w.want("pager", "opening")
	if len(w.runs) > 0 {
		t.Errorf("runs %+v", w.runs)
	}
}

func TestRouting40_NobodyElseSpeaksForTheBridge(t *testing.T) {
	forged := func(kind string, effect event.Effect) happening {
		return ownEvent(kind, "A", effect, but(func(ev *event.Event) { ev.Origin = event.OriginWebhook }))
	}
	w := newWorld(t)
	w.event(ownEvent("webhooks_quiet", "A", event.Open))
	outcome(t, w.event(forged("webhooks_resumed", event.Settle)), Unfitting)
	w.wantOpen(1)
	if id := memberID(forged("webhooks_quiet", event.Open).ev); id == "bridge:webhooks|A" {
		t.Errorf("a webhook is about %s", id)
	}
}
