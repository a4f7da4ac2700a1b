package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/store/sqlite"
)

const (
	// givenUpFor is how long a notification that was given up is a trouble.
	givenUpFor = 30 * time.Minute
	// deliveriesOld is how long one may be overdue: no pause that a notifier may
	// ask for is longer (routing rule 28).
	deliveriesOld = 15 * time.Minute
	// eventsOld is how long an accepted event may wait to be planned.
	eventsOld = 5 * time.Minute
	// refusedFor is how long it is told that the store refused to write: while
	// it does, nothing can be told.
	refusedFor = 5 * time.Minute
	// A disk is nearly full where both are left at most.
	fewBytes   = 1 << 30
	fewPercent = 5
)

// storeLook finds what of the bridge's troubles its store shows.
type storeLook struct {
	store *sqlite.Store
	// space returns what is free on the store's disk, and all, in bytes.
	space func() (free, all uint64, err error)

	mu      sync.Mutex
	refused time.Time // when it last refused to write
	why     string
}

func newStoreLook(s *sqlite.Store, path string) *storeLook {
	return &storeLook{store: s, space: func() (free, all uint64, err error) { return diskSpace(filepath.Dir(path)) }}
}

// diskSpace is what is free in a folder's file system for whoever runs this.
func diskSpace(dir string) (free, all uint64, err error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	size := uint64(fs.Bsize) // #nosec G115 -- a block's size is not negative
	return fs.Bavail * size, fs.Blocks * size, nil
}

func (l *storeLook) looks() []look {
	return []look{
		{kinds: []string{deliveryDead, queueOld}, find: l.queues},
		{kinds: []string{storeDegraded}, find: l.health},
	}
}

// queues finds what was given up, and what waits too long.
func (l *storeLook) queues(ctx context.Context, _ func(kind, subject string) bool) (list []trouble, err error) {
	now := l.store.Now()
	dead, err := l.store.DeadSince(ctx, now.Add(-givenUpFor))
	if err != nil {
		return nil, err
	}
	for name, n := range dead {
		list = append(list, trouble{deliveryDead, notifierSubject(name), fmt.Sprintf(
			"%d notifications to %s were given up; `deliveries list --state dead` says why, `deliveries retry` sends one again", n, name),
			event.Production})
	}
	stats, err := l.store.Stats(ctx)
	if err != nil {
		return nil, err
	}
	for name, since := range stats.OldestDue {
		if now.Sub(since) >= deliveriesOld {
			list = append(list, trouble{queueOld, notifierSubject(name), fmt.Sprintf(
				"%d notifications to %s wait, the oldest since %s UTC; `deliveries list` says what it answers",
				stats.Waiting[name], name, since.UTC().Format("15:04")), event.Production})
		}
	}
	if waits(stats, now) {
		list = append(list, trouble{queueOld, "events", fmt.Sprintf(
			"%d accepted events wait to be handled, the oldest since %s UTC; its log says why",
			stats.Pending, stats.OldestPending.UTC().Format("15:04")), event.Production})
	}
	return list, nil
}

// waits reports whether accepted events wait too long.
func waits(s sqlite.Stats, now time.Time) bool {
	return s.Pending > 0 && now.Sub(s.OldestPending) >= eventsOld
}

// notifierSubject is how a trouble of a notifier's is named: that notifier is
// not told of it.
func notifierSubject(name string) string { return "notifier/" + name }

// health finds a store that refuses or refused to write, or is about to.
func (l *storeLook) health(ctx context.Context, _ func(kind, subject string) bool) (list []trouble, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.store.Now()
	if err := l.store.Ready(ctx); err != nil && !errors.Is(err, event.ErrFull) {
		l.refused, l.why = now, err.Error()
		return nil, err // nothing can be kept: neither this nor its end
	}
	if !l.refused.IsZero() && now.Sub(l.refused) < refusedFor {
		list = append(list, trouble{storeDegraded, "writing", fmt.Sprintf(
			"events were answered 503 until about %s UTC, because the store could not be written: %s; Datasync sends them again",
			l.refused.UTC().Format("15:04"), l.why), event.Production})
	}
	full, err := l.full(ctx)
	if err != nil {
		return list, err
	}
	list = append(list, full...)
	free, all, err := l.space()
	if err != nil {
		return list, err
	}
	if free < fewBytes && all > 0 && free*100/all < fewPercent {
		list = append(list, trouble{storeDegraded, "disk", fmt.Sprintf(
			"%d MiB are free on the store's disk; when it is full, events are answered 503", free>>20), event.Production})
	}
	return list, nil
}

// full finds bounds that the store has reached.
func (l *storeLook) full(ctx context.Context) (list []trouble, err error) {
	stats, err := l.store.Stats(ctx)
	if err != nil {
		return nil, err
	}
	if stats.Full {
		list = append(list, trouble{storeDegraded, "size", fmt.Sprintf(
			"it holds %d MiB, as much as store.max_size allows, and new events are answered 503: raise it, "+
				"shorten store.retain, or make room by `events purge`; Datasync sends them again", stats.Held>>20), event.Production})
	}
	if stats.QuarantineFull {
		list = append(list, trouble{storeDegraded, "quarantine",
			"events that cannot be mapped fill store.quarantine.max_size, and new ones are answered 503; all others are taken: " +
				"`events list` shows them, and sources[].mapping says how they are read", event.Production})
	}
	return list, nil
}
