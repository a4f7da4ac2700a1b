package dispatch

import (
	"testing"

	"datasync-bridge/event"
)

func TestFewLargeBodiesAreDecodedAtOneTime(t *testing.T) {
	of := func(sizes ...int) (list []event.Stored) {
		for _, size := range sizes {
			list = append(list, event.Stored{Received: event.Received{Body: make([]byte, size)}})
		}
		return list
	}
	for name, tt := range map[string]struct {
		pending   []event.Stored
		now, rest int
	}{
		"nothing":                   {nil, 0, 0},
		"small ones go together":    {of(10, 10, 10), 3, 0},
		"a large one goes alone":    {of(portionBytes, 10), 1, 1},
		"a larger one, too":         {of(8*portionBytes, 10), 1, 1},
		"the last fills the room":   {of(10, portionBytes, 10, 10), 2, 2},
		"two halves are a portion":  {of(portionBytes/2, portionBytes/2, 1), 2, 1},
		"empty bodies take no room": {of(0, 0, 0), 3, 0},
	} {
		if now, rest := portion(tt.pending); len(now) != tt.now || len(rest) != tt.rest {
			t.Errorf("%s: %d now and %d later, want %d and %d", name, len(now), len(rest), tt.now, tt.rest)
		}
	}
}
