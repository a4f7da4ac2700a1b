// Package reconcile finds what no webhook told: it polls GET /transactions for
// those that failed, and asks whether what is open has failed still.
//
// What it finds is accepted as an ordinary event of origin reconcile and goes
// the way of all others; the poller itself decides nothing and tells nobody.
// The reading position (watermark) moves only past what is committed, so that a
// crash reads a window again, where keys make the repetition harmless.
//
// A *finding* is a failed transaction in a listing. A *reading* is what
// Datasync says of the transaction of an open member. Only transactions can be
// found this way: a missed MDN or SLA event is not listed anywhere.
//
// Assumed, because it is not documented: that the time range of a listing is
// about the time that its items bear. Where it is about something earlier, a
// longer overlap is what helps.
package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

const (
	defaultEvery   = 5 * time.Minute
	defaultOverlap = 15 * time.Minute
	defaultQuiet   = 30 * time.Minute

	// lease outlasts one poll with the recording of its outcome.
	lease   = 10 * time.Minute
	pollFor = 8 * time.Minute
	// recordFor bounds how long a position waits for the store, and so the time
	// that a shutdown may take.
	recordFor = 3 * time.Second
	// soon is when a poll goes on that left something for later.
	soon = 10 * time.Second
	// firstRetry is the pause after a failed poll; it doubles up to Every.
	firstRetry = 10 * time.Second
)

// Polls holds reading positions. ClaimPoll leases one that is due, else it
// returns nil and when to ask again; SettlePoll stores it and ends the lease.
type Polls interface {
	ClaimPoll(ctx context.Context, name string, lease time.Duration) (poll *incident.Poll, next time.Time, err error)
	SettlePoll(ctx context.Context, poll incident.Poll) error
}

// Inbox makes events durable.
type Inbox interface {
	Accept(ctx context.Context, in event.Received) (event.Receipt, error)
}

// Members lists, page by page, open members whose newest opening came from a
// source and before a time. The token of a page leads to the next one, "" to the first and after
// the last.
type Members interface {
	OpenMembers(ctx context.Context, source string, env event.Environment, before time.Time, limit int, after string) (page []incident.MatchedMember, next string, err error)
}

// Store is what the poller needs of one. Its clock decides.
type Store interface {
	Polls
	Inbox
	Members
	Now() time.Time
}

// Client asks Datasync. Its environment is that of all that is found.
type Client interface {
	Environment() event.Environment
	Transactions(ctx context.Context, q datasync.TransactionQuery, each func(datasync.Transaction) bool) (datasync.Listing, error)
	CanReadOne() bool
	Transaction(ctx context.Context, id string) (datasync.Transaction, error)
}

// Traffic tells when a source's newest verified webhook came, zero for none
// since the process began.
type Traffic interface {
	LastWebhook(source string) time.Time
}

// Observer is told what happened, for metrics. Nil functions are skipped.
type Observer struct {
	// Found: so many failures were accepted that no poll had found before.
	// Whether a webhook had told them is known when they are planned.
	Found func(count int)
	// Skipped: so many items could not be taken, see skip's words.
	Skipped func(why string, count int)
	// Cleared: so many open transactions have failed no longer.
	Cleared func(count int)
	// Polled: a poll went well and took so long; PollFailed: it did not.
	Polled     func(took time.Duration)
	PollFailed func()
}

// Options are what is not configured. The zero value works.
type Options struct {
	Log      *slog.Logger // default: silent
	Observer Observer
	// Traffic, where it is set, lets the poller notice that webhooks have gone
	// quiet while it finds failures.
	Traffic Traffic
	// Poll is the longest pause between two looks at the store. Default 30s.
	Poll time.Duration
}

// Poller asks Datasync at intervals.
type Poller struct {
	cfg    datasync.Reconcile
	back   time.Duration // where the first poll begins
	store  Store
	client Client
	o      Options
	// begun is when this process began to poll; failing keeps the log to one
	// line for each change.
	begun   time.Time
	failing bool
	storing bool
}

