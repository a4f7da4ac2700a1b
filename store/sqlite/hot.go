package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"

	"github.com/mattn/go-sqlite3"
)

// hot holds the statements of the accept path, prepared on the driver's own
// connection: database/sql costs as much as SQLite itself there.
type hot struct {
	all []*sqlite3.SQLiteStmt

	beginStmt, commitStmt, savepointStmt, rollbackStmt, releaseStmt *sqlite3.SQLiteStmt
	event, body, pending, lookup, repeat                            *sqlite3.SQLiteStmt

	args []driver.NamedValue
}

func prepareHot(conn *sql.Conn) (*hot, error) {
	h := &hot{}
	err := conn.Raw(func(raw any) error {
		for _, s := range []struct {
			to    **sqlite3.SQLiteStmt
			query string
		}{
			{&h.beginStmt, "BEGIN IMMEDIATE"},
			{&h.commitStmt, "COMMIT"},
			{&h.savepointStmt, "SAVEPOINT alone"},
			{&h.rollbackStmt, "ROLLBACK TO alone"},
			{&h.releaseStmt, "RELEASE alone"},
			{&h.event, `INSERT INTO events (id, source, received_at, key, body_hash, conflict, type, foreign_id, quarantine)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`},
			{&h.body, "INSERT INTO bodies (event, body) VALUES (?, ?)"},
			{&h.pending, "INSERT INTO pending (event) SELECT id FROM events WHERE id > ?"},
			{&h.lookup, "SELECT s.name, e.key, e.body_hash FROM events e JOIN sources s ON s.id = e.source WHERE e.id = ?"},
			{&h.repeat, `UPDATE events SET duplicates = duplicates + 1,
				last_seen = max(coalesce(last_seen, received_at), ?) WHERE id = ?`},
		} {
			stmt, err := raw.(*sqlite3.SQLiteConn).Prepare(s.query)
			if err != nil {
				return err
			}
			*s.to = stmt.(*sqlite3.SQLiteStmt)
			h.all = append(h.all, *s.to)
		}
		return nil
	})
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *hot) close() {
	for _, s := range h.all {
		_ = s.Close()
	}
}

func (h *hot) begin() error      { return h.exec(h.beginStmt) }
func (h *hot) commit() error     { return h.exec(h.commitStmt) }
func (h *hot) savepoint() error  { return h.exec(h.savepointStmt) }
func (h *hot) rollbackTo() error { return h.exec(h.rollbackStmt) }
func (h *hot) release() error    { return h.exec(h.releaseStmt) }

func (h *hot) bind(args []any) []driver.NamedValue {
	h.args = h.args[:0]
	for i, v := range args {
		h.args = append(h.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return h.args
}

func (h *hot) exec(stmt *sqlite3.SQLiteStmt, args ...any) error {
	_, err := stmt.ExecContext(context.Background(), h.bind(args))
	return err
}

// query reads at most one row and reports whether there was one.
func (h *hot) query(stmt *sqlite3.SQLiteStmt, into []driver.Value, args ...any) (bool, error) {
	rows, err := stmt.QueryContext(context.Background(), h.bind(args))
	if err != nil {
		return false, err
	}
	err = rows.Next(into)
	if closed := rows.Close(); closed != nil {
		return false, closed
	}
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, err
}
