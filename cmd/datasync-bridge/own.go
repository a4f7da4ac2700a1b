package main

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"datasync-bridge/datasync/reconcile"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// What the bridge tells of itself (routing rule 40): each begins by one event
// and ends by another, about the same subject.
const (
	signaturesFailing = "bridge.signatures_failing"
	mappingBroken     = "bridge.mapping_broken"
	deliveryDead      = "bridge.delivery_dead"
	queueOld          = "bridge.queue_old"
	storeDegraded     = "bridge.store_degraded"
	configRejected    = "bridge.config_rejected"
)

// endedBy names the event that ends each, and what it says.
var endedBy = map[string]struct{ kind, text string }{
	signaturesFailing: {"bridge.signatures_verified", "a delivery was verified again, or its source is no longer configured"},
	mappingBroken:     {"bridge.mapping_mended", "an event was mapped again, or its source is no longer configured"},
	deliveryDead:      {"bridge.delivery_restored", "no notification was given up for half an hour"},
	queueOld:          {"bridge.queue_drained", "nothing waits too long any more"},
	storeDegraded:     {"bridge.store_restored", "the store is well again"},
	configRejected:    {"bridge.config_accepted", "the file is in force"},
}

// trouble is one of the bridge's own, as long as it lasts.
type trouble struct {
	kind        string
	subject     string
	text        string
	environment event.Environment
}

func (t trouble) is(o trouble) bool {
	return t.kind == o.kind && t.subject == o.subject && t.environment == o.environment
}

// look finds the troubles of certain kinds that last now. told reports whether
// one was told and has not ended.
type look struct {
	kinds []string
	find  func(ctx context.Context, told func(kind, subject string) bool) ([]trouble, error)
}

// ownStore keeps what the bridge tells of itself, and knows what is open.
type ownStore interface {
	Accept(ctx context.Context, in event.Received) (event.Receipt, error)
	Incidents(ctx context.Context, f incident.Filter) ([]incident.Incident, error)
	Now() time.Time
}

// watchEvery is how often the bridge looks at itself.
const watchEvery = 15 * time.Second

// ownWatch tells by ordinary events what the bridge finds wrong with itself, and
// when that is over.
type ownWatch struct {
	store ownStore
	looks []look
	log   *slog.Logger
	told  []trouble
}

// run looks until ctx ends.
func (w *ownWatch) run(ctx context.Context) error {
	if err := w.remember(ctx); err != nil && ctx.Err() == nil {
		w.log.Warn("what the bridge told of itself before is not known", "err", err)
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.look(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *ownWatch) look(ctx context.Context) {
	for _, l := range w.looks {
		now, err := l.find(ctx, w.isTold)
		if err != nil {
			if ctx.Err() == nil {
				w.log.Warn("the bridge could not look at itself", "for", l.kinds[0], "err", err)
			}
			continue
		}
		for _, t := range now {
			if !slices.ContainsFunc(w.told, t.is) && w.tell(ctx, t, t.kind, t.text) {
				w.told = append(w.told, t)
			}
		}
		w.told = slices.DeleteFunc(w.told, func(t trouble) bool {
			over := slices.Contains(l.kinds, t.kind) && !slices.ContainsFunc(now, t.is)
			return over && w.tell(ctx, t, endedBy[t.kind].kind, endedBy[t.kind].text)
		})
	}
}

func (w *ownWatch) isTold(kind, subject string) bool {
	return slices.ContainsFunc(w.told, func(t trouble) bool { return t.kind == kind && t.subject == subject })
}

// tell keeps an event, and reports whether it is kept.
func (w *ownWatch) tell(ctx context.Context, t trouble, kind, text string) bool {
	_, err := w.store.Accept(ctx, reconcile.OwnEvent(kind, t.subject, text, t.environment, w.store.Now()))
	if err != nil && ctx.Err() == nil {
		w.log.Error("the bridge's own event is not kept; trying again", "type", kind, "err", err)
	}
	return err == nil
}

// remember finds what an earlier process has told and nobody has ended.
func (w *ownWatch) remember(ctx context.Context) error {
	open, err := w.store.Incidents(ctx, incident.Filter{State: string(incident.Open), Source: reconcile.OwnSource, Limit: 1000})
	if err != nil {
		return err
	}
	for _, i := range open {
		subject, _ := i.Lead.Fields[event.BridgeSubject].(string)
		if _, ours := endedBy[i.Lead.Type]; ours && i.Class == event.BridgeClass {
			w.told = append(w.told, trouble{kind: i.Lead.Type, subject: subject, environment: i.Environment})
		}
	}
	return nil
}
