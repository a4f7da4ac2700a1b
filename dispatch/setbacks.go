package dispatch

import (
	"sync"
	"time"
)

// setbacks remembers what failed a moment ago and must not be tried again yet,
// so that one bad row neither spins nor holds up the rows behind it.
type setbacks struct {
	mu sync.Mutex
	m  map[string]setback
}

type setback struct {
	tries int
	until time.Time
}

// forgotten is how long a setback outlives its end: what was not tried again
// by then is gone.
const forgotten = 10 * time.Minute

// add counts a failure, holds the key for a while, longer each time, and
// returns the count.
func (s *setbacks) add(key string, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[string]setback{}
	}
	b := s.m[key]
	b.tries++
	b.until = now.Add(Retry{First: time.Second, Max: time.Minute}.ceiling(b.tries))
	s.m[key] = b
	return b.tries
}

func (s *setbacks) clear(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, key)
}

func (s *setbacks) held(key string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[key].until.After(now)
}

// waiting returns how many keys are held and when the first of them is free.
func (s *setbacks) waiting(now time.Time) (held int, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, b := range s.m {
		switch {
		case b.until.After(now):
			held++
			next = earlier(next, b.until)
		case now.Sub(b.until) > forgotten:
			delete(s.m, key)
		}
	}
	return held, next
}

// earlier returns the earlier of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
