package sqlite

import (
	"context"
	"encoding/hex"
	"path/filepath"
	"testing"
	"time"

	"datasync-bridge/event"
)

// chunked is a store whose chunks hold eight events, with twenty in it.
func chunked(t *testing.T, path string) *Store {
	t.Helper()
	s := openAt(t, path, nil)
	s.chunkOf = 8
	for n := range int64(20) {
		if err := acceptNth(s, n+1); err != nil {
			t.Fatal(err)
		}
	}
	for more := true; more; {
		var err error
		if _, more, err = s.Retain(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// knows posts the twenty again, each of which must be a duplicate.
func knows(t *testing.T, s *Store) {
	t.Helper()
	for n := range int64(20) {
		r, err := s.Accept(context.Background(), sample(n+1))
		if err != nil || r.Status != event.Duplicate {
			t.Errorf("event %d sent again: %v (%v), want a duplicate", n+1, r.Status, err)
		}
	}
	if r, err := s.Accept(context.Background(), sample(99)); err != nil || r.Status != event.Accepted {
		t.Errorf("a new event: %v (%v)", r.Status, err)
	}
}

func TestAStartReadsChunksAndStillKnowsEveryKey(t *testing.T) {
	for _, c := range []struct {
		name, change string
		chunks       int // of the set's 20 events, those that came from chunks
	}{
		{"as written", "", 2},
		{"the second damaged", "UPDATE prints SET prints = zeroblob(128) WHERE last = (SELECT max(last) FROM prints)", 1},
		{"the first damaged", "UPDATE prints SET crc = 1 WHERE last = (SELECT min(last) FROM prints)", 0},
		{"cut", "UPDATE prints SET prints = substr(prints, 1, 100)", 0},
		{"none", "DELETE FROM prints", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bridge.db")
			s := chunked(t, path)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			db := direct(t, path)
			var n int
			if err := db.QueryRow("SELECT count(*) FROM prints").Scan(&n); err != nil || n != 2 {
				t.Fatalf("%d chunks (%v), want 2", n, err)
			}
			if c.change != "" {
				run(t, db, c.change)
			}
			// What a start reads of the rows themselves shows in what it does without them.
			if c.chunks == 2 {
				run(t, db, "UPDATE events SET key = zeroblob(32) WHERE id = (SELECT min(id) FROM events)")
				s := openAt(t, path, nil)
				if got := s.writer.seen.find(fingerprint("datasync", keyOf(1)), nil); len(got) != 1 {
					t.Errorf("the first event's fingerprint is known %d times, want once, from its chunk", len(got))
				}
				run(t, db, "UPDATE events SET key = x'"+hex.EncodeToString(keyOf(1))+"' WHERE id = (SELECT min(id) FROM events)")
				knows(t, s)
				return
			}
			knows(t, openAt(t, path, nil))
		})
	}
}

func TestAChunkGoesWithItsEventsAndNoIDComesBackBelowIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	s := chunked(t, path)
	run(t, direct(t, path), "DELETE FROM pending") // as if decided: retention may take them
	s.now = func() time.Time { return time.Now().Add(100 * 24 * time.Hour) }
	if _, _, err := s.Retain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// A clock that was set back years must not hand out ids that a chunk covers.
	past := func() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }
	s = openAt(t, path, past)
	if err := acceptNth(s, 50); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path, past)
	if r, err := s.Accept(context.Background(), sample(50)); err != nil || r.Status != event.Duplicate {
		t.Errorf("sent again after a start: %v (%v), want a duplicate", r.Status, err)
	}
	s.now = func() time.Time { return time.Now().Add(time.Hour) }
	for range 3 {
		if _, _, err := s.Retain(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if err := direct(t, path).QueryRow("SELECT count(*) FROM prints").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d chunks of deleted events are left (%v), want none", n, err)
	}
}

func keyOf(n int64) []byte {
	in := sample(n)
	return in.Key[:]
}
