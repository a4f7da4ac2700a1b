package incident

import (
	"time"

	"datasync-bridge/event"
)

// happening is one event of a story with what routing would say to it.
type happening struct {
	ev   event.Event
	d    Decision
	runs []Run
}

func happens(eventType string, effect event.Effect, class event.Class, with ...func(*happening)) happening {
	h := happening{
		ev: event.Event{
			Source: "datasync", Environment: event.Production, Origin: event.OriginWebhook, Authentic: true,
			Type: eventType, Known: true, Effect: effect, Class: class, Fields: map[string]any{},
		},
		d: Decision{Severity: event.Error, Group: Group{Interval: time.Hour, MaxMembers: 20}},
	}
	for _, f := range with {
		f(&h)
	}
	return h
}

func failed(txn string, with ...func(*happening)) happening {
	base := []func(*happening){about(txn), partner("P1"), to("slack")}
	return happens("transaction.failed", event.Open, event.Connectivity, append(base, with...)...)
}

func delivered(txn string, with ...func(*happening)) happening {
	return happens("transaction.delivered", event.Settle, event.UnknownClass, append([]func(*happening){about(txn), partner("P1")}, with...)...)
}

func with(path string, v any) func(*happening) {
	return func(h *happening) { h.ev.Fields[path] = v }
}

func about(txn string) func(*happening) {
	return func(h *happening) {
		if txn != "" {
			h.ev.Fields[event.TransactionID] = txn
		}
	}
}

func partner(id string) func(*happening) { return with(event.PartnerID, id) }

func to(names ...string) func(*happening) {
	return func(h *happening) {
		h.d.Notifiers = nil
		for _, n := range names {
			h.d.Notifiers = append(h.d.Notifiers, Routed{Notifier: n, By: []string{"rule"}})
		}
	}
}

func as(s event.Severity) func(*happening) { return func(h *happening) { h.d.Severity = s } }
func wait(d time.Duration) func(*happening) {
	return func(h *happening) { h.d.Group.Wait = d }
}
func decided(f func(*Decision)) func(*happening) { return func(h *happening) { f(&h.d) } }
func but(f func(*event.Event)) func(*happening)  { return func(h *happening) { f(&h.ev) } }
func occurred(at time.Time) func(*happening)     { return func(h *happening) { h.ev.OccurredAt = at } }
func proposing(runs ...Run) func(*happening)     { return func(h *happening) { h.runs = runs } }
func escalating(s ...EscalateStep) func(*happening) {
	return func(h *happening) { h.d.Escalate = s }
}
