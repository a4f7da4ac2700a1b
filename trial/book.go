package trial

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// book is what a store would keep, as far as a plan reads it again. Members
// that are over are not: no plan asks for them.
type book struct {
	incidents  map[string]*kept
	open       map[place]*kept // by key
	resolved   map[place]*kept // the one resolved last, by key
	members    map[place][]*member
	recoveries map[place][]incident.Recovery
	notices    map[string]incident.Notice
	digests    map[string]map[string]incident.DigestItem // by digest and incident
	told       map[string]time.Time
	runs       map[string]incident.Run // those that have a key, by id
	timers     agenda[incident.Timer]
	timer      map[timerKey]*due[incident.Timer]
	queue      agenda[incident.Delivery] // not yet sent
	waiting    map[string]*due[incident.Delivery]

	deliveries, rows, set, numbered int64
	memory                          memory
}

// place is a key or a handle in its environment.
type place struct {
	environment event.Environment
	name        string
}

type timerKey struct {
	kind    incident.TimerKind
	subject string
}

// kept is an incident with what is loaded beside its row.
type kept struct {
	incident.Incident
	// members are the open ones, in the order in which they are listed.
	members []*member
	byName  map[memberName]*member
	// told are its deliveries by Seq: those unsent, and the last sent of each
	// notifier and alarm; in a trial that forgets, of each notifier.
	told []incident.Queued
}

type memberName struct {
	id    string
	class event.Class
}

// member is one that is open.
type member struct {
	incident.MatchedMember
	row int64
}

func newBook() book {
	return book{
		incidents: map[string]*kept{}, open: map[place]*kept{}, resolved: map[place]*kept{},
		members: map[place][]*member{}, recoveries: map[place][]incident.Recovery{},
		notices: map[string]incident.Notice{}, digests: map[string]map[string]incident.DigestItem{}, told: map[string]time.Time{},
		runs: map[string]incident.Run{}, timer: map[timerKey]*due[incident.Timer]{}, waiting: map[string]*due[incident.Delivery]{},
	}
}

// apply keeps what a plan wants.
func (k *book) apply(p incident.Plan, now time.Time) {
	for i := range p.Incidents {
		k.keep(p.Incidents[i])
	}
	for i := range p.Members {
		k.enrol(p.Members[i])
	}
	for i := range p.Incidents {
		if p.Incidents[i].State == incident.Resolved {
			k.end(k.incidents[p.Incidents[i].ID])
		}
	}
	for _, r := range p.Recoveries {
		k.remember(r)
	}
	for _, n := range p.Notices {
		if k.notices[n.Key] = n; n.Since.IsZero() {
			delete(k.notices, n.Key)
		}
	}
	k.gather(p)
	k.setTimers(p)
	k.line(p, now)
}

// keep stores an incident's row.
func (k *book) keep(i incident.Incident) {
	i.Version++
	i.Listed, i.Queue = nil, nil
	row := k.incidents[i.ID]
	if row == nil {
		row = &kept{byName: map[memberName]*member{}}
		k.incidents[i.ID] = row
	}
	row.Incident = i
	at := place{i.Environment, i.Key}
	if i.State == incident.Open {
		k.open[at] = row
	} else if k.open[at] == row {
		delete(k.open, at)
	}
}

// end closes what is still open in an incident that is over.
func (k *book) end(inc *kept) {
	for len(inc.members) > 0 {
		k.strike(inc, inc.members[len(inc.members)-1])
	}
	at := place{inc.Environment, inc.Key}
	if last := k.resolved[at]; last == nil || !inc.ResolvedAt.Before(last.ResolvedAt) {
		k.resolved[at] = inc
	}
	k.memory.ended = append(k.memory.ended, ended{inc.ID, inc.ResolvedAt})
}

// enrol stores a member: one that is open stands where it stood, one that is
// over goes.
func (k *book) enrol(m incident.MatchedMember) {
	inc := k.incidents[m.Incident]
	if inc == nil {
		return
	}
	row := k.rows
	if old := inc.byName[memberName{m.ID, m.Class}]; old != nil {
		row = old.row
		k.strike(inc, old)
	} else {
		k.rows++
	}
	if m.Gone || !m.Open {
		return
	}
	one := &member{m, row}
	inc.byName[memberName{m.ID, m.Class}] = one
	at, _ := slices.BinarySearchFunc(inc.members, one, byDeadline)
	inc.members = slices.Insert(inc.members, at, one)
	for i, h := range m.Handles {
		if slices.Contains(m.Handles[:i], h) {
			continue
		}
		at := place{inc.Environment, h}
		list := k.members[at]
		i, _ := slices.BinarySearchFunc(list, one, byRow)
		k.members[at] = slices.Insert(list, i, one)
	}
}

// strike takes an open member off the lists.
func (k *book) strike(inc *kept, one *member) {
	delete(inc.byName, memberName{one.ID, one.Class})
	if at, found := slices.BinarySearchFunc(inc.members, one, byDeadline); found {
		inc.members = slices.Delete(inc.members, at, at+1)
	}
	for _, h := range one.Handles {
		at := place{inc.Environment, h}
		list := k.members[at]
		i, found := slices.BinarySearchFunc(list, one, byRow)
		switch {
		case !found:
		case len(list) == 1:
			delete(k.members, at)
		default:
			k.members[at] = slices.Delete(list, i, i+1)
		}
	}
}

