package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"datasync-bridge/event"
)

// replay plays a history through one or two configurations at once. What is
// read, normalized and planned at a time is bounded, however long it is.
type replay struct {
	sides        []*side // the old one first, the new one last
	since, until time.Time
	face         face
	passed       func(events int) // may be nil
	events       int
	first, last  time.Time
	pages        pagings
}

// historian reads what was decided, in the order in which it was kept.
type historian interface {
	History(ctx context.Context, since, until time.Time, after string, limit int) ([]event.Stored, error)
}

// replayPage is how many events are read at once.
const replayPage = 250

// batch is a page of history, with what each side reads in it.
type batch struct {
	stored []event.Stored
	read   [][]reading
}

// reading is an event as a side's mapping reads it.
type reading struct {
	event event.Event
	err   error
}

// run reads and normalizes ahead while the sides plan.
func (r *replay) run(ctx context.Context, from historian) error {
	ctx, stop := context.WithCancel(ctx)
	pages, batches, ended := make(chan []event.Stored, 1), make(chan batch, 1), make(chan error, 1)
	go func() {
		defer close(pages)
		ended <- readPages(ctx, from, r.since, r.until, pages)
	}()
	go func() {
		defer close(batches)
		for page := range pages {
			batches <- r.normalize(page)
		}
	}()
	var err error
	for b := range batches {
		if err = r.play(b); err != nil {
			break
		}
	}
	stop()
	for range batches { // what was read ahead is handed over before those who read end
	}
	if read := <-ended; err == nil {
		err = read
	}
	if err != nil {
		return err
	}
	return r.all(func(_ int, s *side) error { return s.bridge.Advance(r.until) })
}

func readPages(ctx context.Context, from historian, since, until time.Time, to chan<- []event.Stored) error {
	for after := ""; ; {
		page, err := from.History(ctx, since, until, after, replayPage)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].ID
		select {
		case to <- page:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// normalize reads a page by each side's mapping, once where both have the same.
func (r *replay) normalize(page []event.Stored) batch {
	b := batch{stored: page}
	for i, s := range r.sides {
		if i > 0 && reflect.DeepEqual(s.cfg.Mappings(), r.sides[0].cfg.Mappings()) {
			b.read = append(b.read, b.read[0])
			continue
		}
		list := make([]reading, len(page))
		for k := range page {
			list[k] = s.read(page[k])
		}
		b.read = append(b.read, list)
	}
	return b
}

func (r *replay) play(b batch) error {
	if r.first.IsZero() {
		r.first = b.stored[0].ReceivedAt
	}
	r.last = b.stored[len(b.stored)-1].ReceivedAt
	r.events += len(b.stored)
	err := r.all(func(i int, s *side) error { return s.play(b.stored, b.read[i]) })
	if r.passed != nil {
		r.passed(len(b.stored))
	}
	return err
}

// all lets each side work by itself, and takes over what they have paged for.
func (r *replay) all(do func(int, *side) error) error {
	errs := make([]error, len(r.sides))
	work := make(chan struct{}, len(r.sides))
	for i, s := range r.sides {
		go func() {
			errs[i] = do(i, s)
			work <- struct{}{}
		}()
	}
	for range r.sides {
		<-work
	}
	if len(r.sides) == 2 {
		r.pages.take(r.sides[0].ledger.paged, -1)
		r.pages.take(r.sides[1].ledger.paged, +1)
	}
	for _, s := range r.sides {
		s.ledger.paged = nil
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}
