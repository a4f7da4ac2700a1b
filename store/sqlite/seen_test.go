package sqlite

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The set must propose every row that was added and not removed, however
// fingerprints collide and slots are reused.
func TestTheSetProposesWhatAMapWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, want := newSeen(), map[uint64][]int64{}
		next := int64(1)
		for range rapid.IntRange(1, 4000).Draw(t, "steps") {
			print := rapid.Uint64Range(0, 300).Draw(t, "print")
			if rows := want[print]; len(rows) > 0 && rapid.IntRange(0, 2).Draw(t, "remove") == 0 {
				s.remove(print, rows[0])
				want[print] = rows[1:]
				continue
			}
			s.add(print, next)
			want[print] = append(want[print], next)
			next++
		}
		for print, rows := range want {
			got := s.find(print, nil)
			slices.Sort(got)
			if !slices.Equal(got, rows) {
				t.Fatalf("fingerprint %d: %v, want %v", print, got, rows)
			}
		}
	})
}

// Room that is reserved is what is needed, not twice that: with ten million keys
// the difference is 256 MB.
func TestTheSetReservesNoMoreThanItNeeds(t *testing.T) {
	s := newSeen()
	defer s.free()
	s.reserve(100_000)
	slots := len(s.slots)
	for row := int64(1); row <= 100_000; row++ {
		s.add(uint64(row)*0x9e3779b97f4a7c15, row)
	}
	if len(s.slots) != slots || slots != 1<<18 || s.mapped == nil {
		t.Errorf("%d slots, then %d, mapped %v", slots, len(s.slots), s.mapped != nil)
	}
	for row := int64(1); row <= 100_000; row++ {
		if found := s.find(uint64(row)*0x9e3779b97f4a7c15, nil); len(found) != 1 || found[0] != row {
			t.Fatalf("row %d: %v", row, found)
		}
	}
}

// Removed slots must not pile up, or a store that deletes as much as it adds
// would grow for ever.
func TestTheSetStaysSmallWhileRowsComeAndGo(t *testing.T) {
	s := newSeen()
	for row := int64(1); row < 200_000; row++ {
		s.add(uint64(row)*0x9e3779b97f4a7c15, row)
		if old := row - 500; old > 0 {
			s.remove(uint64(old)*0x9e3779b97f4a7c15, old)
		}
	}
	if s.live != 500 || len(s.slots) > 4*leastSlots {
		t.Errorf("%d rows in %d slots, want 500 in at most %d", s.live, len(s.slots), 4*leastSlots)
	}
}
