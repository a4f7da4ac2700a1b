package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// maxProblem bounds why a configuration was refused, in runes.
const maxProblem = 4000

// RecordLoad notes that a configuration came into force or was refused. Its
// document is kept once for each hash.
func (s *Store) RecordLoad(ctx context.Context, l incident.ConfigLoad) error {
	err := s.write(ctx, func(t *tx) error {
		_, err := t.exec("INSERT INTO config_loads (hash, at, by, problem) VALUES (?, ?, ?, ?)",
			l.Hash, dueOr(l.At, t.now), clip(l.By, maxWord), clip(l.Problem, maxProblem))
		if err != nil || l.Doc == nil || l.Problem != "" {
			return err
		}
		_, err = t.exec("INSERT INTO config_docs (hash, doc) VALUES (?, ?) ON CONFLICT DO NOTHING", l.Hash, l.Doc)
		return err
	})
	if err != nil {
		return fmt.Errorf("record the load of configuration %s: %w", l.Hash, err)
	}
	return nil
}

const selectLoads = "SELECT id, hash, at, by, problem FROM config_loads "

func queryLoads(ctx context.Context, r reader, where string, args ...any) (out []incident.ConfigLoad, err error) {
	rows, err := r.QueryContext(ctx, selectLoads+where, args...)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(scan func(...any) error) error {
		var l incident.ConfigLoad
		var at column
		err := scan(&l.ID, &l.Hash, &at, &l.By, &l.Problem)
		l.At = at.Time
		out = append(out, l)
		return err
	})
	return out, err
}

// ConfigLoad returns the last load of a configuration that came into force, or
// the last that was refused where none did, with its document.
// event.ErrNotFound says that there was none, or that nothing is left that it
// decided.
func (s *Store) ConfigLoad(ctx context.Context, hash string) (l incident.ConfigLoad, err error) {
	err = s.read(ctx, "configuration "+hash, func(r reader) error {
		found, err := queryLoads(ctx, r, "WHERE hash = ? ORDER BY problem <> '', id DESC LIMIT 1", hash)
		if err == nil && len(found) == 0 {
			err = event.ErrNotFound
		}
		if err != nil {
			return err
		}
		l = found[0]
		err = r.QueryRowContext(ctx, "SELECT doc FROM config_docs WHERE hash = ?", hash).Scan(&l.Doc)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return l, err
}

// Loads returns loads without their documents, newest first. Of the filter it
// takes State ("refused" or "in force"), Since, Until and Limit; Before is the
// load's number in decimal.
func (s *Store) Loads(ctx context.Context, f incident.Filter) (out []incident.ConfigLoad, err error) {
	var n narrowing
	switch f.State {
	case "":
	case "refused":
		n.conditions = append(n.conditions, "problem <> ''")
	case "in force":
		n.conditions = append(n.conditions, "problem = ''")
	default:
		n.err = fmt.Errorf("a load is \"refused\" or \"in force\", not %q: %w", f.State, event.ErrNotFound)
	}
	if f.Before != "" {
		before, err := strconv.ParseInt(f.Before, 10, 64)
		if err != nil {
			n.err = fmt.Errorf("%q is no number of a load: %w", f.Before, event.ErrNotFound)
		}
		n.by("id < ?", before)
		f.Before = ""
	}
	where := n.page(f, "", "id", "at")
	err = s.list(ctx, "loads of the configuration", n, func(r reader) error {
		out, err = queryLoads(ctx, r, where, n.args...)
		return err
	})
	return out, err
}

// deleteLoads takes the documents by which nothing that is kept was decided,
// and the records of loads that are as old as incidents may be.
func (r *retention) deleteLoads() error {
	if r.left <= 0 {
		return nil // older events are to go first
	}
	// A document is needed while it is in force, and as long as an event is kept
	// that may have been planned by it. A later load that was not refused ended
	// its time; of the events from before, those that are kept say by themselves
	// what decided them.
	err := r.delete(`DELETE FROM config_docs WHERE hash IN (SELECT c.hash FROM config_docs c
		WHERE EXISTS (SELECT 1 FROM config_loads n WHERE n.problem = '' AND n.at < ?1
			AND n.id > (SELECT max(l.id) FROM config_loads l WHERE l.hash = c.hash AND l.problem = ''))
		AND NOT EXISTS (SELECT 1 FROM events e JOIN decisions d ON d.event = e.id
			WHERE `+arrived("<", "?1")+` AND json_extract(d.doc, '$.Config') = c.hash)
		LIMIT ?2)`, r.events)
	if err != nil {
		return err
	}
	return r.delete(`DELETE FROM config_loads WHERE id IN (SELECT l.id FROM config_loads l WHERE l.at < ?
		AND l.id IS NOT (SELECT max(id) FROM config_loads WHERE problem = '')
		AND NOT EXISTS (SELECT 1 FROM config_docs c WHERE c.hash = l.hash) LIMIT ?)`, r.incidents)
}
