package reconcile

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

const (
	// slice is the longest time range of one listing; one that does not end
	// within maxPages is halved down to the shortest.
	slice    = time.Hour
	shortest = time.Minute
	maxPages = 50
	// maxItems and maxTook end a poll early; the next goes on there.
	maxItems = 20000
	maxTook  = 2 * time.Minute
)

// Why an item of a listing was not taken.
const (
	skipStatus      = "status"      // it does not say that it failed
	skipEnvironment = "environment" // it says another than the client's
	skipID          = "id"          // it has none
	skipHistory     = "history"     // it failed before the first poll began
	skipUnread      = "unread"      // not an item, but a minute whose listing shows more than can be read
)

// round is one poll: what it asks, and what it has come to.
type round struct {
	p     *Poller
	at    time.Time
	poll  incident.Poll
	state state
	// listed counts items, to bound the work of one poll; more reports that
	// work was left for the next.
	listed  int
	more    bool
	strikes int // failed calls that the round went on after
	found   int
	cleared int
	skipped map[string]int
}

// failures reads what failed since the watermark, slice by slice, oldest first,
// so that a poll that is cut short has a watermark to show for it.
func (r *round) failures(ctx context.Context) error {
	if r.poll.Watermark.IsZero() {
		r.state.Floor = r.at.Add(-r.p.back)
		r.poll.Watermark = r.state.Floor
	}
	if r.poll.Watermark.After(r.at) {
		r.poll.Watermark = r.at // a clock was wrong: waiting for it to come true would poll nothing
	}
	from, span := r.begin()
	for from.Before(r.at) {
		until := from.Add(span)
		if until.After(r.at) {
			until = r.at
		}
		whole, err := r.list(ctx, from, until)
		half := max(shortest, until.Sub(from)/2)
		if err != nil {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				r.state.Rest = rest{from, half, r.at}
			}
			return err
		}
		if !whole && until.Sub(from) > shortest {
			span = half
		} else {
			if !whole {
				r.unread(from, until)
			}
			from, span = until, min(slice, 2*span)
			if until.After(r.poll.Watermark) {
				r.poll.Watermark = until
			}
		}
		if from.Before(r.at) && (r.listed >= maxItems || r.p.store.Now().Sub(r.at) >= maxTook) {
			r.more, r.state.Rest = true, rest{from, span, r.at}
			return nil
		}
	}
	return nil
}

// begin is where the round begins to read, and by what slices: where the last
// one left off, if that was just now, else an overlap before the watermark.
func (r *round) begin() (from time.Time, span time.Duration) {
	last := r.state.Rest
	r.state.Rest = rest{}
	if !last.From.IsZero() && !last.From.After(r.at) && r.at.Sub(last.At).Abs() <= max(r.p.cfg.Overlap, lease) {
		return last.From, min(slice, max(shortest, last.Span))
	}
	from = r.poll.Watermark.Add(-r.p.cfg.Overlap)
	if from.Before(r.state.Floor) {
		from = r.state.Floor
	}
	return from, slice
}

// unread says that polling does not find all that failed in a time range; once
// a round, for there may be many of them.
func (r *round) unread(from, until time.Time) {
	if r.skipped == nil {
		r.skipped = map[string]int{}
	}
	if r.skipped[skipUnread]++; r.skipped[skipUnread] > 1 {
		return
	}
	r.p.o.Log.Warn("more failed within a minute than a listing holds, or its next page is not found; the rest is not found by polling; "+
		"check datasync.transactions", "source", r.p.cfg.Source, "from", from, "until", until)
}

// list takes what failed within a time range. It reports false if there is more
// than it can read.
func (r *round) list(ctx context.Context, from, until time.Time) (whole bool, err error) {
	var fault error
	query := datasync.TransactionQuery{Status: "failed", Since: from, Until: until, MaxPages: maxPages}
	listing, err := r.p.client.Transactions(ctx, query, func(t datasync.Transaction) bool {
		fault = r.take(ctx, t)
		return fault == nil
	})
	// An answer that neither marks its end nor shows more is all that there is
	// to read.
	return !listing.More, errors.Join(fault, err)
}

// take makes one finding durable, before the watermark may pass it.
func (r *round) take(ctx context.Context, t datasync.Transaction) error {
	r.listed++
	env := r.p.client.Environment()
	if why := r.skip(t, env); why != "" {
		if r.skipped == nil {
			r.skipped = map[string]int{}
		}
		r.skipped[why]++
		return nil
	}
	over := r.state.Over[t.ID]
	in := finding(t, r.p.cfg.Source, env, over).Received(r.p.store.Now())
	id, now := hex.EncodeToString(in.Key[:8]), r.p.store.Now()
	if _, seen := r.state.Seen[id]; !seen {
		receipt, err := r.p.store.Accept(ctx, in)
		if err != nil {
			return err
		}
		if receipt.Status == event.Accepted {
			r.found++
			r.state.isBack(t.ID, over)
			if r.p.o.Traffic != nil {
				_, heard := r.p.lastHeard()
				r.state.Quiet.found(t.OccurredAt, now, heard)
			}
		}
	}
	r.state.Seen[id] = now.Unix()
	return nil
}

// skip says why an item is not taken, "" if it is. A sandbox must never page as
// production, nor the other way, so an item that says another environment than
// was asked is nobody's.
func (r *round) skip(t datasync.Transaction, env event.Environment) string {
	switch {
	case verdictOf(t.Status) != failing:
		return skipStatus
	case t.Environment != "" && t.Environment != env:
		return skipEnvironment
	case t.ID == "":
		return skipID
	case !t.OccurredAt.IsZero() && t.OccurredAt.Before(r.state.Floor):
		return skipHistory
	}
	return ""
}

// tell counts what the round came to.
func (r *round) tell() {
	if r.found > 0 {
		r.p.o.Log.Info("polling found failures that it had not seen", "source", r.p.cfg.Source, "found", r.found)
		call(r.p.o.Observer.Found, r.found)
	}
	if r.cleared > 0 {
		r.p.o.Log.Info("open transactions have failed no longer", "source", r.p.cfg.Source, "cleared", r.cleared)
		call(r.p.o.Observer.Cleared, r.cleared)
	}
	for why, count := range r.skipped {
		if r.p.o.Observer.Skipped != nil {
			r.p.o.Observer.Skipped(why, count)
		}
	}
}
