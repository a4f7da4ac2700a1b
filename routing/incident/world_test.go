package incident

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

// world is a small store and clock around a Machine, so that tests read as
// stories. It applies plans as the real store does, and checks as it goes what
// must hold after each of them.
type world struct {
	t          fatal
	m          *Machine
	now        time.Time
	incidents  map[string]Incident
	members    map[string]MatchedMember
	recoveries map[string]Recovery
	notices    map[string]Notice
	timers     map[string]Timer
	deliveries []Delivery
	runs       []Run
	audit      []Audit
	unsigned   map[string]bool // incidents that an unsigned event was part of
	timeline   []Entry
	partners   map[string]Partner
	wanted     []PartnerRef
	events     map[string]input
	digests    map[string]DigestItem
	told       map[string]time.Time // digests
	quiet      *quiet
	read       map[string]int // per notifier: how many deliveries a test has looked at
	counter    int
}

type input struct {
	ev event.Event
	d  Decision
}

type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
}

var start = time.Date(2026, 3, 10, 14, 0, 0, 0, time.UTC)

func settings() Settings {
	return Settings{
		Notifiers: map[string]Notifier{
			"slack": {Name: "slack", Edits: true, Destination: "C1"},
			"hook":  {Name: "hook", Destination: "hooks"},
			"pager": {Name: "pager", Pager: true, FallbackTo: "slack", FallbackAfter: 3 * time.Minute, Fingerprint: "f1"},
			"lead":  {Name: "lead", Pager: true, Fingerprint: "f2"},
			"other": {Name: "other", Edits: true, Destination: "C2"},
		},
		Notify: []string{"slack"},
		Repeat: map[event.Severity]event.Span{
			event.Critical: event.Span(time.Hour), event.Error: event.Span(4 * time.Hour),
			event.Warning: event.Span(24 * time.Hour), event.Info: event.Never,
		},
		StaleAfter: event.Span(12 * time.Hour), CloseAfter: event.Span(72 * time.Hour),
		ReopenWithin: 30 * time.Minute, Config: "hash", Overlap: 15 * time.Minute, WantPartners: true,
	}
}

func newWorld(t fatal, change ...func(*Settings)) *world {
	s := settings()
	q := &quiet{}
	s.Silences = q
	for _, f := range change {
		f(&s)
	}
	return &world{
		t: t, m: &Machine{s}, now: start, quiet: q, digests: map[string]DigestItem{}, told: map[string]time.Time{},
		incidents: map[string]Incident{}, members: map[string]MatchedMember{}, recoveries: map[string]Recovery{},
		partners: map[string]Partner{}, notices: map[string]Notice{}, timers: map[string]Timer{}, events: map[string]input{}, read: map[string]int{},
		unsigned: map[string]bool{},
	}
}

// event plans and applies one event that arrives now.
func (w *world) event(h happening) Decision {
	w.t.Helper()
	w.counter++
	h.ev.ID = fmt.Sprintf("ev_%04d", w.counter)
	h.ev.ReceivedAt = w.now
	if h.ev.OccurredAt.IsZero() {
		h.ev.OccurredAt = w.now
	}
	if h.d.Key == "" {
		h.d.Key = fmt.Sprintf("%s|%s|%s", h.ev.Environment, h.ev.Class, h.ev.Text(event.PartnerID))
		if !h.ev.Class.Shared() {
			h.d.Key += "|" + h.ev.Text(event.TransactionID)
		}
	}
	w.events[h.ev.ID] = input{h.ev, h.d}
	q := w.m.Query(h.ev, h.d)
	p := w.m.Event(Input{Event: h.ev, Decision: h.d, View: w.load(q), Runs: h.runs, Now: w.now})
	if p.Decision == nil || p.Decision.Outcome == "" || p.Event != h.ev.ID {
		w.t.Fatalf("plan of %s has event %q and decision %+v", h.ev.ID, p.Event, p.Decision)
	}
	w.applyOf(h.ev, p)
	return *p.Decision
}

