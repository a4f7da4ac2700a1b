package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
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
	"datasync-bridge/web"
	"datasync-bridge/web/view"
)

// bridge is the whole program, assembled from one configuration.
type bridge struct {
	cfg      *config.Config
	log      *slog.Logger
	store    *sqlite.Store
	dispatch *dispatch.Dispatcher
	worker   *remediation.Worker
	desk     *remediation.Desk
	poller   *reconcile.Poller // nil where datasync.reconcile is not set
	enricher *enrich.Worker    // nil where datasync.enrich is not set
	arrivals *arrivals
	receiver *receiver.Server
	admin    *web.Server
	metrics  *metrics
	started  time.Time
}

// assemble opens the store and wires every room. What it returns must be
// closed; nothing runs and nothing listens yet. Where notifiers of kind
// terminal print is terminal.
func assemble(ctx context.Context, cfg *config.Config, terminal io.Writer, log *slog.Logger) (*bridge, error) {
	b := &bridge{cfg: cfg, log: log, started: time.Now()}
	var err error
	if b.store, err = sqlite.Open(ctx, cfg.Store, sqlite.Options{Log: log}); err != nil {
		return nil, err
	}
	if err := b.wire(ctx, terminal); err != nil {
		return nil, errors.Join(err, b.store.Close())
	}
	return b, nil
}

// wire makes each room and hands it what it asks for.
func (b *bridge) wire(ctx context.Context, terminal io.Writer) error {
	if err := b.checkTellings(ctx); err != nil {
		return err
	}
	b.metrics = newMetrics(b.store, b.cfg)
	client := outbound.New(b.cfg.Outbound)
	parts, err := compile(b.cfg)
	if err != nil {
		return err
	}
	b.dispatch, err = dispatch.New(dispatch.Deps{
		Store:      b.store,
		Addressees: addressees(b.store),
		Mapper:     parts.mapper,
		Rules:      dispatch.Rules{Router: parts.table, Planner: parts.machine, Proposer: parts.guard},
		Senders:    senders(b.cfg, client, terminal),
		Log:        b.log,
		Observer:   b.metrics.observer(),
	}, dispatch.Config{})
	if err != nil {
		return err
	}
	api := datasync.New(b.cfg.Datasync, client, datasync.Options{Log: b.log})
	if b.cfg.Datasync.Configured() {
		b.metrics.watchAPI(api.Healthy)
	}
	b.worker = remediation.NewWorker(b.store, parts.machine, api, remediation.NewReader(api), remediation.WorkerOptions{
		Log: b.log, Environment: b.cfg.Datasync.Environment, Config: func() string { return b.cfg.Hash }, Entry: parts.entry,
		Idempotent: b.cfg.Datasync.Idempotency.ConfirmedBy != "",
	})
	if err := b.wirePolling(api, parts.machine); err != nil {
		return err
	}
	b.receiver, err = receiver.New(b.cfg.Server, b.cfg.Sources, b.store, receiver.Options{
		Ready: b.ready, Log: b.log, Observe: b.answered,
	})
	if err != nil {
		return err
	}
	b.desk = newDesk(b.cfg, b.store, parts, b.log)
	b.admin, err = web.New(b.cfg.Admin, web.Deps{
		Reader:   b.store,
		Operator: b.dispatch,
		Desk:     b.desk,
		Ready:    b.store.Ready,
		Status:   b.status,
		Metrics:  b.metrics.handler(),
	}, web.Options{Log: b.log, TokenFile: tokenFile(b.cfg)})
	return err
}

// wirePolling makes what asks Datasync by itself.
func (b *bridge) wirePolling(api *datasync.Client, planner *incident.Machine) (err error) {
	b.arrivals = newArrivals(b.cfg.Sources, b.store.Now)
	if e := b.cfg.Datasync.Enrich; e != nil {
		b.enricher = enrich.New(*e, b.cfg.ReminderSource(), b.store, planner, api, enrich.Options{
			Log: b.log, Observer: b.metrics.partners.observer(),
		})
	}
	if r := b.cfg.Datasync.Reconcile; r != nil {
		polled := *r
		polled.Source = b.cfg.PolledSource()
		b.poller, err = reconcile.New(polled, b.store, api, reconcile.Options{
			Log: b.log, Observer: b.metrics.polls.observer(), Traffic: b.arrivals,
		})
	}
	return err
}

// answered observes one answer of the public listener.
func (b *bridge) answered(source, code string, took time.Duration) {
	b.metrics.received(source, code, took)
	b.arrivals.answered(source, code)
}

// checkTellings refuses a configuration that forgets a notifier to which the
// end of an incident is still owed.
func (b *bridge) checkTellings(ctx context.Context) error {
	told, err := b.store.OpenTellings(ctx)
	if err != nil {
		return err
	}
	for _, n := range b.cfg.Notifiers {
		delete(told, n.Name)
	}
	var owed []string
	for name, ids := range told {
		slices.Sort(ids)
		owed = append(owed, fmt.Sprintf("notifier %q is gone from the configuration but knows open incidents %s; "+
			"put it back with `retired: true` until they are resolved", name, strings.Join(ids[:min(len(ids), 10)], ", ")))
	}
	slices.Sort(owed)
	if len(owed) > 0 {
		return errors.New(strings.Join(owed, "\n"))
	}
	return nil
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
		Version: version, Config: b.cfg.ShortHash(), StartedAt: b.started.UTC(),
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
	room("arrivals", func() error { return b.arrivals.watch(ctx, b.store, b.log) })
	if b.poller != nil {
		room("reconcile", func() error { return b.poller.Run(ctx) })
	}
	if b.enricher != nil {
		room("enrich", func() error { return b.enricher.Run(ctx) })
	}

	b.log.Info("listening", "listener", "public", "address", l.public.Addr().String())
	b.log.Info("listening", "listener", "admin", "address", l.admin.Addr().String())
	<-ctx.Done()
	b.log.Info("stopping: answering the requests in hand, finishing the sends in hand")
	return all.Wait()
}

func (b *bridge) close() error { return b.store.Close() }
