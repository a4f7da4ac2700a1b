package dispatch

import (
	"strings"
	"testing"

	"datasync-bridge/event"
)

func TestALogTellsAPanicOfGosOwnAndNoOther(t *testing.T) {
	none := map[string]int(nil)
	own := guarded(func() error { none["x"] = 1; return nil })
	if got := event.Unquoted(own); !strings.Contains(got, "nil map") {
		t.Errorf("Go's own is logged as %q", got)
	}
	other := guarded(func() error { panic("no such partner: canary") })
	if got := event.Unquoted(other); strings.Contains(got, "canary") || !strings.Contains(got, "panic") {
		t.Errorf("another is logged as %q", got)
	}
}
