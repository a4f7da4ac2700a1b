package enrich_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/datasync/enrich"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// memory is a store in memory.
type memory struct {
	mu        sync.Mutex
	partners  map[string]incident.Partner
	events    []event.Received
	open      []string // incidents of whatever partner
	edited    []string
	looks     int
	conflicts int
	broken    error // what Apply answers
	changed   chan struct{}
}

func (m *memory) Now() time.Time                 { return time.Now() }
func (m *memory) Changed(string) <-chan struct{} { return m.changed }

func (m *memory) DuePartners(_ context.Context, limit int) (due []incident.Partner, next time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looks++
	for _, p := range m.partners {
		switch {
		case !p.NextAt.After(time.Now()):
			due = append(due, p)
		case next.IsZero() || p.NextAt.Before(next):
			next = p.NextAt
		}
	}
	slices.SortFunc(due, func(a, b incident.Partner) int { return cmp.Or(a.NextAt.Compare(b.NextAt), cmp.Compare(a.ID, b.ID)) })
	return due[:min(limit, len(due))], next, nil
}

func (m *memory) OpenOfPartner(context.Context, event.Environment, string, int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.open), nil
}

func (m *memory) Load(_ context.Context, q incident.Query) (v incident.View, err error) {
	for _, id := range q.Incidents {
		v.Incidents = append(v.Incidents, incident.Incident{ID: id})
	}
	return v, nil
}

func (m *memory) Apply(_ context.Context, p incident.Plan) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	if len(p.Incidents) > 0 && m.conflicts > 0 {
		m.conflicts--
		return incident.ErrConflict
	}
	for _, in := range p.Incidents {
		m.edited = append(m.edited, in.ID)
	}
	for _, w := range p.Wanted {
		if _, known := m.partners[w.ID]; !known {
			m.partners[w.ID] = incident.Partner{Environment: w.Environment, ID: w.ID, NextAt: time.Now()}
			m.poke()
		}
	}
	for _, one := range p.Partners {
		m.partners[one.ID] = one
	}
	return nil
}

func (m *memory) poke() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

func (m *memory) Accept(_ context.Context, in event.Received) (event.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, old := range m.events {
		if old.Key == in.Key && old.BodyHash == in.BodyHash {
			return event.Receipt{Status: event.Duplicate}, nil
		}
	}
	m.events = append(m.events, in)
	return event.Receipt{Status: event.Accepted}, nil
}

// seen is what the worker did so far: looks at the store, edits, events.
func (m *memory) seen() (looks int, edited []string, events []event.Received) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.looks, slices.Clone(m.edited), slices.Clone(m.events)
}

func (m *memory) partner(id string) incident.Partner {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.partners[id]
}

// machine edits every incident that it is shown.
type machine struct{}

func (machine) Enriched(v incident.View, _ incident.Partner, _ time.Time) incident.Plan {
	return incident.Plan{Incidents: v.Incidents}
}

// api is a Datasync that knows partners.
type api struct {
	mu    sync.Mutex
	known map[string]datasync.Partner
	down  error
	calls []string
	times []time.Time
}

func (a *api) Environment() event.Environment { return event.Production }

func (a *api) Partner(_ context.Context, id string) (datasync.Partner, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls, a.times = append(a.calls, id), append(a.times, time.Now())
	if a.down != nil {
		return datasync.Partner{}, a.down
	}
	p, known := a.known[id]
	if !known {
		return p, &datasync.Error{Op: "read partner " + id, Kind: datasync.NotFound, Status: 404}
	}
	return p, nil
}

func (a *api) knows(p datasync.Partner) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[p.ID] = p
}

func (a *api) breaks(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = err
}

func (a *api) asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.calls)
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

type world struct {
	*testing.T
	store *memory
	api   *api
	cfg   datasync.Enrich
	log   *lines
	poll  time.Duration
	stop  func()
}

func play(t *testing.T, story func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			T: t, store: &memory{partners: map[string]incident.Partner{}, changed: make(chan struct{}, 1)},
			api: &api{known: map[string]datasync.Partner{}}, log: &lines{},
		}
		story(w)
		if w.stop != nil {
			w.stop()
		}
	})
}

func (w *world) begin() {
	worker := enrich.New(w.cfg, "datasync", w.store, machine{}, w.api, enrich.Options{Log: slog.New(slog.NewTextHandler(w.log, nil)), Poll: w.poll})
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = worker.Run(ctx)
	}()
	w.stop = func() {
		cancel()
		<-ended
		w.stop = nil
	}
	synctest.Wait()
}

func (w *world) restart() {
	w.stop()
	w.begin()
}

func (w *world) want(ids ...string) {
	var p incident.Plan
	for _, id := range ids {
		p.Wanted = append(p.Wanted, incident.PartnerRef{Environment: event.Production, ID: id})
	}
	if err := w.store.Apply(w.Context(), p); err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
}

func pass(d time.Duration) {
	time.Sleep(d) // in a bubble: the clock jumps
	synctest.Wait()
}

const days = 24 * time.Hour

// told lists the certificate events: "expiring crt_1 30/30" is the threshold
// and the days that remain.
func (w *world) told() string {
	var list []string
	_, _, events := w.store.seen()
	for _, in := range events {
		var body struct {
			Created time.Time `json:"created_at"`
			Data    struct {
				Certificate struct {
					ID        string
					Days      *int `json:"days_remaining"`
					Threshold int  `json:"threshold_days"`
				}
				Partner struct{ ID, Name string }
			}
		}
		if err := json.Unmarshal(in.Body, &body); err != nil {
			w.Fatalf("%s: %v", in.Body, err)
		}
		if in.Origin != event.OriginReconcile || in.Source != "datasync" || !in.Authentic || body.Data.Partner.ID == "" || body.Created.After(in.ReceivedAt) {
			w.Errorf("accepted %+v: %s", in, in.Body)
		}
		text := strings.TrimPrefix(in.Type, "partner.certificate_") + " " + body.Data.Certificate.ID
		if body.Data.Certificate.Days != nil {
			text += fmt.Sprintf(" %d/%d", body.Data.Certificate.Threshold, *body.Data.Certificate.Days)
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

func (w *world) wantTold(want string) {
	w.Helper()
	if got := w.told(); got != want {
		w.Errorf("told %q, want %q", got, want)
	}
}

// acme is a partner whose certificate ends in a time.
func acme(left time.Duration, change ...func(*datasync.Partner)) datasync.Partner {
	p := datasync.Partner{
		ID: "par_1", Name: "Acme", Status: "active", Contact: datasync.Contact{Email: "edi@acme.example"},
		Certificates: []datasync.Certificate{{ID: "crt_1", Role: "signing", Fingerprint: "ab", NotAfter: time.Now().Add(left)}},
	}
	for _, f := range change {
		f(&p)
	}
	return p
}
