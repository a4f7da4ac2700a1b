package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

// Types that mean more than their effect.
const (
	typeRetrying = "transaction.retrying"
	typeFailed   = "transaction.failed"
	typeExpiring = "partner.certificate_expiring"
	typeExpired  = "partner.certificate_expired"
	typeRestored = "partner.connection_restored"
	typeCleared  = "transaction.cleared" // the bridge's own: no longer listed as failed
)

// reach is what a settling type ends, and how it is found: the first level at
// which it finds an open member counts.
type reach struct {
	only, except []event.Class
	levels       []level
}

var reaches = map[string]reach{
	"mdn.received": {
		only:   []event.Class{event.MDNTimeout, event.MDNNegative},
		levels: []level{byTransaction, byMessage, byInterchange},
	},
	"acknowledgment.received": {
		only:   []event.Class{event.FunctionalReject, event.AckOverdue, event.MDNTimeout},
		levels: []level{byTransaction, byMessage, byInterchange},
	},
	"transaction.delivered":       {except: acknowledged, levels: []level{byTransaction, byMessage, byInterchange}},
	"partner.certificate_updated": {levels: []level{byCertificate}},
	typeRestored:                  {levels: []level{byConnection, byUnnamedProtocol}},
	"automation.completed":        {only: []event.Class{event.AutomationFault}, levels: []level{byTransaction, byRun}},
	typeCleared:                   {only: deliveries, levels: []level{byTransaction}},
	"bridge.webhooks_resumed":     ofBridge,
	"bridge.signatures_verified":  ofBridge,
	"bridge.delivery_restored":    ofBridge,
	"bridge.queue_drained":        ofBridge,
	"bridge.store_restored":       ofBridge,
	"bridge.mapping_mended":       ofBridge,
	"bridge.config_accepted":      ofBridge,
}

// ofBridge ends one of the bridge's own troubles.
var ofBridge = reach{only: []event.Class{event.BridgeClass}, levels: []level{byBridge}}

// deliveries are the classes of what a listing of failed transactions can show:
// that one is no longer on it says nothing of MDNs, acknowledgments or deadlines.
var deliveries = append(slices.Clone(event.Categories), event.UnknownClass)

// acknowledged classes are about the partner's acknowledgment: a delivery says
// nothing of it.
var acknowledged = []event.Class{event.FunctionalReject, event.AckOverdue}

// reachOf gives a type that an operator's mapping made settling the reach of a
// delivery, on whatever it is about.
func reachOf(eventType string) reach {
	if r, ok := reaches[eventType]; ok {
		return r
	}
	return reach{
		except: acknowledged,
		levels: []level{byTransaction, byMessage, byInterchange, byCertificate, byConnection, byRun},
	}
}

func (r reach) settles(c event.Class) bool {
	return !slices.Contains(r.except, c) && (len(r.only) == 0 || slices.Contains(r.only, c))
}

// settle ends the members that a recovery is about.
func (d *draft) settle() {
	if d.ev.Authentic { // an unsigned one could mute the signed failures that arrive after it
		d.recover()
	}
	found, level := d.found()
	touched := map[string]*change{}
	var order []string
	for _, m := range found {
		if d.ev.OccurredAt.Before(m.OccurredAt) {
			d.because(fmt.Sprintf("%s failed again after this (at %s): it stays open", m.ID, clock(m.OccurredAt)))
			continue
		}
		if !d.ev.Authentic && d.m.paged(*d.in.View.incident(m.Incident, d.ev.Environment)) {
			d.because(fmt.Sprintf("not signed, so it cannot end %s: somebody was paged for that", m.ID))
			continue
		}
		c := touched[m.Incident]
		if c == nil {
			c = d.change(*d.in.View.incident(m.Incident, d.ev.Environment))
			touched[m.Incident] = c
			order = append(order, m.Incident)
		}
		c.settle(m.Member, d.ev.ID)
		how := ""
		if d.ev.Type == typeCleared {
			how = ": no longer listed as failed by Datasync"
			c.inc.Polling.Cleared++
		}
		c.say("settled", fmt.Sprintf("%s settled by %s%s", m.ID, d.ev.Type, how))
	}
	d.restored(touched)
	if len(order) == 0 {
		d.decide(Unfitting, "nothing open that it could settle: stored, not sent")
		return
	}
	d.dec.Incident = order[0]
	d.decide(Settled, fmt.Sprintf("settles %s, found by %s", strings.Join(order, ", "), level))
	for _, id := range order {
		touched[id].calm()
		touched[id].commit(&d.plan)
	}
}

