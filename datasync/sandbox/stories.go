package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Story is an incident to rehearse: what happens at Datasync, step by step,
// while whoever has subscribed reacts to it.
type Story struct {
	Name  string // outage
	About string // in one line
	play  func(ctx context.Context, p *player)
}

// Stories returns those there are.
func Stories() []Story {
	return []Story{
		{"outage", "a partner's endpoint is down: 12 documents fail, 3 webhooks are lost, 2 are late, the API stumbles; then all heals", playOutage},
		{"lost-webhooks", "10 documents fail; 3 of the webhooks are lost and 2 are late", playLost},
		{"invoice-approval", "an invoice cannot be delivered and waits until somebody approves that it is sent again", playInvoice},
		{"certificate", "a partner's certificate ends in 13 days, then it is replaced", playCertificate},
	}
}

// StoryNamed finds one.
func StoryNamed(name string) (Story, bool) {
	for _, s := range Stories() {
		if s.Name == name {
			return s, true
		}
	}
	return Story{}, false
}

// Kind says what a step is about.
type Kind string

// The kinds of steps.
const (
	Partners  Kind = "partner"
	Retrying  Kind = "retrying"
	Failed    Kind = "failed"
	Lost      Kind = "lost" // it failed, and nobody is told
	Late      Kind = "late" // it failed, and is told of later
	API       Kind = "api"
	Waiting   Kind = "waiting" // for the bridge, or for a person
	Ran       Kind = "run"
	Delivered Kind = "delivered"
	Webhooks  Kind = "webhooks"
	Trouble   Kind = "trouble" // with the rehearsal itself
	Expect    Kind = "expect"  // what a bridge should show when all is over
)

// Step is one thing that happened.
type Step struct {
	At   time.Time
	Kind Kind
	Text string
}

// Telling says how a story is played.
type Telling struct {
	// Pace passes after each step. Zero lets everything happen at once.
	Pace time.Duration
	// Patience is how long a step waits for the bridge, or for a person. Default
	// 6m, which is above the 5m between two polls.
	Patience time.Duration
	// Step is called with each step before it takes its pace; not nil.
	Step func(Step)
}

// Subscribed waits until somebody has subscribed, and returns the world where.
func (s *Sandbox) Subscribed(ctx context.Context) (*Sandbox, error) {
	for {
		var changed []chan struct{}
		for _, world := range []*Sandbox{s, s.InSandbox()} {
			world.mu.Lock()
			has := len(world.subscriptions) > 0
			changed = append(changed, world.changed)
			world.mu.Unlock()
			if has {
				return world, nil
			}
		}
		select {
		case <-changed[0]:
		case <-changed[1]:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Play lets a story happen in this world, and returns when its last webhook was
// answered. An error says that it could not be played, or not to its end.
func (s *Sandbox) Play(ctx context.Context, story Story, t Telling) error {
	if t.Patience == 0 {
		t.Patience = 6 * time.Minute
	}
	p := &player{s: s, Telling: t}
	if err := p.greet(ctx); err != nil {
		return err
	}
	story.play(ctx, p)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.Heal()
	p.balance(ctx)
	for _, text := range p.expected {
		t.Step(Step{s.o.Clock(), Expect, text})
	}
	return p.err
}

// player plays a story. After an error, its methods do nothing, so that a story
// reads as what happens.
type player struct {
	Telling
	s        *Sandbox
	told     []string // ids of events
	expected []string
	err      error
}

// greet makes sure that the subscriber takes webhooks at all: a wrong secret is
// better found before the story than after it.
func (p *player) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	answers, err := p.s.Answered(ctx, p.s.Emit("webhook.test", "", nil))
	if err != nil {
		return err
	}
	for _, a := range answers {
		switch {
		case !a.Last || accepted(a):
		case a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden:
			return fmt.Errorf("the subscriber refuses webhooks with %d; give it the webhook secret of this sandbox", a.Status)
		default:
			return fmt.Errorf("the subscriber does not accept webhooks (%s); see that it runs at the address that it subscribed", outcome(a))
		}
	}
	return nil
}

func accepted(d Delivery) bool { return d.Status >= 200 && d.Status <= 299 }

func outcome(d Delivery) string {
	if d.Status == 0 {
		return d.Answer
	}
	return fmt.Sprintf("%d %s", d.Status, strings.ToLower(http.StatusText(d.Status)))
}

// step tells of something and lets the pace pass.
func (p *player) step(ctx context.Context, kind Kind, format string, args ...any) {
	if p.err != nil {
		return
	}
	p.Step(Step{p.s.o.Clock(), kind, fmt.Sprintf(format, args...)})
	pause(ctx, p.Pace)
	p.err = ctx.Err()
}

// emits keeps the id of an event that was told.
func (p *player) emits(id string) { p.told = append(p.told, id) }

// expect says what should be seen when all is over.
func (p *player) expect(format string, args ...any) {
	p.expected = append(p.expected, fmt.Sprintf(format, args...))
}

// await waits until something holds, which is asked under s.mu, and reports
// whether it came to hold while patience lasted.
func (p *player) await(ctx context.Context, holds func() bool) bool {
	if p.err != nil {
		return false
	}
	patient, cancel := context.WithTimeout(ctx, p.Patience)
	defer cancel()
	held := p.s.until(patient, holds) == nil
	p.err = ctx.Err()
	return held && p.err == nil
}

// awaitPoll waits until the subscriber has asked for failed transactions and got
// the answer.
func (p *player) awaitPoll(ctx context.Context) bool {
	p.s.mu.Lock()
	before := p.s.listed
	p.s.mu.Unlock()
	p.step(ctx, Waiting, "for a poll of GET /transactions?status=failed (datasync.reconcile), at most %v", p.Patience)
	return p.await(ctx, func() bool { return p.s.listed > before })
}

// balance waits for the last answers and says how the webhooks fared.
func (p *player) balance(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := p.s.Settled(ctx); errors.Is(err, context.Canceled) {
		return
	}
	last := map[string]Delivery{}
	for _, d := range p.s.Deliveries() {
		last[d.Event] = d
	}
	lost := map[string]bool{}
	for _, id := range p.s.Lost() {
		lost[id] = true
	}
	taken, gone, unwanted, refused := 0, 0, 0, map[string]int{}
	for _, id := range p.told {
		d, sent := last[id]
		switch {
		case lost[id]:
			gone++
		case !sent:
			unwanted++ // by every subscription
		case accepted(d):
			taken++
		default:
			refused[outcome(d)]++
		}
	}
	p.Step(Step{p.s.o.Clock(), Webhooks, fmt.Sprintf("%d emitted: %d accepted, %d lost, %d not subscribed to", len(p.told), taken, gone, unwanted)})
	for answer, n := range refused {
		p.Step(Step{p.s.o.Clock(), Trouble, fmt.Sprintf("%d webhooks were not accepted: %s", n, answer)})
	}
}
