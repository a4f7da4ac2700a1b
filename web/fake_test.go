package web_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web"
	"datasync-bridge/web/view"
)

// fake is a Reader, an Operator, a Desk and a Silencer over a handful of rows.
type fake struct {
	mu      sync.Mutex
	filter  incident.Filter
	deeds   []string
	by      string
	why     string
	err     error
	panics  bool
	silence incident.Silence
	purge   incident.Purge
}

func found[V any](f *fake, id, want string, v V) (V, error) {
	var zero V
	switch {
	case f.panics:
		panic("boom with a secret")
	case f.err != nil:
		return zero, f.err
	case id != want:
		return zero, event.ErrNotFound
	}
	return v, nil
}

func listed[V any](f *fake, filter incident.Filter, v ...V) ([]V, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filter = filter
	return v, f.err
}

func anEvent() event.Stored {
	decision, err := json.Marshal(incident.Decision{Outcome: incident.Opened, Effect: event.Open, Severity: event.Error,
		Rules: []incident.MatchedRule{{Name: "r", Line: 7}}, Reasons: []string{"because"}})
	if err != nil {
		panic(err)
	}
	return event.Stored{ID: "ev_1", Status: event.Accepted, State: event.Planned, Decision: decision,
		Received: event.Received{Source: "datasync", Environment: event.Production, Type: "transaction.failed",
			ReceivedAt: clock, Body: []byte(`{"id":"x"}`)}}
}

func (f *fake) Event(_ context.Context, id string) (event.Stored, error) {
	return found(f, id, "ev_1", anEvent())
}
func (f *fake) Events(_ context.Context, filter incident.Filter) ([]event.Stored, error) {
	return listed(f, filter, anEvent())
}
func (f *fake) Incident(_ context.Context, id string) (incident.Incident, error) {
	return found(f, id, "in_1", incident.Incident{ID: "in_1", State: incident.Open, Severity: event.Critical,
		OpenedAt: clock, OpenBy: [5]int{0, 0, 0, 0, 2}, Total: 3,
		Told: []incident.Telling{{Notifier: "pager", Fingerprint: "fp", Alarms: 1}}})
}
func (f *fake) Incidents(_ context.Context, filter incident.Filter) ([]incident.Incident, error) {
	return listed(f, filter, incident.Incident{ID: "in_1"})
}
func (f *fake) Members(context.Context, string, int) ([]incident.Member, error) {
	return []incident.Member{{ID: "txn:1", Open: true, Severity: event.Critical}}, f.err
}
func (f *fake) Timeline(context.Context, string, int) ([]incident.Entry, error) {
	return []incident.Entry{{At: clock, Kind: "opened", Text: "opened"}}, f.err
}
func (f *fake) Delivery(_ context.Context, id string) (incident.Delivery, error) {
	return found(f, id, "dl_1", incident.Delivery{ID: "dl_1", Kind: incident.Opening, State: incident.Dead, Error: "no"})
}
func (f *fake) Deliveries(_ context.Context, filter incident.Filter) ([]incident.Delivery, error) {
	return listed(f, filter, incident.Delivery{ID: "dl_1"})
}
func (f *fake) Run(_ context.Context, id string) (incident.Run, error) {
	return found(f, id, "rn_1", incident.Run{ID: "rn_1", State: incident.RunDry})
}
func (f *fake) Runs(_ context.Context, filter incident.Filter) ([]incident.Run, error) {
	return listed(f, filter, incident.Run{ID: "rn_1"})
}

func (f *fake) do(deed, id, want, by, why string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := found(f, id, want, 0); err != nil {
		return err
	}
	f.deeds = append(f.deeds, deed)
	f.by, f.why = by, why
	return nil
}
func (f *fake) Acknowledge(_ context.Context, id, by, why string) error {
	return f.do("acknowledge", id, "in_1", by, why)
}
func (f *fake) Resolve(_ context.Context, id, by, why string) error {
	return f.do("resolve", id, "in_1", by, why)
}
func (f *fake) RetryDelivery(_ context.Context, id, by string) error {
	return f.do("retry", id, "dl_1", by, "")
}

