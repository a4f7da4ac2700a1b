package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"datasync-bridge/routing/incident"
)

const (
	// maxFound bounds what one search returns.
	maxFound = 100
	// findIncidents is how many incidents a search follows; findLeads how many
	// it looks at to each side of its time, to find those of a partner.
	findIncidents = 50
	findLeads     = 5000
	// findRows and findBytes bound the bodies that are read around a time, to
	// each side, and for all incidents together.
	findRows  = 50_000
	findBytes = 64 << 20
)

const (
	membersByID        = "SELECT DISTINCT incident FROM members WHERE id = ? ORDER BY incident DESC LIMIT ?"
	membersByReference = "SELECT DISTINCT incident FROM members WHERE json_extract(doc, '$.Reference') = ? ORDER BY incident DESC LIMIT ?"
	// membersByHandle finds those that a message is one of several names of.
	membersByHandle = `SELECT DISTINCT m.incident FROM handles h JOIN members m ON m.row = h.member
		WHERE h.environment IN ('production', 'sandbox') AND h.handle = ? ORDER BY m.incident DESC LIMIT ?`
)

// hunt is one search on its way.
type hunt struct {
	incident.Find
	at      int64
	needles []string
	hits    map[int64]int64 // arrivals by row
	more    bool
}

// FindEvents searches for events: first among those of incidents that are about
// what is asked for, which is quick; then, if Around is set, among all bodies
// around At. It looks at no more than a bounded number of rows and bytes, and
// says in More where that cut it off.
func (s *Store) FindEvents(ctx context.Context, f incident.Find) (found incident.Found, err error) {
	h := &hunt{Find: f, at: due(cmp.Or(f.At, s.now())), hits: map[int64]int64{}}
	if h.Limit <= 0 {
		h.Limit = defaultLimit
	}
	h.Limit = min(h.Limit, maxFound)
	for _, text := range []string{f.Transaction, f.MessageID, f.PO, f.Invoice, f.Partner} {
		if text != "" {
			h.needles = append(h.needles, needle(text))
		}
	}
	if len(h.needles) == 0 {
		return found, errors.New("search for events: name a transaction, a message, an order, an invoice or a partner")
	}
	for _, stage := range []struct {
		what string
		run  func(context.Context, reader) error
	}{{"events of incidents", h.ofIncidents}, {"events around a time", h.around}} {
		if err := s.read(ctx, stage.what, func(r reader) error { return stage.run(ctx, r) }); err != nil {
			return found, err
		}
	}
	err = s.read(ctx, "found events", func(r reader) error {
		found, err = h.load(ctx, r)
		return err
	})
	return found, err
}

// plainRun is text that JSON spells in one way only.
var plainRun = regexp.MustCompile(`[a-z0-9 ._-]+`)

// needle is the longest part of a text that stands in a body as it is, but for
// capital letters.
func needle(text string) string {
	text = strings.ToLower(text)
	longest := ""
	for _, run := range plainRun.FindAllString(text, -1) {
		if len(run) > len(longest) {
			longest = run
		}
	}
	return cmp.Or(longest, text)
}

