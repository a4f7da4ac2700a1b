package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"datasync-bridge/config"
	"datasync-bridge/datasync"
	"datasync-bridge/datasync/enrich"
	"datasync-bridge/datasync/reconcile"
	"datasync-bridge/datasync/remediation"
	"datasync-bridge/dispatch"
	"datasync-bridge/outbound"
	"datasync-bridge/receiver"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/tracing"
	"datasync-bridge/web"
	"datasync-bridge/web/view"
)

// bridge is the whole program, assembled from one configuration.
type bridge struct {
	// cfg is what it was started with: what only a restart changes is read here,
	// all else from live.
	cfg       *config.Config
	log       *slog.Logger
	store     *sqlite.Store
	inbox     inbox // the store, as what arrives goes into it
	live      *live
	dispatch  *dispatch.Dispatcher
	reloader  *reloader
	silencer  *silencer
	worker    *remediation.Worker
	desk      *remediation.Desk
	poller    *reconcile.Poller // nil where datasync.reconcile is not set
	enricher  *enrich.Worker    // nil where datasync.enrich is not set
	arrivals  *arrivals
	own       *ownWatch
	heartbeat *heartbeat // nil where heartbeat is not set
	traces    *traces    // nil where telemetry.traces is not set
	receiver  *receiver.Server
	admin     *web.Server
	metrics   *metrics
	started   time.Time
}

// wallClock is the time that events are received at and that the store goes by;
// tests let it jump.
var wallClock = time.Now

// assemble opens the store and wires every room. What it returns must be
// closed; nothing runs and nothing listens yet. Where notifiers of kind
// terminal print is terminal.
func assemble(ctx context.Context, cfg *config.Config, terminal io.Writer, log *slog.Logger) (*bridge, error) {
	b := &bridge{cfg: cfg, log: log, started: time.Now(), metrics: newMetrics()}
	var err error
	if b.store, err = sqlite.Open(ctx, cfg.Store, sqlite.Options{Log: log, Now: wallClock, Observe: b.metrics.commits.committed}); err != nil {
		return nil, err
	}
	b.inbox = inbox{b.store, cfg.Redaction()}
	if err := b.wire(ctx, terminal); err != nil {
		return nil, errors.Join(err, b.store.Close())
	}
	return b, nil
}

// wire makes each room and hands it what it asks for.
func (b *bridge) wire(ctx context.Context, terminal io.Writer) error {
	if err := checkTellings(ctx, b.store, b.cfg); err != nil {
		return err
	}
	b.metrics.watchStore(b.store, b.cfg.Store.SQLite.Path)
	b.metrics.expect(b.cfg.Sources)
	client := outbound.New(b.cfg.Outbound)
	if err := b.wireTraces(); err != nil {
		return err
	}
	if err := b.wireRules(ctx, newCrew(client, terminal)); err != nil {
		return err
	}
	api := datasync.New(b.cfg.Datasync, client, datasync.Options{Log: b.log})
	if b.cfg.Datasync.Configured() {
		b.metrics.watchAPI(api.Healthy)
	}
	b.worker = remediation.NewWorker(b.store, b.live, api, remediation.NewReader(api), remediation.WorkerOptions{
		Log: b.log, Environment: b.cfg.Datasync.Environment, Config: b.live.hash, Entry: b.live.entry,
		Idempotent: b.cfg.Datasync.Idempotency.ConfirmedBy != "", Observer: b.traces.alsoRuns(b.metrics.runs.observer()),
	})
	if err := b.wirePolling(api); err != nil {
		return err
	}
	b.wireOwn(client)
	var err error
	b.receiver, err = receiver.New(b.cfg.Server, b.cfg.Sources, b.traces.inbox(b.inbox), receiver.Options{
		Ready: b.ready, Log: b.log, Observe: b.answered, Now: wallClock,
	})
	if err != nil {
		return err
	}
	b.reloader.prepare = b.receiver.Prepare
	b.desk = newDesk(b.live, b.store, b.log)
	b.admin, err = web.New(b.cfg.Admin, web.Deps{
		Reader:   b.store,
		Operator: b.dispatch,
		Desk:     b.desk,
		Silencer: b.silencer,
		Purger:   purger{b.store, b.live},
		Reload:   b.reloader.reload,
		Ready:    b.store.Ready,
		Status:   b.status,
		Metrics:  b.metrics.handler(),
	}, web.Options{Log: b.log, TokenFile: tokenFile(b.cfg)})
	if err != nil {
		return err
	}
	b.reloader.show("server.tls", b.receiver.Certificate())
	b.reloader.show("admin.tls", b.admin.Certificate())
	b.metrics.watchCertificate("admin", b.admin.CertificateEnds)
	b.metrics.watchCertificate("public", b.receiver.CertificateEnds)
	return nil
}

