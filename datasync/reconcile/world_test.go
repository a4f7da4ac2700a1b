package reconcile_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/datasync/reconcile"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// memory is a store in memory. Its keys, leases and epochs work as the real
// one's do.
type memory struct {
	mu       sync.Mutex
	polls    map[string]*incident.Poll
	epoch    int64
	events   []event.Received
	variants map[string][][32]byte // bodies by source and key
	repeats  int
	open     []incident.MatchedMember
	settle   error // what SettlePoll answers
	refused  int
	accepted func(event.Received)
}

func (m *memory) Now() time.Time { return time.Now() }

func (m *memory) ClaimPoll(_ context.Context, name string, lease time.Duration) (*incident.Poll, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.polls[name]
	if p == nil {
		p = &incident.Poll{Name: name, DueAt: time.Now()}
		m.polls[name] = p
	}
	if leased := p.Lease.Epoch == m.epoch && p.Lease.Until.After(time.Now()); leased || p.DueAt.After(time.Now()) {
		next := p.DueAt
		if leased && p.Lease.Until.After(next) {
			next = p.Lease.Until
		}
		return nil, next, nil
	}
	p.Lease = incident.Lease{Epoch: m.epoch, Token: p.Lease.Token + 1, Until: time.Now().Add(lease)}
	claimed := *p
	return &claimed, time.Time{}, nil
}

func (m *memory) SettlePoll(_ context.Context, p incident.Poll) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settle != nil {
		return m.settle
	}
	if old := m.polls[p.Name]; old.Lease.Token != p.Lease.Token {
		return incident.ErrLeaseLost
	}
	p.Lease.Until = time.Time{}
	m.polls[p.Name] = &p
	return nil
}

func (m *memory) Accept(_ context.Context, in event.Received) (event.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refused > 0 {
		m.refused--
		return event.Receipt{}, event.ErrBusy
	}
	status := event.Accepted
	id := in.Source + string(in.Key[:])
	if slices.Contains(m.variants[id], in.BodyHash) {
		m.repeats++
		return event.Receipt{Status: event.Duplicate}, nil
	}
	if len(m.variants[id]) > 0 {
		status = event.Conflict
	}
	m.variants[id] = append(m.variants[id], in.BodyHash)
	m.events = append(m.events, in)
	if m.accepted != nil {
		m.accepted(in)
	}
	return event.Receipt{Status: status}, nil
}

// OpenMembers pages by the number of a row.
func (m *memory) OpenMembers(_ context.Context, _ string, _ event.Environment, before time.Time, limit int, after string) ([]incident.MatchedMember, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := slices.Clone(m.open)
	list = slices.DeleteFunc(list, func(o incident.MatchedMember) bool { return !o.OpenedAt.Before(before) || o.Incident <= after })
	slices.SortFunc(list, func(a, b incident.MatchedMember) int { return cmp.Compare(a.Incident, b.Incident) })
	if len(list) <= limit {
		return list, "", nil
	}
	return list[:limit], list[limit-1].Incident, nil
}

func (m *memory) position(t *testing.T) incident.Poll {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.polls["reconcile:production"]
	if p == nil {
		t.Fatal("no poll was claimed")
	}
	return *p
}

// api is a Datasync that lists transactions by the time at which they failed.
type api struct {
	mu    sync.Mutex
	items []datasync.Transaction
	env   event.Environment
	// down is what every call answers with; cut makes listings end early.
	down  error
	cut   bool
	first bool // only the first page is found
	// timeless listings ignore the time range.
	timeless bool
	// strangers are partner ids that it does not know: their listings are empty.
	strangers map[string]bool
	broken    string // the partner whose listing fails
	one       bool
	queries   []datasync.TransactionQuery
	reads     int
	perPage   int
}

func (a *api) Environment() event.Environment { return cmp.Or(a.env, event.Production) }
func (a *api) CanReadOne() bool               { return a.one }

func (a *api) Transactions(_ context.Context, q datasync.TransactionQuery, each func(datasync.Transaction) bool) (datasync.Listing, error) {
	a.mu.Lock()
	a.queries = append(a.queries, q)
	items, down, cut := slices.Clone(a.items), a.down, a.cut
	a.mu.Unlock()
	if q.Partner != "" && q.Partner == a.broken {
		down = errDown
	}
	if down != nil {
		return datasync.Listing{}, down
	}
	perPage, pages, n := cmp.Or(a.perPage, 100), 1, 0
	for _, t := range items {
		if t.Status != q.Status && t.Status != "listed anyway" {
			continue
		}
		if q.Partner != "" && (t.PartnerID != q.Partner || a.strangers[q.Partner]) {
			continue
		}
		if at := t.OccurredAt; !a.timeless && !at.IsZero() && (!q.Since.IsZero() && at.Before(q.Since) || !q.Until.IsZero() && at.After(q.Until)) {
			continue
		}
		if n == perPage {
			if n = 0; pages == q.MaxPages || a.first {
				return datasync.Listing{Pages: pages, More: true}, nil
			}
			pages++
		}
		n++
		if !each(t) {
			return datasync.Listing{Pages: pages}, nil
		}
	}
	return datasync.Listing{Complete: !cut, Pages: pages}, nil
}

