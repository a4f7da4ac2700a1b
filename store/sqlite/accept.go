package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"

	"github.com/mattn/go-sqlite3"

	"datasync-bridge/event"
)

// maxVariants bounds how many different bodies of one id are stored.
const maxVariants = 10

// accept is one received event on its way into the file.
type accept struct {
	in      event.Received
	receipt event.Receipt
	err     error
	refused error         // by a bound on what the store holds
	done    chan struct{} // holds what is said once, should the caller have left
}

// sparedBody bounds the body that a spare accept holds.
const sparedBody = 4 << 10

// newAccept takes a copy of an event, in what an earlier one left where it fits.
func (w *writer) newAccept(in event.Received) *accept {
	a, ok := w.spare.Get().(*accept)
	if !ok {
		a = &accept{done: make(chan struct{}, 1)}
	}
	body := a.in.Body
	if body == nil || cap(body) < len(in.Body) {
		body = make([]byte, 0, len(in.Body)) // never nil: the column is NOT NULL
	}
	body = append(body, in.Body...)
	a.in = in
	a.in.Body = body
	return a
}

// recycle is for an accept that the writer has let go of.
func (w *writer) recycle(a *accept) {
	body := a.in.Body[:0]
	if cap(body) > sparedBody {
		body = nil
	}
	*a = accept{in: event.Received{Body: body}, done: a.done}
	w.spare.Put(a)
}

// Accept commits an event and tells what became of it. It decides about
// duplicates inside the committing transaction, and answers only when the
// event, or the one that it repeats, is on disk. A caller that leaves early
// does not know whether its event was kept.
func (s *Store) Accept(ctx context.Context, in event.Received) (event.Receipt, error) {
	if s.writer == nil {
		return event.Receipt{}, fmt.Errorf("the store is open for reading only: %w", event.ErrUnavailable)
	}
	a := s.writer.newAccept(in)
	if err := s.writer.enqueue(a, nil); err != nil {
		s.writer.recycle(a)
		return event.Receipt{}, err
	}
	select {
	case <-a.done:
		defer s.writer.recycle(a)
		return a.outcome()
	case <-ctx.Done():
		return event.Receipt{}, ctx.Err()
	}
}

// fresh holds what a batch adds, until it is committed.
type fresh struct {
	rows    map[uint64][]int64
	sources map[route]int64
	apart   int64 // microseconds between a row and its arrival, at most
}

func newFresh() *fresh {
	return &fresh{rows: map[uint64][]int64{}, sources: map[route]int64{}}
}

// runAccepts writes a batch's events. If one statement fails, the events are
// redone each by itself, so that one bad row fails alone.
func (w *writer) runAccepts(t *tx, accepts []*accept) error {
	if len(accepts) == 0 {
		return nil
	}
	if err := w.quota.look(t); err != nil {
		return err
	}
	f := newFresh()
	last, failed := w.last, false
	err := w.alone(func() error {
		for _, a := range accepts {
			if err := w.accept(t, f, a); err != nil {
				return err
			}
		}
		return nil
	}, func() { failed = true })
	if err == nil && failed {
		f, w.last = newFresh(), last
		err = w.redo(t, f, accepts)
	}
	if err != nil {
		return err
	}
	if err := w.hot.exec(w.hot.pending, last); err != nil { // at once, which is cheaper
		return err
	}
	if err := w.keepSkew(t, f.apart); err != nil {
		return err
	}
	t.topics[topicEvents] = true
	t.committed = append(t.committed, func() { w.learn(f) })
	return nil
}

