package remediation_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/datasync/remediation"
	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/event"
	"datasync-bridge/outbound"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store"
	"datasync-bridge/store/sqlite"
)

// echo says of each transaction what its event said.
type echo struct{}

func (echo) Read(_ context.Context, run incident.Run) (remediation.Reading, error) {
	return remediation.Reading{Found: true, Status: "failed", Environment: run.Environment, Facts: run.Facts}, nil
}

// house is a real store with a clock that the test moves, the real incident
// machine, and a worker that calls client.
type house struct {
	t       *testing.T
	path    string
	store   *sqlite.Store
	machine *incident.Machine
	env     atomic.Value // what the kill switch says
	mu      sync.Mutex
	ahead   time.Duration
	events  int
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, path: filepath.Join(t.TempDir(), "data", "bridge.db")}
	h.env.Store("")
	h.machine = &incident.Machine{Settings: incident.Settings{
		Notifiers: map[string]incident.Notifier{"slack": {Name: "slack", Edits: true}}, Notify: []string{"slack"},
	}}
	h.open()
	t.Cleanup(func() { _ = h.store.Close() })
	return h
}

func (h *house) open() {
	h.t.Helper()
	cfg := store.Config{SQLite: store.SQLite{Path: h.path}}.WithDefaults()
	var err error
	if h.store, err = sqlite.Open(h.t.Context(), cfg, sqlite.Options{Now: h.now}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.ahead)
}

func (h *house) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ahead += d
}

// fail plans an event about a transaction, with the runs that the guard
// proposes for it, and returns the incident.
func (h *house) fail(g *remediation.Guard, transaction string, change ...func(*event.Event)) string {
	h.t.Helper()
	h.events++
	body := []byte(fmt.Sprintf(`{"n":%d}`, h.events))
	key := sha256.Sum256(body)
	receipt, err := h.store.Accept(h.t.Context(), event.Received{
		Source: "datasync", Environment: event.Production, Key: key, BodyHash: key, Type: "transaction.failed",
		Origin: event.OriginWebhook, Authentic: true, ReceivedAt: h.now(), Body: body,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	ev := failure(append([]func(*event.Event){field(event.TransactionID, transaction)}, change...)...)
	ev.ID, ev.ReceivedAt, ev.OccurredAt = receipt.ID, h.now(), h.now()
	d := incident.Decision{
		Remediate: []string{"resend-status"}, Severity: event.Error, Key: "key of " + transaction,
		Notifiers: []incident.Routed{{Notifier: "slack", By: []string{"test"}}},
	}
	view, err := h.store.Load(h.t.Context(), h.machine.Query(ev, d))
	if err != nil {
		h.t.Fatal(err)
	}
	plan := h.machine.Event(incident.Input{Event: ev, Decision: d, View: view, Runs: g.Propose(ev, d), Now: h.now()})
	if err := h.store.Apply(h.t.Context(), plan); err != nil {
		h.t.Fatal(err)
	}
	return plan.Decision.Incident
}

// work runs the worker until the test ends or stop is called.
func (h *house) work(client remediation.Client) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	w := remediation.NewWorker(h.store, h.machine, client, echo{}, remediation.WorkerOptions{
		Config: func() string { return "hash 1" },
		Poll:   5 * time.Millisecond, CallTimeout: 2 * time.Second,
		Getenv: func(name string) string {
			if name != remediation.KillSwitch {
				h.t.Errorf("the worker reads %s", name)
			}
			return h.env.Load().(string)
		},
	})
	go func() { ended <- w.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				h.t.Errorf("worker: %v", err)
			}
		})
	}
	h.t.Cleanup(stop)
	return stop
}

// run waits until the only run of an incident satisfies done.
func (h *house) run(inc string, done func(incident.Run) bool) incident.Run {
	h.t.Helper()
	var last []incident.Run
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-tick.C {
		runs, err := h.store.Runs(h.t.Context(), incident.Filter{Incident: inc})
		if err != nil {
			h.t.Fatal(err)
		}
		if last = runs; len(runs) == 1 && done(runs[0]) {
			return runs[0]
		}
	}
	h.t.Fatalf("runs are %+v", last)
	return incident.Run{}
}

func is(state incident.RunState) func(incident.Run) bool {
	return func(r incident.Run) bool { return r.State == state }
}

// said returns the timeline of an incident as text.
func (h *house) said(inc string) string {
	h.t.Helper()
	entries, err := h.store.Timeline(h.t.Context(), inc, 100)
	if err != nil {
		h.t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintln(&b, e.Text)
	}
	return b.String()
}

// calls is a client that answers by a function and counts.
type calls struct {
	n      atomic.Int32
	mu     sync.Mutex
	keys   []string
	answer func(n int32) (datasync.RunAnswer, error)
}

func (c *calls) Run(_ context.Context, _ string, _ map[string]any, key string) (datasync.RunAnswer, error) {
	c.mu.Lock()
	c.keys = append(c.keys, key)
	c.mu.Unlock()
	return c.answer(c.n.Add(1))
}

