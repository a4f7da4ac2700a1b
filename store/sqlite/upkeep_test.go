package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"datasync-bridge/routing/incident"
)

func TestABackupUnderLoadIsSoundAndComplete(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, "bridge.db"), nil)
	for n := range int64(50) {
		if err := acceptNth(s, n); err != nil {
			t.Fatal(err)
		}
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := int64(1000); ; n++ {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if err := acceptNth(s, n); err != nil {
				ended <- err
				return
			}
		}
	}()
	copied := filepath.Join(dir, "copy.db")
	err := s.Backup(context.Background(), copied)
	close(stop)
	if err := <-ended; err != nil {
		t.Errorf("accepting beside the backup: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	c := openAt(t, copied, nil)
	all, err := c.Pending(context.Background(), 1_000_000)
	if err != nil || len(all) < 50 {
		t.Fatalf("the copy has %d events (%v), want at least 50", len(all), err)
	}
	for _, ev := range all {
		if _, err := s.Event(context.Background(), ev.ID); err != nil {
			t.Errorf("the copy has an event that the store has not: %v", err)
		}
	}
}

func TestStatsCountWhatWaits(t *testing.T) {
	now := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), func() time.Time { return now })
	in := sample(1)
	in.ReceivedAt = now.Add(-time.Minute)
	if _, err := s.Accept(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	fill(t, s, 3, time.Time{}, func(int) string { return "k" })
	d, _, err := s.Claim(context.Background(), "slack", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(context.Background(), incident.Settlement{Delivery: d.ID, Lease: d.Lease, State: incident.Dead}); err != nil {
		t.Fatal(err)
	}
	due := now.Add(time.Hour)
	if err := s.Apply(context.Background(), incident.Plan{
		Runs: []incident.Run{{State: incident.RunAwaiting, NextAt: due}, {State: incident.RunAwaiting, NextAt: due}, {State: incident.RunUnknown},
			{State: incident.RunProposed, NextAt: due}, {State: incident.RunQueued, NextAt: due}},
		Wanted: []incident.PartnerRef{{ID: "par_1"}, {ID: "par_2"}},
		Audit:  []incident.Audit{{Actor: "ana"}, {Actor: "bo"}, {Actor: "cy"}},
	}); err != nil {
		t.Fatal(err)
	}
	st, err := s.Stats(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if st.Pending != 1 || !st.OldestPending.Equal(in.ReceivedAt) {
		t.Errorf("pending %d since %s, want 1 since %s", st.Pending, st.OldestPending, in.ReceivedAt)
	}
	if st.Waiting["slack"] != 2 || st.Dead["slack"] != 1 || !st.OldestWaiting.Equal(now) {
		t.Errorf("waiting %v since %s, dead %v, want 2 since %s and 1", st.Waiting, st.OldestWaiting, st.Dead, now)
	}
	if st.Runs != 1 || st.RunsAwaiting != 2 || st.RunsUnknown != 1 || st.Partners != 2 || st.Audit != 3 {
		t.Errorf("runs %d, awaiting %d, unknown %d, partners %d, audit %d, want 1, 2, 1, 2 and 3",
			st.Runs, st.RunsAwaiting, st.RunsUnknown, st.Partners, st.Audit)
	}
	if st.Size == 0 {
		t.Error("a file of no size")
	}
}

// A backlog of large bodies comes in pieces that fit into memory.
func TestPendingIsBoundedByItsBodiesToo(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), nil)
	const large, count = 2 << 20, 20
	for n := range int64(count) {
		in := sample(n)
		in.Body = make([]byte, large)
		if _, err := s.Accept(context.Background(), in); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Pending(context.Background(), 256)
	if err != nil || len(got) != pendingBytes/large {
		t.Fatalf("%d events of %d bytes (%v), want %d", len(got), large, err, pendingBytes/large)
	}
	for k, one := range got {
		if one.ForeignID != sample(int64(k)).ForeignID {
			t.Errorf("event %d is %s, want the oldest first", k, one.ForeignID)
		}
	}
}

// TestRouting40TheAgeOfAQueueIsThatOfWhatIsDue: a delivery that waits for its
// time is not late, one that cannot be sent is, also while the notifier pauses.
func TestRouting40TheAgeOfAQueueIsThatOfWhatIsDue(t *testing.T) {
	at := upgradedAt
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), func() time.Time { return at })
	ctx := context.Background()
	since := func() string {
		t.Helper()
		st, err := s.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if due, ok := st.OldestDue["slack"]; ok {
			return due.Sub(upgradedAt).String()
		}
		return "none"
	}
	says := func(when, want string) {
		t.Helper()
		if got := since(); got != want {
			t.Errorf("%s: the oldest is due since %s, want %s", when, got, want)
		}
	}
	settle := func(state incident.DeliveryState, uncounted bool) {
		t.Helper()
		d, _, err := s.Claim(ctx, "slack", time.Minute)
		if err != nil || d == nil {
			t.Fatal(d, err)
		}
		g := incident.Settlement{Delivery: d.ID, Lease: d.Lease, State: state, NextAt: at.Add(30 * time.Second), Uncounted: uncounted}
		if err := s.Settle(ctx, g); err != nil {
			t.Fatal(err)
		}
	}
	says("without any", "none")
	fill(t, s, 1, at.Add(time.Minute), func(int) string { return "k" })
	says("before its time", "none")
	at = at.Add(3 * time.Minute)
	says("after it", "1m0s")
	settle(incident.Waiting, true)
	says("in a pause", "0s")
	at = at.Add(time.Minute)
	settle(incident.Waiting, false)
	says("after an attempt", "4m0s")
	at = at.Add(time.Hour)
	says("an hour later", "4m0s")
	settle(incident.Sent, false)
	says("sent", "none")
}
