package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

const (
	// settledAfter is how old an open member is before it is asked after: most
	// recoveries come by webhook.
	settledAfter   = 15 * time.Minute
	maxMembers     = 500
	maxPartners    = 20
	maxReadings    = 100
	partnerPages   = 20
	everybodyPages = 50
	// maxStrikes failed calls end a round.
	maxStrikes = 3
)

// deliveryClasses are those whose failure the status "failed" speaks of. An
// acknowledgment that is overdue, an MDN or an SLA is none of them.
var deliveryClasses = map[event.Class]bool{
	event.Connectivity: true, event.Authentication: true, event.Certificate: true,
	event.Configuration: true, event.Integrity: true, event.PartnerFault: true,
	event.Validation: true, event.MappingFault: true, event.Storage: true,
	event.Platform: true, event.UnknownClass: true,
}

// open is one open transaction to be asked after.
type open struct {
	transaction string
	partner     string // "" where no event told
	failed      time.Time
}

// key tells this failure of the transaction from another of the same.
func (o open) key() string { return o.transaction + "@" + strconv.FormatInt(o.failed.UnixMicro(), 10) }

// group is what one listing can answer.
type group struct {
	partner string
	open    []open
}

// members asks after what is open, a bounded part each round, in turns.
func (r *round) members(ctx context.Context) error {
	if r.more {
		return nil // catching up goes first
	}
	s, c := r.p.store, r.p.client
	limit := maxMembers
	if c.CanReadOne() {
		limit = maxReadings
	}
	// What another source of this environment told of is not Datasync's to list:
	// there, to be missing says nothing.
	page, next, err := s.OpenMembers(ctx, r.p.cfg.Source, c.Environment(), r.at.Add(-settledAfter), limit, r.state.After)
	if errors.Is(err, event.ErrNotFound) { // a token of another version's
		r.state.After, r.state.Partner = "", ""
		return nil
	}
	if err != nil {
		return err
	}
	groups := byPartner(page)
	if c.CanReadOne() {
		r.state.After = next
		return r.readEach(ctx, groups)
	}
	if r.state.Partner != "" {
		groups = slices.DeleteFunc(groups, func(g group) bool { return g.partner <= r.state.Partner })
	}
	r.state.Partner = ""
	if len(groups) > maxPartners {
		groups = groups[:maxPartners]
		r.state.Partner = groups[maxPartners-1].partner
	} else {
		r.state.After = next
	}
	return r.listEach(ctx, groups)
}

// byPartner groups the transactions that may be asked after, by partner in the
// order of their ids.
func byPartner(page []incident.MatchedMember) []group {
	of, known := map[string][]open{}, map[string]bool{}
	for _, m := range page {
		o := open{m.Transaction, m.PartnerID, m.OccurredAt}
		if m.Transaction == "" || !deliveryClasses[m.Class] || known[o.key()] {
			continue // nothing to ask after, or another class of the same failure
		}
		known[o.key()] = true
		of[o.partner] = append(of[o.partner], o)
	}
	groups := make([]group, 0, len(of))
	for _, partner := range slices.Sorted(maps.Keys(of)) {
		groups = append(groups, group{partner, of[partner]})
	}
	return groups
}

