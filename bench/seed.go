package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/store/sqlite"
)

// seedCallers fill the largest batch that the store takes.
const seedCallers = 512

// seed stores events with random keys, as a bridge of some years would have
// them, but with small bodies, so that ten million fit most disks.
func seed(ctx context.Context, dir string, count int64) error {
	cfg, err := config.Load(filepath.Join(dir, "config.yaml"), config.Options{})
	if err != nil {
		return err
	}
	s, err := sqlite.Open(ctx, cfg.Store, sqlite.Options{})
	if err != nil {
		return err
	}
	fmt.Println("listening nowhere")
	var left atomic.Int64
	left.Store(count)
	failed := make(chan error, seedCallers)
	var callers sync.WaitGroup
	for range seedCallers {
		callers.Go(func() {
			for left.Add(-1) >= 0 {
				if err := seedOne(ctx, s); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	callers.Wait()
	close(failed)
	err = <-failed
	for more := err == nil; more; { // what upkeep does beside a bridge's traffic
		if _, more, err = s.Retain(ctx); err != nil {
			break
		}
	}
	return errors.Join(err, s.Close())
}

func seedOne(ctx context.Context, s *sqlite.Store) error {
	in := event.Received{
		Source: "datasync", Environment: event.Production, Origin: event.OriginWebhook, Authentic: true,
		Type: "transaction.delivered", ReceivedAt: time.Now(),
	}
	_, _ = rand.Read(in.Key[:]) // never fails
	in.Body = fmt.Appendf(nil, `{"type":"transaction.delivered","data":{"transaction":{"id":"%x"}}}`, in.Key[:8])
	in.BodyHash = sha256.Sum256(in.Body)
	_, err := s.Accept(ctx, in)
	return err
}
