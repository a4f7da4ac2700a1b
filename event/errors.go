package event

import "errors"

// Errors that cross rooms; callers branch on them with errors.Is.
var (
	// ErrBusy: more requests wait for the writer than its bound. Try again.
	ErrBusy = errors.New("store is busy")
	// ErrUnavailable: the store cannot keep anything now (full, read-only,
	// locked, closing). Our own fault, never the sender's.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrNotFound: no such event, incident, delivery or run.
	ErrNotFound = errors.New("not found")
)