// applyOf applies an event's plan, and remembers what an unsigned one touched.
func (w *world) applyOf(ev event.Event, p Plan) {
	w.t.Helper()
	if !ev.Authentic {
		w.unsigned[p.Decision.Incident] = true
	}
	w.apply(p)
}

// pass lets time go by, and fires what comes due on the way.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for range 10_000 {
		next, ok := w.nextTimer(end)
		if !ok {
			w.now = end
			return
		}
		if next.DueAt.After(w.now) {
			w.now = next.DueAt
		}
		w.fire(next)
	}
	w.t.Fatalf("timers never come to rest: %v", w.timers)
}

func (w *world) nextTimer(end time.Time) (Timer, bool) {
	var best Timer
	for _, key := range slices.Sorted(maps.Keys(w.timers)) {
		if t := w.timers[key]; !t.DueAt.After(end) && (best.Kind == "" || t.DueAt.Before(best.DueAt)) {
			best = t
		}
	}
	return best, best.Kind != ""
}

func (w *world) fire(t Timer) {
	w.t.Helper()
	if t.Kind == RetryingTimer {
		in := w.events[t.Subject]
		in.ev.Effect = event.Open
		p := w.m.Event(Input{Event: in.ev, Decision: in.d, View: w.load(w.m.Query(in.ev, in.d)), Now: w.now, Consumed: &t})
		w.applyOf(in.ev, p)
		return
	}
	p := w.m.Timer(t, w.load(w.m.TimerQuery(t)), w.now)
	if p.Consumed == nil || *p.Consumed != t {
		w.t.Fatalf("timer %v: plan consumes %v", t, p.Consumed)
	}
	w.apply(p)
}

func (w *world) load(q Query) View {
	var v View
	want := map[string]bool{}
	if id := w.byKey(q); id != "" {
		want[id] = true
	}
	for _, h := range q.Handles {
		for _, key := range slices.Sorted(maps.Keys(w.members)) {
			m := w.members[key]
			inc := w.incidents[m.Incident]
			if m.Open && inc.State == Open && inc.Environment == q.Environment && slices.Contains(m.Handles, h) &&
				!slices.ContainsFunc(v.Matched, func(o MatchedMember) bool { return o.Incident == m.Incident && o.ID == m.ID && o.Class == m.Class }) {
				v.Matched = append(v.Matched, m)
				want[m.Incident] = true
			}
		}
		for _, key := range slices.Sorted(maps.Keys(w.recoveries)) {
			if r := w.recoveries[key]; r.Handle == h && r.Environment == q.Environment {
				v.Recoveries = append(v.Recoveries, r)
			}
		}
	}
	for _, id := range q.Incidents {
		want[id] = true
	}
	for _, run := range w.runs {
		if q.RunKey != "" && run.Key == q.RunKey && run.Environment == q.Environment {
			v.Run = &run
			want[run.Incident] = true
		}
	}
	for _, d := range w.deliveries {
		if d.ID == q.Delivery {
			queued := w.queued(d)
			v.Delivery = &queued
			want[d.Incident] = true
		}
	}
	if p, ok := w.partners[string(q.Environment)+q.Partner]; ok {
		v.Partner = &p
	}
	if n, ok := w.notices[q.Notice]; ok {
		v.Notice = &n
	}
	v.Digest = w.digest(q.Digest)
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if inc, ok := w.incidents[id]; ok {
			inc.Listed, inc.Queue = w.listed(inc), w.queue(id)
			v.Incidents = append(v.Incidents, inc)
		}
	}
	return v
}

func (w *world) byKey(q Query) string {
	best := ""
	for _, id := range slices.Sorted(maps.Keys(w.incidents)) {
		inc := w.incidents[id]
		if q.Key == "" || inc.Key != q.Key || inc.Environment != q.Environment {
			continue
		}
		if inc.State == Open {
			return id
		}
		if best == "" || !inc.ResolvedAt.Before(w.incidents[best].ResolvedAt) {
			best = id
		}
	}
	return best
}