// paged reports whether a pager knows of an incident, or is about to.
func (m *Machine) paged(inc Incident) bool {
	return slices.ContainsFunc(inc.Told, func(t Telling) bool { return !t.Over && m.Notifiers[t.Notifier].Pager })
}

// found returns the open members that the event is about, by the first level
// that has any.
func (d *draft) found() (members []MatchedMember, by string) {
	r := reachOf(d.ev.Type)
	for _, level := range r.levels {
		handles := level(d.ev)
		for _, m := range d.in.View.Matched {
			if d.isOpen(m) && r.settles(m.Class) && sharesHandle(m.Member, handles) && aboutSame(d.ev, m.Member) {
				members = append(members, m)
			}
		}
		if len(members) > 0 {
			kind, _, _ := strings.Cut(handles[0], ":")
			return members, levelNames[kind]
		}
	}
	return nil, ""
}

var levelNames = map[string]string{
	"txn": "transaction id", "msg": "AS2 message id", "icn": "interchange control number",
	"cert": "certificate id", "conn": "partner and protocol", "conns": "partner", "run": "run id",
	"bridge": "subject",
}

func (d *draft) isOpen(m MatchedMember) bool {
	inc := d.in.View.incident(m.Incident, d.ev.Environment)
	return m.Open && inc != nil && inc.State == Open
}

func sharesHandle(m Member, handles []string) bool {
	return slices.ContainsFunc(handles, func(h string) bool { return h == m.ID || slices.Contains(m.Handles, h) })
}

// aboutSame compares group and set where both sides have them. One interchange,
// and one AS2 message, carries many transactions: two that differ by id are the
// same document, sent again, only if their set numbers are there and equal.
func aboutSame(ev event.Event, m Member) bool {
	group, set := cut(ev.Text(event.FunctionalGroup), 100), cut(ev.Text(event.TransactionSet), 100)
	if group != "" && m.Group != "" && group != m.Group || set != "" && m.Set != "" && set != m.Set {
		return len(byTransaction(ev)) > 0 && m.ID == byTransaction(ev)[0]
	}
	txn := byTransaction(ev)
	if len(txn) == 0 || !strings.HasPrefix(m.ID, "txn:") || m.ID == txn[0] {
		return true
	}
	return set != "" && set == m.Set
}

// restored leaves a line on the incidents of a partner whose connection is
// back. It settles no transaction: each says itself when it was delivered.
func (d *draft) restored(settled map[string]*change) {
	h := partnerHandle(d.ev)
	if d.ev.Type != typeRestored || h == "" {
		return
	}
	noted := map[string]bool{}
	for _, m := range d.in.View.Matched {
		if noted[m.Incident] || settled[m.Incident] != nil || !d.isOpen(m) || !slices.Contains(m.Handles, h) {
			continue
		}
		noted[m.Incident] = true
		c := d.change(*d.in.View.incident(m.Incident, d.ev.Environment))
		text := "the partner's " + strings.TrimSpace(cut(d.ev.Text(event.Protocol), 20)+" connection") +
			" was restored at " + clock(d.ev.OccurredAt)
		c.noteLine(text)
		c.say("note", text)
		c.editAll()
		c.commit(&d.plan)
		d.because("noted on " + c.inc.ID)
	}
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
