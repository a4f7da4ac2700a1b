package incident

import (
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

func TestRouting22_TheMessageOfARetiredNotifierIsShownAsOver(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack", "hook", "pager")))
	w.send()
	for _, name := range []string{"slack", "hook", "pager"} {
		n := w.m.Notifiers[name]
		n.Retired = true
		w.m.Notifiers[name] = n
		w.heard(name)
	}
	w.event(delivered("T1"))
	w.want("slack", "resolve update")
	w.want("hook", "resolve")
	w.want("pager", "resolve")
}

func TestRouting27_AnEndThatDropsAFallbackStillEditsTheMessage(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("slack", "pager")))
	w.send("slack")
	w.heard("slack")
	w.pass(3 * time.Minute)
	w.want("slack", "fallback")
	w.event(delivered("T1"))
	w.want("slack", "resolve update")
	if d := w.deliveries[2]; d.Kind != Fallback || d.State != Dropped {
		t.Errorf("the third delivery is %s %s, want the fallback dropped", d.Kind, d.State)
	}
}

func TestRouting27_AnEndOfWhatWasNeverToldSaysSoWhereNothingIsEdited(t *testing.T) {
	for name, want := range map[string]string{"hook": "resolve", "slack": "resolve"} {
		w := newWorld(t)
		w.event(failed("T1", to(name)))
		w.heard(name)
		w.event(delivered("T1"))
		w.want(name, want)
		if said := strings.Contains(w.last(name).Text, "before it could be told"); said != (name == "hook") {
			t.Errorf("%s: text %q; Slack words it by itself, from what its thread shows", name, w.last(name).Text)
		}
	}
	w := newWorld(t)
	w.event(failed("T1", to("hook")))
	w.send()
	w.event(delivered("T1"))
	if text := w.last("hook").Text; text != "" {
		t.Errorf("the end of what was told says %q", text)
	}
}

func TestRouting39_WhoIsNotToldIsNotRecordedAsTold(t *testing.T) {
	w := newWorld(t)
	w.event(delivered("T1"))
	late := failed("T1", occurred(start.Add(-time.Minute)))
	old := failed("T2", occurred(start.Add(-13*time.Hour)))
	for h, want := range map[*happening]Outcome{&late: Outdated, &old: OldNews} {
		d := w.event(*h)
		outcome(t, d, want)
		if len(d.Notifiers) > 0 || len(d.Reasons) == 0 {
			t.Errorf("%s: recorded as told %v, with reasons %q", want, d.Notifiers, d.Reasons)
		}
	}
	if d := w.event(failed("T3")); len(d.Notifiers) != 1 {
		t.Errorf("opened, and recorded as told %v", d.Notifiers)
	}
}

func TestRouting26_AnUnsignedRecoveryEndsNoPage(t *testing.T) {
	unsigned := but(func(ev *event.Event) { ev.Authentic = false })
	w := newWorld(t)
	w.event(failed("T1", to("pager", "slack"), as(event.Critical)))
	w.event(failed("T2", partner("P2")))
	w.send()
	w.heard("pager")
	w.heard("slack")
	outcome(t, w.event(delivered("T1", unsigned)), Unfitting)
	w.want("pager", "")
	w.want("slack", "")
	outcome(t, w.event(delivered("T2", partner("P2"), unsigned)), Settled)
	w.want("slack", "resolve update")
	// Nor does it mute a signed failure that arrives after it.
	before := w.now
	w.pass(time.Minute)
	w.event(delivered("T3", partner("P3"), unsigned))
	late := failed("T3", partner("P3"), to("pager"), as(event.Critical), but(func(ev *event.Event) { ev.OccurredAt = before }))
	outcome(t, w.event(late), Opened)
	w.want("pager", "opening")
	outcome(t, w.event(delivered("T1")), Settled)
}