// redo writes events one by one.
func (w *writer) redo(t *tx, f *fresh, accepts []*accept) error {
	for _, a := range accepts {
		_, known := f.sources[routeOf(a.in)]
		err := w.alone(func() error {
			a.err = w.accept(t, f, a)
			return a.err
		}, func() {
			if !known {
				delete(f.sources, routeOf(a.in))
			}
			a.err = fmt.Errorf("%w: keep event: %w", event.ErrUnavailable, a.err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// learn takes over what a commit has made durable.
func (w *writer) learn(f *fresh) {
	for print, rows := range f.rows {
		for _, row := range rows {
			w.seen.add(print, row)
			w.known = max(w.known, row)
		}
	}
	for r, id := range f.sources {
		w.sources[r] = id
	}
}

// accept writes one event, or counts it.
func (w *writer) accept(t *tx, f *fresh, a *accept) error {
	print := fingerprint(a.in.Source, a.in.Key[:])
	w.found = append(w.seen.find(print, w.found[:0]), f.rows[print]...)
	var first int64
	variants := 0
	for _, row := range w.found {
		same, hash, err := w.confirm(row, a.in)
		switch {
		case err != nil:
			return err
		case !same:
			continue
		case bytes.Equal(hash, a.in.BodyHash[:]):
			return w.count(a, row, event.Duplicate)
		}
		variants++
		if first == 0 || row < first {
			first = row
		}
	}
	if variants >= maxVariants {
		return w.count(a, first, event.Conflict)
	}
	if a.refused = w.quota.refusal(&a.in); a.refused != nil {
		return nil //nolint:nilerr // the caller's answer, not a failed statement
	}
	return w.insert(t, f, a, print, variants > 0)
}

// confirm reports whether a row has the event's source and key, and the hash
// of its body. A row that retention has deleted has nothing.
func (w *writer) confirm(row int64, in event.Received) (same bool, hash []byte, err error) {
	found := make([]driver.Value, 3)
	ok, err := w.hot.query(w.hot.lookup, found, row)
	if err != nil || !ok {
		return false, nil, err
	}
	name, _ := found[0].(string)
	key, _ := found[1].([]byte)
	hash, _ = found[2].([]byte)
	return name == in.Source && bytes.Equal(key, in.Key[:]), hash, nil
}

func (w *writer) count(a *accept, row int64, status event.Status) error {
	a.receipt = event.Receipt{ID: formatID(eventID, row), Status: status}
	return w.hot.exec(w.hot.repeat, a.in.ReceivedAt.UnixMicro(), row)
}

func (w *writer) insert(t *tx, f *fresh, a *accept, print uint64, conflict bool) error {
	source, err := w.intern(t, f, routeOf(a.in))
	if err != nil {
		return err
	}
	// Ids are times as long as the clock goes forward, and count up where it
	// does not.
	row := max(w.last+1, t.now.UnixMicro())
	in := &a.in
	err = w.hot.exec(w.hot.event, row, source, in.ReceivedAt.UnixMicro(), in.Key[:], in.BodyHash[:],
		conflict, in.Type, in.ForeignID, in.Quarantine)
	if err == nil {
		err = w.keepBody(t, row, in)
	}
	if err != nil {
		return err
	}
	w.last = row
	f.apart = max(f.apart, row-in.ReceivedAt.UnixMicro(), in.ReceivedAt.UnixMicro()-row)
	f.rows[print] = append(f.rows[print], row)
	a.receipt = event.Receipt{ID: formatID(eventID, row), Status: statusOf(conflict, in.Quarantine)}
	return nil
}

func statusOf(conflict bool, quarantine string) event.Status {
	switch {
	case conflict:
		return event.Conflict
	case quarantine != "":
		return event.Quarantined
	}
	return event.Accepted
}

// route is what the events of one source row have in common.
type route struct {
	name        string
	environment event.Environment
	origin      event.Origin
	authentic   bool
}

func routeOf(in event.Received) route {
	return route{in.Source, in.Environment, in.Origin, in.Authentic}
}

// intern returns the row of a route, made on first use.
func (w *writer) intern(t *tx, f *fresh, r route) (id int64, err error) {
	if id, ok := w.sources[r]; ok {
		return id, nil
	}
	if id, ok := f.sources[r]; ok {
		return id, nil
	}
	err = t.row("INSERT INTO sources (name, environment, origin, authentic) VALUES (?, ?, ?, ?) RETURNING id",
		[]any{r.name, string(r.environment), string(r.origin), r.authentic}, &id)
	if err == nil {
		f.sources[r] = id
	}
	return id, err
}

// fingerprint is the part of a dedup key that the set holds. The key is a hash
// already; the source is mixed in because keys are unique per source only.
func fingerprint(source string, key []byte) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, source)
	return binary.LittleEndian.Uint64(key) ^ h.Sum64()
}

// remember reads from the file what the writer does not know yet: the newest
// row, the sources, and the fingerprints of the keys. At the start that is
// everything; after a failed commit it is what SQLite may have kept of it all
// the same, which the sender will send again.
func (w *writer) remember(ctx context.Context) error {
	var newest int64
	err := w.conn.QueryRowContext(ctx, `SELECT max(coalesce((SELECT max(id) FROM events), 0),
		coalesce((SELECT max(id) FROM incidents), 0), coalesce((SELECT max(last) FROM prints), 0)), (SELECT skew FROM meta)`).Scan(&newest, &w.skew)
	if err != nil {
		return err
	}
	w.last = max(w.last, newest)
	names := map[int64]string{}
	rows, err := w.conn.QueryContext(ctx, "SELECT id, name, environment, origin, authentic FROM sources")
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read only
	for rows.Next() {
		var r route
		var id int64
		if err := rows.Scan(&id, &r.name, &r.environment, &r.origin, &r.authentic); err != nil {
			return err
		}
		w.sources[r], names[id] = id, r.name
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return w.conn.Raw(func(raw any) error {
		conn := raw.(*sqlite3.SQLiteConn)
		if err := w.rememberChunks(conn); err != nil {
			return err
		}
		return w.rememberKeys(conn, names)
	})
}

// rememberKeys passes over database/sql, which would make it three times slower.
func (w *writer) rememberKeys(conn *sqlite3.SQLiteConn, names map[int64]string) error {
	rows, err := conn.Query("SELECT id, source, key FROM events WHERE id > ? ORDER BY id", []driver.Value{w.known})
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read only
	v := make([]driver.Value, 3)
	for {
		switch err := rows.Next(v); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		id, _ := v[0].(int64)
		source, _ := v[1].(int64)
		key, _ := v[2].([]byte)
		if len(key) < 8 {
			return fmt.Errorf("%w: event %s has no key", ErrCorrupt, formatID(eventID, id))
		}
		w.seen.add(fingerprint(names[source], key), id)
		w.known = id
	}
}
