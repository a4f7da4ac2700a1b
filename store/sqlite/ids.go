package sqlite

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"datasync-bridge/event"
)

// What an id begins with. The rest is the row's number in 13 characters that
// sort as the numbers do.
const (
	eventID    = "ev_"
	incidentID = "in_"
	deliveryID = "dl_"
	runID      = "rn_"
)

var base32hex = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

func formatID(prefix string, row int64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(row))
	return prefix + base32hex.EncodeToString(b[:])
}

// rowOf returns the row that an id names. An id that names none is not found.
func rowOf(prefix, id string) (int64, error) {
	rest, ok := strings.CutPrefix(id, prefix)
	if !ok || len(rest) != base32hex.EncodedLen(8) {
		return 0, noID(prefix, id)
	}
	b, err := base32hex.DecodeString(rest)
	if err != nil {
		return 0, noID(prefix, id)
	}
	row := int64(binary.BigEndian.Uint64(b))
	if formatID(prefix, row) != id { // the last letter has a bit to spare
		return 0, noID(prefix, id)
	}
	return row, nil
}

func noID(prefix, id string) error {
	return fmt.Errorf("%q is no id, which would be %s and 13 letters and digits: %w", id, prefix, event.ErrNotFound)
}

// rowOrNone is rowOf for a link that may be empty, which is row 0.
func rowOrNone(prefix, id string) (int64, error) {
	if id == "" {
		return 0, nil
	}
	return rowOf(prefix, id)
}

// idOrNone undoes rowOrNone.
func idOrNone(prefix string, row int64) string {
	if row == 0 {
		return ""
	}
	return formatID(prefix, row)
}

// micros is a time as the columns hold it; nil, which is NULL, for no time.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// due is a time at which something may happen, rounded up to the column's
// unit: rounded down, it would come due before the planner agrees that it is.
func due(t time.Time) int64 {
	us := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		us++
	}
	return us
}

func dueOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return due(t)
}

// dueOr is due with a default for no time.
func dueOr(t, otherwise time.Time) int64 {
	if t.IsZero() {
		return due(otherwise)
	}
	return due(t)
}

// column reads a time that may be NULL.
type column struct{ time.Time }

// Scan implements sql.Scanner.
func (c *column) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		c.Time = time.Time{}
	case int64:
		c.Time = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("a time is stored as %T", v)
	}
	return nil
}
