package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"datasync-bridge/store/storetest"
)

// restartable is a store that can be started again.
type restartable struct {
	*Store
	now func() time.Time
}

func (s *restartable) Restart(t *testing.T) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Store = openAt(t, s.cfg.SQLite.Path, s.now)
}

func (s *restartable) OpenCopy(t *testing.T, path string) storetest.Subject {
	t.Helper()
	return &restartable{openAt(t, path, s.now), s.now}
}

func TestSQLiteKeepsToTheSuite(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) storetest.Subject {
		return &restartable{openAt(t, filepath.Join(t.TempDir(), "bridge.db"), now), now}
	})
}
