package sqlite

import (
	"errors"
	"math"
	"testing"

	"datasync-bridge/event"
)

func TestARowHasOneID(t *testing.T) {
	for _, row := range []int64{1, 4, 31, 32, math.MaxInt64} {
		id := formatID(runID, row)
		if got, err := rowOf(runID, id); err != nil || got != row {
			t.Errorf("%s is row %d (%v), want %d", id, got, err, row)
		}
		last := id[len(id)-1]
		twin := id[:len(id)-1] + string(last+1) // the spare bit of the last letter
		if got, err := rowOf(runID, twin); !errors.Is(err, event.ErrNotFound) {
			t.Errorf("%s names row %d as %s does (%v)", twin, got, id, err)
		}
	}
}
