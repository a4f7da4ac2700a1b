package sqlite

import (
	"context"
	"path/filepath"
	"testing"
)

// A connection whose transaction does not end as it should is not read from
// again. The size of its cache tells one connection from the next.
func TestAReaderWithoutAnEndIsLetGo(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), nil)
	s.reads.SetMaxOpenConns(1)
	read := func(query string) (value int) {
		t.Helper()
		err := s.brisk(context.Background(), "a test", func(ctx context.Context, r reader) error {
			rows, err := r.QueryContext(ctx, query)
			if err != nil {
				return err
			}
			return each(rows, func(scan func(...any) error) error { return scan(&value) })
		})
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	const mark = 777
	if _, err := s.reads.ExecContext(context.Background(), "PRAGMA cache_size = 777"); err != nil {
		t.Fatal(err)
	}
	if got := read("PRAGMA cache_size"); got != mark {
		t.Fatalf("the one connection has a cache of %d, want %d", got, mark)
	}
	read("COMMIT") // so that the rollback fails
	if got := read("PRAGMA cache_size"); got == mark {
		t.Error("the connection is still in use")
	}
}
