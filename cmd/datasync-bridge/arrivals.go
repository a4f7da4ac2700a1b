package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver"
)

const (
	// failingAtLeast failures in a row over at least failingFor, with no success
	// among them, are told: every delivery of a source fails verification, or none
	// can be mapped. A stranger who sends rubbish while the true sender is silent
	// can bring the former about too; it is a message, and the next verified
	// delivery ends it.
	failingAtLeast = 5
	failingFor     = time.Minute
)

// arrivals remembers, for each source, when a delivery was last verified and one
// last mapped, and how many have failed since. It is fed on hot paths.
type arrivals struct {
	now   func() time.Time
	begun time.Time

	mu      sync.Mutex
	sources map[string]*stream
}

// stream is one source's deliveries.
type stream struct {
	environment      event.Environment
	gone             bool // from the configuration; nobody is told of it any more
	verified, mapped series
}

// series are successes and failures of one thing.
type series struct {
	good    time.Time // the last success, zero for none since the start
	failing int       // in a row since then
	since   time.Time // the first of these
}

func (s *series) succeeded(now time.Time) { s.good, s.failing = now, 0 }

func (s *series) failed(now time.Time) {
	if s.failing == 0 {
		s.since = now
	}
	s.failing++
}

// bad reports whether all have failed for long enough; once that is told, it
// lasts until one succeeds.
func (s *series) bad(now time.Time, told bool) bool {
	if told {
		return s.failing > 0 || s.good.IsZero()
	}
	return s.failing >= failingAtLeast && now.Sub(s.since) >= failingFor
}

func newArrivals(sources []receiver.Source, now func() time.Time) *arrivals {
	t := &arrivals{now: now, begun: now(), sources: map[string]*stream{}}
	t.use(sources)
	return t
}

// use takes other sources over. What is known of those that stay is kept, and of
// those that are gone when they were heard last: polling may stand in for them.
func (t *arrivals) use(sources []receiver.Source) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.sources {
		s.gone = true
	}
	for _, s := range sources {
		if t.sources[s.Name] == nil {
			t.sources[s.Name] = &stream{}
		}
		known := t.sources[s.Name]
		known.environment, known.gone = s.Environment, false
	}
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
		s.verified.succeeded(t.now())
	case "signature_mismatch", "signature_malformed", "timestamp_out_of_tolerance":
		s.verified.failed(t.now())
	}
}

// read takes whether a delivery could be mapped.
func (t *arrivals) read(source string, mapped bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch s := t.sources[source]; {
	case s == nil:
	case mapped:
		s.mapped.succeeded(t.now())
	default:
		s.mapped.failed(t.now())
	}
}

// LastWebhook implements reconcile.Traffic: when a source's last delivery was
// verified, zero for none since the start.
func (t *arrivals) LastWebhook(source string) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.sources[source]; s != nil {
		return s.verified.good
	}
	return time.Time{}
}

// look finds sources of which every delivery fails.
func (t *arrivals) look() look {
	return look{kinds: []string{signaturesFailing, mappingBroken}, find: t.troubles}
}

func (t *arrivals) troubles(_ context.Context, told func(kind, subject string) bool) (list []trouble, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for name, s := range t.sources {
		if s.gone {
			continue
		}
		if subject := "signatures of " + name; s.verified.bad(now, told(signaturesFailing, subject)) {
			list = append(list, trouble{signaturesFailing, subject, fmt.Sprintf(
				"%d deliveries in a row failed verification since %s UTC, and none was good since %s UTC: "+
					"compare sources[].verify and its secret with the subscription in Datasync; what fails now is not told",
				s.verified.failing, s.verified.since.UTC().Format("15:04"),
				later(s.verified.good, t.begun).UTC().Format("2006-01-02 15:04")), s.environment})
		}
		if subject := "mapping of " + name; s.mapped.bad(now, told(mappingBroken, subject)) {
			list = append(list, trouble{mappingBroken, subject, fmt.Sprintf(
				"%d events in a row could not be mapped since %s UTC: compare sources[].mapping with what Datasync sends "+
					"(events show prints it); nothing is lost, and nobody is paged for what they say",
				s.mapped.failing, s.mapped.since.UTC().Format("15:04")), s.environment})
		}
	}
	return list, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// watchedMapper tells arrivals which deliveries could be mapped.
type watchedMapper struct {
	mapper
	arrivals *arrivals
}

// Normalize implements dispatch.Mapper.
func (m watchedMapper) Normalize(st event.Stored) (event.Event, error) {
	ev, err := m.mapper.Normalize(st)
	if st.Origin == event.OriginWebhook {
		m.arrivals.read(st.Source, err == nil && ev.Quarantine == "")
	}
	return ev, err
}
