package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const maxQuoted = 1 << 10

type subscription struct {
	id, name, url string
	events        []string
}

// wants reports whether a subscription asks for a type: by name, by family
// ("transaction.*") or for all ("*").
func (s subscription) wants(eventType string) bool {
	return slices.ContainsFunc(s.events, func(e string) bool {
		family, glob := strings.CutSuffix(e, "*")
		return e == eventType || (glob && strings.HasPrefix(eventType, family))
	})
}

// emitted is an event as it is sent, byte by byte the same each time.
type emitted struct {
	id, kind string
	body     []byte
	forged   bool // signed with another secret
}

// delivery is one emitted event on its way to one subscription.
type delivery struct {
	event   emitted
	to      subscription
	attempt int // 1, 2, …
}

// Delivery is one attempt, as it went.
type Delivery struct {
	Event        string    `json:"event"`
	Type         string    `json:"type"`
	Subscription string    `json:"subscription"`
	Attempt      int       `json:"attempt"`
	At           time.Time `json:"at"`
	// Status is the receiver's, 0 where it gave no answer; Answer is the
	// beginning of its body, or why there is none.
	Status int    `json:"status"`
	Answer string `json:"answer"`
	// Last reports that no further attempt follows.
	Last bool `json:"last"`
}

// EmitRaw delivers a body as it is to every subscription, signed with another
// secret where forged, and returns an id for Answered and Redeliver.
func (s *Sandbox) EmitRaw(body []byte, forged bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.id("raw")
	s.enqueue(emitted{id: id, body: bytes.Clone(body), forged: forged})
	return id
}

// Redeliver delivers an event once more, unchanged, and reports whether it is
// still known.
func (s *Sandbox) Redeliver(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, known := s.events[id]
	if known {
		s.enqueue(e)
	}
	return known
}

// Deliveries returns every attempt so far, oldest first.
func (s *Sandbox) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.delivered)
}

// Answered waits until nothing of an event is left to deliver, and returns its
// attempts, oldest first; none where no subscription wanted it.
func (s *Sandbox) Answered(ctx context.Context, id string) ([]Delivery, error) {
	var got []Delivery
	err := s.until(ctx, func() bool {
		got = slices.DeleteFunc(slices.Clone(s.delivered), func(d Delivery) bool { return d.Event != id })
		return s.open[id] == 0
	})
	if err != nil {
		return nil, fmt.Errorf("wait for the answer to %s: %w", id, err)
	}
	return got, nil
}

// Settled waits until nothing at all is left to deliver: every event was
// answered for good, or its retries are used up.
func (s *Sandbox) Settled(ctx context.Context) error {
	if err := s.until(ctx, func() bool { return len(s.open) == 0 }); err != nil {
		return fmt.Errorf("wait for all deliveries: %w", err)
	}
	return nil
}

// until waits for a condition that is asked under s.mu after every change.
func (s *Sandbox) until(ctx context.Context, done func() bool) error {
	for {
		s.mu.Lock()
		ended, changed := done(), s.changed
		s.mu.Unlock()
		if ended {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// remember keeps an event for Redeliver; s.mu is held.
func (s *Sandbox) remember(e emitted) {
	if _, known := s.events[e.id]; known {
		return
	}
	s.events[e.id] = e
	s.eventOrder = append(s.eventOrder, e.id)
	if len(s.eventOrder) > maxKept {
		delete(s.events, s.eventOrder[0])
		s.eventOrder = s.eventOrder[1:]
	}
}

// enqueue queues an event for every subscription that wants it; s.mu is held.
func (s *Sandbox) enqueue(e emitted) {
	s.remember(e)
	for _, sub := range s.subscriptions {
		if (e.kind == "" || sub.wants(e.kind)) && len(s.queue) < maxQueued {
			s.queue = append(s.queue, delivery{event: e, to: sub, attempt: 1})
			s.open[e.id]++
		}
	}
	s.poke()
}

// Run delivers what is emitted in both worlds until ctx is done. First attempts
// keep the order of emission; a retry overtakes nothing and holds up nothing.
func (s *Sandbox) Run(ctx context.Context) {
	var others sync.WaitGroup
	defer others.Wait()
	if s.inner != nil {
		others.Go(func() { s.inner.Run(ctx) })
	}
	for {
		var next delivery
		err := s.until(ctx, func() bool {
			if len(s.queue) == 0 {
				return false
			}
			next, s.queue = s.queue[0], s.queue[1:]
			return true
		})
		if err != nil || ctx.Err() != nil {
			return
		}
		if pause, again := s.attempt(ctx, next); again {
			next.attempt++
			others.Go(func() { s.requeue(ctx, next, pause) })
		}
	}
}

func (s *Sandbox) requeue(ctx context.Context, d delivery, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.queue = append(s.queue, d)
		s.poke()
	case <-ctx.Done():
	}
}

// attempt posts once, records how it went and says when to try again, if at all.
func (s *Sandbox) attempt(ctx context.Context, d delivery) (pause time.Duration, again bool) {
	status, answer := s.post(ctx, d)
	lost := status == 0 || status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
	if again = lost && d.attempt <= len(s.o.Retries) && ctx.Err() == nil; again {
		pause = s.o.Retries[d.attempt-1]
	}
	s.o.Log.Info("delivered", "event", d.event.id, "type", d.event.kind, "to", d.to.name, "attempt", d.attempt, "status", status)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delivered = keep(s.delivered, Delivery{
		Event: d.event.id, Type: d.event.kind, Subscription: d.to.id, Attempt: d.attempt,
		At: s.o.Clock(), Status: status, Answer: answer, Last: !again,
	})
	if !again {
		if s.open[d.event.id]--; s.open[d.event.id] == 0 {
			delete(s.open, d.event.id)
		}
	}
	s.poke()
	return pause, again
}

func (s *Sandbox) post(ctx context.Context, d delivery) (status int, answer string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.to.url, bytes.NewReader(d.event.body))
	if err != nil {
		return 0, err.Error()
	}
	secret := s.o.Secret.Reveal()
	if d.event.forged {
		secret = "not " + secret
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "datasync-sandbox")
	req.Header.Set(s.o.SignatureHeader, sign(secret, d.event.body))
	resp, err := s.o.Client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxQuoted))
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // or the connection is not used again
	return resp.StatusCode, string(text)
}

func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
