package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

// bodiesAtOnce is how many bodies one read of a search looks at.
const bodiesAtOnce = 20_000

// Search is a walk through the bodies of events, from a time on.
type Search struct {
	// Text is what a body must hold, in lower case; letters of A to Z in a body
	// are compared as if they were small.
	Text string
	// From is the time to begin at. Newer walks to newer events, else to older
	// ones, the one at From among them.
	From  time.Time
	Newer bool
	// Page is how many bodies one read looks at; 0 is 20,000.
	Page int
}

// Holding walks from event to event and hands over each whose body holds the
// text, until there are no more or yield returns false. It reads page by page,
// so that it holds up nobody.
func (s *Store) Holding(ctx context.Context, q Search, yield func(event.Stored) (more bool, err error)) error {
	var at int64
	err := s.read(ctx, "where to search", func(r reader) error {
		err := r.QueryRowContext(ctx, "SELECT e.id FROM events e WHERE "+arrived("<=", "?1")+" ORDER BY e.id DESC LIMIT 1", due(q.From)).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // all are newer
		}
		return err
	})
	if err != nil {
		return err
	}
	if q.Page <= 0 {
		q.Page = bodiesAtOnce
	}
	page := "event <= ? ORDER BY event DESC"
	if q.Newer {
		page = "event > ? ORDER BY event"
	}
	for n := q.Page; n == q.Page; {
		var found []int64
		found, at, n, err = s.holding(ctx, page, at, q)
		if err != nil {
			return err
		}
		for _, row := range found {
			st, err := s.Event(ctx, formatID(eventID, row))
			if errors.Is(err, event.ErrNotFound) {
				continue // its time was up meanwhile
			}
			if err != nil {
				return err
			}
			if more, err := yield(st); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// holding looks at one page of bodies. It returns the rows that hold the text,
// where to go on, and how many it looked at.
func (s *Store) holding(ctx context.Context, page string, at int64, q Search) (found []int64, next int64, n int, err error) {
	err = s.read(ctx, "bodies", func(r reader) error {
		last := "min"
		if q.Newer {
			last = "max"
		}
		these := fmt.Sprintf("(SELECT event, body FROM bodies WHERE %s LIMIT %d)", page, q.Page)
		err := r.QueryRowContext(ctx, "SELECT count(*), coalesce("+last+"(event), 0) FROM "+these, at).Scan(&n, &next)
		if err != nil || n == 0 {
			return err
		}
		rows, err := r.QueryContext(ctx, "SELECT event FROM "+these+" WHERE instr(lower(CAST(body AS TEXT)), ?) > 0", at, strings.ToLower(q.Text))
		if err != nil {
			return err
		}
		return each(rows, func(scan func(...any) error) error {
			var row int64
			err := scan(&row)
			found = append(found, row)
			return err
		})
	})
	slices.Sort(found)
	if !q.Newer {
		slices.Reverse(found)
		next-- // the page begins at its bound
	}
	return found, next, n, err
}
