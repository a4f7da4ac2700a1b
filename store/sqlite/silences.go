package sqlite

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"datasync-bridge/routing/incident"
)

const (
	// keepSilences is how long a silence is kept after its end: what it held
	// back is explained by it.
	keepSilences = 30 * 24 * time.Hour
	// maxSilences bounds a list of silences, most of which are over.
	maxSilences = 2000
)

// ends is when a silence ends, or ended.
func ends(s incident.Silence) time.Time {
	if s.Expired != nil && s.Expired.At.Before(s.Until) {
		return s.Expired.At
	}
	return s.Until
}

func (t *tx) applySilences(e encoded) error {
	for k, s := range e.plan.Silences {
		if s.FromFile {
			continue
		}
		_, err := t.exec(`INSERT INTO silences (id, from_at, ends_at, doc) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET from_at = excluded.from_at, ends_at = excluded.ends_at, doc = excluded.doc`,
			s.ID, s.From.UnixMicro(), due(ends(s)), e.silences[k])
		if err != nil {
			return err
		}
	}
	return nil
}

// Silences returns the silences that were made at run time: active and future
// ones by their beginning, then those that are over, the last first. At most
// 2,000.
func (s *Store) Silences(ctx context.Context) (out []incident.Silence, err error) {
	now := s.now().UnixMicro()
	err = s.read(ctx, "silences", func(r reader) error {
		rows, err := r.QueryContext(ctx, `SELECT doc FROM silences ORDER BY ends_at <= ?1,
			CASE WHEN ends_at > ?1 THEN from_at ELSE -ends_at END, id LIMIT ?2`, now, maxSilences)
		if err != nil {
			return err
		}
		return each(rows, func(scan func(...any) error) error {
			var doc []byte
			var one incident.Silence
			if err := scan(&doc); err != nil {
				return err
			}
			// Numbers of a condition stay as they were written, as in a rule.
			d := json.NewDecoder(bytes.NewReader(doc))
			d.UseNumber()
			err := d.Decode(&one)
			out = append(out, one)
			return err
		})
	})
	return out, err
}