func (a *api) Transaction(_ context.Context, id string) (datasync.Transaction, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reads++
	for _, t := range a.items {
		if t.ID == id {
			return t, a.down
		}
	}
	return datasync.Transaction{}, cmp.Or[error](a.down, &datasync.Error{Kind: datasync.NotFound, Status: 404})
}

// fails makes a transaction fail now, or says so of it at another time.
func (a *api) fails(id string, change ...func(*datasync.Transaction)) {
	t := datasync.Transaction{ID: id, Status: "failed", PartnerID: "par_1", DocumentType: "856", OccurredAt: time.Now()}
	for _, f := range change {
		f(&t)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.items = slices.DeleteFunc(a.items, func(old datasync.Transaction) bool { return old.ID == id })
	a.items = append(a.items, t)
}

func (a *api) becomes(id, status string) {
	a.change(func() {
		for i := range a.items {
			if a.items[i].ID == id {
				a.items[i].Status = status
			}
		}
	})
}

func (a *api) change(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *api) queried() []datasync.TransactionQuery {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.queries)
}

func (a *api) asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.queries) + a.reads
}

func at(t time.Time) func(*datasync.Transaction) {
	return func(item *datasync.Transaction) { item.OccurredAt = t }
}

func of(partner string) func(*datasync.Transaction) {
	return func(item *datasync.Transaction) { item.PartnerID = partner }
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// world is a poller in a bubble of its own time.
type world struct {
	*testing.T
	store   *memory
	api     *api
	cfg     datasync.Reconcile
	o       reconcile.Options
	log     *lines
	webhook time.Time
	skipped map[string]int
	stop    func()
}

func (w *world) LastWebhook(string) time.Time {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return w.webhook
}

// hears lets a webhook come at a time.
func (w *world) hears(at time.Time) { w.set(func() { w.webhook = at }) }

// set changes what the poller reads.
func (w *world) set(f func()) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	f()
}

func play(t *testing.T, story func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			T: t, store: &memory{polls: map[string]*incident.Poll{}, variants: map[string][][32]byte{}, epoch: 1}, api: &api{},
			cfg: datasync.Reconcile{Every: 5 * time.Minute, Overlap: 15 * time.Minute, Source: "datasync"},
			log: &lines{}, skipped: map[string]int{},
		}
		w.o.Log = slog.New(slog.NewTextHandler(w.log, nil))
		w.o.Observer.Skipped = func(why string, n int) { w.skipped[why] += n }
		story(w)
		if w.stop != nil {
			w.stop()
		}
	})
}

// begin runs the poller until stop.
func (w *world) begin() {
	w.Helper()
	p, err := reconcile.New(w.cfg, w.store, w.api, w.o)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.Run(ctx)
	}()
	w.stop = func() {
		cancel()
		<-ended
		w.stop = nil
	}
	synctest.Wait()
}

// crash ends the process and begins another.
func (w *world) crash() {
	w.Helper()
	w.stop()
	w.store.epoch++
	w.begin()
}

func pass(d time.Duration) {
	time.Sleep(d) // in a bubble: the clock jumps
	synctest.Wait()
}

// events are those accepted so far.
func (w *world) events() []event.Received {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return slices.Clone(w.store.events)
}

// got lists what was accepted as "type id", without a prefix that all share.
func (w *world) got() string {
	var list []string
	for _, in := range w.events() {
		var body struct {
			Data struct{ Transaction struct{ ID string } }
		}
		if err := json.Unmarshal(in.Body, &body); err != nil {
			w.Errorf("body %s: %v", in.Body, err)
		}
		list = append(list, strings.TrimSpace(strings.TrimPrefix(in.Type, "transaction.")+" "+body.Data.Transaction.ID))
	}
	return strings.Join(list, ", ")
}

func (w *world) want(events string) {
	w.Helper()
	if got := w.got(); got != events {
		w.Errorf("accepted %q, want %q", got, events)
	}
}

// member makes an open member that arrived a time ago.
func (w *world) member(id, partner string, age time.Duration, change ...func(*incident.Member)) {
	m := incident.Member{
		ID: "txn:" + id, Transaction: id, PartnerID: partner, Class: event.Connectivity, Open: true,
		OpenedAt: time.Now().Add(-age), OccurredAt: time.Now().Add(-age),
	}
	for _, f := range change {
		f(&m)
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.store.open = append(w.store.open, incident.MatchedMember{Incident: "in_" + id, Member: m})
}

var errDown = &datasync.Error{Op: "list transactions", Kind: datasync.Server, Status: 503, Err: errors.New("down")}
