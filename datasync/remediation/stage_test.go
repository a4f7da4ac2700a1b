package remediation_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/datasync/remediation"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// far is Datasync: what it says of transactions, and what its workflows did.
// It knows no idempotency keys.
type far struct {
	mu       sync.Mutex
	readings map[string]remediation.Reading
	down     error
	reads    int
	keys     []string // of the runs that acted, in order
	answer   func() (datasync.RunAnswer, error)
	// acts is what a run does to its transaction; nil leaves it as it was.
	acts func(*remediation.Reading)
	// reading, where set, is called at each reading.
	reading func()
}

func (f *far) Read(_ context.Context, run incident.Run) (remediation.Reading, error) {
	f.mu.Lock()
	hook := f.reading
	f.reads++
	f.mu.Unlock()
	if hook != nil {
		hook()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return remediation.Reading{}, f.down
	}
	r, known := f.readings[run.Transaction]
	if !known {
		return remediation.Reading{Whole: true}, nil
	}
	return r, nil
}

func (f *far) Run(_ context.Context, _ string, params map[string]any, key string) (datasync.RunAnswer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = append(f.keys, key)
	if id, _ := params["transaction_id"].(string); f.acts != nil {
		r := f.readings[id]
		f.acts(&r)
		f.readings[id] = r
	}
	if f.answer != nil {
		return f.answer()
	}
	return datasync.RunAnswer{RunID: "run_9", RequestID: "req_5"}, nil
}

func (f *far) calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.keys...)
}

func (f *far) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

func (f *far) set(change func(*far)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// told makes Datasync say something else about txn_1.
func (f *far) told(change func(*remediation.Reading)) {
	f.set(func(f *far) {
		r := f.readings["txn_1"]
		change(&r)
		f.readings["txn_1"] = r
	})
}

// stage is a bridge's worker and desk on a store in memory, in a bubble of
// time.
type stage struct {
	*testing.T
	store  *memory
	far    *far
	desk   *remediation.Desk
	worker *remediation.Worker
	o      remediation.WorkerOptions
	stop   func()

	mu     sync.Mutex
	config string
	env    string
}

// on plays a story in a bubble.
func on(t *testing.T, play func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{T: t, store: newMemory(), far: &far{readings: map[string]remediation.Reading{}}, config: "hash 1"}
		s.o = remediation.WorkerOptions{Config: s.hash, Getenv: func(string) string { s.mu.Lock(); defer s.mu.Unlock(); return s.env }}
		s.desk = remediation.NewDesk(s.store, clerk{}, remediation.DeskOptions{
			Config: s.hash, Names: func() []string { return []string{"resend-status"} },
		})
		defer s.halt()
		play(s)
	})
}

func (s *stage) hash() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config
}

// work starts the worker; what is due at once is done when it returns.
func (s *stage) work() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	s.worker = remediation.NewWorker(s.store, clerk{}, s.far, s.far, s.o)
	go func() {
		defer close(ended)
		_ = s.worker.Run(ctx)
	}()
	s.stop = func() { cancel(); <-ended }
	synctest.Wait()
}

func (s *stage) halt() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// pass lets time go by.
func (s *stage) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// propose lets the guard judge an event about a transaction, and stores what it
// proposes; Datasync says of it what the event says.
func (s *stage) propose(c remediation.Config, change ...func(*event.Event)) string {
	s.Helper()
	g, problems := remediation.Compile([]remediation.Config{c}, remediation.Options{Configured: true, CanRead: true, ConfigHash: s.hash()})
	if len(problems) > 0 {
		s.Fatal(problems)
	}
	ev := failure(append([]func(*event.Event){func(ev *event.Event) { ev.OccurredAt = time.Now() }}, change...)...)
	runs := g.Propose(ev, named)
	if len(runs) != 1 {
		s.Fatalf("proposed %+v", runs)
	}
	run := runs[0]
	run.Incident, run.CreatedAt = "in_1", time.Now()
	s.far.set(func(f *far) {
		if _, known := f.readings[run.Transaction]; !known {
			f.readings[run.Transaction] = remediation.Reading{Found: true, Status: "failed", Name: ev.Text(event.DocumentName), Environment: run.Environment, Facts: run.Facts}
		}
	})
	s.store.mu.Lock()
	s.store.open[run.Transaction] = true
	s.store.mu.Unlock()
	if err := s.store.Apply(s.Context(), incident.Plan{Runs: []incident.Run{run}}); err != nil {
		s.Fatal(err)
	}
	synctest.Wait()
	all, _ := s.store.Runs(s.Context(), incident.Filter{Limit: 1})
	return all[0].ID
}

func (s *stage) run(id string) incident.Run {
	s.Helper()
	run, err := s.store.Run(s.Context(), id)
	if err != nil {
		s.Fatal(err)
	}
	return run
}

// want checks a run's state and how often Datasync was called in all.
func (s *stage) want(id string, state incident.RunState, calls int) incident.Run {
	s.Helper()
	run := s.run(id)
	if got := s.far.calls(); run.State != state || len(got) != calls {
		s.Fatalf("run is %s (%s) after calls %v, want %s after %d", run.State, run.Why, got, state, calls)
	}
	return run
}

// refusedWith checks that an error is a refusal that says why.
func (s *stage) refusedWith(err error, part string) {
	s.Helper()
	if !errors.Is(err, remediation.ErrRefused) || !contains(err.Error(), part) {
		s.Fatalf("error %v, want a refusal that says %q", err, part)
	}
}

// approving is a remediation that ana or bo may approve.
func approving(change ...func(*remediation.Config)) remediation.Config {
	c := entry(remediation.ModeApprove)
	c.Approve.By = []string{"ana", "bo"}
	for _, f := range change {
		f(&c)
	}
	return c
}
