package main

import (
	"time"

	"datasync-bridge/config"
	"datasync-bridge/trial"
)

// memoryOf is how long a trial under a configuration must remember what is
// over. An opening that comes later than defaults.stale_after opens nothing
// whatever was seen, unless it has a deadline ahead: twice that time leaves room
// for those.
func memoryOf(cfg *config.Config) trial.Memory {
	seen, ends := cfg.Defaults.StaleAfter.Ends()
	if !ends || seen <= 0 {
		seen = unstale
	}
	if r := cfg.Defaults.RetryingAlert; r != nil {
		seen = max(seen, r.After)
	}
	if r := cfg.Datasync.Reconcile; r != nil {
		seen = max(seen, r.Overlap)
	}
	return trial.Memory{Ended: cfg.Defaults.ReopenWithin, Seen: min(2*seen, cfg.Store.Retain.Events)}
}

// unstale stands for defaults.stale_after where that is never.
const unstale = 72 * time.Hour
