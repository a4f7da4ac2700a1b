package main

import (
	"context"
	"errors"
	"fmt"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// keptLoad reads what the store keeps of a configuration, by its hash.
type keptLoad func(ctx context.Context, hash string) (incident.ConfigLoad, error)

// decidedBy finds what decided under a configuration's hash: the file itself
// where it is that one, else what the store kept of it, built anew. Without
// kept or build there is only the file.
func decidedBy(cfg *config.Config, kept keptLoad, build func(doc []byte) (parts, error)) deciding {
	return func(ctx context.Context, hash string) (parts, string, bool, error) {
		if hash == cfg.Hash {
			p, err := compile(cfg)
			return p, "the configuration of now, " + cfg.ShortHash(), err == nil, err
		}
		gone := fmt.Sprintf("the configuration then, %.12s, is not kept: only the names that were recorded are known", hash)
		if kept == nil || build == nil {
			return parts{}, gone, false, nil
		}
		load, err := kept(ctx, hash)
		switch {
		case errors.Is(err, event.ErrNotFound) || err == nil && len(load.Doc) == 0:
			return parts{}, gone, false, nil
		case err != nil:
			return parts{}, "", false, fmt.Errorf("the configuration then: %w", err)
		}
		p, err := build(load.Doc)
		if err != nil {
			return parts{}, fmt.Sprintf("the configuration then, %.12s, cannot be used by this version: %v", hash, err), false, nil
		}
		then := fmt.Sprintf("the configuration then, %.12s", hash)
		if !load.At.IsZero() {
			then += ", in force since " + newFace(cfg, load.At).line(load.At)
		}
		return p, then, true, nil
	}
}
