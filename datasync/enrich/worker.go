// Package enrich keeps what GET /partners/{id} says of trading partners: whom to
// call, and when their certificates end.
//
// An alert never waits for it. Planning reads the cache; what is not in it is
// fetched afterwards and edited into what was sent. From the cache, too, come
// reminders of certificates, as ordinary events of origin reconcile: one for
// each *threshold*, the days before the end at which it is told.
package enrich

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

const (
	defaultMaxAge = 24 * time.Hour
	// batch is how many due partners are read at once.
	batch = 20
	// gap is the least pause between two calls, callFor the longest call.
	gap     = 500 * time.Millisecond
	callFor = 30 * time.Second
	// A partner that cannot be read is asked for again after firstRetry, doubling
	// up to lastRetry; an API that is down altogether is left alone for up to
	// longestPause.
	firstRetry   = time.Minute
	lastRetry    = time.Hour
	longestPause = 5 * time.Minute
	// Incidents of a partner that are edited: so many, so many at once, and so
	// often anew where others changed them meanwhile.
	maxIncidents = 200
	atOnce       = 50
	maxTries     = 5
)

// defaultRemind are the days before a certificate's end.
var defaultRemind = []int{60, 30, 14, 7, 1}

// Directory holds partners.
type Directory interface {
	// DuePartners lists those to be asked for, and when the next one will be.
	DuePartners(ctx context.Context, limit int) (due []incident.Partner, next time.Time, err error)
	// OpenOfPartner lists open incidents that name a partner.
	OpenOfPartner(ctx context.Context, env event.Environment, partner string, limit int) (ids []string, err error)
}

// Book holds incidents.
type Book interface {
	Load(ctx context.Context, q incident.Query) (incident.View, error)
	Apply(ctx context.Context, p incident.Plan) error
	Accept(ctx context.Context, in event.Received) (event.Receipt, error)
}

// Store is what the worker needs of one. Its clock decides.
type Store interface {
	Directory
	Book
	Now() time.Time
	Changed(topic string) <-chan struct{}
}

// Planner tells what is to be edited where a partner has become known.
type Planner interface {
	Enriched(v incident.View, p incident.Partner, now time.Time) incident.Plan
}

// Client asks Datasync.
type Client interface {
	Environment() event.Environment
	Partner(ctx context.Context, id string) (datasync.Partner, error)
}

// Observer is told what happened, for metrics. Nil functions are skipped.
type Observer struct {
	Fetched     func()
	FetchFailed func()
	// Reminded: an event of that type about a certificate was accepted.
	Reminded func(kind string)
}

// Options are what is not configured. The zero value works.
type Options struct {
	Log      *slog.Logger // default: silent
	Observer Observer
	// Poll is the longest pause between two looks at the store. Default 1m.
	Poll time.Duration
}

// Worker fetches partners, one at a time.
type Worker struct {
	cfg     datasync.Enrich
	source  string
	store   Store
	planner Planner
	client  Client
	o       Options

	wantedAt time.Time // when the configured partners were wanted last
	calledAt time.Time
	down     int       // failures in a row that are the API's
	restAt   time.Time // until when the API is left alone
	storing  bool
}

