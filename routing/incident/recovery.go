package incident

import (
	"slices"

	"datasync-bridge/event"
)

// Kinds of Recovery that are no recovery but a mark of something seen.
const (
	markRetrying  = "retrying"
	markThreshold = "threshold"
	markFailed    = "failed" // by webhook
	markPolled    = "polled" // by polling
)

func (r Recovery) isMark() bool {
	switch r.Type {
	case markRetrying, markThreshold, markFailed, markPolled:
		return true
	}
	return false
}

// after reports whether a recovery ended what a mark tells. At equal times the
// one that arrived later is the newer.
func (r Recovery) after(mark Recovery) bool {
	return r.OccurredAt.After(mark.OccurredAt) ||
		r.OccurredAt.Equal(mark.OccurredAt) && r.ReceivedAt.After(mark.ReceivedAt)
}

// recoveryHandles are where a recovery is remembered. Those that name a whole
// message or interchange have a name of their own, so that an opening that asks
// for them does not load every member of it.
func recoveryHandles(ev event.Event) []string {
	if ev.Type == typeCleared {
		return byTransaction(ev)
	}
	var list []string
	for _, level := range []level{byBridge, byTransaction, byCertificate, byConnection, byAnyProtocol, byRun} {
		list = appendNew(list, level(ev)...)
	}
	return appendNew(list, seen(ev, byTransaction(ev) != nil)...)
}

// openingHandles are where an opening looks for a recovery of what it is about.
func openingHandles(ev event.Event) []string {
	var list []string
	for _, level := range []level{byBridge, byTransaction, byCertificate, byConnection, byUnnamedProtocol, byRun} {
		list = appendNew(list, level(ev)...)
	}
	list = appendNew(list, seen(ev, false)...)
	for _, h := range byInterchange(ev) {
		list = appendNew(list, "seen:"+h)
	}
	if byTransaction(ev) == nil {
		list = appendNew(list, seen(ev, true)...)
	}
	return list
}

// seen are the handles of message and interchange. A recovery that names its
// transaction speaks for that one only: a failure of another transaction in the
// same message is not older news than it.
func seen(ev event.Event, ofTransaction bool) []string {
	prefix := "seen:"
	if ofTransaction {
		prefix = "seen-txn:"
	}
	whole := bySet(ev)
	if whole == nil {
		whole = byInterchange(ev)
	}
	list := append(byMessage(ev), whole...)
	for i := range list {
		list[i] = prefix + list[i]
	}
	return list
}

// recover remembers when a recovery happened, whether or not it fits anything:
// an older failure may still be on its way.
func (d *draft) recover() {
	for _, h := range recoveryHandles(d.ev) {
		if old := d.mark(h, d.ev.Type); old == nil || old.OccurredAt.Before(d.ev.OccurredAt) {
			d.remember(d.recovery(h, d.ev.Type))
		}
	}
}

func (d *draft) remember(list ...Recovery) { d.plan.Recoveries = append(d.plan.Recoveries, list...) }

func (d *draft) recovery(handle, kind string) Recovery {
	return Recovery{
		Environment: d.ev.Environment, Handle: handle, Type: kind,
		OccurredAt: d.ev.OccurredAt, ReceivedAt: d.at, Event: d.ev.ID,
	}
}

// mark returns what is remembered of a kind for a handle, nil for nothing.
func (d *draft) mark(handle, kind string) *Recovery {
	for i := range d.in.View.Recoveries {
		r := &d.in.View.Recoveries[i]
		if r.Handle == handle && r.Type == kind && r.Environment == d.ev.Environment && handle != "" {
			return r
		}
	}
	return nil
}

// outdated returns the recovery that is newer than this opening, nil for none.
// At equal times the one that arrived later is the newer.
func (d *draft) outdated() *Recovery {
	handles := openingHandles(d.ev)
	for i := range d.in.View.Recoveries {
		r := &d.in.View.Recoveries[i]
		if r.Environment != d.ev.Environment || r.isMark() ||
			!slices.Contains(handles, r.Handle) || !reachOf(r.Type).settles(d.ev.Class) {
			continue
		}
		if r.Type == typeCleared && d.polled() && r.ReceivedAt.Before(d.at) {
			continue // a listing shows again what an earlier one left out
		}
		if r.OccurredAt.After(d.ev.OccurredAt) ||
			r.OccurredAt.Equal(d.ev.OccurredAt) && r.ReceivedAt.After(d.ev.ReceivedAt) {
			return r
		}
	}
	return nil
}