// byDeadline is the order in which members are listed: those with a deadline
// first, then by opening.
func byDeadline(a, b *member) int {
	if a.Due.IsZero() != b.Due.IsZero() {
		if a.Due.IsZero() {
			return 1
		}
		return -1
	}
	return cmp.Or(a.Due.Compare(b.Due), a.OpenedAt.Compare(b.OpenedAt), byRow(a, b))
}

func byRow(a, b *member) int { return cmp.Compare(a.row, b.row) }

// remember keeps the newest of each kind, and the first retry.
func (k *book) remember(r incident.Recovery) {
	at := place{r.Environment, r.Handle}
	list := k.recoveries[at]
	i := slices.IndexFunc(list, func(o incident.Recovery) bool { return o.Type == r.Type })
	switch {
	case i < 0:
		k.recoveries[at] = append(list, r)
	case r.Type == "retrying" && r.OccurredAt.Before(list[i].OccurredAt),
		r.Type != "retrying" && !r.OccurredAt.Before(list[i].OccurredAt):
		list[i] = r
	}
}

// gather keeps the items of digests; those that ended go when theirs is told.
func (k *book) gather(p incident.Plan) {
	for _, item := range p.Digests {
		if k.digests[item.Digest] == nil {
			k.digests[item.Digest] = map[string]incident.DigestItem{}
		}
		if k.digests[item.Digest][item.Incident] = item; item.Gone {
			delete(k.digests[item.Digest], item.Incident)
		}
	}
	for _, t := range p.ToldDigests {
		maps.DeleteFunc(k.digests[t.Digest], func(_ string, o incident.DigestItem) bool { return !o.Ended.IsZero() })
		k.told[t.Digest] = t.At
	}
}

// setTimers sets timers anew.
func (k *book) setTimers(p incident.Plan) {
	for _, t := range p.Timers {
		k.unset(t)
		if !t.DueAt.IsZero() {
			k.set++
			k.timer[timerKey{t.Kind, t.Subject}] = k.timers.put(t.DueAt, k.set, t)
		}
	}
}

func (k *book) unset(t incident.Timer) {
	key := timerKey{t.Kind, t.Subject}
	if old := k.timer[key]; old != nil {
		k.timers.drop(old)
		delete(k.timer, key)
	}
}

// line queues deliveries; an edit replaces one that has not been sent, and goes
// when that would have gone.
func (k *book) line(p incident.Plan, now time.Time) {
	for _, drop := range p.Drops {
		k.unqueue(drop.Delivery)
	}
	for _, d := range p.Deliveries {
		k.deliveries++
		d.ID, d.Seq, d.State, d.QueuedAt = fmt.Sprintf("dl_%013d", k.deliveries), k.deliveries, incident.Waiting, now
		if d.NextAt.Before(now) {
			d.NextAt = now
		}
		inc := k.incidents[d.Incident]
		if d.Kind == incident.Update && inc != nil {
			same := func(q incident.Queued) bool {
				return q.Kind == incident.Update && q.Notifier == d.Notifier && q.State == incident.Waiting
			}
			if i := slices.IndexFunc(inc.told, same); i >= 0 {
				if before := k.unqueue(inc.told[i].ID); before.NextAt.Before(d.NextAt) {
					d.NextAt = before.NextAt
				}
			}
		}
		k.waiting[d.ID] = k.queue.put(d.NextAt, d.Seq, d)
		if inc != nil {
			inc.told = append(inc.told, incident.Queued{
				ID: d.ID, Seq: d.Seq, Incident: d.Incident, Notifier: d.Notifier, Kind: d.Kind, Alarm: d.Alarm, State: incident.Waiting,
			})
		}
	}
}

// unqueue takes back a delivery that was not sent.
func (k *book) unqueue(id string) (d incident.Delivery) {
	q := k.waiting[id]
	if q == nil {
		return d
	}
	d = q.what
	k.queue.drop(q)
	delete(k.waiting, id)
	if inc := k.incidents[d.Incident]; inc != nil {
		inc.told = slices.DeleteFunc(inc.told, func(o incident.Queued) bool { return o.ID == id })
	}
	return d
}

// sent moves a delivery to those that are over, of which the last of each
// notifier and alarm stays.
func (k *book) sent(d incident.Delivery) {
	k.queue.drop(k.waiting[d.ID])
	delete(k.waiting, d.ID)
	inc := k.incidents[d.Incident]
	if inc == nil {
		return
	}
	inc.told = slices.DeleteFunc(inc.told, func(o incident.Queued) bool {
		return o.State == incident.Sent && o.Seq < d.Seq && o.Notifier == d.Notifier && (o.Alarm == d.Alarm || k.memory.forgets)
	})
	for i := range inc.told {
		if inc.told[i].ID == d.ID {
			inc.told[i].State, inc.told[i].Attempted = incident.Sent, true
		}
	}
}

// ran gives new runs their ids, and keeps those that events can name.
func (k *book) ran(runs []incident.Run) []incident.Run {
	out := slices.Clone(runs)
	for i := range out {
		if r := &out[i]; r.ID == "" {
			k.numbered++
			r.ID = fmt.Sprintf("rn_%013d", k.numbered)
		}
		if out[i].Key != "" {
			k.runs[out[i].ID] = out[i]
		}
	}
	return out
}