// New returns a worker whose reminders are events of a source; Run makes it work.
func New(cfg datasync.Enrich, source string, store Store, planner Planner, client Client, o Options) *Worker {
	if cfg.MaxAge <= 0 {
		cfg.MaxAge = defaultMaxAge
	}
	if len(cfg.Remind) == 0 {
		cfg.Remind = defaultRemind
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Poll <= 0 {
		o.Poll = time.Minute
	}
	return &Worker{cfg: cfg, source: source, store: store, planner: planner, client: client, o: o, storing: true}
}

// Run fetches what is wanted or stale until ctx is done.
func (w *Worker) Run(ctx context.Context) error {
	changed := w.store.Changed("partners")
	for ctx.Err() == nil {
		next, err := w.work(ctx)
		w.noteStore(ctx, err)
		switch {
		case err != nil:
			pause(ctx, nil, min(w.o.Poll, time.Second))
		case next.IsZero():
			pause(ctx, changed, w.o.Poll)
		default:
			pause(ctx, changed, min(w.o.Poll, next.Sub(w.store.Now())))
		}
	}
	return nil
}

func (w *Worker) noteStore(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if err != nil && w.storing {
		w.o.Log.Error("partners cannot be kept; trying again", "err", err)
	}
	w.storing = err == nil
}

// work asks for those that are due and returns when to look again. Its error is
// the store's.
func (w *Worker) work(ctx context.Context) (next time.Time, err error) {
	now := w.store.Now()
	if err := w.want(ctx, now); err != nil {
		return time.Time{}, err
	}
	if now.Before(w.restAt) {
		return w.restAt, nil
	}
	due, next, err := w.store.DuePartners(ctx, batch)
	if err != nil {
		return time.Time{}, err
	}
	for _, p := range due {
		if err := w.attend(ctx, p); err != nil {
			return time.Time{}, err
		}
		if now := w.store.Now(); now.Before(w.restAt) {
			return w.restAt, nil
		}
	}
	if len(due) > 0 {
		return w.store.Now(), nil // there may be more
	}
	return next, nil
}

// want keeps rows for the partners that are watched, day by day: retention
// forgets those that nothing is about.
func (w *Worker) want(ctx context.Context, now time.Time) error {
	if len(w.cfg.Partners) == 0 || !w.wantedAt.IsZero() && now.Sub(w.wantedAt) < day {
		return nil
	}
	var p incident.Plan
	for _, id := range w.cfg.Partners {
		p.Wanted = append(p.Wanted, incident.PartnerRef{Environment: w.client.Environment(), ID: id})
	}
	err := w.store.Apply(ctx, p)
	if err == nil {
		w.wantedAt = now
	}
	return err
}

// attend does what is due for one partner: a call, or reminders from what is
// known already.
func (w *Worker) attend(ctx context.Context, p incident.Partner) error {
	now := w.store.Now()
	if p.Environment != w.client.Environment() {
		p.NextAt = now.Add(day) // there is nobody to ask
		return w.store.Apply(ctx, incident.Plan{Partners: []incident.Partner{p}})
	}
	// A tenth early is still in time: the age at which it is asked for varies.
	if !p.FetchedAt.IsZero() && p.Failures == 0 && now.Sub(p.FetchedAt) < w.cfg.MaxAge*9/10 {
		return w.keep(ctx, p, nil, false)
	}
	answer, err := w.call(ctx, p.ID)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return w.keep(ctx, w.failed(p, err), nil, false)
	}
	fresh, replaced := learned(p, answer, w.store.Now())
	return w.keep(ctx, fresh, replaced, p.FetchedAt.IsZero() || differs(p, fresh))
}

// call asks for one partner, not too soon after the last.
func (w *Worker) call(ctx context.Context, id string) (datasync.Partner, error) {
	pause(ctx, nil, w.calledAt.Add(gap).Sub(w.store.Now()))
	asking, cancel := context.WithTimeout(ctx, callFor)
	defer cancel()
	answer, err := w.client.Partner(asking, id)
	w.calledAt = w.store.Now()
	if ctx.Err() == nil {
		w.noteAPI(err)
	}
	return answer, err
}

// noteAPI leaves an API alone that is down for everybody.
func (w *Worker) noteAPI(err error) {
	observer := w.o.Observer.Fetched
	if err != nil {
		observer = w.o.Observer.FetchFailed
	}
	if observer != nil {
		observer()
	}
	if err == nil || aboutOne(err) {
		if w.down > 0 {
			w.o.Log.Info("partners can be read again")
		}
		w.down = 0
		return
	}
	if w.down++; w.down == 1 {
		w.o.Log.Warn("partners cannot be read; alerts go out with what is known, trying again until it works", "err", err)
	}
	rest := min(longestPause, time.Second<<min(w.down, 10))
	if e, ok := errors.AsType[*datasync.Error](err); ok {
		rest = max(rest, min(e.RetryAfter, lastRetry))
	}
	w.restAt = w.calledAt.Add(about(rest))
}

// aboutOne reports an error that concerns the partner, not the API.
func aboutOne(err error) bool {
	e, ok := errors.AsType[*datasync.Error](err)
	return ok && (e.Kind == datasync.NotFound || e.Kind == datasync.Payload)
}

