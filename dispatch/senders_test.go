package dispatch_test

import (
	"context"
	"testing"
	"testing/synctest"

	"datasync-bridge/dispatch"
	"datasync-bridge/routing/incident"
)

// TestRouting36ASwapOfSendersDisturbsNoOther changes one sender in the middle
// of its call, adds one and keeps one: nothing is lost, sent twice or sent by
// two of one name at once.
func TestRouting36ASwapOfSendersDisturbsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		hold := make(chan struct{})
		older := &far{answer: func(incident.Delivery, int) error { <-hold; return nil }}
		newer, pager, never := &far{}, &far{}, &far{}
		sender := func(f *far, name, version string) dispatch.Sender {
			return dispatch.Sender{Name: name, Notifier: f, Version: version}
		}
		w.senders = append(w.senders, sender(older, "edi-slack", "1"))
		d := w.dispatcher()
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		w.accept("open acme edi-slack", "open globex edi-slack")
		synctest.Wait()

		rules := dispatch.Rules{Mapper: &w.mapper, Router: &w.router, Planner: w.planner}
		for _, version := range []string{"2", "3"} {
			if err := d.Use(rules, []dispatch.Sender{sender(newer, "edi-slack", version), sender(pager, "edi-pager", "1")}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if err := d.Use(rules, []dispatch.Sender{sender(never, "edi-slack", "3"), sender(never, "edi-pager", "1")}); err != nil {
			t.Fatal(err)
		}
		w.accept("open initech edi-pager")
		synctest.Wait()
		if len(newer.got()) != 0 {
			t.Error("a changed sender called while the one before it was still in a call")
		}
		close(hold)
		synctest.Wait()
		if o, n, p, x := len(older.got()), len(newer.got()), len(pager.got()), len(never.got()); o != 1 || n != 1 || p != 1 || x != 0 {
			t.Errorf("calls: old %d, changed %d, added %d, unchanged versions %d; want 1, 1, 1, 0", o, n, p, x)
		}

		if err := d.Use(rules, []dispatch.Sender{sender(newer, "edi-slack", "3")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.accept("open umbrella edi-pager,edi-slack")
		synctest.Wait()
		if n, p := len(newer.got()), len(pager.got()); n != 2 || p != 1 {
			t.Errorf("after one was removed: kept %d calls, removed %d; want 2, 1", n, p)
		}
		if err := d.Use(rules, []dispatch.Sender{sender(newer, "a", "1"), sender(newer, "a", "1")}); err == nil {
			t.Error("two senders of one name were taken")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
