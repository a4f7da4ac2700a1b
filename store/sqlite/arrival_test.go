package sqlite

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"datasync-bridge/routing/incident"
)

// A clock that is set forth and back moves rows away from times of arrival; a
// span of time finds what came in it all the same, also after a start.
func TestASpanOfTimeFindsWhatArrivedInItWhateverTheClockDid(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	now := start
	path := filepath.Join(t.TempDir(), "bridge.db")
	s := openAt(t, path, func() time.Time { return now })
	var arrivals []time.Time
	var ids []string
	for n := range int64(60) {
		switch dice.IntN(6) {
		case 0:
			now = start.Add(time.Duration(dice.IntN(180)-90) * time.Minute)
		case 1: // no time passes
		default:
			now = now.Add(time.Duration(dice.IntN(1000)) * time.Millisecond)
		}
		in := sample(n)
		in.ReceivedAt = now
		if dice.IntN(4) == 0 {
			now = now.Add(time.Duration(dice.IntN(60)-30) * time.Minute) // while it waits for its commit
		}
		r, err := s.Accept(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		arrivals, ids = append(arrivals, in.ReceivedAt), append(ids, r.ID)
		if n%20 == 19 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openAt(t, path, func() time.Time { return now })
		}
	}
	for range 200 {
		since := arrivals[dice.IntN(len(arrivals))]
		until := since.Add(time.Duration(dice.IntN(120)) * time.Minute)
		found, err := s.Events(context.Background(), incident.Filter{Since: since, Until: until, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, st := range slices.Backward(found) {
			got = append(got, st.ID)
		}
		for k, at := range arrivals {
			if !at.Before(since) && at.Before(until) {
				want = append(want, ids[k])
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("from %v until %v: %q, want %q", since, until, got, want)
		}
	}
	if sound, err := s.Verify(context.Background()); err != nil || len(sound.Faults) > 0 {
		t.Errorf("%q (%v)", sound.Faults, err)
	}
}
