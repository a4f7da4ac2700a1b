package dispatch_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"datasync-bridge/dispatch"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	rules := dispatch.Rules{Mapper: &mapper{}, Router: &router{}, Planner: &planner{}}
	none := func(context.Context) ([]string, error) { return nil, nil }
	full := func() dispatch.Deps {
		return dispatch.Deps{Store: faulty{}, Addressees: none, Rules: rules}
	}
	for _, tt := range []struct {
		name  string
		spoil func(*dispatch.Deps)
		want  string
	}{
		{"nothing is wrong", func(*dispatch.Deps) {}, ""},
		{"no store", func(d *dispatch.Deps) { d.Store = nil }, "needs a store"},
		{"no mapper", func(d *dispatch.Deps) { d.Rules.Mapper = nil }, "needs a mapper"},
		{"nobody knows the addressees", func(d *dispatch.Deps) { d.Addressees = nil }, "its addressees"},
		{"no router", func(d *dispatch.Deps) { d.Rules.Router = nil }, "a router"},
		{"no planner", func(d *dispatch.Deps) { d.Rules.Planner = nil }, "a router and a planner"},
		{"a sender without notifier", func(d *dispatch.Deps) { d.Senders = []dispatch.Sender{{Name: "x"}} }, `sender "x" needs`},
		{"two of one name", func(d *dispatch.Deps) { d.Senders = []dispatch.Sender{slackTo(&far{}), slackTo(&far{})} }, `two senders are named "edi-slack"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			deps := full()
			tt.spoil(&deps)
			_, err := dispatch.New(deps, dispatch.Config{})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("New: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRun_IsRefusedASecondTimeAndPossibleAgainAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.dispatcher()
		for range 2 {
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error)
			go func() { ended <- d.Run(ctx) }()
			synctest.Wait()
			if err := d.Run(ctx); err == nil {
				t.Error("a second Run beside the first was not refused")
			}
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run ended with %v, want nil", err)
			}
		}
	})
}

func TestRun_OutlivesAPanicOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.accept("open acme")[0]
		panics := 2
		w.pending = func(got []event.Stored) []event.Stored {
			if panics > 0 {
				panics--
				panic("a fault in the store")
			}
			return got
		}
		stop := w.run()
		defer stop()
		pass(10 * time.Second)
		if st := w.event(id); st.State != event.Planned {
			t.Errorf("after two panics of the loop the event is %s, want planned", st.State)
		}
	})
}

func TestUse_SwapsTheRulesAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.dispatcher()
		if err := d.Use(dispatch.Rules{Mapper: &w.mapper, Planner: &planner{}}, nil); err == nil {
			t.Error("rules without a router were taken")
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		w.accept("open acme")
		synctest.Wait()
		newer, read := &planner{}, 0
		reader := &mapper{bad: func() error { read++; return nil }}
		if err := d.Use(dispatch.Rules{Mapper: reader, Router: &router{}, Planner: newer}, nil); err != nil {
			t.Fatal(err)
		}
		w.accept("bad globex")
		synctest.Wait()
		if read != 1 {
			t.Errorf("the new mapper read %d events, want 1", read)
		}
		if before, after := len(w.planner.inputs()), len(newer.inputs()); before != 1 || after != 1 {
			t.Errorf("the old planner planned %d events and the new one %d, want one each", before, after)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestProposer_ProposesRunsForThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d, err := dispatch.New(dispatch.Deps{
			Store: w.store, Addressees: w.addressees,
			Rules: dispatch.Rules{Mapper: &w.mapper, Router: &w.router, Planner: w.planner, Proposer: resend{}},
		}, dispatch.Config{})
		if err != nil {
			t.Fatal(err)
		}
		id := w.accept("open acme")[0]
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		runs := w.planner.inputs()[0].Runs
		if len(runs) != 1 || runs[0].Event != id || runs[0].Workflow != "resend acme" {
			t.Errorf("the planner was offered %+v, want one run of the event", runs)
		}
	})
}

type resend struct{}

func (resend) Propose(ev event.Event, d incident.Decision) []incident.Run {
	return []incident.Run{{Event: ev.ID, Workflow: "resend " + d.Key}}
}

func TestUpkeep_DeletesSliceBySliceWithABreathBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slices := 5
		var mu sync.Mutex
		left := func() int { mu.Lock(); defer mu.Unlock(); return slices }
		w.retain = func() bool { mu.Lock(); defer mu.Unlock(); slices = max(0, slices-1); return slices > 0 }
		w.config.Retain = time.Hour
		stop := w.run()
		defer stop()
		synctest.Wait()
		if n := left(); n != 4 {
			t.Errorf("at once %d of 5 slices are left, want 4", n)
		}
		pass(5 * time.Second)
		if n := left(); n != 0 {
			t.Errorf("soon %d slices are left, want none", n)
		}
		mu.Lock()
		slices = 1
		mu.Unlock()
		pass(50 * time.Minute)
		if n := left(); n != 1 {
			t.Error("upkeep began again before its time")
		}
		pass(15 * time.Minute)
		if n := left(); n != 0 {
			t.Error("upkeep did not begin again after an hour")
		}
	})
}
