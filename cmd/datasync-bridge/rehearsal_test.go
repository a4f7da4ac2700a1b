package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/dispatch"
	"datasync-bridge/event"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
)

// rehearsal plays routing rules through the parts as `serve` wires them: a
// configuration file, the real mapping, rules, incident machine, store and
// dispatcher, and the stand-ins of Slack and PagerDuty. It lives in a
// testing/synctest bubble, so that hours pass in milliseconds.
type rehearsal struct {
	t        *testing.T
	dir      string
	cfg      *config.Config
	store    *sqlite.Store
	dispatch *dispatch.Dispatcher
	live     *live
	reloader *reloader
	silencer *silencer
	metrics  *metrics
	slack    *standin.Slack
	pager    *standin.PagerDuty
	stop     func()
	// poll is how often what is due is looked for when nothing calls for it.
	poll   time.Duration
	serial int
	// sources is the head of what is loaded.
	sources string
	// source and unsigned mark what is sent from now on.
	source   string
	unsigned bool
	looked   map[string]int
	names    map[string]string
}

// The notifiers of every rehearsal, unless it brings its own. Each more costs
// its looks into the outbox, hour after hour.
const (
	opsAndPager = `
notifiers:
  - {name: ops, slack: {token: xoxb-test, channel: C1}}
  - {name: pager, pagerduty: {routing_key: "0123456789abcdef0123456789abcdef"}, fallback: {to: ops, after: 3m}}
`
	andHook = opsAndPager + `  - {name: hook, slack: {webhook_url: "https://hooks.slack.com/services/T/B/x"}}
`
	andLead = opsAndPager + `  - {name: lead, pagerduty: {routing_key: "fedcba9876543210fedcba9876543210"}}
`
)

const rehearsedSources = `version: 1
sources:
  - name: datasync
    path: /hooks/datasync
    verify: {scheme: custom, secrets: [{id: s1, value: test-secret-of-more-than-16-bytes}],
      signature: {header: X-Signature, encoding: hex}, signed: ["{body}"]}
  - name: trial
    path: /hooks/trial
    environment: sandbox
    verify: {scheme: custom, secrets: [{id: s1, value: trial-secret-of-more-than-16-bytes}],
      signature: {header: X-Signature, encoding: hex}, signed: ["{body}"]}
`

// rehearse begins with defaults and rules as YAML; `notifiers:` among them
// replaces the usual ones.
func rehearse(t *testing.T, rules string, play func(r *rehearsal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRehearsal(t)
		<-time.After(time.Until(rehearsalStart))
		r.begin(rules)
		defer r.end()
		play(r)
	})
}

// rehearseConfigured begins at a time with a configuration whose notifiers are
// the usual stand-ins.
func rehearseConfigured(t *testing.T, cfg *config.Config, start time.Time, play func(r *rehearsal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRehearsal(t)
		<-time.After(time.Until(start))
		own := *cfg
		own.Store.SQLite.Path = filepath.Join(r.dir, "data", "bridge.db")
		own.Notifiers = slices.Clone(cfg.Notifiers)
		channels, keys := []string{"C1", "C2"}, []event.Secret{"0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"}
		for i := range own.Notifiers {
			n := &own.Notifiers[i]
			if n.Slack != nil {
				slack := *n.Slack
				slack.Token, slack.Channel, channels = "xoxb-test", channels[0], channels[1:]
				n.Slack = &slack
			} else if n.PagerDuty != nil {
				pager := *n.PagerDuty
				pager.RoutingKey, keys = keys[0], keys[1:]
				n.PagerDuty = &pager
			}
		}
		r.cfg, r.poll = &own, time.Hour // days pass
		r.open()
		defer r.end()
		play(r)
	})
}

func newRehearsal(t *testing.T) *rehearsal {
	return &rehearsal{
		poll: time.Minute, t: t, dir: t.TempDir(), sources: rehearsedSources, source: "datasync", looked: map[string]int{}, names: map[string]string{},
		slack: standin.NewSlack(standin.SlackOptions{
			Token: "xoxb-test", Channels: map[string]string{"C1": "", "C2": ""},
			Webhooks: map[string]string{"/services/T/B/x": "C2"},
		}),
		pager: standin.NewPagerDuty(standin.PagerDutyOptions{RoutingKeys: map[string]string{
			"0123456789abcdef0123456789abcdef": "edi", "fedcba9876543210fedcba9876543210": "lead",
		}}),
	}
}

// begin loads a configuration, opens the store and runs; end undoes it. One
// after the other is a restart.
func (r *rehearsal) begin(rules string) {
	r.t.Helper()
	r.load(rules)
	r.open()
}

