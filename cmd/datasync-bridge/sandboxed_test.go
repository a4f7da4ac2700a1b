package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web/view"
)

// withDatasync is a stand-in of Datasync on loopback, outliving the bridge's
// processes, beside the stand-ins of Slack and PagerDuty.
type withDatasync struct {
	*farSide
	t        *testing.T
	datasync *sandbox.Sandbox
	url      string // its base_url
}

func withSandbox(t *testing.T, o sandbox.Options) *withDatasync {
	t.Helper()
	o.Secret = testSecret
	d := &withDatasync{farSide: newFarSide(t), t: t, datasync: sandbox.New(o)}
	var open net.ListenConfig
	ln, err := open.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.url = "http://" + ln.Addr().String() + "/v1"
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.datasync.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the sandbox ended with %v", err)
		}
	})
	return d
}

// configuration writes one that calls this Datasync; more of the datasync
// section stands in api, all else in rest.
func (d *withDatasync) configuration(api, rest string) string {
	d.t.Helper()
	dir := d.t.TempDir()
	return writeConfiguration(d.t, dir, filepath.Join(dir, "data", "bridge.db"), d.farSide.url,
		fmt.Sprintf("\ndatasync: {base_url: %q, client_id: sandbox, client_secret: sandbox-secret%s}\n", d.url, api)+rest)
}

// serve starts the bridge and subscribes it by its own command.
func (d *withDatasync) serve(config string) *served {
	d.t.Helper()
	s := startServe(d.t, config)
	s.works("subscribe", "--url", s.public+"/hooks/datasync", "--events", "*")
	return s
}

// fail makes a final failure of a document known to Datasync and tells it.
func (d *withDatasync) fail(t sandbox.Transaction, category string) string {
	d.t.Helper()
	if t.Partner.ID == "" {
		t.Partner = sandbox.Partner{ID: "par_1", Name: "Harrowgate Grocers"}
	}
	id := d.datasync.Put(t)
	d.datasync.Fail(id, sandbox.Failure{Code: "CONNECTION_REFUSED", Category: category, Message: "connection refused"})
	return id
}

// runs lists the bridge's runs, oldest first.
func (s *served) runs() []view.Run {
	s.t.Helper()
	rows := listJSON[view.Run](s.t, "runs", "list", "-c", s.config)
	slices.Reverse(rows)
	return rows
}

// run waits until there is a run in one of the states, and returns the newest.
func (s *served) run(states ...incident.RunState) view.Run {
	s.t.Helper()
	var found view.Run
	eventually(s.t, 30*time.Second, fmt.Sprintf("a run is %v\n%v", states, s.log()), func() bool {
		for _, r := range s.runs() {
			if slices.Contains(view.Words(states...), r.State) {
				found = r
				return true
			}
		}
		return false
	})
	return found
}

// audited counts the lines of the audit by action, after it was verified.
func (s *served) audited() map[string]int {
	s.t.Helper()
	s.works("audit", "verify")
	var lines []incident.Audit
	if err := json.Unmarshal([]byte(s.works("audit", "list", "-o", "json")), &lines); err != nil {
		s.t.Fatal(err)
	}
	count := map[string]int{}
	for _, l := range lines {
		count[l.Action]++
	}
	return count
}

// members are all members of all incidents.
func members(t *testing.T, config string) []incident.Member {
	t.Helper()
	store := openStore(t, config)
	all, err := store.Incidents(t.Context(), incident.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var out []incident.Member
	for _, i := range all {
		found, err := store.Members(t.Context(), i.ID, 1000)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	return out
}

func TestTenFailuresOfWhichThreeWebhooksAreLostAndTwoLateAlertOnceEach(t *testing.T) {
	t.Parallel()
	d := withSandbox(t, sandbox.Options{})
	config := d.configuration(", reconcile: {every: 1s}", "\ndefaults: {notify: [ops]}\n")
	s := d.serve(config)
	polled(s)

	// Failures of content: each is an incident of its own.
	for n := 1; n <= 10; n++ {
		switch n {
		case 3, 6, 9:
			d.datasync.LoseNext(1)
		case 4, 8:
			d.datasync.DelayWebhooks(1)
		}
		d.fail(sandbox.Transaction{ID: fmt.Sprintf("txn_%02d", n), DocumentType: "850"}, "validation")
	}
	eventually(t, 30*time.Second, "all ten are told", func() bool { return len(d.roots()) >= 10 })
	if n := d.datasync.ReleaseWebhooks(); n != 2 {
		t.Fatalf("%d webhooks came late, want 2", n)
	}
	if err := d.datasync.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the late webhooks took the place of what polling found", func() bool {
		return origins(t, config)[event.OriginReconcile] == 3
	})
	polled(s) // and again: it must not tell anything twice
	polled(s)
	calm(t, openStore(t, config))

	if got := origins(t, config); got[event.OriginReconcile] != 3 || got[event.OriginWebhook] != 7 {
		t.Errorf("found by %v, want 3 by polling and 7 by webhook", got)
	}
	if n := len(d.roots()); n != 10 {
		t.Errorf("%d messages for ten failures", n)
	}
	for _, m := range d.slack.Messages(testChannel) {
		if m.Thread != "" {
			t.Errorf("something was said again: %s", m.Readable())
		}
	}
	marked := 0
	for _, m := range d.roots() {
		if strings.Contains(m.Readable(), "found by polling") {
			marked++
		}
	}
	if marked != 3 {
		t.Errorf("%d messages say that polling found it, want 3", marked)
	}
	if got := s.audited(); got[incident.AuditCalled] != 1 {
		t.Errorf("the audit holds %v, want the call that subscribed", got)
	}
	_, _, page := fetch(t, s.admin+"/metrics", "")
	for _, want := range []string{"bridge_missed_by_webhook_total 5", "bridge_webhooks_late_total 2", "bridge_datasync_up 1"} {
		if !strings.Contains(page, want) {
			t.Errorf("the metrics do not say %q", want)
		}
	}
}

func origins(t *testing.T, config string) map[event.Origin]int {
	t.Helper()
	got := map[event.Origin]int{}
	for _, m := range members(t, config) {
		got[m.Origin]++
	}
	return got
}

// polled waits for a whole poll to begin and end from now.
func polled(s *served) {
	s.t.Helper()
	from := time.Now()
	eventually(s.t, 30*time.Second, "a poll has ended", func() bool {
		polls, err := openStore(s.t, s.config).Polls(s.t.Context())
		return err == nil && len(polls) > 0 && polls[0].Watermark.After(from)
	})
}
