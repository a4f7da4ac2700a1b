package storetest

import (
	"fmt"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// decided accepts an event and plans it as of no consequence.
func (p *probe) decided(id, body string) string {
	p.Helper()
	ev := p.accept(id, body).ID
	p.ok(p.Apply(p.ctx(), incident.Plan{Event: ev, Decision: &incident.Decision{Outcome: incident.Ignored}}))
	return ev
}

// failed accepts an event that opens an incident with a member.
func (p *probe) failed(body string, m incident.Member) string {
	p.Helper()
	p.n++
	ev := p.accept(fmt.Sprint("evt_", p.n), body).ID
	plan := p.opened(ev, ev)
	plan.Incidents[0].Lead.Fields = map[string]any{event.PartnerID: m.PartnerID, event.PartnerName: m.Partner}
	m.Event, m.Open, m.Class = ev, true, event.Connectivity
	plan.Members = []incident.MatchedMember{{Incident: plan.Incidents[0].ID, Member: m}}
	p.ok(p.Apply(p.ctx(), plan))
	return ev
}

// find returns the ids of what is found, and a plus where there may be more.
func (p *probe) find(f incident.Find) string {
	p.Helper()
	got, err := p.FindEvents(p.ctx(), f)
	p.ok(err)
	for _, st := range got.Events {
		if len(st.Body) == 0 {
			p.Errorf("%s came without its body", st.ID)
		}
	}
	more := ""
	if got.More {
		more = "+"
	}
	return ids(got.Events, func(st event.Stored) string { return st.ID }) + more
}

var findClaims = []claim{
	{"events of incidents are found by what their members are about", func(p *probe) {
		a := p.failed(`{"transaction":"txn_1","po":"PO-88214","partner":{"id":"par_1","name":"Acme Ltd"}}`,
			incident.Member{ID: incident.TransactionHandle("txn_1"), Reference: "PO-88214", PartnerID: "par_1", Partner: "Acme Ltd"})
		p.pass(time.Hour)
		b := p.failed(`{"message":"<m1@acme>","invoice":"INV-7","partner":{"id":"par_2"}}`,
			incident.Member{ID: incident.MessageHandle("<m1@acme>"), Reference: "INV-7", PartnerID: "par_2"})
		p.pass(time.Hour)
		m := p.incident("in_" + a[3:])
		settled := p.accept("evt_settled", `{"transaction":"TXN_1"}`).ID
		p.ok(p.Apply(p.ctx(), incident.Plan{Event: settled, Incidents: []incident.Incident{m},
			Decision: &incident.Decision{Outcome: incident.Settled, Incident: m.ID}}))
		p.decided("evt_other", `{"transaction":"txn_1"}`)
		for _, tt := range []struct {
			what string
			find incident.Find
			want string
		}{
			{"transaction, newest first", incident.Find{Transaction: "txn_1"}, settled + " " + a + " "},
			{"transaction, nearest first", incident.Find{Transaction: "txn_1", At: start}, a + " " + settled + " "},
			{"order", incident.Find{PO: "PO-88214"}, a + " "},
			{"invoice", incident.Find{Invoice: "INV-7"}, b + " "},
			{"message", incident.Find{MessageID: "<m1@acme>"}, b + " "},
			{"partner by id", incident.Find{Partner: "par_2"}, b + " "},
			{"partner by name", incident.Find{Partner: "acme ltd"}, a + " "},
			{"all that is asked for", incident.Find{Transaction: "txn_1", PO: "PO-88214"}, a + " "},
			{"nothing", incident.Find{Transaction: "txn_2"}, ""},
			{"one of several", incident.Find{Transaction: "txn_1", Limit: 1}, settled + " +"},
		} {
			equal(p, tt.what, p.find(tt.find), tt.want)
		}
	}},
	{"a message that is one name of several is found by its handle", func(p *probe) {
		a := p.failed(`{"message":"m9"}`, incident.Member{ID: incident.TransactionHandle("txn_9"), Handles: []string{incident.MessageHandle("m9")}})
		equal(p, "message", p.find(incident.Find{MessageID: "m9"}), a+" ")
	}},
	{"around a time all bodies are read, the nearest first", func(p *probe) {
		list := make([]string, 0, 5)
		for k := range 5 {
			list = append(list, p.decided(fmt.Sprint("evt_", k), fmt.Sprintf(`{"id":"%d","po":"PO-5"}`, k)))
			p.decided(fmt.Sprint("evt_other_", k), `{"po":"PO-6"}`)
			p.pass(time.Hour)
		}
		f := incident.Find{PO: "PO-5", At: start.Add(130 * time.Minute)}
		equal(p, "without a reach", p.find(f), "")
		f.Around = 90 * time.Minute
		equal(p, "within it", p.find(f), list[2]+" "+list[3]+" "+list[1]+" ")
		f.Limit = 2
		equal(p, "the nearest", p.find(f), list[2]+" "+list[3]+" +")
	}},
	{"what JSON may spell otherwise is searched by what it may not", func(p *probe) {
		a := p.failed(`{"partner":"M\u00fcller \u0026 Sons"}`, incident.Member{ID: "txn:1", Partner: "Müller & Sons"})
		equal(p, "partner", p.find(incident.Find{Partner: "Müller & Sons"}), a+" ")
		equal(p, "hostile", p.find(incident.Find{Partner: `%_'" OR 1=1`}), "")
	}},
	{"a search for nothing is refused", func(p *probe) {
		if _, err := p.FindEvents(p.ctx(), incident.Find{At: start, Around: time.Hour}); err == nil {
			p.Error("it was not")
		}
	}},
	{"a search stops at its bounds and says so", func(p *probe) {
		for k := range 70 {
			p.decided(fmt.Sprint("evt_", k), fmt.Sprintf(`{"n":%d,"po":"%s"}`, k, strings.Repeat("x", 1<<20)))
			p.pass(time.Second)
		}
		equal(p, "cut off", p.find(incident.Find{PO: "PO-5", At: p.Now(), Around: time.Hour}), "+")
	}},
}

// history reads all of it in pages.
func (p *probe) history(since, until time.Time, limit int) string {
	p.Helper()
	var out strings.Builder
	for after := ""; ; {
		page, err := p.History(p.ctx(), since, until, after, limit)
		p.ok(err)
		if len(page) == 0 {
			return out.String()
		}
		if len(page) > limit {
			p.Fatalf("a page of %d, want at most %d", len(page), limit)
		}
		for _, st := range page {
			out.WriteString(st.ForeignID + "=" + string(st.Body[:min(len(st.Body), 20)]) + " ")
			after = st.ID
		}
	}
}

var historyClaims = []claim{
	{"history is what was decided, in the order in which it was kept, by pages", func(p *probe) {
		p.decided("evt_a", "1")
		parked := p.accept("evt_b", "2").ID
		p.ok(p.Apply(p.ctx(), incident.Plan{Event: parked, Decision: &incident.Decision{Outcome: incident.ParkedAway}}))
		p.accept("evt_pending", "3")
		p.decided("evt_c", "4") // in the same microsecond
		p.pass(time.Hour)
		late := p.received("evt_late", "5")
		late.ReceivedAt = start.Add(time.Minute) // its commit took long
		p.decided("evt_d", "6")
		r, err := p.Accept(p.ctx(), late)
		p.ok(err)
		p.ok(p.Apply(p.ctx(), incident.Plan{Event: r.ID, Decision: &incident.Decision{Outcome: incident.Ignored}}))
		all := "evt_a=1 evt_b=2 evt_c=4 evt_d=6 evt_late=5 "
		for limit := 1; limit < 7; limit++ {
			equal(p, fmt.Sprint("by ", limit), p.history(time.Time{}, time.Time{}, limit), all)
		}
		equal(p, "of a time", p.history(start.Add(time.Minute), start.Add(time.Hour), 2), "evt_late=5 ")
		equal(p, "since", p.history(start.Add(time.Hour), time.Time{}, 2), "evt_d=6 ")
		n, err := p.HistorySize(p.ctx(), time.Time{}, time.Time{})
		p.ok(err)
		equal(p, "size", n, 5)
		n, err = p.HistorySize(p.ctx(), start, start.Add(time.Hour))
		p.ok(err)
		equal(p, "size of a time", n, 4)
	}},
	{"large bodies make small pages", func(p *probe) {
		for k := range 20 {
			p.decided(fmt.Sprint("evt_", k), fmt.Sprint(k, strings.Repeat("x", 2<<20)))
		}
		page, err := p.History(p.ctx(), time.Time{}, time.Time{}, "", 20)
		p.ok(err)
		equal(p, "first page is short", len(page) > 0 && len(page) < 12, true)
		equal(p, "and all come", strings.Count(p.history(time.Time{}, time.Time{}, 20), "evt_"), 20)
	}},
	{"history goes on after an event that retention took", func(p *probe) {
		old := p.decided("evt_old", "1")
		p.pass(91 * day)
		p.decided("evt_new", "2")
		p.retain()
		page, err := p.History(p.ctx(), time.Time{}, time.Time{}, old, 10)
		p.ok(err)
		equal(p, "the next", ids(page, func(st event.Stored) string { return st.ForeignID }), "evt_new ")
	}},
	{"the given up are counted from a time on", func(p *probe) {
		p.queue(to("a", incident.Opening), to("b", incident.Opening))
		p.settle(p.claim(), incident.Dead)
		p.pass(time.Hour)
		p.settle(p.claim(), incident.Dead)
		for _, tt := range []struct {
			since time.Time
			want  string
		}{{start, "map[slack:2]"}, {start.Add(time.Minute), "map[slack:1]"}, {p.Now().Add(time.Minute), "map[]"}} {
			got, err := p.DeadSince(p.ctx(), tt.since)
			p.ok(err)
			equal(p, fmt.Sprint("since ", tt.since), fmt.Sprint(got), tt.want)
		}
	}},
}
