package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

const (
	// seenEvery is how often an event moves a partner's seen_at: retention
	// counts in days, and a partner may send thousands of events in one.
	seenEvery = 24 * time.Hour
	// maxOpenScanned bounds a search among open incidents.
	maxOpenScanned = 5000

	partnerColumns = "environment, id, next_at, doc"
	duePartners    = "SELECT " + partnerColumns + " FROM partners WHERE next_at <= ? ORDER BY next_at LIMIT ?"
	// A text of JSON is read from every row here: an index would cost each plan.
	openOfPartner = `SELECT id FROM (SELECT id, doc FROM incidents WHERE environment = ? AND state = 'open' LIMIT ?)
		WHERE json_extract(doc, '$.Lead.Fields."partner.id"') = ? ORDER BY id LIMIT ?`
)

// partnerDoc is a partner without what its columns hold.
func partnerDoc(p incident.Partner) (string, error) {
	p.Environment, p.ID, p.NextAt = "", "", time.Time{}
	return document(p)
}

// applyWanted notes that events were about partners.
func (t *tx) applyWanted(e encoded) error {
	for _, w := range e.plan.Wanted {
		n, err := t.exec(`INSERT INTO partners (environment, id, next_at, seen_at, doc) VALUES (?, ?, ?, ?, '{}')
			ON CONFLICT DO UPDATE SET seen_at = excluded.seen_at WHERE partners.seen_at < ?`, string(w.Environment), w.ID,
			t.now.UnixMicro(), t.now.UnixMicro(), t.now.Add(-seenEvery).UnixMicro())
		if err != nil {
			return err
		}
		if n > 0 {
			t.topics[topicPartners] = true
		}
	}
	return nil
}

func (t *tx) applyPartners(e encoded) error {
	for k, p := range e.plan.Partners {
		_, err := t.exec(`INSERT INTO partners (environment, id, next_at, seen_at, doc) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET next_at = excluded.next_at, doc = excluded.doc`,
			string(p.Environment), p.ID, dueOrNull(p.NextAt), t.now.UnixMicro(), e.partners[k])
		if err != nil {
			return err
		}
	}
	return nil
}

// knownPartner is what a plan sees of a partner: nil before it was ever answered.
func knownPartner(ctx context.Context, r reader, environment event.Environment, id string) (*incident.Partner, error) {
	found, err := queryPartners(ctx, r, "SELECT "+partnerColumns+" FROM partners WHERE environment = ? AND id = ?", string(environment), id)
	if err != nil || len(found) == 0 || found[0].FetchedAt.IsZero() {
		return nil, err
	}
	return &found[0], nil
}

func queryPartners(ctx context.Context, r reader, query string, args ...any) (out []incident.Partner, err error) {
	rows, err := r.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(scan func(...any) error) error {
		var p incident.Partner
		var environment event.Environment
		var id string
		var next column
		var doc []byte
		if err := scan(&environment, &id, &next, &doc); err != nil {
			return err
		}
		err := json.Unmarshal(doc, &p)
		p.Environment, p.ID, p.NextAt = environment, id, next.Time
		out = append(out, p)
		return err
	})
	return out, err
}

// Partner returns one partner, event.ErrNotFound where no event was about it.
// One that was never answered has a zero FetchedAt.
func (s *Store) Partner(ctx context.Context, environment event.Environment, id string) (p incident.Partner, err error) {
	err = s.read(ctx, "partner "+id, func(r reader) error {
		found, err := queryPartners(ctx, r, "SELECT "+partnerColumns+" FROM partners WHERE environment = ? AND id = ?", string(environment), id)
		if err == nil && len(found) == 0 {
			err = event.ErrNotFound
		}
		if err == nil {
			p = found[0]
		}
		return err
	})
	return p, err
}

// Partners returns partners by environment and id, at most 1,000; 0 means 50.
func (s *Store) Partners(ctx context.Context, limit int) (out []incident.Partner, err error) {
	err = s.read(ctx, "partners", func(r reader) error {
		out, err = queryPartners(ctx, r, "SELECT "+partnerColumns+" FROM partners ORDER BY environment, id LIMIT ?", bounded(limit))
		return err
	})
	return out, err
}

// DuePartners returns what is to be asked for, the longest due first, and when
// the next one comes due, zero for none. A partner without NextAt never does.
func (s *Store) DuePartners(ctx context.Context, limit int) (out []incident.Partner, next time.Time, err error) {
	now := s.now().UnixMicro()
	err = s.read(ctx, "partners that are due", func(r reader) error {
		if out, err = queryPartners(ctx, r, duePartners, now, bounded(limit)); err != nil {
			return err
		}
		var at column
		err := r.QueryRowContext(ctx, "SELECT min(next_at) FROM partners WHERE next_at > ?", now).Scan(&at)
		next = at.Time
		return err
	})
	return out, next, err
}

// OpenOfPartner returns open incidents that are told by an event of a partner,
// oldest first. It looks at no more than 5,000 open incidents.
func (s *Store) OpenOfPartner(ctx context.Context, environment event.Environment, partner string, limit int) (ids []string, err error) {
	err = s.read(ctx, "open incidents of partner "+partner, func(r reader) error {
		rows, err := r.QueryContext(ctx, openOfPartner, string(environment), maxOpenScanned, partner, bounded(limit))
		if err != nil {
			return err
		}
		return each(rows, func(scan func(...any) error) error {
			var row int64
			err := scan(&row)
			ids = append(ids, formatID(incidentID, row))
			return err
		})
	})
	return ids, err
}

// Switches returns what is stopped, by scope.
func (s *Store) Switches(ctx context.Context) (out []incident.Switch, err error) {
	err = s.read(ctx, "switches", func(r reader) error {
		rows, err := r.QueryContext(ctx, "SELECT scope, by, at, why FROM switches ORDER BY scope")
		if err != nil {
			return err
		}
		return each(rows, func(scan func(...any) error) error {
			one := incident.Switch{Off: true}
			var at column
			err := scan(&one.Scope, &one.By, &at, &one.Why)
			one.At = at.Time
			out = append(out, one)
			return err
		})
	})
	return out, err
}