// failed keeps what was known, and says when to ask again.
func (w *Worker) failed(p incident.Partner, err error) incident.Partner {
	wait := about(min(lastRetry, firstRetry<<min(p.Failures, 10)))
	if e, ok := errors.AsType[*datasync.Error](err); ok && e.Kind == datasync.NotFound {
		wait = about(w.cfg.MaxAge)
	}
	p.Failures++
	p.Error = bound(err.Error(), maxError)
	p.NextAt = w.store.Now().Add(wait)
	return p
}

// keep stores a partner once all that is to be told of its certificates has been
// accepted; cut short in between, the same is accepted again, as the same.
func (w *Worker) keep(ctx context.Context, p incident.Partner, replaced []incident.PartnerCertificate, changed bool) error {
	now := w.store.Now()
	certificates, remind := reminders(p, w.source, w.cfg.Remind, now)
	tell := make([]event.Made, 0, len(replaced)+len(remind))
	for _, c := range replaced {
		tell = append(tell, updated(p, c, w.source, now))
	}
	for _, m := range remind {
		if len(replaced) > 0 {
			// What began before a recovery opens nothing, and the one that comes
			// instead may end soon, too.
			m.CreatedAt = now
		}
		tell = append(tell, m)
	}
	for _, m := range tell {
		if _, err := w.store.Accept(ctx, m.Received(now)); err != nil {
			return err
		}
		w.o.Log.Info("certificate", "type", m.Type)
		if w.o.Observer.Reminded != nil {
			w.o.Observer.Reminded(m.Type)
		}
	}
	p.Certificates = certificates
	if p.Failures == 0 {
		p.NextAt = w.next(p, now)
	}
	if !changed {
		return w.store.Apply(ctx, incident.Plan{Partners: []incident.Partner{p}})
	}
	return w.edit(ctx, p)
}

// next is when a partner is looked at again: when it is stale, when something
// is to be told of a certificate, and daily in any case.
func (w *Worker) next(p incident.Partner, now time.Time) time.Time {
	next := p.FetchedAt.Add(about(w.cfg.MaxAge))
	if daily := now.Add(day); daily.Before(next) {
		next = daily
	}
	if at := nextReminder(p.Certificates, w.cfg.Remind, now); !at.IsZero() && at.Before(next) {
		next = at
	}
	if soonest := now.Add(time.Second); next.Before(soonest) {
		return soonest
	}
	return next
}

// edit changes open incidents by what is known now, and stores the partner. What
// was opened meanwhile, by plans that did not know the partner yet, is edited
// after.
func (w *Worker) edit(ctx context.Context, p incident.Partner) error {
	done, err := w.editOpen(ctx, p, nil)
	if err != nil {
		return err
	}
	if err := w.store.Apply(ctx, incident.Plan{Partners: []incident.Partner{p}}); err != nil {
		return err
	}
	_, err = w.editOpen(ctx, p, done)
	return err
}

// editOpen edits the partner's open incidents but those that are done. One that
// others change all the time is left as it is, for its next event shows it.
func (w *Worker) editOpen(ctx context.Context, p incident.Partner, done []string) (ids []string, err error) {
	if ids, err = w.store.OpenOfPartner(ctx, p.Environment, p.ID, maxIncidents); err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(done, id) })
	for some := range slices.Chunk(ids, atOnce) {
		err := w.editSome(ctx, p, some)
		switch {
		case errors.Is(err, event.ErrBusy), errors.Is(err, event.ErrUnavailable), ctx.Err() != nil:
			return nil, err
		case err != nil:
			w.o.Log.Warn("open incidents could not be told what a partner is called", "incidents", len(some), "err", err)
		}
	}
	return ids, nil
}

func (w *Worker) editSome(ctx context.Context, p incident.Partner, ids []string) (err error) {
	for range maxTries {
		view, loading := w.store.Load(ctx, incident.Query{Environment: p.Environment, Incidents: ids})
		if loading != nil {
			return loading
		}
		if err = w.store.Apply(ctx, w.planner.Enriched(view, p, w.store.Now())); !errors.Is(err, incident.ErrConflict) {
			return err
		}
	}
	return err
}

// about spreads a time by a tenth to either side, so that what came at once is
// not asked for at once for ever.
func about(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}

// pause waits for a change or a time.
func pause(ctx context.Context, changed <-chan struct{}, wait time.Duration) {
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
	}
}