// open runs what is loaded.
func (r *rehearsal) open() {
	r.t.Helper()
	var err error
	r.metrics = newMetrics()
	if r.store, err = sqlite.Open(context.Background(), r.cfg.Store, sqlite.Options{Observe: r.metrics.commits.committed}); err != nil {
		r.t.Fatal(err)
	}
	parts, err := compile(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.metrics.watchStore(r.store, r.cfg.Store.SQLite.Path)
	r.metrics.expect(r.cfg.Sources)
	crew, log := newCrew(&http.Client{Transport: r}, r.t.Output()), slog.New(slog.NewTextHandler(r.t.Output(), nil))
	r.live = newLive(r.cfg, parts)
	r.reloader = &reloader{store: r.store, live: r.live, crew: crew, arrivals: newArrivals(r.cfg.Sources, r.store.Now), metrics: r.metrics, log: log,
		load: func() (*config.Config, error) { return r.cfg, nil }}
	r.silencer = newSilencer(r.store, silencerOptions{
		Check: func(s incident.Silence) error { return checkSilence(r.live.cfg(), s) },
		File:  func() []incident.Silence { return fileSilences(r.live.cfg()) }, Changed: r.reloader.requiet,
	})
	r.reloader.silencer = r.silencer
	if parts, err = r.reloader.quieted(context.Background(), parts); err != nil {
		r.t.Fatal(err)
	}
	r.live.now.Store(&inForce{r.cfg, parts})
	r.dispatch, err = dispatch.New(dispatch.Deps{
		Store: r.store, Addressees: addressees(r.store),
		Rules:    parts.rules(r.reloader.arrivals),
		Senders:  crew.senders(r.cfg),
		Observer: r.metrics.observer(),
		Jitter:   func(most time.Duration) time.Duration { return most },
	}, dispatch.Config{Poll: r.poll})
	if err != nil {
		r.t.Fatal(err)
	}
	r.reloader.dispatch = r.dispatch
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.dispatch.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("the dispatcher ended with %v", err)
		}
	}
}

func (r *rehearsal) load(rules string) {
	r.t.Helper()
	if !strings.Contains(rules, "\nnotifiers:") {
		rules = opsAndPager + rules
	}
	file := filepath.Join(r.dir, "config.yaml")
	text := fmt.Sprintf("%sstore: {sqlite: {path: %q}}\n%s", r.sources, filepath.Join(r.dir, "data", "bridge.db"), rules)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	var err error
	if r.cfg, err = config.Load(file, config.Options{}); err != nil {
		r.t.Fatal(err)
	}
}

// reload puts other rules in force.
func (r *rehearsal) reload(rules string) {
	r.t.Helper()
	r.load(rules)
	if _, err := r.reloader.reload(context.Background(), "ana"); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rehearsal) end() {
	r.t.Helper()
	r.stop()
	if err := r.store.Close(); err != nil {
		r.t.Error(err)
	}
}

// RoundTrip carries each call to the stand-in of its host.
func (r *rehearsal) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Host, "pagerduty.com") {
		return standin.Transport(r.pager).RoundTrip(req)
	}
	return standin.Transport(r.slack).RoundTrip(req)
}

// pass lets the bubble's clock move on; nothing really waits.
func (r *rehearsal) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// send accepts one event and lets two seconds pass, in which it is planned and
// its edits go out. Fields are pairs of a path and a value; those that begin
// with a slash belong to the envelope.
func (r *rehearsal) send(kind string, fields ...any) (id string) {
	r.t.Helper()
	id = r.accept(kind, fields...)
	r.pass(2 * time.Second)
	return id
}

func (r *rehearsal) accept(kind string, fields ...any) (id string) {
	r.t.Helper()
	r.serial++
	root := map[string]any{"id": fmt.Sprint("evt_", r.serial), "type": kind, "data": map[string]any{}}
	for i := 0; i+1 < len(fields); i += 2 {
		name := fields[i].(string)
		if at, isTime := fields[i+1].(time.Time); isTime {
			fields[i+1] = at.UTC().Format(time.RFC3339Nano)
		}
		if top, ok := strings.CutPrefix(name, "/"); ok {
			root[top] = fields[i+1]
			continue
		}
		into, keys := root["data"].(map[string]any), strings.Split(name, ".")
		for _, key := range keys[:len(keys)-1] {
			if into[key] == nil {
				into[key] = map[string]any{}
			}
			into = into[key].(map[string]any)
		}
		into[keys[len(keys)-1]] = fields[i+1]
	}
	body, err := json.Marshal(root)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.acceptBody(body, sha256.Sum256(body))
}

