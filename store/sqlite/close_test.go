package sqlite

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAStoppedStoreIsOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	s := openAt(t, path, time.Now)
	if _, err := s.Accept(t.Context(), sample(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pending(t.Context(), 1); err != nil { // a reader has been there
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := os.Stat(path + "-wal")
	if err == nil && log.Size() > 0 {
		t.Errorf("%d bytes are left in the log; a copy of the file would miss them", log.Size())
	} else if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, text, fs.FileMode(0o600)); err != nil {
		t.Fatal(err)
	}
	events, err := openAt(t, copied, time.Now).Pending(t.Context(), 10)
	if err != nil || len(events) != 1 {
		t.Errorf("the copied file holds %d events, %v; want one", len(events), err)
	}
}