func (f *fake) Audit(_ context.Context, filter incident.Filter) ([]incident.Audit, error) {
	return listed(f, filter, incident.Audit{ID: 7, At: clock, Actor: "ana", Action: incident.AuditResolved, Subject: "in_1", Hash: "ab"})
}
func (f *fake) Purge(_ context.Context, p incident.Purge, by string) (incident.Purged, error) {
	f.purge = p
	return incident.Purged{Events: 3, LeftIncidents: 1, Open: []string{"in_1"}, Next: "e 7"}, f.do("purge", p.Partner, "par_1", by, p.Why)
}
func (f *fake) Approve(_ context.Context, ids []string, by, why string) error {
	return f.do("approve "+strings.Join(ids, " "), ids[0], "rn_1", by, why)
}
func (f *fake) Deny(_ context.Context, id, by, why string) error {
	return f.do("deny", id, "rn_1", by, why)
}
func (f *fake) StopRun(_ context.Context, id, by, why string) error {
	return f.do("stop run", id, "rn_1", by, why)
}
func (f *fake) Stop(_ context.Context, scope, by, why string) error {
	return f.do("stop "+scope, "", "", by, why)
}
func (f *fake) Resume(_ context.Context, scope, by, why string) error {
	return f.do("resume "+scope, "", "", by, why)
}
func (f *fake) Clear(_ context.Context, id string, done bool, by, why string) error {
	return f.do(fmt.Sprintf("clear %t", done), id, "rn_1", by, why)
}
func (f *fake) Record(_ context.Context, a incident.Audit) error {
	return f.do("record "+a.Action+" "+a.Subject, "", "", a.Actor, a.Why)
}

func (f *fake) AddSilence(_ context.Context, s incident.Silence, by string) (incident.Silence, error) {
	if err := f.do("silence", "", "", by, s.Why); err != nil {
		return incident.Silence{}, err
	}
	if s.From.Before(clock) { // these two as the bridge's own
		s.From = clock
	}
	if s.Until.UTC().Year() > 9999 || s.Until.Before(s.From) {
		return incident.Silence{}, errors.New("until: is no such time")
	}
	s.ID, s.By = "sl_1", by
	f.silence = s
	return s, nil
}
func (f *fake) ExpireSilence(_ context.Context, id, by, why string) error {
	return f.do("expire", id, "sl_1", by, why)
}
func (f *fake) Silences(context.Context) ([]incident.Silence, error) {
	return []incident.Silence{
		{ID: "planned", FromFile: true, From: clock, Until: clock.AddDate(100, 0, 0), Match: map[string]any{"type": "mdn.*"}, Why: "migration"},
		{ID: "sl_0", From: clock.AddDate(-1, 0, 0), Until: clock.AddDate(100, 0, 0), By: "ana", Expired: &incident.Mark{By: "bob", At: clock}},
	}, f.err
}

// tokens are recognisable, so that a leak is found anywhere.
const (
	anaToken = "ana-token-canary-0123456789"
	bobToken = "bob-token-canary-0123456789"
	opToken  = "op-token-canary-0123456789"
	approver = "approver-token-canary-0123456789"
)

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func users() []web.User {
	return []web.User{
		{Name: "ana", TokenSHA256: digest(anaToken), Roles: []string{web.View, web.Operate}},
		{Name: "bob", TokenSHA256: digest(bobToken), Roles: []string{web.View}},
		{Name: "op", TokenSHA256: digest(opToken), Roles: []string{web.Operate}},
		{Name: "eve", TokenSHA256: digest(approver), Roles: []string{web.Approve}},
	}
}

type bench struct {
	*fake
	addr  string
	log   *bytes.Buffer
	stop  func() error
	ready error
}

// start serves over a real listener, because limits and shutdown need one.
func start(t testing.TB, cfg web.Config, o web.Options) *bench {
	t.Helper()
	b := &bench{fake: &fake{}, log: &bytes.Buffer{}}
	o.Log = slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := web.New(cfg.WithDefaults(), web.Deps{
		Reader: b.fake, Operator: b.fake, Desk: b.fake, Silencer: b.fake, Purger: b.fake,
		Ready:  func(context.Context) error { return b.ready },
		Status: func(context.Context) (view.Status, error) { return view.Status{Version: "v1", Ready: true}, nil },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "bridge_up 1\n")
		}),
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	b.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := b.stop(); err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	return b
}

type header map[string]string

// call makes one request and returns the status and the body.
func (b *bench) call(t testing.TB, method, path, token, body string, h header) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+b.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range h {
		if k == "Host" {
			req.Host = v
			continue
		}
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // read only
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}