func refuse(kind datasync.Kind, status int, sent bool) func(int32) (datasync.RunAnswer, error) {
	return func(int32) (datasync.RunAnswer, error) {
		return datasync.RunAnswer{}, &datasync.Error{Op: "run", Kind: kind, Status: status, Sent: sent, RequestID: "req_5", Err: errors.New("reset")}
	}
}

func accept(int32) (datasync.RunAnswer, error) {
	return datasync.RunAnswer{RunID: "run_9", RequestID: "req_5"}, nil
}

func TestRouting34_ClearOutcomeIsRecordedOnceWithItsRequestID(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(int32) (datasync.RunAnswer, error)
		want   incident.RunState
	}{
		{"accepted", accept, incident.RunDone},
		{"refused", refuse(datasync.Payload, 422, true), incident.RunFailed},
		{"an outage", refuse(datasync.Server, 500, true), incident.RunUnknown},
		{"a reset after the request", refuse(datasync.Network, 0, true), incident.RunUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			inc := h.fail(compile(t, auto, entry(remediation.ModeAuto)), "txn_1")
			c := &calls{answer: tt.answer}
			h.work(c)
			run := h.run(inc, is(tt.want))
			if run.RequestID != "req_5" || run.Key != "resend_status:txn_1:1" || c.keys[0] != run.Key {
				t.Errorf("run %+v called with keys %v", run, c.keys)
			}
			if said := h.said(inc); !strings.Contains(said, "req_5") {
				t.Errorf("the timeline lacks the request id:\n%s", said)
			}
			// A later run of the worker shows that nothing is left: it claims
			// in order, so what comes after proves what came before.
			h.move(time.Hour)
			next := h.fail(compile(t, auto, entry(remediation.ModeAuto)), "txn_2")
			h.run(next, is(tt.want))
			if got := c.n.Load(); got != 2 {
				t.Errorf("%d calls for two runs", got)
			}
		})
	}
}

func TestRouting34_RunIsSentAgainOnlyWhereNothingHappened(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first func(int32) (datasync.RunAnswer, error)
	}{
		{"after a 429", refuse(datasync.RateLimit, 429, true)},
		{"after an error before a byte left", refuse(datasync.Network, 0, false)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			inc := h.fail(compile(t, auto, entry(remediation.ModeAuto)), "txn_1")
			c := &calls{answer: func(n int32) (datasync.RunAnswer, error) {
				if n == 1 {
					return tt.first(n)
				}
				return accept(n)
			}}
			h.work(c)
			waiting := h.run(inc, func(r incident.Run) bool { return r.State == incident.RunQueued && r.Attempts == 1 })
			if !waiting.NextAt.After(h.now()) {
				t.Error("it waits for nothing")
			}
			h.move(time.Minute)
			run := h.run(inc, is(incident.RunDone))
			if run.Attempts != 2 || len(c.keys) != 2 || c.keys[0] != c.keys[1] {
				t.Errorf("attempts %d under keys %v, want two under one key", run.Attempts, c.keys)
			}
		})
	}
}

func TestRouting34_RunOfADeadProcessIsUnknownAndNeverSentAgain(t *testing.T) {
	h := newHouse(t)
	inc := h.fail(compile(t, auto, entry(remediation.ModeAuto)), "txn_1")
	if run, _, err := h.store.ClaimRun(t.Context(), time.Hour); err != nil || run == nil {
		t.Fatalf("claim: %v, %v", run, err)
	}
	if err := h.store.Close(); err != nil { // the process dies between claim and outcome
		t.Fatal(err)
	}
	h.open()
	c := &calls{answer: accept}
	h.work(c)
	run := h.run(inc, is(incident.RunUnknown))
	if !strings.Contains(run.Why, run.Key) || run.Key == "" {
		t.Errorf("why %q does not tell the key", run.Why)
	}
	h.run(h.fail(compile(t, auto, entry(remediation.ModeAuto)), "txn_2"), is(incident.RunDone))
	if c.n.Load() != 1 {
		t.Errorf("%d calls, want the second run's alone", c.n.Load())
	}
}

func TestKillSwitchIsReadBeforeEachCall(t *testing.T) {
	h := newHouse(t)
	g := compile(t, auto, entry(remediation.ModeAuto))
	c := &calls{answer: accept}
	h.work(c)
	h.run(h.fail(g, "txn_1"), is(incident.RunDone))
	// Whatever a person in a hurry writes for off is off.
	for _, off := range []string{"off", " OFF ", "false", "0", "no", "stop"} {
		h.env.Store(off)
		h.move(2 * time.Hour) // past the limits
		run := h.run(h.fail(g, "txn_"+off), is(incident.RunRefused))
		if !strings.Contains(run.Why, "BRIDGE_AUTOMATIONS") || c.n.Load() != 1 {
			t.Errorf("%q: why %q after %d calls, want the switch named and one call", off, run.Why, c.n.Load())
		}
	}
	for _, on := range []string{"", " On"} {
		h.env.Store(on)
		h.move(2 * time.Hour)
		h.run(h.fail(g, "txn_"+on), is(incident.RunDone))
	}
}

