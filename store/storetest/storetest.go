// Package storetest is what every store must keep to: one suite of claims,
// run against each implementation, so that one can stand in for another.
package storetest

import (
	"context"
	"crypto/sha256"
	"strconv"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Inbox takes events in.
type Inbox interface {
	Accept(ctx context.Context, in event.Received) (event.Receipt, error)
	Pending(ctx context.Context, limit int) ([]event.Stored, error)
	Failed(ctx context.Context, id, cause string) (int, error)
}

// Book holds incidents and timers.
type Book interface {
	Load(ctx context.Context, q incident.Query) (incident.View, error)
	Apply(ctx context.Context, p incident.Plan) error
	DueTimers(ctx context.Context, limit int) ([]incident.Timer, time.Time, error)
}

// Outbox holds deliveries.
type Outbox interface {
	Claim(ctx context.Context, notifier string, lease time.Duration) (*incident.Delivery, time.Time, error)
	Settle(ctx context.Context, g incident.Settlement) error
	RetryDelivery(ctx context.Context, id string) error
}

// Runs holds remediation runs.
type Runs interface {
	ClaimRun(ctx context.Context, lease time.Duration) (*incident.Run, time.Time, error)
	LapsedRuns(ctx context.Context) ([]incident.Run, error)
	Switches(ctx context.Context) ([]incident.Switch, error)
}

// Records is the audit.
type Records interface {
	Audit(ctx context.Context, f incident.Filter) ([]incident.Audit, error)
	VerifyAudit(ctx context.Context) (incident.Verified, error)
}

// Positions holds how far listings were read.
type Positions interface {
	ClaimPoll(ctx context.Context, name string, lease time.Duration) (*incident.Poll, time.Time, error)
	SettlePoll(ctx context.Context, p incident.Poll) error
	Polls(ctx context.Context) ([]incident.Poll, error)
	OpenMembers(ctx context.Context, source string, environment event.Environment, before time.Time, limit int, after string) ([]incident.MatchedMember, string, error)
}

// Directory holds what is known of trading partners.
type Directory interface {
	DuePartners(ctx context.Context, limit int) ([]incident.Partner, time.Time, error)
	Partner(ctx context.Context, environment event.Environment, id string) (incident.Partner, error)
	Partners(ctx context.Context, limit int) ([]incident.Partner, error)
	OpenOfPartner(ctx context.Context, environment event.Environment, partner string, limit int) ([]string, error)
}

// Quiet holds what keeps people from being told.
type Quiet interface {
	Silences(ctx context.Context) ([]incident.Silence, error)
	Held(ctx context.Context) ([]string, error)
}

// Loads holds which configurations were in force.
type Loads interface {
	RecordLoad(ctx context.Context, l incident.ConfigLoad) error
	ConfigLoad(ctx context.Context, hash string) (incident.ConfigLoad, error)
	Loads(ctx context.Context, f incident.Filter) ([]incident.ConfigLoad, error)
}

// Past is what is searched and played again.
type Past interface {
	FindEvents(ctx context.Context, f incident.Find) (incident.Found, error)
	History(ctx context.Context, since, until time.Time, after string, limit int) ([]event.Stored, error)
	HistorySize(ctx context.Context, since, until time.Time) (int, error)
}

// Reads shows what is kept.
type Reads interface {
	Event(ctx context.Context, id string) (event.Stored, error)
	Events(ctx context.Context, f incident.Filter) ([]event.Stored, error)
	Incident(ctx context.Context, id string) (incident.Incident, error)
	Incidents(ctx context.Context, f incident.Filter) ([]incident.Incident, error)
	Members(ctx context.Context, id string, limit int) ([]incident.Member, error)
	Timeline(ctx context.Context, id string, limit int) ([]incident.Entry, error)
	Deliveries(ctx context.Context, f incident.Filter) ([]incident.Delivery, error)
	Delivery(ctx context.Context, id string) (incident.Delivery, error)
	Runs(ctx context.Context, f incident.Filter) ([]incident.Run, error)
	Run(ctx context.Context, id string) (incident.Run, error)
	OpenTellings(ctx context.Context) (map[string][]string, error)
	DeadSince(ctx context.Context, since time.Time) (map[string]int, error)
}

// Upkeep keeps the store small and safe.
type Upkeep interface {
	Retain(ctx context.Context) (deleted int, more bool, err error)
	Backup(ctx context.Context, path string) error
	Ready(ctx context.Context) error
}

// Subject is a store under test, empty at first, with default retention.
type Subject interface {
	Inbox
	Book
	Outbox
	Runs
	Records
	Positions
	Directory
	Quiet
	Loads
	Past
	Reads
	Upkeep
	Now() time.Time
	Changed(topic string) <-chan struct{}
	// Restart closes the store and opens it again, as another process would.
	Restart(t *testing.T)
	// OpenCopy opens a backup beside the subject.
	OpenCopy(t *testing.T, path string) Subject
}

// Open makes a subject whose clock is now.
type Open func(t *testing.T, now func() time.Time) Subject

// Run holds a store to the suite.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, part := range []struct {
		name   string
		claims []claim
	}{
		{"accept", acceptClaims}, {"plan", planClaims}, {"load", loadClaims}, {"outbox", outboxClaims},
		{"lease", leaseClaims}, {"run", runClaims}, {"due run", dueRunClaims}, {"rail", railClaims}, {"audit", auditClaims},
		{"poll", pollClaims}, {"partner", partnerClaims}, {"member", memberClaims}, {"digest", digestClaims}, {"silence", silenceClaims}, {"held", heldClaims}, {"load of a configuration", configClaims},
		{"find", findClaims}, {"history", historyClaims}, {"read", readClaims}, {"upkeep", upkeepClaims},
	} {
		t.Run(part.name, func(t *testing.T) {
			for _, c := range part.claims {
				t.Run(c.name, func(t *testing.T) {
					clock := &clock{at: start}
					c.check(&probe{T: t, clock: clock, Subject: open(t, clock.now)})
				})
			}
		})
	}
}