// New returns a poller of what cfg names, which must have a Source; Run makes
// it work.
func New(cfg datasync.Reconcile, store Store, client Client, o Options) (*Poller, error) {
	if cfg.Every <= 0 {
		cfg.Every = defaultEvery
	}
	if cfg.Overlap <= 0 {
		cfg.Overlap = defaultOverlap
	}
	if cfg.QuietAfter <= 0 {
		cfg.QuietAfter = defaultQuiet
	}
	if cfg.Source == "" {
		return nil, errors.New("reconcile.source is missing; name the source that the findings stand for")
	}
	var back time.Duration
	if cfg.Start != "" && cfg.Start != "now" {
		var err error
		if back, err = event.ParseDuration(cfg.Start); err != nil {
			return nil, errors.New("reconcile.start must be now or a duration back, such as 24h: " + err.Error())
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Poll <= 0 {
		o.Poll = 30 * time.Second
	}
	return &Poller{cfg: cfg, back: back, store: store, client: client, o: o, storing: true}, nil
}

// name is the position's. It outlives a source that is renamed.
func (p *Poller) name() string { return "reconcile:" + string(p.client.Environment()) }

// Run polls until ctx is done. What was read by then is recorded.
func (p *Poller) Run(ctx context.Context) error {
	p.begun = p.store.Now()
	for ctx.Err() == nil {
		next, err := p.turn(ctx)
		p.noteStore(ctx, err)
		wait := p.o.Poll
		if err == nil && !next.IsZero() {
			// A position that is due but another's must not be asked for without a pause.
			wait = min(wait, max(time.Second, next.Sub(p.store.Now())))
		}
		pause(ctx, wait)
	}
	return nil
}

// turn carries out one poll, if it is due, and returns when to look again.
func (p *Poller) turn(ctx context.Context) (next time.Time, err error) {
	poll, next, err := p.store.ClaimPoll(ctx, p.name(), lease)
	if err != nil || poll == nil {
		return next, err
	}
	done := p.poll(ctx, *poll)
	return done.DueAt, p.record(ctx, done)
}

// poll asks for all that is to be asked and returns the position it came to.
func (p *Poller) poll(ctx context.Context, poll incident.Poll) incident.Poll {
	began := p.store.Now()
	asking, cancel := context.WithTimeout(ctx, pollFor)
	defer cancel()
	r := &round{p: p, at: began, poll: poll, state: p.readState(poll.State)}
	err := r.failures(asking)
	if err == nil {
		err = r.webhooks(asking)
	}
	if err == nil {
		err = r.members(asking)
	}
	r.tell()
	poll, now := r.poll, p.store.Now()
	poll.State = r.state.text(now, p.cfg.Overlap)
	switch {
	case err == nil:
		poll.Failures, poll.DueAt = 0, now.Add(about(p.cfg.Every))
		if r.more {
			poll.DueAt = now.Add(min(soon, p.cfg.Every))
		}
		call(p.o.Observer.Polled, now.Sub(began))
	case ctx.Err() != nil: // nobody's failure: the next process goes on here
		poll.DueAt = now
		return poll
	default:
		poll.Failures++
		poll.DueAt = now.Add(p.retry(poll.Failures, err))
		if p.o.Observer.PollFailed != nil {
			p.o.Observer.PollFailed()
		}
	}
	p.noteAPI(err, poll)
	return poll
}

// retry is the pause after so many failures, as long as Datasync asked for,
// where it did.
func (p *Poller) retry(failures int, err error) time.Duration {
	wait := min(p.cfg.Every, firstRetry<<min(failures-1, 10))
	if e, ok := errors.AsType[*datasync.Error](err); ok {
		wait = max(wait, min(e.RetryAfter, time.Hour))
	}
	return about(wait)
}

// record stores the position, also when the process is about to end. What
// cannot be stored is read again once the lease has lapsed.
func (p *Poller) record(ctx context.Context, poll incident.Poll) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordFor)
	defer cancel()
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		err := p.store.SettlePoll(ctx, poll)
		passing := errors.Is(err, event.ErrBusy) || errors.Is(err, event.ErrUnavailable)
		if err == nil || !passing || ctx.Err() != nil {
			return err
		}
		pause(ctx, wait)
	}
}

func (p *Poller) noteAPI(err error, poll incident.Poll) {
	switch {
	case err != nil && !p.failing:
		p.o.Log.Warn("polling for failures that no webhook told does not work; trying again until it does",
			"source", p.cfg.Source, "since", poll.Watermark, "err", err)
	case err == nil && p.failing:
		p.o.Log.Info("polling works again", "source", p.cfg.Source, "until", poll.Watermark)
	}
	p.failing = err != nil
}

func (p *Poller) noteStore(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if err != nil && p.storing {
		p.o.Log.Error("the position of the poll cannot be kept; trying again", "source", p.cfg.Source, "err", err)
	}
	p.storing = err == nil
}

// about spreads an interval by a tenth to either side, so that many bridges do
// not ask at once.
func about(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}

func pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func call[T any](observer func(T), value T) {
	if observer != nil {
		observer(value)
	}
}
