package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// TestMetricsFollowTheNamingRules lints what /metrics shows after traffic.
func TestMetricsFollowTheNamingRules(t *testing.T) {
	rehearse(t, paged, func(r *rehearsal) {
		r.failed("txn_1")
		r.metrics.received("datasync", "accepted", time.Millisecond)
		r.metrics.loaded("0123456789ab", true, time.Now())
		r.metrics.watchAPI(func() bool { return true })
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
		if len(families) < 40 {
			t.Errorf("only %d families", len(families))
		}
	})
}

// TestWhatIsWatchedIsShown looks for every metric that the documents, the alert
// rules and the dashboard name among those that the program shows, and for what
// an operator cannot do without.
func TestWhatIsWatchedIsShown(t *testing.T) {
	far := newFarSide(t)
	s := startServe(t, configuration(t, far.url, pageShipNotices))
	s.accept(eventBody(1, "transaction.failed", 1))
	eventually(t, time.Minute, "somebody is told", func() bool { return len(far.roots()) > 0 })
	shown := s.metrics()
	for what, name := range map[string]string{
		"accepted, refused and duplicates": "bridge_requests_total", "the time to the answer": "bridge_request_duration_seconds_bucket",
		"the queue's depth": "bridge_store_queue", "its age": "bridge_events_pending_age_seconds", "batch sizes": "bridge_store_commit_events_bucket",
		"commit time": "bridge_store_commit_duration_seconds_bucket", "deliveries by notifier and outcome": "bridge_delivery_attempts_total",
		"incidents": "bridge_incidents_open", "runs": "bridge_runs_unknown",
		"reloads": "bridge_config_last_reload_successful", "the build": "bridge_build_info",
	} {
		if !strings.Contains(shown, "\n"+name) {
			t.Errorf("%s: %s is not shown", what, name)
		}
	}
	declared := declaredMetrics(t)
	names := regexp.MustCompile(`\bbridge_[a-z_]+`)
	for _, file := range []string{"operating.md", "monitoring/alerts.yaml", "monitoring/dashboard.json"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names.FindAllString(string(text), -1) {
			if !slices.Contains(declared, strings.TrimSuffix(name, "_bucket")) {
				t.Errorf("docs/%s: there is no metric %s", file, name)
			}
		}
	}
}

// declaredMetrics are the names in the program's source: many are shown only
// once they have something to tell.
func declaredMetrics(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`"(bridge_[a-z_]+)"`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range literal.FindAllStringSubmatch(string(text), -1) {
			names = append(names, found[1])
		}
	}
	return names
}
