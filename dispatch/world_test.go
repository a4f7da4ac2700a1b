package dispatch_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/dispatch"
	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store"
	"datasync-bridge/store/sqlite"
)

// world is a dispatcher under test. Events have bodies such as
// "open acme edi-slack,edi-pager": effect, incident key, notifiers.
type world struct {
	t     *testing.T
	path  string
	store *sqlite.Store
	faults
	mapper  mapper
	router  router
	planner *planner
	// machine, where it is set, plans instead of planner.
	machine *incident.Machine
	senders []dispatch.Sender
	config  dispatch.Config
	jitter  func(time.Duration) time.Duration
	observe dispatch.Observer
	log     *slog.Logger
}

// newWorld has a real store, whose clock is that of the bubble around the test.
func newWorld(t *testing.T) *world {
	w := &world{t: t, path: filepath.Join(t.TempDir(), "bridge.db"), planner: &planner{}, config: dispatch.Config{Poll: time.Minute}}
	w.jitter = func(most time.Duration) time.Duration { return most }
	w.open()
	t.Cleanup(func() { _ = w.store.Close() })
	return w
}

func (w *world) open() {
	w.t.Helper()
	s, err := sqlite.Open(context.Background(), store.Config{SQLite: store.SQLite{Path: w.path}}, sqlite.Options{Now: time.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = s
}

// faults stand between dispatch and its store; nil ones change nothing.
type faults struct {
	apply   func(incident.Plan, func() error) error
	settle  func(incident.Settlement, func() error) error
	failed  func()
	pending func([]event.Stored) []event.Stored
	claimed func(*incident.Delivery)
	retain  func() (more bool)
}

type faulty struct {
	dispatch.Store
	*faults
}

func (f faulty) Apply(ctx context.Context, p incident.Plan) error {
	do := func() error { return f.Store.Apply(ctx, p) }
	if f.apply == nil {
		return do()
	}
	return f.apply(p, do)
}

func (f faulty) Settle(ctx context.Context, s incident.Settlement) error {
	do := func() error { return f.Store.Settle(ctx, s) }
	if f.settle == nil {
		return do()
	}
	return f.settle(s, do)
}

func (f faulty) Failed(ctx context.Context, id, cause string) (int, error) {
	if f.failed != nil {
		f.failed()
	}
	return f.Store.Failed(ctx, id, cause)
}

func (f faulty) Pending(ctx context.Context, limit int) ([]event.Stored, error) {
	got, err := f.Store.Pending(ctx, limit)
	if f.pending != nil {
		got = f.pending(got)
	}
	return got, err
}

func (f faulty) Retain(ctx context.Context) (int, bool, error) {
	if f.retain == nil {
		return f.Store.Retain(ctx)
	}
	return 1, f.retain(), nil
}

func (f faulty) Claim(ctx context.Context, name string, lease time.Duration) (*incident.Delivery, time.Time, error) {
	d, next, err := f.Store.Claim(ctx, name, lease)
	if f.claimed != nil && d != nil {
		f.claimed(d)
	}
	return d, next, err
}

func (w *world) dispatcher() *dispatch.Dispatcher {
	w.t.Helper()
	rules := dispatch.Rules{Mapper: &w.mapper, Router: &w.router, Planner: w.planner}
	if w.machine != nil {
		rules.Planner = w.machine
	}
	d, err := dispatch.New(dispatch.Deps{
		Store: faulty{w.store, &w.faults}, Addressees: w.addressees, Log: w.log,
		Rules: rules, Senders: w.senders, Observer: w.observe,
		Jitter: w.jitter,
	}, w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// run starts a dispatcher and returns the function that stops it and waits.
func (w *world) run() (stop func()) {
	w.t.Helper()
	d := w.dispatcher()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				w.t.Errorf("Run returned %v, want nil", err)
			}
		})
	}
	return stop
}

func (w *world) accept(bodies ...string) (ids []string) {
	w.t.Helper()
	for _, body := range bodies {
		r, err := w.store.Accept(context.Background(), received(body))
		if err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	return ids
}

func (w *world) event(id string) event.Stored {
	w.t.Helper()
	st, err := w.store.Event(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// deliveries returns all of one notifier, oldest first.
func (w *world) deliveries(notifier string) []incident.Delivery {
	w.t.Helper()
	all, err := w.store.Deliveries(context.Background(), incident.Filter{Notifier: notifier, Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

func (w *world) addressees(ctx context.Context) ([]string, error) {
	stats, err := w.store.Stats(ctx)
	return slices.Collect(maps.Keys(stats.Waiting)), err
}

// incidents returns all, oldest first.
func (w *world) incidents() []incident.Incident {
	w.t.Helper()
	all, err := w.store.Incidents(context.Background(), incident.Filter{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

// timeline returns what the incidents say, oldest first.
func (w *world) timeline() (out []incident.Entry) {
	w.t.Helper()
	for _, inc := range w.incidents() {
		entries, err := w.store.Timeline(context.Background(), inc.ID, 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		slices.SortStableFunc(entries, func(a, b incident.Entry) int { return a.At.Compare(b.At) })
		out = append(out, entries...)
	}
	return out
}

// nextTimer returns when the next timer is due, zero for none.
func (w *world) nextTimer() time.Time {
	w.t.Helper()
	due, next, err := w.store.DueTimers(context.Background(), 1)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(due) > 0 {
		return due[0].DueAt
	}
	return next
}

// pass lets the bubble's clock move on; nothing really waits.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

var serial atomic.Uint64

// received is an authentic webhook, unlike any other.
func received(body string) event.Received {
	r := event.Received{
		Source: "datasync", Environment: event.Production, Type: "transaction.failed", Authentic: true,
		Origin: event.OriginWebhook, ReceivedAt: time.Now(), Body: []byte(body),
	}
	r.Key = sha256.Sum256(fmt.Append(nil, serial.Add(1)))
	r.BodyHash = sha256.Sum256(r.Body)
	return r
}

// far is a far side in memory that does as it is told.
type far struct {
	mu     sync.Mutex
	calls  []call
	answer func(d incident.Delivery, nth int) error
}

type call struct {
	at time.Time
	incident.Delivery
}

func (f *far) Send(ctx context.Context, d incident.Delivery) (notifiers.Receipt, error) {
	f.mu.Lock()
	f.calls = append(f.calls, call{time.Now(), d})
	nth, answer := len(f.calls), f.answer
	f.mu.Unlock()
	if answer != nil {
		if err := answer(d, nth); err != nil {
			return notifiers.Receipt{}, err
		}
	}
	return notifiers.Receipt{Ref: "C1/1." + d.ID, Answer: "posted"}, ctx.Err()
}

func (f *far) got() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]call(nil), f.calls...)
}

// texts are what arrived, in order.
func (f *far) texts() (out []string) {
	for _, c := range f.got() {
		out = append(out, c.Text)
	}
	return out
}

func slackTo(f *far) dispatch.Sender { return dispatch.Sender{Name: "edi-slack", Notifier: f} }
func pagerTo(f *far) dispatch.Sender { return dispatch.Sender{Name: "edi-pager", Notifier: f} }