func (r *rehearsal) acceptBody(body []byte, hash [32]byte) (id string) {
	r.t.Helper()
	environment := event.Production
	for _, s := range r.cfg.Sources {
		if s.Name == r.source {
			environment = s.Environment
		}
	}
	receipt, err := r.store.Accept(context.Background(), event.Received{
		Source: r.source, Environment: environment, Key: sha256.Sum256(fmt.Append(nil, r.serial)), BodyHash: hash,
		Origin: event.OriginWebhook, Authentic: !r.unsigned, ReceivedAt: time.Now(), Body: body,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return receipt.ID
}

// failed is a failure of a transaction of the usual partner, by its connection.
func (r *rehearsal) failed(transaction string, more ...any) (id string) {
	r.t.Helper()
	return r.send("transaction.failed", append([]any{
		"transaction.id", transaction, "partner.id", "par_1", "partner.name", "Harrowgate",
		"transaction.document_type", "856", "error.category", "connectivity",
	}, more...)...)
}

func (r *rehearsal) delivered(transaction string, more ...any) (id string) {
	r.t.Helper()
	return r.send("transaction.delivered", append([]any{"transaction.id", transaction, "partner.id", "par_1"}, more...)...)
}

// farCall is one call that a far side took.
type farCall struct {
	deed string // "post", "reply", "broadcast", "edit", "hook"; "trigger A#2"
	text string
	at   time.Time
}

func (r *rehearsal) slackCalls() (calls []farCall) {
	for _, q := range r.slack.Requests() {
		if q.Faulted {
			continue
		}
		args, err := url.ParseQuery(string(q.Body))
		if err != nil {
			r.t.Fatal(err)
		}
		c := farCall{deed: "post", text: args.Get("text") + "\n" + args.Get("blocks"), at: q.At}
		switch {
		case strings.HasPrefix(q.Path, "/services/"):
			c.deed, c.text = "hook", string(q.Body)
		case path.Base(q.Path) == "chat.update":
			c.deed = "edit"
		case args.Get("reply_broadcast") == "true":
			c.deed = "broadcast"
		case args.Get("thread_ts") != "":
			c.deed = "reply"
		}
		calls = append(calls, c)
	}
	return calls
}

// pagerCalls are those through one routing key, by its first letter. They name
// incidents A, B, … in the order of their first call.
func (r *rehearsal) pagerCalls(key string) (calls []farCall) {
	for _, q := range r.pager.Requests() {
		var body struct {
			RoutingKey string `json:"routing_key"`
			Action     string `json:"event_action"`
			DedupKey   string `json:"dedup_key"`
		}
		if q.Faulted || json.Unmarshal(q.Body, &body) != nil {
			continue
		}
		id, nth, anew := strings.Cut(body.DedupKey, "#")
		if r.names[id] == "" {
			r.names[id] = string(rune('A' + len(r.names)))
		}
		c := farCall{deed: body.Action + " " + r.names[id], text: string(q.Body), at: q.At}
		if anew {
			c.deed += "#" + nth
		}
		if strings.HasPrefix(body.RoutingKey, key) {
			calls = append(calls, c)
		}
	}
	return calls
}

// news are the calls to a far side since the last look.
func (r *rehearsal) news(of string) (calls []farCall) {
	switch of {
	case "PagerDuty":
		calls = r.pagerCalls("0")
	case "lead":
		calls = r.pagerCalls("f")
	default:
		calls = r.slackCalls()
	}
	seen := r.looked[of]
	r.looked[of] = len(calls)
	return calls[seen:]
}

// wants compares what a far side took since the last look, and returns it.
func (r *rehearsal) wants(of, deeds string) []farCall {
	r.t.Helper()
	calls := r.news(of)
	var got []string
	for _, c := range calls {
		got = append(got, c.deed)
	}
	if text := strings.Join(got, ", "); text != deeds {
		r.t.Fatalf("at +%v %s took %q, want %q", time.Since(rehearsalStart), of, text, deeds)
	}
	return calls
}

// wantsAny is wants where the order is open: of different incidents.
func (r *rehearsal) wantsAny(of string, deeds ...string) {
	r.t.Helper()
	var got []string
	for _, c := range r.news(of) {
		got = append(got, c.deed)
	}
	slices.Sort(got)
	slices.Sort(deeds)
	if !slices.Equal(got, deeds) {
		r.t.Fatalf("at +%v %s took %q, want %q in any order", time.Since(rehearsalStart), of, got, deeds)
	}
}

// rehearsalStart is when every rehearsal begins: a bubble's own first year is
// before the first ts that Slack could have given.
var rehearsalStart = time.Date(2026, 3, 10, 14, 0, 0, 0, time.UTC)

// quiet forgets what all took so far.
func (r *rehearsal) quiet() {
	r.news("Slack")
	r.news("PagerDuty")
	r.news("lead")
}

func (r *rehearsal) decision(id string) (d incident.Decision) {
	r.t.Helper()
	st, err := r.store.Event(context.Background(), id)
	if err == nil {
		err = json.Unmarshal(st.Decision, &d)
	}
	if err != nil {
		r.t.Fatalf("decision of %s: %v", id, err)
	}
	return d
}

func (r *rehearsal) wantOutcome(id string, want incident.Outcome) incident.Decision {
	r.t.Helper()
	d := r.decision(id)
	if d.Outcome != want {
		r.t.Fatalf("outcome %q, want %q (%q)", d.Outcome, want, d.Reasons)
	}
	return d
}

// incidents are all, oldest first.
func (r *rehearsal) incidents() []incident.Incident {
	r.t.Helper()
	all, err := r.store.Incidents(context.Background(), incident.Filter{Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

func (r *rehearsal) says(c farCall, words ...string) {
	r.t.Helper()
	for _, w := range words {
		if !strings.Contains(c.text, w) {
			r.t.Errorf("%q does not say %q:\n%s", c.deed, w, c.text)
		}
	}
}
