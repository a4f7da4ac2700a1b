package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/trial"
	"datasync-bridge/trial/script"
)

// TestSituationsEndToEnd plays the operations situations, which are rule tests,
// through the real bridge too: store, dispatcher, Slack and PagerDuty. The same
// must be told of the same, to the same people, and end in the same way.
func TestSituationsEndToEnd(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/situations/[01]*.yaml")
	if err != nil || len(files) != 12 {
		t.Fatalf("%d situations (%v)", len(files), err)
	}
	told := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			for i, played := range plays(t, file) {
				told += len(played.sent)
				t.Run(strconv.Itoa(i+1), played.again)
			}
		})
	}
	if t.Logf("%d messages and pages", told); told < 100 {
		t.Error("too few to show anything")
	}
}

// play is what one rule test did, and what came of it.
type play struct {
	cfg   *config.Config
	start time.Time
	deeds []func(*rehearsal) error
	sent  []string
	// ends are the states of incidents.
	ends map[string]string
	// real are the store's ids of events, by those of the trial.
	real map[string]string
}

// plays runs the tests of a file and writes down what each did.
func plays(t *testing.T, file string) (all []*play) {
	t.Helper()
	f, err := script.Read(file, func(path string) (*script.World, error) {
		cfg, err := config.Load(path, config.Options{Placeholders: true})
		if err != nil {
			return nil, err
		}
		w, err := testWorld(cfg)
		if err != nil {
			return nil, err
		}
		open := w.Open
		w.Open = func(start time.Time, o trial.Observer) script.Bridge {
			p := &play{cfg: cfg, start: start, ends: map[string]string{}, real: map[string]string{}}
			all = append(all, p)
			sent, changed := o.Sent, o.Changed
			o.Sent = func(d incident.Delivery) { p.told(d); sent(d) }
			o.Changed = func(i incident.Incident) { p.ends[i.ID] = stateOf(i); changed(i) }
			return recorder{open(start, o), p}
		}
		return w, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.Run() {
		if len(r.Failures) > 0 {
			t.Errorf("%s fails as a rule test: %+v", r.Name, r.Failures)
		}
	}
	return all
}

func (p *play) told(d incident.Delivery) {
	if d.Kind != incident.Update { // how many edits are made of a burst depends on the moment
		p.sent = append(p.sent, fmt.Sprintf("%s %s %s %d", cmp.Or(d.Incident, d.Order), d.Notifier, d.Kind, d.Alarm))
	}
}

func stateOf(i incident.Incident) string {
	return fmt.Sprintf("%s %s %s, %d of %d open %s", i.State, i.Class, i.Severity, i.OpenMembers(), i.Total, i.Resolution)
}

// recorder notes what a test does to its bridge.
type recorder struct {
	script.Bridge
	play *play
}

func (b recorder) do(deed func(*rehearsal) error) { b.play.deeds = append(b.play.deeds, deed) }

// Post implements script.Bridge.
func (b recorder) Post(st event.Stored) (incident.Decision, error) {
	b.do(func(r *rehearsal) error {
		b.play.wait(r, st.ReceivedAt)
		receipt, err := r.store.Accept(context.Background(), st.Received)
		b.play.real[st.ID] = receipt.ID
		synctest.Wait()
		return err
	})
	return b.Bridge.Post(st)
}

// Advance implements script.Bridge.
func (b recorder) Advance(to time.Time) error {
	b.do(func(r *rehearsal) error { b.play.wait(r, to); return nil })
	return b.Bridge.Advance(to)
}

// Acknowledge implements script.Bridge.
func (b recorder) Acknowledge(id, by, why string) error {
	b.do(func(r *rehearsal) error {
		return r.dispatch.Acknowledge(context.Background(), b.play.known(id), by, why)
	})
	return b.Bridge.Acknowledge(id, by, why)
}

// Resolve implements script.Bridge.
func (b recorder) Resolve(id, by, why string) error {
	b.do(func(r *rehearsal) error { return r.dispatch.Resolve(context.Background(), b.play.known(id), by, why) })
	return b.Bridge.Resolve(id, by, why)
}

// Silence implements script.Bridge.
func (b recorder) Silence(s incident.Silence) {
	b.do(func(r *rehearsal) error { _, err := r.silencer.AddSilence(context.Background(), s, s.By); return err })
	b.Bridge.Silence(s)
}

// wait lets the real bridge come to a time of the trial.
func (p *play) wait(r *rehearsal, to time.Time) {
	if d := time.Until(to); d > 0 {
		r.pass(d)
	}
	synctest.Wait()
}

// known is the real id of a trial's incident: both are named by their events.
func (p *play) known(id string) string {
	for tried, real := range p.real {
		if strings.TrimPrefix(tried, "ev_") == strings.TrimPrefix(id, "in_") {
			return "in_" + strings.TrimPrefix(real, "ev_")
		}
	}
	return id
}

// again plays the same through the real bridge.
func (p *play) again(t *testing.T) {
	rehearseConfigured(t, p.cfg, p.start, func(r *rehearsal) {
		for i, deed := range p.deeds {
			if err := deed(r); err != nil {
				t.Fatalf("deed %d: %v", i+1, err)
			}
		}
		end := time.Now()
		r.pass(2 * time.Minute) // a channel takes one call a second
		real := &play{ends: map[string]string{}}
		list, err := r.store.Deliveries(context.Background(), incident.Filter{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			if d.State == incident.Sent && !d.QueuedAt.After(end) {
				real.told(d)
			} else if d.State == incident.Dead {
				t.Errorf("%s to %s was given up: %s", d.Kind, d.Notifier, d.Error)
			}
		}
		want := make([]string, 0, len(p.sent))
		for _, line := range p.sent {
			id, rest, _ := strings.Cut(line, " ")
			want = append(want, p.known(id)+" "+rest)
		}
		slices.Sort(want)
		slices.Sort(real.sent)
		if !slices.Equal(want, real.sent) {
			t.Errorf("told were\n%s\nwant\n%s", strings.Join(real.sent, "\n"), strings.Join(want, "\n"))
		}
		for _, inc := range r.incidents() {
			real.ends[inc.ID] = stateOf(inc)
		}
		for id, state := range p.ends {
			if got := real.ends[p.known(id)]; got != state {
				t.Errorf("%s ended as %q, want %q", id, got, state)
			}
		}
		if len(real.ends) != len(p.ends) {
			t.Errorf("%d incidents, want %d", len(real.ends), len(p.ends))
		}
	})
}