// wireRules makes what decides and tells, and what swaps both.
func (b *bridge) wireRules(ctx context.Context, crew *crew) error {
	p, err := compile(b.cfg)
	if err != nil {
		return err
	}
	b.live = newLive(b.cfg, p)
	b.arrivals = newArrivals(b.cfg.Sources, b.store.Now)
	b.reloader = &reloader{store: b.store, live: b.live, crew: crew, arrivals: b.arrivals,
		metrics: b.metrics, log: b.log, read: b.cfg.Hash}
	b.silencer = newSilencer(b.store, silencerOptions{
		Check:   func(s incident.Silence) error { return checkSilence(b.live.cfg(), s) },
		File:    func() []incident.Silence { return fileSilences(b.live.cfg()) },
		Changed: b.reloader.requiet, Log: b.log,
	})
	b.reloader.silencer = b.silencer
	if p, err = b.reloader.quieted(ctx, p); err != nil {
		return err
	}
	b.live.now.Store(&inForce{b.cfg, p})
	b.dispatch, err = dispatch.New(dispatch.Deps{
		Store:      b.store,
		Addressees: addressees(b.store),
		Rules:      p.rules(b.arrivals),
		Senders:    crew.senders(b.cfg),
		Log:        b.log,
		Observer:   b.traces.alsoDispatch(b.metrics.observer()),
	}, dispatch.Config{})
	b.reloader.dispatch = b.dispatch
	return err
}

// wireOwn makes what looks at the bridge itself.
func (b *bridge) wireOwn(client *http.Client) {
	looks := append(newStoreLook(b.store, b.cfg.Store.SQLite.Path).looks(),
		b.arrivals.look(), look{kinds: []string{configRejected}, find: b.reloader.troubles})
	b.own = &ownWatch{store: b.store, looks: looks, log: b.log}
	if h := b.cfg.Heartbeat; h != nil {
		b.heartbeat = &heartbeat{Heartbeat: *h, client: client, well: b.well, metrics: b.metrics.beats, log: b.log}
	}
}

// well reports why somebody should look after the bridge, nil for no reason.
func (b *bridge) well(ctx context.Context) error {
	if err := b.store.Ready(ctx); err != nil {
		return err
	}
	stats, err := b.store.Stats(ctx)
	if err == nil && waits(stats, b.store.Now()) {
		err = fmt.Errorf("%d events wait, the oldest since %s", stats.Pending, stats.OldestPending.UTC().Format(time.RFC3339))
	}
	return err
}

// wireTraces makes what tells of each event, where that is asked for. It has a
// client of its own, so that a collector that hangs takes no connection.
func (b *bridge) wireTraces() (err error) {
	t := b.cfg.Telemetry.Traces
	if t == nil {
		return nil
	}
	b.traces, err = newTraces(*t, tracing.Options{
		Client: outbound.New(b.cfg.Outbound), Version: version, Log: b.log, Failed: b.metrics.traces.Inc,
	})
	return err
}

// wirePolling makes what asks Datasync by itself.
func (b *bridge) wirePolling(api *datasync.Client) (err error) {
	if e := b.cfg.Datasync.Enrich; e != nil {
		b.enricher = enrich.New(*e, b.cfg.ReminderSource(), b.inbox, b.live, api, enrich.Options{
			Log: b.log, Observer: b.metrics.partners.observer(),
		})
	}
	if r := b.cfg.Datasync.Reconcile; r != nil {
		polled := *r
		polled.Source = b.cfg.PolledSource()
		b.poller, err = reconcile.New(polled, b.inbox, api, reconcile.Options{
			Log: b.log, Observer: b.metrics.polls.observer(), Traffic: b.arrivals,
		})
	}
	return err
}

// answered observes one answer of the public listener.
func (b *bridge) answered(a receiver.Answered) {
	b.metrics.received(a.Source, a.Code, a.Took)
	b.arrivals.answered(a.Source, a.Code)
	if b.traces != nil {
		b.traces.received(a)
	}
}

func (b *bridge) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return b.store.Ready(ctx)
}

func (b *bridge) status(ctx context.Context) (view.Status, error) {
	stats, err := b.store.Stats(ctx)
	if err != nil {
		return view.Status{}, err
	}
	return view.Status{
		Version: version, Config: b.live.cfg().ShortHash(), StartedAt: b.started.UTC(),
		Ready: b.store.Ready(ctx) == nil, Counts: counts(stats),
	}, nil
}

// run serves until ctx ends or a room fails, and returns when every room has
// ended. All stop at once, which keeps the end within 15 seconds: the public
// listener answers the requests in hand, dispatch finishes the sends in hand,
// and what is accepted or queued meanwhile stays in the store, which closes last.
func (b *bridge) run(ctx context.Context, l listeners) error {
	all, ctx := errgroup.WithContext(ctx)
	room := func(name string, run func() error) {
		all.Go(func() error {
			if err := run(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	room("public listener", func() error { return b.receiver.Run(ctx, l.public) })
	room("admin listener", func() error { return b.admin.Run(ctx, l.admin) })
	room("dispatch", func() error { return b.dispatch.Run(ctx) })
	room("remediation", func() error { return b.worker.Run(ctx) })
	room("own troubles", func() error { return b.own.run(ctx) })
	room("reload", func() error { return b.reloader.run(ctx) })
	if b.poller != nil {
		room("reconcile", func() error { return b.poller.Run(ctx) })
	}
	if b.enricher != nil {
		room("enrich", func() error { return b.enricher.Run(ctx) })
	}

	if b.heartbeat != nil {
		room("heartbeat", func() error { return b.heartbeat.run(ctx) })
	}

	b.log.Info("listening", "listener", "public", "address", l.public.Addr().String())
	b.log.Info("listening", "listener", "admin", "address", l.admin.Addr().String())
	<-ctx.Done()
	b.log.Info("stopping: answering the requests in hand, finishing the sends in hand")
	return all.Wait()
}

func (b *bridge) close() error {
	err := b.store.Close()
	if b.traces != nil {
		b.traces.Close()
	}
	return err
}
