package event

import (
	"errors"
	"fmt"
)

// Errors that cross rooms; callers branch on them with errors.Is.
var (
	// ErrBusy: more requests wait for the writer than its bound. Try again.
	ErrBusy = errors.New("store is busy")
	// ErrUnavailable: the store cannot keep anything now (full, read-only,
	// locked, closing). Our own fault, never the sender's.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrFull: the store holds as much as it may (store.max_size). It is an
	// ErrUnavailable too, and ends by itself.
	ErrFull = fmt.Errorf("%w: it holds as much as store.max_size allows", ErrUnavailable)
	// ErrQuarantineFull: what cannot be mapped fills its part of the store
	// (store.quarantine.max_size). It is an ErrUnavailable too.
	ErrQuarantineFull = fmt.Errorf("%w: what cannot be mapped holds as much as store.quarantine.max_size allows", ErrUnavailable)
	// ErrNotFound: no such event, incident, delivery or run.
	ErrNotFound = errors.New("not found")
)
