package storetest

import (
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

func wanted(list ...string) incident.Plan {
	var plan incident.Plan
	for _, id := range list {
		plan.Wanted = append(plan.Wanted, incident.PartnerRef{Environment: event.Production, ID: id})
	}
	return plan
}

// due returns the ids of the partners that are due, and when the next comes.
func (p *probe) due() (string, time.Time) {
	p.Helper()
	got, next, err := p.DuePartners(p.ctx(), 10)
	p.ok(err)
	return ids(got, func(x incident.Partner) string { return x.ID }), next
}

func (p *probe) keepPartner(x incident.Partner) {
	p.Helper()
	p.ok(p.Apply(p.ctx(), incident.Plan{Partners: []incident.Partner{x}}))
}

var partnerClaims = []claim{
	{"a partner that an event was about is due at once, and told of", func(p *probe) {
		changed := p.Changed("partners")
		p.ok(p.Apply(p.ctx(), wanted("par_1")))
		<-changed
		got, _ := p.due()
		equal(p, "due", got, "par_1 ")
		v, err := p.Load(p.ctx(), incident.Query{Environment: event.Production, Partner: "par_1"})
		p.ok(err)
		equal(p, "known before it was answered", v.Partner == nil, true)
		x, err := p.Partner(p.ctx(), event.Production, "par_1")
		p.ok(err)
		equal(p, "fetched", x.FetchedAt.IsZero(), true)
		p.ok(p.Apply(p.ctx(), wanted("par_1")))
		select {
		case <-changed:
			p.Error("told twice of one partner")
		default:
		}
	}},
	{"a partner is kept as it was answered, whatever events say later", func(p *probe) {
		want := incident.Partner{
			Environment: event.Production, ID: "par_1", Name: "ACME", Status: "active", ContactName: "Ana", ContactEmail: "a@example.com",
			ContactPhone: "1", ContactHours: "9-17", FetchedAt: start, NextAt: start.Add(time.Hour), Failures: 2, Error: "rate_limited",
			Certificates: []incident.PartnerCertificate{{ID: "c", Role: "tls", Subject: "CN=x", Fingerprint: "ab", NotAfter: start.Add(day)}},
		}
		p.keepPartner(want)
		p.ok(p.Apply(p.ctx(), wanted("par_1")))
		v, err := p.Load(p.ctx(), incident.Query{Environment: event.Production, Partner: "par_1"})
		p.ok(err)
		if diff := cmp.Diff(&want, v.Partner); diff != "" {
			p.Error(diff)
		}
		want.Name = "ACME Ltd"
		p.keepPartner(want)
		x, err := p.Partner(p.ctx(), event.Production, "par_1")
		p.ok(err)
		if diff := cmp.Diff(want, x); diff != "" {
			p.Error(diff)
		}
		_, err = p.Partner(p.ctx(), event.Sandbox, "par_1")
		equal(p, "in the sandbox", errors.Is(err, event.ErrNotFound), true)
	}},
	{"partners come due by their time, the longest due first", func(p *probe) {
		p.ok(p.Apply(p.ctx(), wanted("par_3")))
		for id, at := range map[string]time.Duration{"par_2": -2 * time.Minute, "par_1": -time.Minute, "par_4": time.Hour} {
			p.keepPartner(incident.Partner{Environment: event.Production, ID: id, NextAt: start.Add(at)})
		}
		p.keepPartner(incident.Partner{Environment: event.Production, ID: "par_never"})
		got, next := p.due()
		equal(p, "due", got, "par_2 par_1 par_3 ")
		equal(p, "next", next.Equal(start.Add(time.Hour)), true)
		few, _, err := p.DuePartners(p.ctx(), 1)
		p.ok(err)
		equal(p, "limit", len(few), 1)
		all, err := p.Partners(p.ctx(), 10)
		p.ok(err)
		equal(p, "all", ids(all, func(x incident.Partner) string { return x.ID }), "par_1 par_2 par_3 par_4 par_never ")
	}},
	{"a partner of whom nothing is heard is forgotten, another is not", func(p *probe) {
		p.ok(p.Apply(p.ctx(), wanted("quiet", "busy")))
		for range 4 {
			p.pass(30 * day)
			p.ok(p.Apply(p.ctx(), wanted("busy")))
		}
		p.retain()
		all, err := p.Partners(p.ctx(), 10)
		p.ok(err)
		equal(p, "left", ids(all, func(x incident.Partner) string { return x.ID }), "busy ")
	}},
	{"open incidents are found by the partner of their lead", func(p *probe) {
		lead := func(key, partner string, environment event.Environment) incident.Incident {
			plan := p.opened(p.someEvent(), key)
			plan.Incidents[0].Environment = environment
			plan.Incidents[0].Lead.Fields = map[string]any{event.PartnerID: partner}
			p.ok(p.Apply(p.ctx(), plan))
			return p.incident(plan.Incidents[0].ID)
		}
		a := lead("a", "par_1", event.Production)
		lead("b", "par_2", event.Production)
		lead("c", "par_1", event.Sandbox)
		p.resolve(lead("d", "par_1", event.Production))
		p.open("without fields")
		e := lead("e", "par_1", event.Production)
		got, err := p.OpenOfPartner(p.ctx(), event.Production, "par_1", 10)
		p.ok(err)
		equal(p, "open", ids(got, func(id string) string { return id }), a.ID+" "+e.ID+" ")
		got, err = p.OpenOfPartner(p.ctx(), event.Production, "par_1", 1)
		p.ok(err)
		equal(p, "limit", len(got), 1)
	}},
}
