package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/dispatch"
	"datasync-bridge/event"
	"datasync-bridge/receiver"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web/view"
)

// reloadStore is what a reload asks of the store.
type reloadStore interface {
	OpenTellings(ctx context.Context) (map[string][]string, error)
	Held(ctx context.Context) ([]string, error)
	RecordLoad(ctx context.Context, l incident.ConfigLoad) error
	Apply(ctx context.Context, p incident.Plan) error
	Now() time.Time
}

// reloader puts another configuration in force while the bridge runs (routing
// rule 36). One that has a fault changes nothing.
type reloader struct {
	// path is the file's, load reads it; nil where there is none to read again.
	path     string
	load     func() (*config.Config, error)
	store    reloadStore
	dispatch *dispatch.Dispatcher
	live     *live
	crew     *crew
	arrivals *arrivals
	silencer *silencer
	// prepare compiles sources for the public listener; nil where none listens.
	prepare func([]receiver.Source) (use func(), err error)
	shown   []shown // the listeners' certificates
	metrics *metrics
	log     *slog.Logger

	// mu keeps two reloads, or a reload and a silence, from undoing each other.
	mu sync.Mutex
	// read is the hash of the file as it was read last.
	read string
	// problem is why the file, as it was read last, is not in force; since then.
	problem string
	since   time.Time
}

