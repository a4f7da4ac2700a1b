package sqlite

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store"
)

// withBounds opens a store of 24 MiB, which its log may fill by half, on a clock.
func withBounds(t *testing.T, cfg store.Config) (s *Store, now *time.Time) {
	t.Helper()
	at := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	cfg.SQLite.Path = filepath.Join(t.TempDir(), "bridge.db")
	s, err := Open(context.Background(), cfg, Options{Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, &at
}

// large is an event of 256 KiB.
func large(n int64, at time.Time) event.Received {
	in := sample(n)
	in.ReceivedAt, in.Body = at, bytes.Repeat([]byte{'x'}, 256<<10)
	return in
}

// until accepts events until one is refused, and returns how many were kept.
func until(t *testing.T, s *Store, of func(int64) event.Received, want error) (kept int64) {
	t.Helper()
	for n := range int64(1000) {
		_, err := s.Accept(context.Background(), of(n))
		if err != nil {
			if !errors.Is(err, want) || !errors.Is(err, event.ErrUnavailable) {
				t.Fatalf("event %d: %v, want %v", n, err, want)
			}
			return n
		}
	}
	t.Fatal("nothing was refused")
	return 0
}

func TestAStoreThatHoldsAllItMayRefusesNewEventsAndRecovers(t *testing.T) {
	ctx := context.Background()
	const most = 24 << 20
	s, now := withBounds(t, store.Config{MaxSize: most})
	of := func(n int64) event.Received { return large(n, *now) }
	kept := until(t, s, of, event.ErrFull)
	st, err := s.Stats(ctx)
	if err != nil || !st.Full || st.Held < most || st.Held > most+8<<20 {
		t.Fatalf("%d bytes are held, full %v (%v); want a little more than %d", st.Held, st.Full, err, most)
	}
	if kept < 20 {
		t.Errorf("only %d events of 256 KiB were kept", kept)
	}
	if err := s.Ready(ctx); !errors.Is(err, event.ErrFull) {
		t.Errorf("ready: %v, want %v", err, event.ErrFull)
	}
	// All but new events goes on.
	if r, err := s.Accept(ctx, of(3)); err != nil || r.Status != event.Duplicate {
		t.Errorf("a repeated event: %v (%v), want a duplicate", r, err)
	}
	own := sample(5000)
	own.Origin = event.OriginBridge
	if r, err := s.Accept(ctx, own); err != nil || r.Status != event.Accepted {
		t.Errorf("what the bridge tells of itself: %v (%v), want it kept", r, err)
	}
	if err := s.Apply(ctx, incident.Plan{Deliveries: []incident.Delivery{{Notifier: "slack", Order: "a", Text: "t"}}}); err != nil {
		t.Errorf("a plan: %v", err)
	}
	if d, _, err := s.Claim(ctx, "slack", time.Minute); err != nil || d == nil {
		t.Errorf("a claim: %v (%v)", d, err)
	}
	if _, err := s.Accept(ctx, of(kept)); !errors.Is(err, event.ErrFull) {
		t.Errorf("a new event: %v, want %v", err, event.ErrFull)
	}
	// Retention makes room inside the file, and nothing but a look is needed.
	onWriter(t, s, "DELETE FROM pending")
	*now = now.Add(91 * 24 * time.Hour)
	for more := true; more; {
		if _, more, err = s.Retain(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Ready(ctx); err != nil {
		t.Fatalf("after retention: %v", err)
	}
	again := until(t, s, func(n int64) event.Received { return of(10_000 + n) }, event.ErrFull)
	if again < kept/3 {
		t.Errorf("%d events found room where %d were before", again, kept)
	}
}

func TestWhatCannotBeMappedFillsOnlyItsPart(t *testing.T) {
	ctx := context.Background()
	s, now := withBounds(t, store.Config{Quarantine: store.Quarantine{MaxSize: 2 << 20}})
	odd := func(n int64) event.Received {
		in := large(n, *now)
		in.Quarantine, in.Type = "the body is not JSON", ""
		return in
	}
	if kept := until(t, s, odd, event.ErrQuarantineFull); kept != 8 {
		t.Errorf("%d bodies of 256 KiB in 2 MiB", kept)
	}
	if st, err := s.Stats(ctx); err != nil || !st.QuarantineFull || st.Full {
		t.Errorf("full %v, quarantine %v (%v)", st.Full, st.QuarantineFull, err)
	}
	if err := s.Ready(ctx); err != nil {
		t.Errorf("the store is not ready for what can be mapped: %v", err)
	}
	if r, err := s.Accept(ctx, large(100, *now)); err != nil || r.Status != event.Accepted {
		t.Errorf("what can be mapped: %v (%v)", r, err)
	}
	if r, err := s.Accept(ctx, odd(2)); err != nil || r.Status != event.Duplicate {
		t.Errorf("a repeated one: %v (%v), want a duplicate", r, err)
	}
	// What a start counts is what was there before it.
	path := s.cfg.SQLite.Path
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(ctx, store.Config{SQLite: store.SQLite{Path: path}, Quarantine: store.Quarantine{MaxSize: 2 << 20}}, Options{Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Accept(ctx, odd(200)); !errors.Is(err, event.ErrQuarantineFull) {
		t.Errorf("after a restart: %v, want %v", err, event.ErrQuarantineFull)
	}
	onWriter(t, s, "DELETE FROM bodies WHERE event IN (SELECT id FROM events WHERE quarantine <> '' LIMIT 4)")
	onWriter(t, s, "DELETE FROM events WHERE id NOT IN (SELECT event FROM bodies)")
	*now = now.Add(recountEvery)
	for n := range int64(4) {
		if _, err := s.Accept(ctx, odd(300+n)); err != nil {
			t.Errorf("%d after four were deleted: %v", n, err)
		}
	}
	if _, err := s.Accept(ctx, odd(400)); !errors.Is(err, event.ErrQuarantineFull) {
		t.Errorf("the fifth: %v, want %v", err, event.ErrQuarantineFull)
	}
}

// A batch that is redone, because of another's row, must not turn a refusal
// into a receipt.
func TestARefusalOutlivesABatchThatIsRedone(t *testing.T) {
	s, now := withBounds(t, store.Config{Quarantine: store.Quarantine{MaxSize: 1}})
	onWriter(t, s, "CREATE TRIGGER bad BEFORE INSERT ON events WHEN NEW.foreign_id = 'bad' BEGIN SELECT RAISE(ABORT, 'bad'); END")
	odd := func(n int64) *accept {
		in := large(n, *now)
		in.Quarantine = "the body is not JSON"
		return &accept{in: in}
	}
	bad := &accept{in: large(1, *now)}
	bad.in.ForeignID = "bad"
	all := []*accept{odd(2), odd(3), bad, {in: large(4, *now)}}
	if _, err := s.Accept(context.Background(), odd(1000).in); err != nil {
		t.Fatal(err)
	}
	if err := s.write(context.Background(), func(x *tx) error { return x.writer.runAccepts(x, all) }); err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{event.ErrQuarantineFull, event.ErrQuarantineFull, event.ErrUnavailable, nil} {
		if r, err := all[i].outcome(); !errors.Is(err, want) || (r.ID == "") != (want != nil) {
			t.Errorf("event %d: %v, %v; want %v", i, r, err, want)
		}
	}
}

func TestAStoreWithoutBoundsMeasuresNothing(t *testing.T) {
	s, now := withBounds(t, store.Config{})
	if _, err := s.Accept(context.Background(), large(1, *now)); err != nil {
		t.Fatal(err)
	}
	if q := s.writer.quota; q.grown != 0 || q.measured.Load() != 0 || !q.counted.IsZero() {
		t.Errorf("it measured: %+v", q)
	}
}

func TestALogThatALongReadLetGrowCountsUntilItIsCut(t *testing.T) {
	ctx := context.Background()
	s, now := withBounds(t, store.Config{})
	long, err := s.reads.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := long.QueryRowContext(ctx, "SELECT count(*) FROM events").Scan(&n); err != nil {
		t.Fatal(err)
	}
	accept := func(from, to int64) {
		t.Helper()
		for n := from; n < to; n++ {
			if _, err := s.Accept(ctx, large(n, *now)); err != nil {
				t.Fatal(err)
			}
		}
	}
	accept(0, 120)
	st, err := s.Stats(ctx)
	if err != nil || st.Log < 30<<20 || st.Held < st.Log+30<<20 {
		t.Fatalf("%d bytes held, %d of them log (%v); want both the pages and the log", st.Held, st.Log, err)
	}
	if err := long.Rollback(); err != nil {
		t.Fatal(err)
	}
	accept(200, 260) // a checkpoint, and then the log begins anew
	if st, err = s.Stats(ctx); err != nil || st.Log > 20<<20 {
		t.Errorf("the log has %d bytes still (%v)", st.Log, err)
	}
}
