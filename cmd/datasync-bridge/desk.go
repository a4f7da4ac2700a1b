package main

import (
	"log/slog"

	"datasync-bridge/datasync/remediation"
	"datasync-bridge/store/sqlite"
)

// newDesk makes what decides about runs in a person's name. An approval holds
// for what is in force here only.
func newDesk(l *live, s *sqlite.Store, log *slog.Logger) *remediation.Desk {
	return remediation.NewDesk(s, l, remediation.DeskOptions{
		Now: s.Now, Config: l.hash, Entry: l.entry, Names: l.remediations, Log: log,
	})
}
