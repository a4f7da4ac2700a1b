package main

import (
	"log/slog"

	"datasync-bridge/config"
	"datasync-bridge/datasync/remediation"
	"datasync-bridge/store/sqlite"
)

// newDesk makes what decides about runs in a person's name. An approval holds
// for the configuration that is in force here only.
func newDesk(cfg *config.Config, s *sqlite.Store, parts parts, log *slog.Logger) *remediation.Desk {
	return remediation.NewDesk(s, parts.machine, remediation.DeskOptions{
		Now: s.Now, Config: func() string { return cfg.Hash }, Entry: parts.entry, Names: parts.guard.Names, Log: log,
	})
}
