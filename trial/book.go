package trial

import (
	"fmt"
	"slices"
	"time"

	"datasync-bridge/routing/incident"
)

// apply keeps what a plan wants.
func (k *book) apply(p incident.Plan, now time.Time) {
	for _, i := range p.Incidents {
		i.Version++
		i.Listed, i.Queue = nil, nil
		if row := k.incident(i.ID); row != nil {
			*row = i
		} else {
			k.incidents = append(k.incidents, i)
		}
	}
	for _, m := range p.Members {
		at := slices.IndexFunc(k.members, same(m))
		switch {
		case at < 0 && !m.Gone:
			k.members = append(k.members, m)
		case at >= 0 && m.Gone:
			k.members = slices.Delete(k.members, at, at+1)
		case at >= 0:
			k.members[at] = m
		}
	}
	for _, i := range p.Incidents {
		for at := range k.members {
			if k.members[at].Incident == i.ID && i.State == incident.Resolved {
				k.members[at].Open = false
			}
		}
	}
	k.remember(p.Recoveries)
	for _, n := range p.Notices {
		if k.notices[n.Key] = n; n.Since.IsZero() {
			delete(k.notices, n.Key)
		}
	}
	k.gather(p)
	k.setTimers(p)
	k.line(p, now)
}

// same finds the row that a member stands in.
func same(m incident.MatchedMember) func(incident.MatchedMember) bool {
	return func(o incident.MatchedMember) bool {
		return o.Incident == m.Incident && o.ID == m.ID && o.Class == m.Class
	}
}

// remember keeps the newest of each kind, and the first retry.
func (k *book) remember(recoveries []incident.Recovery) {
	for _, r := range recoveries {
		at := slices.IndexFunc(k.recoveries, func(o incident.Recovery) bool {
			return o.Environment == r.Environment && o.Handle == r.Handle && o.Type == r.Type
		})
		switch {
		case at < 0:
			k.recoveries = append(k.recoveries, r)
		case r.Type == "retrying" && r.OccurredAt.Before(k.recoveries[at].OccurredAt),
			r.Type != "retrying" && !r.OccurredAt.Before(k.recoveries[at].OccurredAt):
			k.recoveries[at] = r
		}
	}
}

// gather keeps the items of digests; those that ended go when theirs is told.
func (k *book) gather(p incident.Plan) {
	for _, item := range p.Digests {
		k.digests = slices.DeleteFunc(k.digests, func(o incident.DigestItem) bool {
			return o.Digest == item.Digest && o.Incident == item.Incident
		})
		if !item.Gone {
			k.digests = append(k.digests, item)
		}
	}
	for _, t := range p.ToldDigests {
		k.digests = slices.DeleteFunc(k.digests, func(o incident.DigestItem) bool {
			return o.Digest == t.Digest && !o.Ended.IsZero()
		})
		k.told = append(slices.DeleteFunc(k.told, func(o incident.ToldDigest) bool { return o.Digest == t.Digest }), t)
	}
}

// setTimers sets timers anew. The one that led here is gone, unless it was set.
func (k *book) setTimers(p incident.Plan) {
	drop := func(t incident.Timer) {
		k.timers = slices.DeleteFunc(k.timers, func(o incident.Timer) bool { return o.Kind == t.Kind && o.Subject == t.Subject })
	}
	if p.Consumed != nil {
		drop(*p.Consumed)
	}
	for _, t := range p.Timers {
		drop(t)
		if !t.DueAt.IsZero() {
			k.timers = append(k.timers, t)
		}
	}
}

// line queues deliveries; an edit replaces one that has not been sent.
func (k *book) line(p incident.Plan, now time.Time) {
	for _, drop := range p.Drops {
		k.queue = slices.DeleteFunc(k.queue, func(d incident.Delivery) bool { return d.ID == drop.Delivery })
	}
	for _, d := range p.Deliveries {
		k.seq++
		d.ID, d.Seq, d.State, d.QueuedAt = fmt.Sprintf("dl_%013d", k.seq), k.seq, incident.Waiting, now
		if d.NextAt.Before(now) {
			d.NextAt = now
		}
		if d.Kind == incident.Update {
			k.queue = slices.DeleteFunc(k.queue, func(o incident.Delivery) bool {
				return o.Kind == incident.Update && o.Incident == d.Incident && o.Notifier == d.Notifier
			})
		}
		k.queue = append(k.queue, d)
	}
}

// sent moves a delivery to those that are over.
func (k *book) sent(d incident.Delivery) {
	k.queue = slices.DeleteFunc(k.queue, func(o incident.Delivery) bool { return o.ID == d.ID })
	one := incident.Queued{
		ID: d.ID, Seq: d.Seq, Incident: d.Incident, Notifier: d.Notifier, Kind: d.Kind, Alarm: d.Alarm, State: incident.Sent, Attempted: true,
	}
	k.past = slices.DeleteFunc(k.past, func(o incident.Queued) bool {
		return o.Incident == d.Incident && o.Notifier == d.Notifier && o.Alarm == d.Alarm && o.Kind == d.Kind
	})
	k.past = append(k.past, one)
}

// ran keeps runs and gives new ones their ids.
func (k *book) ran(runs []incident.Run) []incident.Run {
	out := slices.Clone(runs)
	for i, r := range out {
		at := slices.IndexFunc(k.runs, func(o incident.Run) bool { return r.ID != "" && o.ID == r.ID })
		if at < 0 {
			out[i].ID = fmt.Sprintf("rn_%013d", len(k.runs)+1)
			k.runs = append(k.runs, out[i])
			continue
		}
		k.runs[at] = r
	}
	return out
}
