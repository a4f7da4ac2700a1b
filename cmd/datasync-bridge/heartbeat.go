package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"datasync-bridge/config"
)

// heartbeat calls an address regularly while all is well, so that a dead man's
// switch elsewhere notices silence (routing rule 40).
type heartbeat struct {
	config.Heartbeat
	client *http.Client
	// well reports why the bridge should seem dead, nil for all is well.
	well    func(ctx context.Context) error
	metrics beatMetrics
	log     *slog.Logger
}

// run calls until ctx ends.
func (h *heartbeat) run(ctx context.Context) error {
	tick := time.NewTicker(h.Every)
	defer tick.Stop()
	failed := false
	for {
		err := h.beat(ctx)
		if err == nil {
			h.metrics.sent.Inc()
		} else {
			h.metrics.failed.Inc()
		}
		switch {
		case err != nil && ctx.Err() == nil:
			h.log.Warn("heartbeat: the dead man's switch was not called", "err", err)
			failed = true
		case err == nil && failed:
			h.log.Info("heartbeat: the dead man's switch is called again")
			failed = false
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// beat makes one call. Its errors do not hold the address, which is a secret.
func (h *heartbeat) beat(ctx context.Context) error {
	if err := h.well(ctx); err != nil {
		return fmt.Errorf("not all is well: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, min(h.Every, 10*time.Second))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL.Reveal(), nil)
	if err != nil {
		return errors.New("heartbeat.url is no address that can be called") // the cause holds it
	}
	res, err := h.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the address
		}
		return fmt.Errorf("call heartbeat.url: %w", err)
	}
	defer res.Body.Close()                                       //nolint:errcheck // read to its end
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is used again
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("heartbeat.url answered %d", res.StatusCode)
	}
	return nil
}
