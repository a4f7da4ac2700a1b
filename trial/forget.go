package trial

import (
	"slices"
	"strings"
	"time"

	"datasync-bridge/routing/incident"
)

// Memory is how long a trial remembers what is over, or as good as over. What is
// still to come is never forgotten.
type Memory struct {
	// Ended is for incidents, from their end: defaults.reopen_within, after which
	// no event asks for one.
	Ended time.Duration
	// Heard is for open members, from their newest failure: where no recovery
	// ever comes, and nobody resolves by hand, a busy incident would gather them
	// for ever. They count as open all the same.
	Heard time.Duration
	// Seen is for recoveries and what failures and retries leave, from when they
	// happened or arrived, the later: longer than any event comes late that can
	// still open something.
	Seen time.Duration
}

// memory is what a book forgets by.
type memory struct {
	Memory
	forgets bool
	ended   []ended // in the order of their end
	swept   time.Time
}

type ended struct {
	incident string
	at       time.Time
}

// Forget makes the trial forget, so that its size depends on what is open and
// not on what has been. It is called before the first event.
func (b *Bridge) Forget(m Memory) { b.book.memory.Memory, b.book.memory.forgets = m, true }

// forget drops what no plan can ask for any more, and calls gone for each
// incident that it drops.
func (k *book) forget(now time.Time, gone func(id string)) {
	m := &k.memory
	if !m.forgets {
		m.ended = nil
		return
	}
	n := 0
	var later []ended
	for ; n < len(m.ended) && now.Sub(m.ended[n].at) > m.Ended; n++ {
		one := m.ended[n]
		inc := k.incidents[one.incident]
		switch {
		case inc == nil || inc.State != incident.Resolved || !inc.ResolvedAt.Equal(one.at): // it came back
		case slices.ContainsFunc(inc.told, func(q incident.Queued) bool { return q.State == incident.Waiting }):
			later = append(later, ended{one.incident, one.at})
		default:
			k.drop(inc)
			gone(one.incident)
		}
	}
	if m.ended = m.ended[n:]; len(later) > 0 {
		m.ended = append(later, m.ended...)
	}
	if now.Sub(m.swept) > min(m.Seen, m.Heard)/8 {
		k.sweep(now.Add(-m.Seen))
		k.strikeOld(now.Add(-m.Heard))
		m.swept = now
	}
}

func (k *book) drop(inc *kept) {
	delete(k.incidents, inc.ID)
	if at := (place{inc.Environment, inc.Key}); k.resolved[at] == inc {
		delete(k.resolved, at)
	}
}

// sweep drops the recoveries from before a time. That a certificate's warning
// was told stays: those come weeks apart, and there are few.
func (k *book) sweep(before time.Time) {
	for at, list := range k.recoveries {
		list = slices.DeleteFunc(list, func(r incident.Recovery) bool {
			return r.OccurredAt.Before(before) && r.ReceivedAt.Before(before) && r.Type != "threshold"
		})
		if len(list) == 0 {
			delete(k.recoveries, at)
		} else {
			k.recoveries[at] = list
		}
	}
}

// strikeOld takes members off the lists that have not been heard of since a
// time. Those that answer for others stay: for their partner, one in each
// incident, or as the cause of other incidents.
func (k *book) strikeOld(before time.Time) {
	answers := func(h string) bool { return strings.HasPrefix(h, "partner:") || strings.HasPrefix(h, "cause:") }
	for _, inc := range k.incidents {
		for _, m := range slices.Clone(inc.members) {
			if m.OpenedAt.Before(before) && m.OccurredAt.Before(before) && m.Due.Before(before) && !slices.ContainsFunc(m.Handles, answers) {
				k.strike(inc, m)
			}
		}
	}
}
