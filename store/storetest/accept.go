package storetest

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"sync"
	"time"

	"datasync-bridge/event"
)

var acceptClaims = []claim{
	{"a new event is accepted, pending and as it came", func(p *probe) {
		in := p.received("evt_1", `{"a":1}`)
		in.Quarantine = ""
		r, err := p.Accept(p.ctx(), in)
		p.ok(err)
		equal(p, "status", r.Status, event.Accepted)
		got, err := p.Event(p.ctx(), r.ID)
		p.ok(err)
		equal(p, "body", string(got.Body), `{"a":1}`)
		equal(p, "key", got.Key, in.Key)
		equal(p, "body hash", got.BodyHash, in.BodyHash)
		equal(p, "source", got.Source+string(got.Environment)+string(got.Origin), "datasyncproductionwebhook")
		equal(p, "authentic", got.Authentic, true)
		equal(p, "foreign id, type", got.ForeignID+got.Type, "evt_1transaction.failed")
		equal(p, "received at", got.ReceivedAt.Equal(in.ReceivedAt), true)
		equal(p, "state", got.State, event.Pending)
		equal(p, "status kept", got.Status, event.Accepted)
	}},
	{"a body that is not what was received has a hash of its own", func(p *probe) {
		in := p.received("evt_1", "as it came")
		in.Body, in.KeptHash = []byte("as kept"), sha256.Sum256([]byte("as kept"))
		r, err := p.Accept(p.ctx(), in)
		p.ok(err)
		pending, err := p.Pending(p.ctx(), 1)
		p.ok(err)
		for _, got := range pending {
			equal(p, "body", string(got.Body), "as kept")
			equal(p, "hash of what was received", got.BodyHash, in.BodyHash)
			equal(p, "hash of what is kept", got.KeptHash, in.KeptHash)
		}
		equal(p, "the same bytes again", p.accept("evt_1", "as it came"), event.Receipt{ID: r.ID, Status: event.Duplicate})
		equal(p, "what is kept, sent", p.accept("evt_1", "as kept").Status, event.Conflict)
		plain, err := p.Event(p.ctx(), p.accept("evt_2", "plain").ID)
		p.ok(err)
		equal(p, "no hash of its own", plain.KeptHash, [32]byte{})
	}},
	{"an empty body is kept", func(p *probe) {
		r := p.accept("evt_1", "")
		got, err := p.Event(p.ctx(), r.ID)
		p.ok(err)
		equal(p, "length", len(got.Body), 0)
	}},
	{"the body may be reused once Accept has returned", func(p *probe) {
		in := p.received("evt_1", "first")
		r, err := p.Accept(p.ctx(), in)
		p.ok(err)
		copy(in.Body, "xxxxx")
		got, err := p.Event(p.ctx(), r.ID)
		p.ok(err)
		equal(p, "body", string(got.Body), "first")
	}},
	{"a repeated event is a duplicate of the first, counted", func(p *probe) {
		first := p.accept("evt_1", "body")
		p.pass(time.Hour)
		again := p.accept("evt_1", "body")
		equal(p, "status", again.Status, event.Duplicate)
		equal(p, "id", again.ID, first.ID)
		got, err := p.Event(p.ctx(), first.ID)
		p.ok(err)
		equal(p, "duplicates", got.Duplicates, 1)
		equal(p, "first seen", got.ReceivedAt.Equal(start), true)
		equal(p, "last seen", got.LastSeen.Equal(start.Add(time.Hour)), true)
	}},
	{"a duplicate is known after a restart", func(p *probe) {
		first := p.accept("evt_1", "body")
		p.Restart(p.T)
		again := p.accept("evt_1", "body")
		equal(p, "receipt", again, event.Receipt{ID: first.ID, Status: event.Duplicate})
	}},
	{"the same id from another source is another event", func(p *probe) {
		first := p.accept("evt_1", "body")
		in := p.received("evt_1", "body")
		in.Source = "other"
		r, err := p.Accept(p.ctx(), in)
		p.ok(err)
		equal(p, "status", r.Status, event.Accepted)
		equal(p, "same id", r.ID == first.ID, false)
	}},
	{"a source's keys are one set, however an event arrives", func(p *probe) {
		first := p.accept("evt_1", "body")
		in := p.received("evt_1", "body")
		in.Origin, in.Environment = event.OriginReconcile, event.Sandbox
		r, err := p.Accept(p.ctx(), in)
		p.ok(err)
		equal(p, "receipt", r, event.Receipt{ID: first.ID, Status: event.Duplicate})
	}},
	{"the same id with other bytes is a conflict of its own", func(p *probe) {
		first := p.accept("evt_1", "body")
		other := p.accept("evt_1", "other")
		equal(p, "status", other.Status, event.Conflict)
		equal(p, "same id", other.ID == first.ID, false)
		again := p.accept("evt_1", "other")
		equal(p, "its duplicate", again, event.Receipt{ID: other.ID, Status: event.Duplicate})
		got, err := p.Event(p.ctx(), other.ID)
		p.ok(err)
		equal(p, "status kept", got.Status, event.Conflict)
	}},
	{"ten variants of an id are stored and the rest counted with the first", func(p *probe) {
		first := p.accept("evt_1", "0")
		for n := 1; n < 10; n++ {
			equal(p, "status", p.accept("evt_1", strconv.Itoa(n)).Status, event.Conflict)
		}
		for n := 10; n < 13; n++ {
			equal(p, "receipt", p.accept("evt_1", strconv.Itoa(n)), event.Receipt{ID: first.ID, Status: event.Conflict})
		}
		all, err := p.Pending(p.ctx(), 100)
		p.ok(err)
		equal(p, "stored", len(all), 10)
		got, err := p.Event(p.ctx(), first.ID)
		p.ok(err)
		equal(p, "counted", got.Duplicates, 3)
	}},
	{"a quarantined event is stored with its cause", func(p *probe) {
		in := p.received("evt_1", "not json")
		in.Quarantine, in.Type = "not JSON", ""
		r, err := p.Accept(p.ctx(), in)
		p.ok(err)
		equal(p, "status", r.Status, event.Quarantined)
		got, err := p.Event(p.ctx(), r.ID)
		p.ok(err)
		equal(p, "cause", got.Quarantine, "not JSON")
		equal(p, "status kept", got.Status, event.Quarantined)
	}},
	{"sixteen simultaneous posts of one event are one event", func(p *probe) {
		in := p.received("evt_1", "body")
		receipts := make([]event.Receipt, 16)
		errs := make([]error, 16)
		var wait sync.WaitGroup
		for k := range receipts {
			wait.Go(func() { receipts[k], errs[k] = p.Accept(p.ctx(), in) })
		}
		wait.Wait()
		p.ok(errors.Join(errs...))
		accepted := 0
		for _, r := range receipts {
			equal(p, "id", r.ID, receipts[0].ID)
			if r.Status == event.Accepted {
				accepted++
			}
		}
		equal(p, "accepted", accepted, 1)
		all, err := p.Pending(p.ctx(), 100)
		p.ok(err)
		equal(p, "stored", len(all), 1)
		equal(p, "duplicates", all[0].Duplicates, 15)
	}},
	{"ids rise strictly, though the clock stands, goes back, or the store restarts", func(p *probe) {
		last := ""
		for k, step := range []time.Duration{0, 0, time.Second, -time.Hour, 0, time.Minute} {
			p.pass(step)
			if k == 4 {
				p.Restart(p.T)
			}
			id := p.someEvent()
			if id <= last || len(id) != 16 {
				p.Errorf("step %d: id %s after %s", k, id, last)
			}
			last = id
		}
	}},
	{"pending events come oldest first and end with their decision", func(p *probe) {
		a, b, c := p.someEvent(), p.someEvent(), p.someEvent()
		p.ok(p.Apply(p.ctx(), p.opened(b, "k")))
		all, err := p.Pending(p.ctx(), 10)
		p.ok(err)
		equal(p, "pending", ids(all, func(e event.Stored) string { return e.ID }), a+" "+c+" ")
		all, err = p.Pending(p.ctx(), 1)
		p.ok(err)
		equal(p, "one", ids(all, func(e event.Stored) string { return e.ID }), a+" ")
	}},
	{"failed plans are counted, also over a restart", func(p *probe) {
		id := p.someEvent()
		n, err := p.Failed(p.ctx(), id, "panic")
		p.ok(err)
		equal(p, "first", n, 1)
		p.Restart(p.T)
		n, err = p.Failed(p.ctx(), id, "panic")
		p.ok(err)
		equal(p, "second", n, 2)
		all, err := p.Pending(p.ctx(), 1)
		p.ok(err)
		equal(p, "shown", all[0].Failures, 2)
		_, err = p.Failed(p.ctx(), "ev_0000000000000", "panic")
		equal(p, "unknown event is not found", errors.Is(err, event.ErrNotFound), true)
	}},
	{"events poke whoever waits for them", func(p *probe) {
		changed := p.Changed("events")
		p.someEvent()
		<-changed
	}},
}
