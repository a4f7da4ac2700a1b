package sandbox

import (
	"net/http"
	"slices"
)

// hookFaults is what goes wrong with the events to come. Of each, it happens to
// all its deliveries at once: nothing documented promises that any arrives.
type hookFaults struct {
	lose      func(n int, eventType string) bool
	asked     int // events that lose was asked about
	late      int // events still to be held back
	doubled   int // events still to be delivered twice
	reordered int // events still to be gathered, then delivered newest first
	held      []emitted
	gathered  []emitted
	lost      []string
}

// LoseWebhooks asks, for each event from now on, whether it is lost: n counts
// them from 1. Nil ends it. The function must not call the sandbox.
func (s *Sandbox) LoseWebhooks(lose func(n int, eventType string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.lose, s.hooks.asked = lose, 0
}

// LoseNext loses the next n events.
func (s *Sandbox) LoseNext(n int) {
	s.LoseWebhooks(func(i int, _ string) bool { return i <= n })
}

// DelayWebhooks holds the next n events back until ReleaseWebhooks.
func (s *Sandbox) DelayWebhooks(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.late = min(n, maxKept)
}

// DuplicateWebhooks delivers each of the next n events twice.
func (s *Sandbox) DuplicateWebhooks(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.doubled = n
}

// ReorderWebhooks gathers the next n events and delivers them newest first.
func (s *Sandbox) ReorderWebhooks(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.reordered = min(n, maxKept)
}

// ReleaseWebhooks delivers what was held back or is being gathered, holds back
// no more, and returns how many events that were.
func (s *Sandbox) ReleaseWebhooks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.late, s.hooks.reordered = 0, 0
	n := len(s.hooks.held) + len(s.hooks.gathered)
	for _, e := range s.hooks.held {
		s.enqueue(e)
	}
	s.hooks.held = nil
	s.turnRound()
	return n
}

// Lost returns the ids of the events that were lost, oldest first.
func (s *Sandbox) Lost() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.hooks.lost)
}

// dispatch lays over an event what is to go wrong with it; s.mu is held.
func (s *Sandbox) dispatch(e emitted) {
	h := &s.hooks
	if h.lose != nil {
		if h.asked++; h.lose(h.asked, e.kind) {
			h.lost = keep(h.lost, e.id)
			s.remember(e)
			return
		}
	}
	switch {
	case h.late > 0:
		h.late--
		h.held = keep(h.held, e)
		s.remember(e)
	case h.reordered > 0:
		h.reordered--
		h.gathered = append(h.gathered, e)
		s.remember(e)
		if h.reordered == 0 {
			s.turnRound()
		}
	case h.doubled > 0:
		h.doubled--
		s.enqueue(e)
		s.enqueue(e)
	default:
		s.enqueue(e)
	}
}

// turnRound delivers what was gathered, newest first; s.mu is held.
func (s *Sandbox) turnRound() {
	for _, e := range slices.Backward(s.hooks.gathered) {
		s.enqueue(e)
	}
	s.hooks.gathered = nil
}

// keep appends, and forgets the oldest beyond maxKept.
func keep[T any](list []T, one T) []T {
	if len(list) >= maxKept {
		list = slices.Delete(list, 0, maxKept/10)
	}
	return append(list, one)
}

// postWebhooks is the control of all that. A type narrows what is lost, by name
// or family ("transaction.*").
func (s *Sandbox) postWebhooks(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Lose      int    `json:"lose"`
		Type      string `json:"type"`
		Delay     int    `json:"delay"`
		Duplicate int    `json:"duplicate"`
		Reorder   int    `json:"reorder"`
		Release   bool   `json:"release"`
	}
	if !s.read(w, r, &in) {
		return
	}
	if in.Lose > 0 {
		wanted, met := subscription{events: []string{in.Type}}, 0
		s.LoseWebhooks(func(_ int, eventType string) bool {
			if in.Type == "" || wanted.wants(eventType) {
				met++
				return met <= in.Lose
			}
			return false
		})
	}
	if in.Delay > 0 {
		s.DelayWebhooks(in.Delay)
	}
	if in.Duplicate > 0 {
		s.DuplicateWebhooks(in.Duplicate)
	}
	if in.Reorder > 0 {
		s.ReorderWebhooks(in.Reorder)
	}
	released := 0
	if in.Release {
		released = s.ReleaseWebhooks()
	}
	s.mu.Lock()
	held := len(s.hooks.held) + len(s.hooks.gathered)
	s.mu.Unlock()
	s.answer(w, http.StatusOK, map[string]any{"released": released, "held": held, "lost": s.Lost()})
}
