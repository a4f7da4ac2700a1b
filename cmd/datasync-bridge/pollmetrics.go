package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datasync-bridge/datasync/enrich"
	"datasync-bridge/datasync/reconcile"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// pollMetrics are what polling shows. What webhooks missed for good is missed
// less late: when a poll finds a failure, its webhook may still be on the way.
type pollMetrics struct {
	missed, late, cleared, failed prometheus.Counter
	took                          prometheus.Histogram
	skipped                       *prometheus.CounterVec
}

func newPollMetrics() pollMetrics {
	return pollMetrics{
		missed:  counter("bridge_missed_by_webhook_total", "Failures that polling told first, because no webhook had come."),
		late:    counter("bridge_webhooks_late_total", "Webhooks that came after polling had told their failure."),
		cleared: counter("bridge_reconcile_cleared_total", "Open transactions that polling found failed no longer."),
		failed:  counter("bridge_reconcile_failures_total", "Polls that Datasync did not answer."),
		skipped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_reconcile_skipped_total", Help: "What polls listed and could not take, by why; unread: a minute in which more failed than a listing shows."}, []string{"why"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bridge_reconcile_duration_seconds", Help: "Time that one poll took.", Buckets: []float64{.1, .5, 1, 5, 30, 120}}),
	}
}

func (m pollMetrics) observer() reconcile.Observer {
	return reconcile.Observer{
		Cleared:    func(n int) { m.cleared.Add(float64(n)) },
		Polled:     func(took time.Duration) { m.took.Observe(took.Seconds()) },
		PollFailed: m.failed.Inc,
		Skipped:    func(why string, n int) { m.skipped.WithLabelValues(why).Add(float64(n)) },
	}
}

// planned counts what the plan of an event shows of webhooks and polls.
func (m pollMetrics) planned(st event.Stored, outcome incident.Outcome) {
	switch {
	case outcome == incident.Refined:
		m.late.Inc()
	case st.Origin == event.OriginReconcile && st.Type == "transaction.failed":
		switch outcome {
		case incident.Opened, incident.Joined, incident.Reopened:
			m.missed.Inc()
		}
	}
}

// partnerMetrics are what enrichment shows.
type partnerMetrics struct {
	fetched, failed, reminded prometheus.Counter
}

func newPartnerMetrics() partnerMetrics {
	return partnerMetrics{
		fetched:  counter("bridge_partners_fetched_total", "Partners that Datasync told of."),
		failed:   counter("bridge_partners_fetch_failures_total", "Partners that Datasync did not tell of when asked."),
		reminded: counter("bridge_certificate_events_total", "Events on certificates that were computed from what Datasync tells of partners."),
	}
}

func (m partnerMetrics) observer() enrich.Observer {
	return enrich.Observer{
		Fetched: m.fetched.Inc, FetchFailed: m.failed.Inc, Reminded: func(string) { m.reminded.Inc() },
	}
}