// ofIncidents follows the incidents of members, which say what they are about.
func (h *hunt) ofIncidents(ctx context.Context, r reader) error {
	var rows []int64
	var err error
	switch {
	case h.Transaction != "":
		rows, err = incidentsBy(ctx, r, membersByID, incident.TransactionHandle(h.Transaction))
	case h.MessageID != "":
		if rows, err = incidentsBy(ctx, r, membersByID, incident.MessageHandle(h.MessageID)); err == nil && len(rows) == 0 {
			rows, err = incidentsBy(ctx, r, membersByHandle, incident.MessageHandle(h.MessageID))
		}
	case h.PO != "" || h.Invoice != "":
		rows, err = incidentsBy(ctx, r, membersByReference, cmp.Or(h.PO, h.Invoice))
	default:
		rows, err = h.incidentsOfPartner(ctx, r)
	}
	if err != nil {
		return err
	}
	h.more = h.more || len(rows) == findIncidents
	left := budget{rows: findRows, bytes: findBytes}
	for _, inc := range rows {
		for _, side := range []string{"d.event <= ? ORDER BY d.event DESC", "d.event > ? ORDER BY d.event"} {
			err := h.walk(ctx, r, &left, "FROM decisions d JOIN events e ON e.id = d.event JOIN bodies b ON b.event = d.event WHERE d.incident = ? AND "+side, inc, h.at)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func incidentsBy(ctx context.Context, r reader, query, text string) (out []int64, err error) {
	rows, err := r.QueryContext(ctx, query, text, findIncidents)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(scan func(...any) error) error {
		var row int64
		err := scan(&row)
		out = append(out, row)
		return err
	})
	return out, err
}

// incidentsOfPartner looks at the incidents nearest to the time, whose numbers
// are the times at which they were opened.
func (h *hunt) incidentsOfPartner(ctx context.Context, r reader) (out []int64, err error) {
	for _, side := range []string{"id <= ? ORDER BY id DESC", "id > ? ORDER BY id"} {
		rows, err := r.QueryContext(ctx, `SELECT id FROM (SELECT id, doc FROM incidents WHERE `+side+` LIMIT ?)
			WHERE json_extract(doc, '$.Lead.Fields."partner.id"') = ?
				OR json_extract(doc, '$.Lead.Fields."partner.name"') = ? COLLATE NOCASE LIMIT ?`,
			h.at, findLeads, h.Partner, h.Partner, findIncidents/2)
		if err != nil {
			return nil, err
		}
		n := 0
		err = each(rows, func(scan func(...any) error) error {
			var row int64
			err := scan(&row)
			out, n = append(out, row), n+1
			return err
		})
		if err != nil {
			return nil, err
		}
		h.more = h.more || n == findIncidents/2
	}
	return out, nil
}

// around reads the bodies of a time, outwards from it.
func (h *hunt) around(ctx context.Context, r reader) error {
	if h.Around <= 0 {
		return nil
	}
	reach := h.Around.Microseconds()
	at, until := fmt.Sprintf("?%d", len(h.needles)+1), fmt.Sprintf("?%d", len(h.needles)+2)
	for _, side := range []struct {
		where string
		until int64
	}{
		{arrived("<=", at) + " AND " + arrived(">=", until) + " ORDER BY e.id DESC", h.at - reach},
		{arrived(">", at) + " AND " + arrived("<=", until) + " ORDER BY e.id", h.at + reach},
	} {
		left := budget{rows: findRows, bytes: findBytes}
		if err := h.walk(ctx, r, &left, "FROM events e JOIN bodies b ON b.event = e.id WHERE "+side.where, h.at, side.until); err != nil {
			return err
		}
	}
	return nil
}

// budget is how much a search may still read.
type budget struct {
	rows  int
	bytes int64
}

// walk looks at bodies from the nearest on, until it has found enough.
func (h *hunt) walk(ctx context.Context, r reader, left *budget, from string, args ...any) error {
	if left.rows <= 0 || left.bytes <= 0 {
		h.more = true
		return nil
	}
	var holds strings.Builder
	var bind []any
	for _, n := range h.needles {
		holds.WriteString("instr(lower(CAST(b.body AS TEXT)), ?) > 0 AND ")
		bind = append(bind, n)
	}
	rows, err := r.QueryContext(ctx, "SELECT e.id, e.received_at, length(b.body), "+holds.String()+"true "+from, append(bind, args...)...)
	if err != nil {
		return err
	}
	n := 0
	err = each(rows, func(scan func(...any) error) error {
		var row, received, size int64
		var fits bool
		if err := scan(&row, &received, &size, &fits); err != nil {
			return err
		}
		if left.rows, left.bytes = left.rows-1, left.bytes-size; fits {
			h.hits[row], n = received, n+1
		}
		if n >= h.Limit || left.rows <= 0 || left.bytes <= 0 {
			h.more = true
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// load reads the nearest of what was found, as long as the bodies fit.
func (h *hunt) load(ctx context.Context, r reader) (out incident.Found, err error) {
	rows := make([]int64, 0, len(h.hits))
	for row := range h.hits {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(x, y int64) int {
		far := func(row int64) time.Duration { return (time.Duration(h.hits[row] - h.at)).Abs() }
		return cmp.Or(cmp.Compare(far(x), far(y)), cmp.Compare(y, x))
	})
	if out.More = h.more || len(rows) > h.Limit; len(rows) > h.Limit {
		rows = rows[:h.Limit]
	}
	bytes := 0
	for _, row := range rows {
		if bytes >= pendingBytes {
			out.More = true
			break
		}
		found, err := queryEvents(ctx, r, selectEvents+"WHERE e.id = ?", row)
		if err != nil {
			return out, fmt.Errorf("event %s: %w", formatID(eventID, row), err)
		}
		for _, one := range found { // none where retention was quicker
			bytes += len(one.Body)
			out.Events = append(out.Events, one)
		}
	}
	return out, nil
}
