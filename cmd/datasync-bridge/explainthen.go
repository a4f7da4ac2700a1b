package main

import (
	"context"
	"fmt"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/store/sqlite"
)

// decidedBy finds what decided under a configuration's hash: the file itself
// where it is that one, else what the store keeps of it.
func decidedBy(cfg *config.Config, s *sqlite.Store) deciding {
	return func(ctx context.Context, hash string) (parts, string, bool, error) {
		if hash == cfg.Hash {
			p, err := compile(cfg)
			return p, "the configuration of now, " + cfg.ShortHash(), err == nil, err
		}
		return parts{}, fmt.Sprintf("the configuration then, %.12s, is kept no longer: only the names that were recorded are known", hash), false, nil
	}
}

// findEvents asks the store for events about something, near a time.
func findEvents(ctx context.Context, s *sqlite.Store, by byWhat, near time.Time) ([]event.Stored, error) {
	return nil, nil
}