// run notes what the bridge was started with, and reloads on SIGHUP and when the
// file's content has changed, until ctx ends.
func (r *reloader) run(ctx context.Context) error {
	cfg := r.live.cfg()
	r.metrics.loaded(cfg.ShortHash(), true, r.store.Now())
	r.record(ctx, incident.ConfigLoad{Hash: cfg.Hash, By: byStart}, "")
	// Hours, and silences of the file, may be others than when it stopped.
	if err := r.recheck(ctx); err != nil && ctx.Err() == nil {
		r.log.Error("what is held was not looked at anew; it is at its time", "err", err)
	}
	if r.load == nil {
		<-ctx.Done()
		return nil
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	defer signal.Stop(asked)
	watched := make(chan error, 1)
	go func() { watched <- watchFile(ctx, r.path, r.log, r.changed) }()
	for {
		select {
		case <-asked:
			_, _ = r.reload(ctx, bySignal) // what is wrong is logged, counted and told
		case <-ctx.Done():
			return <-watched
		}
	}
}

// reload reads the file and puts it in force, or says why not. by is a user's
// name, "signal" or "file".
func (r *reloader) reload(ctx context.Context, by string) (view.Reload, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.locked(ctx, by)
}

// changed reloads a file whose content is not what was read last.
func (r *reloader) changed(ctx context.Context, sum string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sum != r.read {
		_, _ = r.locked(ctx, byFile) // what is wrong is logged, counted and told
	}
}

func (r *reloader) locked(ctx context.Context, by string) (view.Reload, error) {
	if r.load == nil {
		return view.Reload{}, errors.New("this bridge was not started from a file")
	}
	was := r.live.cfg()
	r.read, _ = contentOf(r.path) // a file that cannot be read has no hash
	next, err := r.load()
	if err != nil {
		r.refused(ctx, r.read, by, err)
		return view.Reload{}, err
	}
	r.read = next.Hash
	answer := view.Reload{
		Config: next.ShortHash(), Was: was.ShortHash(), Restart: config.Differences(was, next),
	}
	answer.Warnings = r.unused()
	for _, w := range next.Warnings {
		answer.Warnings = append(answer.Warnings, w.String())
		r.log.Warn("configuration", "warning", w.String())
	}
	if next, err = next.Keeping(was); err == nil {
		err = r.swap(ctx, next)
	}
	if err != nil {
		r.refused(ctx, r.read, by, err)
		return view.Reload{}, err
	}
	r.accepted(ctx, by, answer)
	return answer, nil
}

// swap compiles a configuration and puts it in force.
func (r *reloader) swap(ctx context.Context, next *config.Config) error {
	if err := checkTellings(ctx, r.store, next); err != nil {
		return err
	}
	p, err := compile(next)
	if err != nil {
		return err
	}
	if p, err = r.quieted(ctx, p); err != nil {
		return err
	}
	listen := func() {}
	if r.prepare != nil {
		if listen, err = r.prepare(next.Sources); err != nil { // {url} may need another server.public_url
			return fmt.Errorf("with server as it was at the start: %w", err)
		}
	}
	if err := r.dispatch.Use(p.rules(r.arrivals), r.crew.senders(next)); err != nil {
		return err
	}
	r.live.now.Store(&inForce{next, p})
	// The listener comes last: whatever it takes by the new sources is then
	// planned by the new mappings and rules.
	r.metrics.expect(next.Sources)
	r.arrivals.use(next.Sources)
	listen()
	return nil
}

// quieted are the parts with the silences that were made at run time.
func (r *reloader) quieted(ctx context.Context, p parts) (parts, error) {
	made, err := r.silencer.Standing(ctx)
	if err != nil {
		return p, fmt.Errorf("silences: %w", err)
	}
	machine := *p.machine
	machine.Silences = p.table.Silences(made)
	p.machine = &machine
	return p, nil
}

// requiet takes the silences over that stand now, and looks anew at what is
// held: the silence of it may have been ended.
func (r *reloader) requiet(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	cfg := r.live.cfg()
	p, err := r.quieted(ctx, r.live.now.Load().parts)
	if err != nil {
		return err
	}
	if err := r.dispatch.Use(p.rules(r.arrivals), r.crew.senders(cfg)); err != nil {
		return err
	}
	r.live.now.Store(&inForce{cfg, p})
	return r.recheck(ctx)
}

// recheck looks anew at everything that is held back.
func (r *reloader) recheck(ctx context.Context) error {
	ids, err := r.store.Held(ctx)
	if err != nil {
		return err
	}
	return r.dispatch.Recheck(ctx, ids...)
}

// accepted records that a configuration is in force.
func (r *reloader) accepted(ctx context.Context, by string, a view.Reload) {
	cfg := r.live.cfg()
	r.problem = ""
	r.metrics.loaded(cfg.ShortHash(), true, r.store.Now())
	result := "was " + a.Was
	if len(a.Restart) > 0 {
		result += "; only a restart puts in force: " + strings.Join(a.Restart, ", ")
		r.log.Warn("a part of the configuration needs a restart", "sections", strings.Join(a.Restart, ", "))
	}
	r.log.Info("configuration reloaded", "config", a.Config, "was", a.Was, "by", by)
	r.record(ctx, incident.ConfigLoad{Hash: cfg.Hash, By: by}, result)
	if err := r.recheck(ctx); err != nil && ctx.Err() == nil {
		r.log.Error("what is held was not looked at anew; it is at its time", "err", err)
	}
}

// refused records that a configuration is not in force, and why.
func (r *reloader) refused(ctx context.Context, hash, by string, why error) {
	if r.problem == "" {
		r.since = r.store.Now()
	}
	r.problem = why.Error()
	r.metrics.loaded(r.live.cfg().ShortHash(), false, r.store.Now())
	if faults, ok := errors.AsType[config.Faults](why); ok {
		for _, f := range faults {
			r.log.Error("configuration refused; the one before stays in force", "fault", f.String())
		}
	} else {
		r.log.Error("configuration refused; the one before stays in force", "fault", why)
	}
	r.record(ctx, incident.ConfigLoad{Hash: hash, By: by, Problem: r.problem}, "refused: "+r.problem)
}

// record keeps what was loaded: what decides, so that decisions can be
// explained, and the deed.
func (r *reloader) record(ctx context.Context, l incident.ConfigLoad, result string) {
	var problem error
	if l.At = r.store.Now(); l.Problem == "" {
		l.Doc, problem = docOf(r.live.cfg())
	}
	if problem == nil {
		problem = r.store.RecordLoad(ctx, l)
	}
	if l.By != byStart {
		problem = errors.Join(problem, r.store.Apply(ctx, incident.Plan{Audit: []incident.Audit{{
			Actor: l.By, Action: incident.AuditReloaded, Subject: l.Hash[:min(12, len(l.Hash))], Result: result,
		}}}))
	}
	if problem != nil && ctx.Err() == nil {
		r.log.Error("the load of the configuration is not recorded", "err", problem)
	}
}

// Who loads a configuration where no person does.
const (
	byStart  = "start"
	byFile   = "file"
	bySignal = "signal"
)

// troubles tells that a file, the configuration's or a certificate's, is not what
// is in force.
func (r *reloader) troubles(context.Context, func(kind, subject string) bool) ([]trouble, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.stale()
	if r.problem == "" {
		return list, nil
	}
	first, _, _ := strings.Cut(r.problem, "\n")
	return append(list, trouble{
		kind: configRejected, subject: "configuration", environment: event.Production,
		text: fmt.Sprintf("the changed configuration was refused at %s UTC, and the one before stays in force: %s",
			r.since.UTC().Format("15:04"), first),
	}), nil
}

// checkTellings refuses a configuration that forgets a notifier to which the
// end of an incident is still owed.
func checkTellings(ctx context.Context, s reloadStore, cfg *config.Config) error {
	told, err := s.OpenTellings(ctx)
	if err != nil {
		return err
	}
	for _, n := range cfg.Notifiers {
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
