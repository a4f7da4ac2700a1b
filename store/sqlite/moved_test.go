package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"datasync-bridge/event"
)

// What is committed to a file that has lost its name is gone at the next start.
func TestNothingIsAcceptedIntoAFileThatWasMovedAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	s := openAt(t, path, nil)
	if err := acceptNth(s, 1); err != nil {
		t.Fatal(err)
	}
	for name, between := range map[string]func() error{
		"moved":    func() error { return nil },
		"replaced": func() error { return os.WriteFile(path, nil, 0o600) },
	} {
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		if err := between(); err != nil {
			t.Fatal(err)
		}
		if err := acceptNth(s, 2); !errors.Is(err, event.ErrUnavailable) {
			t.Errorf("%s: accept: %v, want %v", name, err, event.ErrUnavailable)
		}
		becomes(t, s, false)
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
		becomes(t, s, true)
	}
	if err := acceptNth(s, 2); err != nil {
		t.Errorf("accept once it is back: %v", err)
	}
}
