package main

import (
	"context"

	"datasync-bridge/event"
	"datasync-bridge/receiver/mapping"
	"datasync-bridge/store/sqlite"
)

// inbox is the store behind store.redact: whatever arrives or is polled is
// blanked on its way in, after it was verified and its key was taken.
type inbox struct {
	*sqlite.Store
	redaction *mapping.Redaction
}

// Accept keeps an event.
func (i inbox) Accept(ctx context.Context, in event.Received) (event.Receipt, error) {
	return i.Store.Accept(ctx, i.redaction.Kept(in))
}