func (w *world) listed(inc Incident) []Member {
	var list []Member
	for _, key := range slices.Sorted(maps.Keys(w.members)) {
		if m := w.members[key]; m.Incident == inc.ID && m.Open {
			list = append(list, m.Member)
		}
	}
	slices.SortStableFunc(list, func(a, b Member) int {
		if a.Due.IsZero() != b.Due.IsZero() {
			return map[bool]int{true: 1, false: -1}[a.Due.IsZero()]
		}
		if c := a.Due.Compare(b.Due); c != 0 {
			return c
		}
		return a.OpenedAt.Compare(b.OpenedAt)
	})
	return list[:min(len(list), inc.MaxMembers+8)]
}

func (w *world) queued(d Delivery) Queued {
	return Queued{ID: d.ID, Seq: d.Seq, Incident: d.Incident, Notifier: d.Notifier, Kind: d.Kind,
		Alarm: d.Alarm, State: d.State, Attempted: d.Attempts > 0 || d.Unclear, Error: d.Error}
}

// queue is what is unsent, and the last sent of each notifier and alarm.
func (w *world) queue(id string) []Queued {
	var list []Queued
	for i, d := range w.deliveries {
		last := !slices.ContainsFunc(w.deliveries[i+1:], func(o Delivery) bool {
			return o.Incident == id && o.Notifier == d.Notifier && o.Alarm == d.Alarm && o.State == Sent
		})
		if d.Incident == id && (d.State == Waiting || d.State == Sending || d.State == Sent && last) {
			list = append(list, w.queued(d))
		}
	}
	return list
}

func (w *world) apply(p Plan) {
	w.t.Helper()
	if c := p.Consumed; c != nil {
		key := string(c.Kind) + c.Subject
		if w.timers[key] != *c {
			w.t.Fatalf("consumed timer %v, but the row is %v", *c, w.timers[key])
		}
		delete(w.timers, key)
	}
	for _, inc := range p.Incidents {
		old := w.incidents[inc.ID]
		if inc.Version != old.Version {
			w.t.Fatalf("%s has version %d, plan was made from %d", inc.ID, old.Version, inc.Version)
		}
		inc.Version++
		w.incidents[inc.ID] = inc
	}
	for _, m := range p.Members {
		if key := m.Incident + "/" + m.ID + "/" + string(m.Class); m.Gone {
			delete(w.members, key)
		} else {
			w.members[key] = m
		}
	}
	for _, inc := range p.Incidents {
		for key, m := range w.members {
			if inc.State == Resolved && m.Incident == inc.ID {
				m.Open = false
				w.members[key] = m
			}
		}
	}
	for _, r := range p.Recoveries {
		key := string(r.Environment) + r.Handle + "/" + r.Type
		if old, ok := w.recoveries[key]; !ok || r.Type == markRetrying && r.OccurredAt.Before(old.OccurredAt) ||
			r.Type != markRetrying && !r.OccurredAt.Before(old.OccurredAt) {
			w.recoveries[key] = r
		}
	}
	for _, drop := range p.Drops {
		d := w.delivery(drop.Delivery)
		if d.State != Waiting || d.Attempts > 0 {
			w.t.Fatalf("drops %s, which was attempted: %+v", drop.Delivery, d)
		}
		d.State = Dropped
	}
	for _, d := range p.Deliveries {
		w.enqueue(d)
	}
	w.wanted = append(w.wanted, p.Wanted...)
	for _, one := range p.Partners {
		w.partners[string(one.Environment)+one.ID] = one
	}
	for _, run := range p.Runs {
		w.store(run)
	}
	w.audit = append(w.audit, p.Audit...)
	w.timeline = append(w.timeline, p.Timeline...)
	for _, n := range p.Notices {
		w.notices[n.Key] = n
	}
	w.applyDigests(p)
	for _, t := range p.Timers {
		if key := string(t.Kind) + t.Subject; t.DueAt.IsZero() {
			delete(w.timers, key)
		} else {
			w.timers[key] = t
		}
	}
	w.check(p)
}