// claim is one sentence about stores and how to see that it is true.
type claim struct {
	name  string
	check func(p *probe)
}

var start = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// probe is a subject with the helpers of a test. The clock moves only between
// calls.
type probe struct {
	*testing.T
	Subject
	clock *clock
	n     int
}

func (p *probe) ctx() context.Context { return p.Context() }

func (p *probe) pass(d time.Duration) { p.clock.at = p.clock.at.Add(d) }

// ok ends the test on an error.
func (p *probe) ok(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// equal reports a difference.
func equal[V comparable](p *probe, what string, got, want V) {
	p.Helper()
	if got != want {
		p.Errorf("%s: %v, want %v", what, got, want)
	}
}

// received is a request with an id of the sender's and a body.
func (p *probe) received(id, body string) event.Received {
	return event.Received{
		Source: "datasync", Environment: event.Production, Origin: event.OriginWebhook, Authentic: true,
		Key: sha256.Sum256([]byte(id)), BodyHash: sha256.Sum256([]byte(body)), ForeignID: id,
		Type: "transaction.failed", ReceivedAt: p.Now(), Body: []byte(body),
	}
}

func (p *probe) accept(id, body string) event.Receipt {
	p.Helper()
	r, err := p.Accept(p.ctx(), p.received(id, body))
	p.ok(err)
	return r
}

// someEvent accepts an event of its own and returns its id.
func (p *probe) someEvent() string {
	p.Helper()
	p.n++
	return p.accept("evt_"+strconv.Itoa(p.n), "body "+strconv.Itoa(p.n)).ID
}

// opened is an incident that an event opens, with members.
func (p *probe) opened(ev, key string, members ...string) incident.Plan {
	in := incident.Incident{
		ID: "in_" + ev[3:], Key: key, Environment: event.Production, Source: "datasync", Class: event.Connectivity,
		State: incident.Open, Severity: event.Error, OpenedAt: p.Now(), MaxMembers: 3,
		Lead: incident.Lead{Event: ev, Type: "transaction.failed"},
	}
	plan := incident.Plan{
		Event: ev, Decision: &incident.Decision{Outcome: incident.Opened, Effect: event.Open, Incident: in.ID, At: p.Now()},
		Incidents: []incident.Incident{in},
	}
	for _, id := range members {
		plan.Members = append(plan.Members, incident.MatchedMember{Incident: in.ID, Member: incident.Member{
			ID: id, Class: event.Connectivity, Open: true, Severity: event.Error, OpenedAt: p.Now(), Handles: []string{id}, Event: ev,
		}})
	}
	return plan
}

// open applies opened and returns the incident as it is stored.
func (p *probe) open(key string, members ...string) incident.Incident {
	p.Helper()
	plan := p.opened(p.someEvent(), key, members...)
	p.ok(p.Apply(p.ctx(), plan))
	return p.incident(plan.Incidents[0].ID)
}

func (p *probe) incident(id string) incident.Incident {
	p.Helper()
	i, err := p.Incident(p.ctx(), id)
	p.ok(err)
	return i
}

// resolve ends an incident.
func (p *probe) resolve(i incident.Incident) {
	p.Helper()
	i.State, i.ResolvedAt, i.Resolution = incident.Resolved, p.Now(), incident.Recovered
	p.ok(p.Apply(p.ctx(), incident.Plan{Incidents: []incident.Incident{i}}))
}

// queue queues deliveries and returns them, oldest first.
func (p *probe) queue(ds ...incident.Delivery) []incident.Delivery {
	p.Helper()
	p.ok(p.Apply(p.ctx(), incident.Plan{Deliveries: ds}))
	got, err := p.Deliveries(p.ctx(), incident.Filter{Limit: len(ds)})
	p.ok(err)
	for a, b := 0, len(got)-1; a < b; a, b = a+1, b-1 {
		got[a], got[b] = got[b], got[a]
	}
	return got
}

// to is a delivery for the notifier "slack".
func to(order string, kind incident.DeliveryKind) incident.Delivery {
	return incident.Delivery{Order: order, Notifier: "slack", Kind: kind, Alarm: 1}
}

// claim takes the next delivery of "slack", which must exist.
func (p *probe) claim() incident.Delivery {
	p.Helper()
	d, _, err := p.Claim(p.ctx(), "slack", time.Minute)
	p.ok(err)
	if d == nil {
		p.Fatal("nothing to claim")
	}
	return *d
}

// nothing reports that "slack" has nothing due, and returns when to look again.
func (p *probe) nothing() time.Time {
	p.Helper()
	d, next, err := p.Claim(p.ctx(), "slack", time.Minute)
	p.ok(err)
	if d != nil {
		p.Fatalf("claimed %s (%s of %s), want nothing", d.ID, d.Kind, d.Order)
	}
	return next
}

func (p *probe) settle(d incident.Delivery, state incident.DeliveryState) {
	p.Helper()
	p.ok(p.Settle(p.ctx(), incident.Settlement{Delivery: d.ID, Lease: d.Lease, State: state, NextAt: p.Now()}))
}

func (p *probe) delivery(id string) incident.Delivery {
	p.Helper()
	d, err := p.Delivery(p.ctx(), id)
	p.ok(err)
	return d
}

// ids are what a list holds, each followed by a space.
func ids[V any](vs []V, id func(V) string) string {
	var out strings.Builder
	for _, v := range vs {
		out.WriteString(id(v) + " ")
	}
	return out.String()
}
