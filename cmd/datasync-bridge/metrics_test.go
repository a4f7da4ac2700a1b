package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"datasync-bridge/notifiers/standin"
)

// TestMetricsFollowTheNamingRules lints what /metrics shows after traffic.
func TestMetricsFollowTheNamingRules(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.failed("txn_1")
		r.metrics.received("datasync", "accepted", time.Millisecond)
		r.metrics.loaded("0123456789ab", true, time.Now())
		r.metrics.watchAPI(func() bool { return true })
		r.metrics.watchCertificate("admin", time.Now)
		r.metrics.runs.became.WithLabelValues("resend", "done").Inc()
		families, err := r.metrics.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		problems, err := promlint.NewWithMetricFamilies(families).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
		if len(families) < 60 {
			t.Errorf("only %d families", len(families))
		}
	})
}

// TestARunningBridgeShowsWhatPeopleWatch holds what must be seen from outside
// against /metrics of a bridge that accepts, refuses, tells, fails and runs.
func TestARunningBridgeShowsWhatPeopleWatch(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	far.pager.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Status: http.StatusBadRequest} })
	beats := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(beats.Close)
	serve := bridgeCommand(t.Context(), "serve", "--log-format", "json", "-c", configuration(t, far.url, fmt.Sprintf(`
  - {name: unreachable, slack: {webhook_url: "http://127.0.0.1:1/services/T0/B0/x"}}
heartbeat: {url: "%s/", every: 10s}
datasync: {base_url: "http://127.0.0.1:1/v1", client_id: bridge, client_secret: of-a-client, reconcile: {every: 30s}, enrich: {}}
defaults: {notify: [ops, pager, unreachable]}
rules:
  - {name: repair, match: {type: transaction.failed}, remediate: resend}
remediations:
  - {name: resend, workflow: resend, mode: auto, limit: {overall: 5/1h}}
`, beats.URL)))
	serve.Env = append(serve.Env, "BRIDGE_AUTOMATIONS=off")
	s := startProcess(t, serve)
	body := happening{id: 1, kind: "transaction.failed", transaction: 1, document: "850", partner: "01"}.body()
	s.accept(body)
	if again, err := post(hurried, s.public, body); err != nil || again.Code != "duplicate" {
		t.Fatalf("the event again: %v, %v", again, err)
	}
	if forged, _ := s.refusedWith(body, sign([]byte("other"))); forged.Status != http.StatusUnauthorized {
		t.Fatalf("a forged event was answered %d, want 401", forged.Status)
	}
	var shown string
	missing := func() (names []string) {
		_, _, shown = fetch(t, s.admin+"/metrics", "")
		for what, series := range seenFromOutside {
			for _, one := range series {
				if !regexp.MustCompile(`(?m)^` + one).MatchString(shown) {
					names = append(names, what+": "+one)
				}
			}
		}
		return names
	}
	defer func() {
		if t.Failed() {
			t.Log(strings.Join(missing(), "\n"), "\n", shown)
		}
	}()
	eventually(t, 30*time.Second, "every metric is shown", func() bool { return len(missing()) == 0 })
	if told := regexp.MustCompile(`"(?:txn|evt|ev|in|dl|rn|par)_\w*\d\w*"|partner=|transaction=`).FindString(shown); told != "" {
		t.Errorf("a label tells of business: %s", told)
	}
}

// seenFromOutside are lines that /metrics must hold, by what they tell.
var seenFromOutside = map[string][]string{
	"accepted":           {`bridge_requests_total\{code="accepted",source="datasync"\} 1`, `bridge_request_duration_seconds_count\{source="datasync"\} 3`},
	"refused by reason":  {`bridge_requests_total\{code="signature_mismatch",source="datasync"\} 1`, `bridge_requests_total\{code="signature_missing",source="datasync"\} 0`},
	"duplicates":         {`bridge_requests_total\{code="duplicate",source="datasync"\} 1`},
	"queue depth":        {`bridge_events_pending 0`, `bridge_store_queue \d`, `bridge_deliveries_waiting\{`},
	"queue age":          {`bridge_events_pending_age_seconds 0`, `bridge_deliveries_waiting_age_seconds \d`},
	"parked":             {`bridge_events_parked 0`},
	"planning":           {`bridge_events_planned_total\{outcome="opened"\} [1-9]`, `bridge_event_planning_seconds_count [1-9]`, `bridge_plan_failures_total 0`, `bridge_plan_conflicts_total \d`},
	"batch sizes":        {`bridge_store_batch_changes_bucket\{le="1"\} [1-9]`},
	"commit time":        {`bridge_store_commit_duration_seconds_count [1-9]`, `bridge_store_commit_failures_total 0`},
	"deliveries":         {`bridge_delivery_attempts_total\{kind="opening",notifier="ops",result="sent"\} [1-9]`, `bridge_delivery_duration_seconds_count\{notifier="pager"\} [1-9]`},
	"dead list":          {`bridge_deliveries_dead\{notifier="pager"\} [1-9]`},
	"incidents":          {`bridge_incidents_open [1-9]`},
	"runs":               {`bridge_runs_awaiting 0`, `bridge_runs_unknown 0`, `bridge_runs_total\{remediation="resend",state="refused"\} 1`},
	"reconcile":          {`bridge_reconcile_failures_total \d`, `bridge_reconcile_duration_seconds_count \d`, `bridge_missed_by_webhook_total 0`, `bridge_webhooks_late_total 0`, `bridge_datasync_up [01]`},
	"config reload":      {`bridge_config_last_reload_successful 1`, `bridge_config_loads_total\{result="in_force"\} 1`, `bridge_config_info\{config="[0-9a-f]{12}"\} 1`},
	"build info":         {`bridge_build_info\{goversion="go1[^"]+",version="[^"]+"\} 1`},
	"the store":          {`bridge_store_ready 1`, `bridge_store_bytes\{file="database"\} [1-9]`, `bridge_store_disk_free_bytes [1-9]`, `bridge_store_disk_size_bytes [1-9]`},
	"heartbeat":          {`bridge_heartbeats_total [1-9]`, `bridge_heartbeat_failures_total 0`},
	"the process":        {`go_goroutines `, `process_resident_memory_bytes `, `process_start_time_seconds `},
	"partners are asked": {`bridge_partners_fetch_failures_total \d`},
}

// exported are all metrics that the program can show, whether or not something
// has happened that they count, with the names of their labels.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	m := newMetrics()
	m.watchAPI(func() bool { return true })
	m.watchCertificate("admin", time.Now)
	m.watchStore(nil, "")
	all := map[string][]string{}
	found := make(chan *prometheus.Desc)
	go func() { m.registry.Describe(found); close(found) }()
	parts := regexp.MustCompile(`fqName: "(\w+)".*constLabels: \{(.*)\}, variableLabels: \{(.*)\}`)
	for d := range found {
		p := parts.FindStringSubmatch(d.String())
		if p == nil {
			t.Fatalf("not understood: %s", d)
		}
		labels := regexp.MustCompile(`\w+`).FindAllString(p[3], -1)
		for _, fixed := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(p[2], -1) {
			labels = append(labels, fixed[1])
		}
		all[p[1]] = append(all[p[1]], labels...)
	}
	return all
}
