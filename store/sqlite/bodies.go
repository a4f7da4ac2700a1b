package sqlite

import "datasync-bridge/event"

// keepBody writes the body of a new event. Only one that is not what was
// received has a hash of its own.
func (w *writer) keepBody(t *tx, row int64, in *event.Received) error {
	if in.KeptHash == [32]byte{} {
		return w.hot.exec(w.hot.body, row, in.Body)
	}
	_, err := t.exec("INSERT INTO bodies (event, body, hash) VALUES (?, ?, ?)", row, in.Body, in.KeptHash[:])
	return err
}
