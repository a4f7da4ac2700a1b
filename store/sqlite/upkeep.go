package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"datasync-bridge/event"
)

// Ready returns why the store cannot keep events, nil if it can. A store that
// failed recovers by itself: it tries every second.
func (s *Store) Ready(ctx context.Context) error {
	if s.writer == nil {
		return fmt.Errorf("the store is open for reading only: %w", event.ErrUnavailable)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.writer.mu.Lock()
	closed := s.writer.closed
	s.writer.mu.Unlock()
	if closed {
		return fmt.Errorf("the store is closed: %w", event.ErrUnavailable)
	}
	if f := s.writer.fault.Load(); f != nil {
		return fmt.Errorf("%w: %w", event.ErrUnavailable, f.err)
	}
	return s.writer.quota.ready(ctx, s)
}

// Backup writes a copy of the store, as it is at one moment, to a file that
// does not exist yet. It runs beside the traffic: the copy is complete and on
// disk when its name appears.
func (s *Store) Backup(ctx context.Context, path string) error {
	if err := s.backup(ctx, path); err != nil {
		return fmt.Errorf("back up the store to %s: %w", path, err)
	}
	return nil
}

func (s *Store) backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return os.ErrExist
	}
	// SQLite fills an empty file, so the copy is private from its first byte.
	part, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name()) //nolint:errcheck // gone after success
	defer part.Close()           //nolint:errcheck // synced before
	db := sql.OpenDB(connector{path: s.cfg.SQLite.Path, readOnly: true, copies: true})
	defer db.Close() //nolint:errcheck // read only
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", part.Name()); err != nil {
		return err
	}
	if err := part.Sync(); err != nil {
		return err
	}
	// A link, unlike a rename, does not replace a file made meanwhile.
	if err := os.Link(part.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Stats is what metrics tell of the store.
type Stats struct {
	// Pending events and the arrival of the oldest, zero for none.
	Pending       int
	OldestPending time.Time
	Parked        int
	OpenIncidents int
	// Waiting (or being sent) and Dead deliveries by notifier.
	Waiting map[string]int
	Dead    map[string]int
	// OldestWaiting is when the oldest unfinished delivery was queued.
	OldestWaiting time.Time
	// OldestDue is, by notifier, since when the delivery waits that has waited
	// longest beyond its time: first for a turn, then for an attempt to succeed.
	OldestDue map[string]time.Time
	// Runs that are queued or started.
	Runs int
	// RunsAwaiting wait for a person's approval; RunsUnknown have no clear outcome.
	RunsAwaiting, RunsUnknown int
	// Partners that are kept.
	Partners int
	// Audit is how many lines were ever written.
	Audit int64
	// NextTimer is the earliest due time, past ones too.
	NextTimer time.Time
	// Queue is how many callers wait for the writer.
	Queue int
	// Size is the file's, in bytes; Log that of the write-ahead log.
	Size, Log int64
	// Held is what counts against store.max_size, in bytes: the file without its
	// free pages, and the log. Full reports that new events are refused for it,
	// QuarantineFull that those are that cannot be mapped.
	Held                 int64
	Full, QuarantineFull bool
}

// Stats counts what waits.
func (s *Store) Stats(ctx context.Context) (st Stats, err error) {
	st.Waiting, st.Dead, st.OldestDue = map[string]int{}, map[string]int{}, map[string]time.Time{}
	now := s.now().UnixMicro()
	err = s.read(ctx, "statistics", func(r reader) error {
		if err := st.count(ctx, r); err != nil {
			return err
		}
		return st.overdue(ctx, r, now)
	})
	if s.writer != nil {
		s.writer.mu.Lock()
		st.Queue = len(s.writer.accepts) + len(s.writer.jobs)
		s.writer.mu.Unlock()
	}
	if err == nil {
		err = st.measure(ctx, s)
	}
	st.Size, st.Log = size(s.cfg.SQLite.Path), size(s.cfg.SQLite.Path+"-wal")
	return st, err
}

func (st *Stats) count(ctx context.Context, r reader) error {
	var oldest, next column
	err := r.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM pending),
		(SELECT received_at FROM events WHERE id = (SELECT min(event) FROM pending)),
		(SELECT count(*) FROM decisions WHERE state = 'parked'),
		(SELECT count(*) FROM incidents WHERE state = 'open'),
		(SELECT count(*) FROM runs WHERE state = 'queued') + (SELECT count(*) FROM runs WHERE state = 'started'),
		(SELECT count(*) FROM runs WHERE state = 'awaiting'), (SELECT count(*) FROM runs WHERE state = 'unknown'),
		(SELECT count(*) FROM partners), (`+auditCount+`),
		(SELECT min(due_at) FROM timers)`).Scan(&st.Pending, &oldest, &st.Parked, &st.OpenIncidents, &st.Runs,
		&st.RunsAwaiting, &st.RunsUnknown, &st.Partners, &st.Audit, &next)
	if err != nil {
		return err
	}
	st.OldestPending, st.NextTimer = oldest.Time, next.Time
	rows, err := r.QueryContext(ctx, "SELECT notifier, count(*), min(queued_at) FROM deliveries WHERE turn IS NOT NULL GROUP BY notifier")
	if err != nil {
		return err
	}
	err = each(rows, func(scan func(...any) error) error {
		var notifier string
		var n int
		var at column
		err := scan(&notifier, &n, &at)
		st.Waiting[notifier] = n
		if st.OldestWaiting.IsZero() || at.Before(st.OldestWaiting) {
			st.OldestWaiting = at.Time
		}
		return err
	})
	if err != nil {
		return err
	}
	rows, err = r.QueryContext(ctx, "SELECT notifier, count(*) FROM deliveries WHERE state = 'dead' GROUP BY notifier")
	if err != nil {
		return err
	}
	return each(rows, func(scan func(...any) error) error {
		var notifier string
		var n int
		err := scan(&notifier, &n)
		st.Dead[notifier] = n
		return err
	})
}

// oldestDue looks at those whose turn it is. A pause moves next_at and leaves
// no first_try behind, so that what was ever claimed counts as due.
const oldestDue = `SELECT notifier, min(CASE WHEN first_try IS NOT NULL THEN first_try
	WHEN next_at <= ?1 THEN max(queued_at, next_at) ELSE queued_at END) FROM deliveries
	WHERE turn > 0 AND (next_at <= ?1 OR lease_token > 0) GROUP BY notifier`

func (st *Stats) overdue(ctx context.Context, r reader, now int64) error {
	rows, err := r.QueryContext(ctx, oldestDue, now)
	if err != nil {
		return err
	}
	return each(rows, func(scan func(...any) error) error {
		var notifier string
		var at column
		err := scan(&notifier, &at)
		st.OldestDue[notifier] = at.Time
		return err
	})
}

// DeadSince counts, by notifier, the deliveries that were given up from a time
// on and are dead still.
func (s *Store) DeadSince(ctx context.Context, since time.Time) (map[string]int, error) {
	out := map[string]int{}
	err := s.read(ctx, "deliveries that were given up", func(r reader) error {
		rows, err := r.QueryContext(ctx, "SELECT notifier, count(*) FROM deliveries WHERE state = 'dead' AND settled_at >= ? GROUP BY notifier", due(since))
		if err != nil {
			return err
		}
		return each(rows, func(scan func(...any) error) error {
			var notifier string
			var n int
			err := scan(&notifier, &n)
			out[notifier] = n
			return err
		})
	})
	return out, err
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// OpenTellings returns the open incidents that each notifier was told of or
// is about to be told of, and whose end it has not been told: a notifier among
// them must not leave the configuration.
func (s *Store) OpenTellings(ctx context.Context) (map[string][]string, error) {
	out := map[string][]string{}
	err := s.read(ctx, "open tellings", func(r reader) error {
		rows, err := r.QueryContext(ctx, "SELECT id, version, doc FROM incidents WHERE state = 'open' ORDER BY id")
		if err != nil {
			return err
		}
		return each(rows, func(scan func(...any) error) error {
			var row, version int64
			var doc []byte
			if err := scan(&row, &version, &doc); err != nil {
				return err
			}
			i, err := decodeIncident(doc, version)
			for _, told := range i.Told {
				if !told.Over {
					out[told.Notifier] = append(out[told.Notifier], formatID(incidentID, row))
				}
			}
			return err
		})
	})
	return out, err
}
