package sandbox_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
)

// audience hears a story, and may act at a step.
type audience struct {
	mu    sync.Mutex
	steps []sandbox.Step
	act   func(sandbox.Step)
	acts  sync.WaitGroup
}

func (a *audience) hear(s sandbox.Step) {
	a.mu.Lock()
	a.steps = append(a.steps, s)
	a.mu.Unlock()
	if a.act != nil {
		a.act(s)
	}
}

// once acts beside the story at the first step of a kind whose text holds the
// words; tell waits for it.
func (a *audience) once(kind sandbox.Kind, words string, act func()) {
	done := false
	a.act = func(s sandbox.Step) {
		if !done && s.Kind == kind && strings.Contains(s.Text, words) {
			done = true
			a.acts.Go(act)
		}
	}
}

func (a *audience) kinds() map[sandbox.Kind]int {
	n := map[sandbox.Kind]int{}
	for _, s := range a.steps {
		n[s.Kind]++
	}
	return n
}

func (a *audience) says(kind sandbox.Kind, words string) bool {
	return slices.ContainsFunc(a.steps, func(s sandbox.Step) bool { return s.Kind == kind && strings.Contains(s.Text, words) })
}

func tell(t *testing.T, s *sandbox.Sandbox, name string, a *audience, patience time.Duration) error {
	t.Helper()
	story, known := sandbox.StoryNamed(name)
	if !known {
		t.Fatalf("no story %q", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	defer a.acts.Wait()
	return s.Play(ctx, story, sandbox.Telling{Patience: patience, Step: a.hear})
}

func count(list []string, one string) int {
	n := 0
	for _, s := range list {
		if s == one {
			n++
		}
	}
	return n
}

func TestOutageLosesThreeWebhooksAndHeals(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	h := newHook(t)
	subscribe(t, base, h.URL, "*")
	bearer := token(t, base)
	polled := make(chan int, 1)
	a := &audience{}
	a.once(sandbox.Waiting, "poll", func() {
		for {
			status, body := call(t, "GET", base+"/v1/transactions?status=failed", bearer, nil)
			if status == 200 {
				polled <- len(ids(body))
				return
			}
		}
	})
	if err := tell(t, s, "outage", a, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if got := <-polled; got != 12 {
		t.Errorf("the poll found %d failed documents, want 12", got)
	}
	types := h.types()
	for kind, want := range map[string]int{
		"webhook.test": 1, "partner.connection_failed": 1, "transaction.retrying": 12, "transaction.failed": 9,
		"partner.connection_restored": 1, "transaction.delivered": 12,
	} {
		if got := count(types, kind); got != want {
			t.Errorf("%d × %s, want %d", got, kind, want)
		}
	}
	if n := s.Calls()["GET /v1/transactions"]; n != 6 {
		t.Errorf("%d calls until the poll was answered, want five refused and one answered", n)
	}
	k := a.kinds()
	if k[sandbox.Failed] != 7 || k[sandbox.Lost] != 3 || k[sandbox.Late] != 3 || k[sandbox.Delivered] != 3 || k[sandbox.Trouble] != 0 {
		t.Errorf("steps %v", k)
	}
	for _, number := range []string{"SH-55120", "INV-70412", "SH-55122"} {
		if !a.says(sandbox.Expect, number) {
			t.Errorf("nobody is told what to expect of %s", number)
		}
	}
	if !a.says(sandbox.Webhooks, "38 emitted: 35 accepted, 3 lost") {
		t.Errorf("the balance is missing: %v", a.steps)
	}
}

func TestLostWebhooksAreNamedWhereNobodyPolls(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	h := newHook(t)
	subscribe(t, base, h.URL, "transaction.failed")
	a := &audience{}
	if err := tell(t, s, "lost-webhooks", a, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if got := count(h.types(), "transaction.failed"); got != 7 {
		t.Errorf("%d webhooks came, want 7 of 10", got)
	}
	if !a.says(sandbox.Trouble, "INV-41003, WO-21006, SH-61009") {
		t.Errorf("the lost ones are not named: %v", a.steps)
	}
	_, body := call(t, "GET", base+"/v1/transactions?status=failed", token(t, base), nil)
	if got := len(ids(body)); got != 10 {
		t.Errorf("%d documents fail, want 10 that a poll finds", got)
	}
}

func TestInvoiceWaitsForItsRun(t *testing.T) {
	for _, tt := range []struct {
		name string
		runs int
		fail bool
		want sandbox.Kind
	}{
		{"approved", 1, false, sandbox.Delivered},
		{"nobody approves", 0, false, sandbox.Trouble},
		{"the run fails", 1, true, sandbox.Trouble},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, base := start(t, sandbox.Options{})
			bearer := token(t, base)
			if tt.fail {
				s.FailRun(sandbox.Failure{Code: "X"})
			}
			a := &audience{}
			if tt.runs > 0 {
				a.once(sandbox.Waiting, "asks for approval", func() {
					_, body := call(t, "GET", base+"/v1/transactions?status=failed", bearer, nil)
					call(t, "POST", base+"/v1/automations/run", bearer, map[string]any{
						"workflow": "resend_invoice", "idempotency_key": "k", "params": map[string]any{"transaction_id": ids(body)[0]}})
				})
			}
			patience := 10 * time.Second
			if tt.runs == 0 {
				patience = time.Millisecond
			}
			if err := tell(t, s, "invoice-approval", a, patience); err != nil {
				t.Fatal(err)
			}
			if k := a.kinds(); k[tt.want] != 1 || k[sandbox.Ran] != tt.runs || k[sandbox.Delivered]+k[sandbox.Trouble] != 1 {
				t.Errorf("steps %v", a.steps)
			}
		})
	}
}

func TestCertificateStoryLooksLikeTheSample(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	h := newHook(t)
	subscribe(t, base, h.URL, "partner.*")
	if err := tell(t, s, "certificate", &audience{}, time.Second); err != nil {
		t.Fatal(err)
	}
	if got := h.types(); !slices.Equal(got, []string{"partner.certificate_expiring", "partner.certificate_updated"}) {
		t.Fatalf("events %v", got)
	}
	if got, want := shape(t, h.bodies[0]), shape(t, sample(t, "13_certificate_expiring")); !slices.Equal(got, want) {
		t.Errorf("the event has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if text := string(h.bodies[0]); !strings.Contains(text, `"days_remaining": 13`) {
		t.Errorf("%s does not say 13 days", text)
	}
	p, _ := s.Partner("par_7h2k9")
	if len(p.Certificates) != 1 || time.Until(p.Certificates[0].NotAfter) < 300*24*time.Hour {
		t.Errorf("certificates %v, want the new one alone", p.Certificates)
	}
}

func TestStoryIsNotToldToWhoRefusesWebhooks(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	h := newHook(t, 401)
	subscribe(t, base, h.URL, "*")
	a := &audience{}
	if err := tell(t, s, "outage", a, time.Second); err == nil || !strings.Contains(err.Error(), "webhook secret") {
		t.Errorf("error %v, want one that says what to do", err)
	}
	if len(a.steps) != 0 {
		t.Errorf("steps %v", a.steps)
	}
}

func TestStoryEndsWithItsContext(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	h := newHook(t)
	subscribe(t, base, h.URL, "*")
	for _, story := range sandbox.Stories() {
		ctx, stop := context.WithCancel(t.Context())
		n := 0
		err := s.Play(ctx, story, sandbox.Telling{Pace: time.Hour, Step: func(sandbox.Step) { n++; stop() }})
		if err == nil || n != 1 {
			t.Errorf("%s: %v after %d steps, want an end after the first", story.Name, err, n)
		}
	}
}

func TestSubscriptionInEitherWorldIsFound(t *testing.T) {
	for _, inside := range []bool{false, true} {
		s, base := start(t, sandbox.Options{})
		found := make(chan *sandbox.Sandbox)
		go func() {
			world, err := s.Subscribed(t.Context())
			if err != nil {
				t.Error(err)
			}
			found <- world
		}()
		h, want, at := newHook(t), s, base+"/v1"
		if inside {
			want, at = s.InSandbox(), base+"/v1/sandbox"
		}
		_, body := call(t, "POST", at+"/auth/token", "", map[string]string{"client_id": "sandbox", "client_secret": "sandbox-secret"})
		call(t, "POST", at+"/webhooks/subscriptions", body["access_token"].(string), map[string]any{"name": "n", "url": h.URL, "events": []string{"*"}})
		if got := <-found; got != want {
			t.Errorf("inside %v: the wrong world", inside)
		}
	}
}
