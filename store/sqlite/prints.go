package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"

	"github.com/mattn/go-sqlite3"
)

const (
	// chunkEvents is how many events a chunk of fingerprints covers: 1 MB, which
	// is written in about a millisecond.
	chunkEvents = 1 << 16
	printSize   = 16
)

// chunk writes the next chunk of fingerprints, if there are events enough for
// one, and reports whether it did. Reading a chunk is forty times as fast as
// reading the rows that it stands for, which is what a start has to wait for.
func (s *Store) chunk(ctx context.Context) (written bool, err error) {
	var c chunk
	var before int64
	err = s.read(ctx, "fingerprints", func(r reader) error {
		if err := r.QueryRowContext(ctx, "SELECT coalesce(max(last), 0) FROM prints").Scan(&before); err != nil {
			return err
		}
		rows, err := r.QueryContext(ctx, `SELECT e.id, s.name, e.key FROM events e JOIN sources s ON s.id = e.source
			WHERE e.id > ? ORDER BY e.id LIMIT ?`, before, s.chunkOf)
		if err != nil {
			return err
		}
		return each(rows, func(scan func(...any) error) error {
			var row int64
			var source string
			var key sql.RawBytes
			if err := scan(&row, &source, &key); err != nil {
				return err
			}
			c.add(fingerprint(source, key), row)
			return nil
		})
	})
	if err != nil || len(c.prints) < s.chunkOf*printSize {
		return false, err
	}
	return true, s.write(ctx, func(t *tx) error {
		_, err := t.exec("INSERT INTO prints (last, crc, prints) VALUES (?, ?, ?)", c.last, crc32.ChecksumIEEE(c.prints), c.prints)
		return err
	})
}

// chunk is one row of prints.
type chunk struct {
	last   int64
	prints []byte
}

func (c *chunk) add(print uint64, row int64) {
	c.prints = binary.LittleEndian.AppendUint64(c.prints, print)
	c.prints = binary.LittleEndian.AppendUint64(c.prints, uint64(row))
	c.last = row
}

// rememberChunks fills the set from the chunks of events that it does not know.
// A chunk that is not as it was written is of no use, nor are those after it:
// the keys themselves are read instead.
func (w *writer) rememberChunks(conn *sqlite3.SQLiteConn) error {
	v := make([]driver.Value, 3)
	rows, err := conn.Query("SELECT coalesce(sum(length(prints)), 0) FROM prints WHERE last > ?", []driver.Value{w.known})
	if err != nil {
		return err
	}
	err = errors.Join(rows.Next(v[:1]), rows.Close())
	if err != nil {
		return err
	}
	bytes, _ := v[0].(int64)
	w.seen.reserve(int(bytes / printSize)) // once, or each doubling would be garbage
	rows, err = conn.Query("SELECT last, crc, prints FROM prints WHERE last > ? ORDER BY last", []driver.Value{w.known})
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // read only
	for {
		switch err := rows.Next(v); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		last, _ := v[0].(int64)
		crc, _ := v[1].(int64)
		prints, _ := v[2].([]byte)
		if int64(crc32.ChecksumIEEE(prints)) != crc || len(prints) == 0 || len(prints)%printSize != 0 {
			w.store.log.Warn("fingerprints are damaged; the keys are read instead, which takes longer", slog.Int64("chunk", last))
			return nil
		}
		for ; len(prints) > 0; prints = prints[printSize:] {
			row := int64(binary.LittleEndian.Uint64(prints[8:]))
			if row > w.known {
				w.seen.add(binary.LittleEndian.Uint64(prints), row)
			}
		}
		w.known = last
	}
}
