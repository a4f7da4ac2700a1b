package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"datasync-bridge/routing/incident"
)

const pollColumns = "name, watermark, due_at, failures, state, lease_epoch, lease_token, lease_until"

// ClaimPoll leases a poll that is due; the first claim of a name makes it, due
// at once. While it is not due or is leased, it returns nil and when to look
// again.
func (s *Store) ClaimPoll(ctx context.Context, name string, lease time.Duration) (poll *incident.Poll, next time.Time, err error) {
	err = s.write(ctx, func(t *tx) error {
		poll, next, err = t.claimPoll(name, lease)
		return err
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("claim poll %s: %w", name, err)
	}
	return poll, next, nil
}

func (t *tx) claimPoll(name string, lease time.Duration) (*incident.Poll, time.Time, error) {
	now := t.now.UnixMicro()
	if _, err := t.exec("INSERT OR IGNORE INTO polls (name, due_at) VALUES (?, ?)", name, now); err != nil {
		return nil, time.Time{}, err
	}
	row := t.conn.QueryRowContext(context.Background(), `UPDATE polls SET lease_epoch = ?, lease_token = lease_token + 1, lease_until = ?
		WHERE name = ? AND due_at <= ? AND (lease_until IS NULL OR lease_until <= ? OR lease_epoch <> ?) RETURNING `+pollColumns,
		t.epoch, due(t.now.Add(lease)), name, now, now, t.epoch)
	p, err := scanPoll(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		var at column
		err := t.row(`SELECT max(due_at, CASE WHEN lease_epoch = ? THEN coalesce(lease_until, 0) ELSE 0 END) FROM polls WHERE name = ?`,
			[]any{t.epoch, name}, &at)
		return nil, at.Time, err
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	return &p, time.Time{}, nil
}

// SettlePoll stores how far a claimed poll has come and when it is due again,
// and ends its lease. incident.ErrLeaseLost says that the poll is no longer the
// caller's: another may have come further, or not as far.
func (s *Store) SettlePoll(ctx context.Context, p incident.Poll) error {
	err := s.write(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE polls SET watermark = ?, due_at = ?, failures = ?, state = ?, lease_until = NULL
			WHERE name = ? AND lease_token = ? AND lease_until IS NOT NULL`,
			micros(p.Watermark), dueOr(p.DueAt, t.now), p.Failures, p.State, p.Name, p.Lease.Token)
		if err == nil && n == 0 {
			err = incident.ErrLeaseLost
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("settle poll %s: %w", p.Name, err)
	}
	return nil
}

// Polls returns all polls, by name.
func (s *Store) Polls(ctx context.Context) (out []incident.Poll, err error) {
	err = s.read(ctx, "polls", func(r reader) error {
		rows, err := r.QueryContext(ctx, "SELECT "+pollColumns+" FROM polls ORDER BY name")
		if err != nil {
			return err
		}
		return each(rows, func(scan func(...any) error) error {
			p, err := scanPoll(scan)
			out = append(out, p)
			return err
		})
	})
	return out, err
}

func scanPoll(scan func(...any) error) (p incident.Poll, err error) {
	var watermark, at, until column
	err = scan(&p.Name, &watermark, &at, &p.Failures, &p.State, &p.Lease.Epoch, &p.Lease.Token, &until)
	p.Watermark, p.DueAt, p.Lease.Until = watermark.Time, at.Time, until.Time
	return p, err
}