func (w *world) enqueue(d Delivery) {
	w.t.Helper()
	d.Seq = int64(len(w.deliveries) + 1)
	d.ID = fmt.Sprintf("dl_%04d", d.Seq)
	if d.State != Waiting || d.Order == "" {
		w.t.Fatalf("queues %+v", d)
	}
	if d.Kind == Update {
		for i := range w.deliveries {
			if o := &w.deliveries[i]; o.Kind == Update && o.Incident == d.Incident && o.Notifier == d.Notifier && o.State == Waiting && o.Attempts == 0 {
				o.State = Superseded
			}
		}
	}
	if !d.FallbackAt.IsZero() {
		w.timers[string(FallbackTimer)+d.ID] = Timer{Kind: FallbackTimer, Subject: d.ID, DueAt: d.FallbackAt}
	}
	w.deliveries = append(w.deliveries, d)
}

func (w *world) delivery(id string) *Delivery {
	w.t.Helper()
	for i := range w.deliveries {
		if w.deliveries[i].ID == id {
			return &w.deliveries[i]
		}
	}
	w.t.Fatalf("no delivery %s", id)
	return nil
}

// send lets these notifiers (all, if none is named) take what waits for them.
func (w *world) send(names ...string) {
	for i := range w.deliveries {
		if d := &w.deliveries[i]; d.State == Waiting && (len(names) == 0 || slices.Contains(names, d.Notifier)) {
			d.State, d.Attempts = Sent, d.Attempts+1
		}
	}
}

// attempt makes attempts that end without an answer.
func (w *world) attempt(name string) {
	for i := range w.deliveries {
		if d := &w.deliveries[i]; d.State == Waiting && d.Notifier == name {
			d.Attempts, d.Unclear, d.Error = d.Attempts+1, true, "no answer"
		}
	}
}

// heard says what a notifier was queued since the last look, dropped ones too:
// "opening", "alarm#2", "resolved".
func (w *world) heard(name string) string {
	var kinds []string
	seen := 0
	for _, d := range w.deliveries {
		if d.Notifier != name {
			continue
		}
		if seen++; seen <= w.read[name] {
			continue
		}
		kind := string(d.Kind)
		if d.Alarm > 1 {
			kind += fmt.Sprintf("#%d", d.Alarm)
		}
		kinds = append(kinds, kind)
	}
	w.read[name] = seen
	return strings.Join(kinds, " ")
}

func (w *world) last(name string) Delivery {
	w.t.Helper()
	for i := len(w.deliveries) - 1; i >= 0; i-- {
		if w.deliveries[i].Notifier == name {
			return w.deliveries[i]
		}
	}
	w.t.Fatalf("%s heard nothing", name)
	return Delivery{}
}

func (w *world) open() []Incident {
	var list []Incident
	for _, id := range slices.Sorted(maps.Keys(w.incidents)) {
		if w.incidents[id].State == Open {
			list = append(list, w.incidents[id])
		}
	}
	return list
}

// want compares what a notifier heard since the last look.
func (w *world) want(name, kinds string) {
	w.t.Helper()
	if got := w.heard(name); got != kinds {
		w.t.Fatalf("at +%v %s heard %q, want %q", w.now.Sub(start), name, got, kinds)
	}
}

func (w *world) wantOpen(n int) {
	w.t.Helper()
	if got := len(w.open()); got != n {
		w.t.Fatalf("at +%v %d incidents are open, want %d", w.now.Sub(start), got, n)
	}
}

func outcome(t *testing.T, d Decision, want Outcome) {
	t.Helper()
	if d.Outcome != want {
		t.Fatalf("outcome %q, want %q (reasons %q)", d.Outcome, want, d.Reasons)
	}
}

func asText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
