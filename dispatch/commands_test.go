package dispatch_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

// opened runs a world until it has one open incident, and returns its id.
func opened(w *world, body string) (id string) {
	w.t.Helper()
	ev := w.accept(body)[0]
	stop := w.run()
	pass(time.Minute)
	stop()
	return "in_" + strings.TrimPrefix(ev, "ev_")
}

func TestCommands_ChangeAnIncidentWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := opened(w, "open acme")
		conflicts := 2
		w.apply = func(_ incident.Plan, do func() error) error {
			if conflicts > 0 {
				conflicts--
				return incident.ErrConflict
			}
			return do()
		}
		d := w.dispatcher()
		if err := d.Acknowledge(t.Context(), id, "ana", "on it"); err != nil {
			t.Fatal(err)
		}
		if got := w.incidents()[0].Acknowledged; got == nil || got.By != "ana" || got.Why != "on it" || got.At.IsZero() {
			t.Errorf("acknowledged by %+v, want ana, on it, now", got)
		}
		if err := d.Resolve(t.Context(), id, "ben", "partner called"); err != nil {
			t.Fatal(err)
		}
		if inc := w.incidents()[0]; inc.State != incident.Resolved || inc.Resolution != incident.Manual {
			t.Errorf("it is %s (%s), want resolved by hand", inc.State, inc.Resolution)
		}
		if err := d.Acknowledge(t.Context(), id, "ana", "again"); err == nil || !strings.Contains(err.Error(), "it is resolved") {
			t.Errorf("acknowledging what is over: %v, want the planner's refusal", err)
		}
		if err := d.Resolve(t.Context(), "in_none", "ben", "?"); !errors.Is(err, event.ErrNotFound) {
			t.Errorf("resolving what is not there: %v, want not found", err)
		}
	})
}

func TestCommands_RetryADeadDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		refuse := true
		pager := &far{answer: func(incident.Delivery, int) error {
			if refuse {
				return notifiers.Permanent(errors.New("invalid key"))
			}
			return nil
		}}
		w.senders = append(w.senders, pagerTo(pager))
		opened(w, "open acme edi-pager")
		dead := w.deliveries("edi-pager")[0]
		stop := w.run()
		defer stop()
		refuse = false
		d := w.dispatcher()
		if err := d.RetryDelivery(t.Context(), dead.ID, "ana"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := w.deliveries("edi-pager")[0]; got.State != incident.Sent {
			t.Errorf("the delivery is %s, want sent", got.State)
		}
		byHand := false
		for _, e := range w.timeline() {
			byHand = byHand || e.By == "ana" && e.Delivery == dead.ID && e.Incident == dead.Incident
		}
		if !byHand {
			t.Errorf("the timeline %+v does not say that ana retried it", w.timeline())
		}
		if err := d.RetryDelivery(t.Context(), dead.ID, "ana"); err == nil || !strings.Contains(err.Error(), "it is sent; only a dead delivery") {
			t.Errorf("retrying what is sent: %v, want a refusal", err)
		}
		if err := d.RetryDelivery(t.Context(), "dl_none", "ana"); !errors.Is(err, event.ErrNotFound) {
			t.Errorf("retrying what is not there: %v, want not found", err)
		}
	})
}

func TestCommands_RefuseToPageForWhatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.senders = append(w.senders, pagerTo(&far{answer: func(incident.Delivery, int) error { return notifiers.Permanent(errDown) }}))
		opened(w, "open acme edi-pager")
		opened(w, "settle acme edi-pager")
		d, got := w.dispatcher(), w.deliveries("edi-pager")
		err := d.RetryDelivery(context.Background(), got[0].ID, "ana")
		if err == nil || !strings.Contains(err.Error(), "recovered") || !strings.Contains(err.Error(), "incidents show") {
			t.Errorf("retrying an opening of a resolved incident: %v, want a refusal that says why and what to do", err)
		}
		if after := w.deliveries("edi-pager")[0]; after.State != incident.Dead {
			t.Errorf("the refused opening is %s, want dead as before", after.State)
		}
		if err := d.RetryDelivery(context.Background(), got[1].ID, "ana"); err != nil {
			t.Errorf("retrying its resolve: %v, want it done", err)
		}
	})
}
