package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"datasync-bridge/datasync/reconcile"
	"datasync-bridge/event"
	"datasync-bridge/receiver"
	"datasync-bridge/routing/incident"
)

const (
	// failingAtLeast deliveries in a row over at least failingFor, with none
	// verified among them, are told as "every delivery fails verification". A
	// stranger who sends rubbish while the true sender is silent can bring that
	// about too; it is a message, and the next verified delivery ends it.
	failingAtLeast = 5
	failingFor     = time.Minute
	watchEvery     = 15 * time.Second
)

const (
	signaturesFailing  = "bridge.signatures_failing"
	signaturesVerified = "bridge.signatures_verified"
)

// arrivals remembers, for each source, when a delivery was last verified and how
// many have failed since. It is fed by the public listener, on its hot path.
type arrivals struct {
	now   func() time.Time
	begun time.Time

	mu      sync.Mutex
	sources map[string]*stream
}

// stream is one source's deliveries.
type stream struct {
	environment event.Environment
	verified    time.Time // zero for none since the start
	failing     int       // in a row since then
	since       time.Time // the first of these
	told        bool
}

func newArrivals(sources []receiver.Source, now func() time.Time) *arrivals {
	t := &arrivals{now: now, begun: now(), sources: map[string]*stream{}}
	for _, s := range sources {
		t.sources[s.Name] = &stream{environment: s.Environment}
	}
	return t
}

// answered takes one answer of the public listener. A request without a
// signature is no delivery: it is how scanners knock.
func (t *arrivals) answered(source, code string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sources[source]
	if s == nil {
		return
	}
	switch code {
	case string(event.Accepted), string(event.Duplicate), string(event.Conflict), string(event.Quarantined):
		s.verified, s.failing = t.now(), 0
	case "signature_mismatch", "signature_malformed", "timestamp_out_of_tolerance":
		if s.failing == 0 {
			s.since = t.now()
		}
		s.failing++
	}
}

// LastWebhook implements reconcile.Traffic: when a source's last delivery was
// verified, zero for none since the start.
func (t *arrivals) LastWebhook(source string) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.sources[source]; s != nil {
		return s.verified
	}
	return time.Time{}
}

// turn is what is to be told of one source.
type turn struct {
	source  string
	failing bool
	event   event.Received
}

// news returns what is to be told now: that every delivery of a source fails,
// or that this is over.
func (t *arrivals) news() (turns []turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for name, s := range t.sources {
		switch {
		case !s.told && s.failing >= failingAtLeast && now.Sub(s.since) >= failingFor:
			turns = append(turns, turn{name, true, reconcile.OwnEvent(signaturesFailing, signaturesOf(name), fmt.Sprintf(
				"%d deliveries in a row failed verification since %s UTC, and none was good since %s UTC: "+
					"compare sources[].verify and its secret with the subscription in Datasync; what fails now is not told",
				s.failing, s.since.UTC().Format("15:04"), later(s.verified, t.begun).UTC().Format("2006-01-02 15:04")), s.environment, now)})
		case s.told && s.failing == 0:
			turns = append(turns, turn{name, false, reconcile.OwnEvent(signaturesVerified, signaturesOf(name),
				"a delivery was verified again", s.environment, now)})
		}
	}
	return turns
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func signaturesOf(source string) string { return "signatures of " + source }

// told records that a turn is kept, and so will be told.
func (t *arrivals) told(done turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sources[done.source].told = done.failing
}

// ownStore keeps what the bridge tells of itself, and knows what is open.
type ownStore interface {
	Accept(ctx context.Context, in event.Received) (event.Receipt, error)
	Incidents(ctx context.Context, f incident.Filter) ([]incident.Incident, error)
}

// watch tells by ordinary events when every delivery of a source fails
// verification, and when that is over, until ctx ends.
func (t *arrivals) watch(ctx context.Context, store ownStore, log *slog.Logger) error {
	if err := t.remember(ctx, store); err != nil && ctx.Err() == nil {
		log.Warn("what was told of signatures before is not known", "err", err)
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		for _, one := range t.news() {
			_, err := store.Accept(ctx, one.event)
			switch {
			case err == nil:
				t.told(one)
			case ctx.Err() == nil:
				log.Error("the bridge's own event is not kept; trying again", "type", one.event.Type, "err", err)
			}
		}
	}
}

// remember finds what an earlier process has told and nobody has ended.
func (t *arrivals) remember(ctx context.Context, store ownStore) error {
	open, err := store.Incidents(ctx, incident.Filter{State: string(incident.Open), Source: reconcile.OwnSource, Limit: 1000})
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, i := range open {
		subject, _ := i.Lead.Fields[event.BridgeSubject].(string)
		for name, s := range t.sources {
			if i.Class == event.BridgeClass && i.Lead.Type == signaturesFailing && subject == signaturesOf(name) {
				s.told, s.failing = true, max(s.failing, 1) // until a delivery is verified
			}
		}
	}
	return nil
}
