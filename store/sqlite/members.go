package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// maxMembersScanned bounds what one page of OpenMembers looks at.
const maxMembersScanned = 5000

// An event's number is its arrival in microseconds, so that the members come by
// the age of their newest opening.
const openMembers = `SELECT m.event, m.row, m.incident, i.environment, coalesce(s.name, i.source), m.open, m.settled_at, m.doc FROM members m
	JOIN incidents i ON i.id = m.incident LEFT JOIN events e ON e.id = m.event LEFT JOIN sources s ON s.id = e.source
	WHERE m.open = 1 AND m.event IS NOT NULL AND (m.event, m.row) > (?, ?) AND m.event < ? ORDER BY m.event, m.row LIMIT ?`

// OpenMembers returns open members of open incidents that are a transaction and
// whose newest opening came from a source and before a time, oldest first, at most limit
// (which is at most 1,000; 0 means 50). It goes on after the token, "" for the
// first page; the token it returns is "" after the last. A page may be short,
// or empty, before the last.
func (s *Store) OpenMembers(ctx context.Context, source string, environment event.Environment, before time.Time, limit int, after string) (
	out []incident.MatchedMember, next string, err error,
) {
	var since, sinceRow int64
	if after != "" {
		if _, err := fmt.Sscanf(after, "%d.%d", &since, &sinceRow); err != nil {
			return nil, "", fmt.Errorf("%q is no token of a page: %w", after, event.ErrNotFound)
		}
	}
	limit = bounded(limit)
	err = s.read(ctx, "open members", func(r reader) error {
		rows, err := r.QueryContext(ctx, openMembers, since, sinceRow, before.UnixMicro(), maxMembersScanned)
		if err != nil {
			return err
		}
		scanned := 0
		err = each(rows, func(scan func(...any) error) error {
			var ev, row, inc int64
			var of event.Environment
			var from string
			m, err := scanMember(func(into ...any) error { return scan(append([]any{&ev, &row, &inc, &of, &from}, into...)...) })
			if err != nil {
				return err
			}
			if of == environment && from == source && m.Transaction != "" {
				out = append(out, incident.MatchedMember{Incident: formatID(incidentID, inc), Member: m})
			}
			if scanned++; scanned == maxMembersScanned || len(out) == limit {
				next = fmt.Sprintf("%d.%d", ev, row)
				return errEnough
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
	return out, next, err
}
