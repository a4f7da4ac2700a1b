package incident

import (
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

// gate is a calendar that opens once, at opens.
type gate struct{ opens time.Time }

func (g gate) Open(at time.Time) bool { return !at.Before(g.opens) }
func (g gate) Next(at time.Time) time.Time {
	if at.Before(g.opens) {
		return g.opens
	}
	return at
}

// hush silences one transaction.
type hush struct{ transaction string }

func (h hush) Silencing(ev event.Event, at time.Time) (Silence, bool) {
	s := Silence{ID: "acme-cert", Until: at.Add(time.Hour), By: "ana", Why: "certificate change"}
	return s, ev.Text(event.TransactionID) == h.transaction
}

func TestRouting33ARunKeepsToItsRemediationsCalendar(t *testing.T) {
	w := newWorld(t)
	w.m.Calendars = map[string]Calendar{"partner": gate{start.Add(time.Hour)}}
	kept := tried(10 * time.Minute)
	kept.OnlyDuring = "partner"
	w.event(failed("T1", to("slack", "pager"), proposing(kept)))
	if run := w.run("rn_0001"); run.State != RunRefused || !strings.Contains(run.Why, "outside calendar partner") ||
		!strings.Contains(run.Why, "opens at") {
		t.Errorf("outside its hours the run is %s: %s", run.State, run.Why)
	}
	w.want("pager", "opening") // nothing is tried, so nobody waits for it

	w.pass(time.Hour)
	w.event(failed("T2", to("slack"), proposing(kept)))
	if run := w.run("rn_0002"); run.State != RunQueued {
		t.Errorf("inside its hours the run is %s: %s", run.State, run.Why)
	}
	w.m.Calendars = nil
	w.event(failed("T3", to("slack"), proposing(kept)))
	if run := w.run("rn_0003"); run.State != RunRefused {
		t.Errorf("without its calendar the run is %s", run.State)
	}
}

func TestRouting33NothingIsRunDuringASilence(t *testing.T) {
	w := newWorld(t)
	w.m.Silences = hush{"T1"}
	w.event(failed("T1", to("slack"), proposing(tried(0))))
	if run := w.run("rn_0001"); run.State != RunRefused || !strings.Contains(run.Why, "silence acme-cert") {
		t.Errorf("during a silence the run is %s: %s", run.State, run.Why)
	}
	w.event(failed("T2", to("slack"), proposing(tried(0))))
	if run := w.run("rn_0002"); run.State != RunQueued {
		t.Errorf("outside the silence the run is %s: %s", run.State, run.Why)
	}
}