func TestWhatRecoveredMeanwhileIsNotSent(t *testing.T) {
	h := newHouse(t)
	inc := h.fail(compile(t, auto, entry(remediation.ModeAuto)), "txn_1")
	h.events++
	h.fail(compile(t, auto, entry(remediation.ModeAuto)), "txn_1", func(ev *event.Event) {
		ev.Type, ev.Effect = "transaction.delivered", event.Settle
	})
	c := &calls{answer: accept}
	h.work(c)
	run := h.run(inc, is(incident.RunRefused))
	if !strings.Contains(run.Why, "no longer open") || c.n.Load() != 0 {
		t.Errorf("why %q after %d calls", run.Why, c.n.Load())
	}
}

func TestLimitsHoldAcrossARestart(t *testing.T) {
	h := newHouse(t)
	cfg := entry(remediation.ModeAuto)
	cfg.Limit.Overall = "1/1h"
	g := compile(t, auto, cfg)
	c := &calls{answer: accept}
	stop := h.work(c)
	h.run(h.fail(g, "txn_1"), is(incident.RunDone))
	stop()
	if err := h.store.Close(); err != nil {
		t.Fatal(err)
	}
	h.open()
	h.work(c)
	run := h.run(h.fail(g, "txn_2"), is(incident.RunRefused))
	if !strings.Contains(run.Why, "limit") || c.n.Load() != 1 {
		t.Errorf("why %q after %d calls", run.Why, c.n.Load())
	}
	if said := h.said(run.Incident); !strings.Contains(said, "limit") {
		t.Errorf("the incident is not told of the refusal:\n%s", said)
	}
}

func TestStopFinishesTheCallInHand(t *testing.T) {
	h := newHouse(t)
	inc := h.fail(compile(t, auto, entry(remediation.ModeAuto)), "txn_1")
	c := &slowCall{called: make(chan struct{}), release: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	w := remediation.NewWorker(h.store, h.machine, c, echo{}, remediation.WorkerOptions{Config: func() string { return "hash 1" }})
	go func() { ended <- w.Run(ctx) }()
	<-c.called
	stop()
	close(c.release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	h.run(inc, is(incident.RunDone))
}

// slowCall succeeds once it is released, unless its context has ended.
type slowCall struct{ called, release chan struct{} }

func (c *slowCall) Run(ctx context.Context, _ string, _ map[string]any, _ string) (datasync.RunAnswer, error) {
	close(c.called)
	<-c.release
	return datasync.RunAnswer{}, ctx.Err()
}

// flaky is a store that cannot commit for a while, right after the call.
type flaky struct {
	*sqlite.Store
	left atomic.Int32
	err  error
}

func (f *flaky) Apply(ctx context.Context, p incident.Plan) error {
	if f.left.Add(-1) >= 0 {
		return f.err
	}
	return f.Store.Apply(ctx, p)
}

func TestOutcomeWaitsForTheStore(t *testing.T) {
	for _, err := range []error{event.ErrBusy, event.ErrUnavailable, incident.ErrConflict} {
		t.Run(err.Error(), func(t *testing.T) {
			h := newHouse(t)
			inc := h.fail(compile(t, auto, entry(remediation.ModeAuto)), "txn_1")
			s := &flaky{Store: h.store, err: err}
			s.left.Store(3)
			c := &calls{answer: accept}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() {
				ended <- remediation.NewWorker(s, h.machine, c, echo{}, remediation.WorkerOptions{Config: func() string { return "hash 1" }}).Run(ctx)
			}()
			h.run(inc, is(incident.RunDone))
			stop()
			if err := <-ended; err != nil || c.n.Load() != 1 {
				t.Errorf("error %v, %d calls; want one call whatever the store does", err, c.n.Load())
			}
		})
	}
}

// The whole way: a status that did not get through, a run through the real
// client at the sandbox, and the transaction repaired there.
func TestRunRepairsAtTheSandbox(t *testing.T) {
	far := sandbox.New(sandbox.Options{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- far.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	h := newHouse(t)
	txn := far.Put(sandbox.Transaction{DocumentType: "214", Status: "failed"})
	inc := h.fail(compile(t, auto, entry(remediation.ModeAuto)), txn)
	h.work(datasync.New(datasync.Config{
		BaseURL: "http://" + ln.Addr().String() + "/v1", ClientID: "sandbox", ClientSecret: "sandbox-secret",
	}, outbound.New(outbound.Config{}), datasync.Options{}))
	run := h.run(inc, is(incident.RunDone))
	got := far.Runs()
	if len(got) != 1 || got[0].Key != run.Key || got[0].ID != run.RemoteID || got[0].Transaction != txn || run.RequestID == "" {
		t.Errorf("the sandbox ran %+v, the bridge holds %+v", got, run)
	}
	if after, _ := far.Transaction(txn); after.Status != "delivered" {
		t.Errorf("transaction %+v is not repaired", after)
	}
}