// readEach reads each transaction: its status says, and a transaction that is
// not found says nothing.
func (r *round) readEach(ctx context.Context, groups []group) error {
	for _, g := range groups {
		for _, o := range g.open {
			t, err := r.p.client.Transaction(ctx, o.transaction)
			switch {
			case err != nil && !r.passOver(ctx, err):
				return err
			case err != nil:
				continue
			case t.ID != "" && t.ID != o.transaction:
				continue // an answer about another says nothing of this one
			}
			t.ID = o.transaction
			if err := r.judge(ctx, o, t, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// listEach looks for each transaction among those of its partner that failed.
//
// To be missing there is taken with care, because to settle wrongly would
// silence a page: only a listing that was read to its marked end counts, only
// the second one in a row settles, and only a listing that has shown that it
// works. One that asks for a partner under an id that Datasync does not have is
// complete, and empty. What was missing wrongly all the same is looked for a
// while yet, and taken as failing again where it is listed. Until a partner's listing has shown anything of the
// partner, all that failed anywhere is looked through instead.
func (r *round) listEach(ctx context.Context, groups []group) error {
	var rest []open
	for _, g := range groups {
		if g.partner == "" {
			rest = append(rest, g.open...)
			continue
		}
		found, listing, err := r.look(ctx, g, partnerPages)
		switch {
		case aboutOne(err):
			rest = append(rest, g.open...)
			continue
		case err != nil && !r.passOver(ctx, err):
			return err
		case err != nil:
			continue
		}
		_, proven := r.state.Proven[g.partner]
		if listing.Complete && !proven {
			rest = append(rest, g.open...)
			continue
		}
		if err := r.judgeAll(ctx, g.open, found, listing.Complete); err != nil {
			return err
		}
	}
	if len(rest) == 0 && len(r.state.Over) == 0 {
		return nil
	}
	found, listing, err := r.look(ctx, group{open: rest}, everybodyPages)
	if err != nil {
		return err
	}
	return r.judgeAll(ctx, rest, found, listing.Complete)
}

// look lists what failed and keeps what is asked after: memory holds one page.
func (r *round) look(ctx context.Context, g group, pages int) (map[string]datasync.Transaction, datasync.Listing, error) {
	wanted := map[string]bool{}
	for _, o := range g.open {
		wanted[o.transaction] = true
	}
	var fault error
	found := map[string]datasync.Transaction{}
	query := datasync.TransactionQuery{Status: "failed", Partner: g.partner, MaxPages: pages}
	listing, err := r.p.client.Transactions(ctx, query, func(t datasync.Transaction) bool {
		if wanted[t.ID] {
			found[t.ID] = t
		}
		if g.partner != "" && (wanted[t.ID] || t.PartnerID == g.partner) {
			r.state.Proven[g.partner] = r.at.Unix()
		}
		if _, over := r.state.Over[t.ID]; over {
			fault = r.take(ctx, t)
		}
		return fault == nil
	})
	return found, listing, errors.Join(fault, err)
}

func (r *round) judgeAll(ctx context.Context, list []open, found map[string]datasync.Transaction, complete bool) error {
	for _, o := range list {
		t, listed := found[o.transaction]
		if !listed && !complete {
			continue
		}
		if !listed {
			t = datasync.Transaction{ID: o.transaction, PartnerID: o.partner}
		}
		if err := r.judge(ctx, o, t, !listed); err != nil {
			return err
		}
	}
	return nil
}

// judge settles an open transaction that has failed no longer: at once where a
// reading says so with a later time of its own, else when two readings in a row
// agree. What it says by any word that is not known is left as it is.
func (r *round) judge(ctx context.Context, o open, t datasync.Transaction, missing bool) error {
	says := verdictOf(t.Status)
	if env := r.p.client.Environment(); t.Environment != "" && t.Environment != env {
		says = unclear // it bears the same id elsewhere
	}
	if !missing && says != delivered && says != cancelled {
		delete(r.state.Absent, o.key())
		return nil
	}
	now := r.p.store.Now()
	a, again := r.state.Absent[o.key()]
	if !again {
		a = absence{Since: now}
	}
	certain := says == delivered && t.OccurredAt.After(o.failed) && !t.OccurredAt.After(now)
	if again && now.Sub(a.Last) >= r.p.cfg.Every/2 {
		certain = true
	}
	if !again || certain {
		a.Last = now
	}
	if certain && !a.Told {
		in := cleared(t, r.p.cfg.Source, r.p.client.Environment(), o.failed, a.Since)
		if says == delivered {
			at := a.Since
			if t.OccurredAt.After(o.failed) && !t.OccurredAt.After(now) {
				at = t.OccurredAt
			}
			in = arrived(t, r.p.cfg.Source, r.p.client.Environment(), at)
		}
		if _, err := r.p.store.Accept(ctx, in.Received(now)); err != nil {
			return err
		}
		a.Told = true
		if says != delivered {
			r.state.Over[o.transaction] = a.Since
		}
		r.cleared++
	}
	r.state.Absent[o.key()] = a
	return nil
}

// passOver reports whether the round goes on after an error: one that concerns
// what was asked for says nothing else, and one or two that do not must not
// keep the others behind them from ever being asked after.
func (r *round) passOver(ctx context.Context, err error) bool {
	if aboutOne(err) {
		return true
	}
	r.strikes++
	return ctx.Err() == nil && r.strikes < maxStrikes
}

// aboutOne reports an error that concerns what was asked for, not the API.
func aboutOne(err error) bool {
	e, ok := errors.AsType[*datasync.Error](err)
	return ok && (e.Kind == datasync.NotFound || e.Kind == datasync.Payload)
}
