package sqlite

import (
	"fmt"
	"time"
)

// arrived is true for events (e) that came before, at or after a time, which at
// names as a parameter that may stand twice: ?1. The rows narrow what must be
// looked at; the column decides.
func arrived(op, at string) string {
	sign := "+"
	if op[0] == '>' {
		sign = "-"
	}
	return fmt.Sprintf("e.id %[1]s %[2]s %[3]s (SELECT skew FROM meta) AND e.received_at %[1]s %[2]s", op, at, sign)
}

// skewStep is by how much skew grows at least, so that it is written seldom.
const skewStep = int64(time.Second / time.Microsecond)

// keepSkew sees to it that meta.skew spans what a batch's rows and their times
// of arrival are apart, in microseconds.
func (w *writer) keepSkew(t *tx, apart int64) error {
	if apart <= w.skew {
		return nil
	}
	skew := apart + skewStep
	if _, err := t.exec("UPDATE meta SET skew = ?", skew); err != nil {
		return err
	}
	t.committed = append(t.committed, func() { w.skew = skew })
	return nil
}
