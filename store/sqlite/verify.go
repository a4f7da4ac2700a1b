package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
)

// Verdict is what a look through a store found.
type Verdict struct {
	Events, Pending, Incidents, Deliveries int
	// Faults are in words, none for a sound store.
	Faults []string
}

// maxPageFaults bounds what SQLite lists of damaged pages.
const maxPageFaults = 20

// Each query finds rows that no commit of the bridge leaves behind; the first
// column is one of them, the second how many there are.
var promises = []struct{ broken, query string }{
	{"events without a body", `SELECT max(e.id), count(*) FROM events e WHERE NOT EXISTS (SELECT 1 FROM bodies b WHERE b.event = e.id)`},
	{"bodies without an event", `SELECT max(b.event), count(*) FROM bodies b WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.id = b.event)`},
	{"events that are neither pending nor decided", `SELECT max(e.id), count(*) FROM events e
		WHERE NOT EXISTS (SELECT 1 FROM pending p WHERE p.event = e.id) AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.event = e.id)`},
	{"events that are pending and decided", `SELECT max(p.event), count(*) FROM pending p JOIN decisions d ON d.event = p.event`},
	{"pending rows without an event", `SELECT max(p.event), count(*) FROM pending p WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.id = p.event)`},
	{"decisions without an event", `SELECT max(d.event), count(*) FROM decisions d WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.id = d.event)`},
	{"events further from their time of arrival than is said", `SELECT max(e.id), count(*) FROM events e
		WHERE abs(e.id - e.received_at) > (SELECT skew FROM meta)`},
	{"members without an incident", `SELECT max(m.row), count(*) FROM members m WHERE NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = m.incident)`},
	{"open members of resolved incidents", `SELECT max(m.row), count(*) FROM members m JOIN incidents i ON i.id = m.incident WHERE m.open = 1 AND i.state = 'resolved'`},
	{"handles without an open member", `SELECT max(h.member), count(*) FROM handles h WHERE NOT EXISTS (SELECT 1 FROM members m WHERE m.row = h.member AND m.open = 1)`},
	{"deliveries without their incident", `SELECT max(d.id), count(*) FROM deliveries d
		WHERE d.incident <> 0 AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = d.incident)`},
	{"unfinished deliveries of which none has the turn", `SELECT max(id), count(*) FROM (SELECT max(id) AS id FROM deliveries
		WHERE turn IS NOT NULL GROUP BY notifier, order_key HAVING max(turn) = 0)`},
	{"deliveries that have the turn before an earlier one", `SELECT max(d.id), count(*) FROM deliveries d WHERE d.turn > 0 AND EXISTS
		(SELECT 1 FROM deliveries f WHERE f.notifier = d.notifier AND f.order_key = d.order_key AND f.turn IS NOT NULL AND f.id < d.id)`},
	{"runs without their incident", `SELECT max(r.id), count(*) FROM runs r
		WHERE r.incident <> 0 AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = r.incident)`},
	{"open incidents without a line in their timeline", `SELECT max(i.id), count(*) FROM incidents i
		WHERE i.state = 'open' AND NOT EXISTS (SELECT 1 FROM timeline t WHERE t.incident = i.id)`},
	{"rows of a source that is not there", `SELECT max(e.id), count(*) FROM events e WHERE NOT EXISTS (SELECT 1 FROM sources s WHERE s.id = e.source)`},
}

// Verify reads the whole store at one moment and holds it against what every
// commit leaves true, and every body against its hash. It takes minutes for ten
// million events.
func (s *Store) Verify(ctx context.Context) (v Verdict, err error) {
	err = s.read(ctx, "the whole store", func(r reader) error {
		rows, err := r.QueryContext(ctx, fmt.Sprintf("PRAGMA integrity_check(%d)", maxPageFaults))
		if err != nil {
			return err
		}
		err = each(rows, func(scan func(...any) error) error {
			var said string
			if err := scan(&said); err != nil {
				return err
			}
			if said != "ok" {
				v.Faults = append(v.Faults, "SQLite: "+said)
			}
			return nil
		})
		if err != nil || len(v.Faults) > 0 { // rows of a damaged file prove nothing
			return err
		}
		for _, p := range promises {
			var one *int64
			var n int
			if err := r.QueryRowContext(ctx, p.query).Scan(&one, &n); err != nil {
				return err
			}
			if n > 0 {
				v.Faults = append(v.Faults, fmt.Sprintf("%d %s, such as row %d", n, p.broken, *one))
			}
		}
		changed, one, err := changedBodies(ctx, r)
		if err != nil {
			return err
		}
		if changed > 0 {
			v.Faults = append(v.Faults, fmt.Sprintf("%d bodies that are not what was kept, such as row %d", changed, one))
		}
		return r.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM pending),
			(SELECT count(*) FROM incidents), (SELECT count(*) FROM deliveries)`).Scan(&v.Events, &v.Pending, &v.Incidents, &v.Deliveries)
	})
	if isCorrupt(err) { // it ended the reading, which is what was to be found
		v.Faults, err = append(v.Faults, "SQLite: "+err.Error()), nil
	}
	return v, err
}

// changedBodies holds every body that was not purged against its hash: SQLite
// has no checksums, and takes a page whose cells still fit for a sound one.
func changedBodies(ctx context.Context, r reader) (n int, one int64, err error) {
	rows, err := r.QueryContext(ctx, `SELECT b.event, b.body, coalesce(b.hash, e.body_hash) FROM bodies b JOIN events e ON e.id = b.event
		WHERE NOT EXISTS (SELECT 1 FROM decisions d WHERE d.event = b.event AND d.state = 'purged')`)
	if err != nil {
		return 0, 0, err
	}
	var row int64
	var body, hash sql.RawBytes
	err = each(rows, func(scan func(...any) error) error {
		if err := scan(&row, &body, &hash); err != nil {
			return err
		}
		if sum := sha256.Sum256(body); !bytes.Equal(sum[:], hash) {
			n, one = n+1, row
		}
		return nil
	})
	return n, one, err
}
