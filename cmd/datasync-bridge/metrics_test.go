package main

import (
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
