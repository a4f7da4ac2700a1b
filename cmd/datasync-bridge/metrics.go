package main

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"datasync-bridge/dispatch"
	"datasync-bridge/receiver"
	"datasync-bridge/receiver/signature"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
)

// metrics is what /metrics shows. Labels hold names from the configuration and
// words of our own, never anything that a payload brings.
type metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	answering  *prometheus.HistogramVec
	planned    *prometheus.CounterVec
	planning   prometheus.Histogram
	failures   prometheus.Counter
	conditions prometheus.Counter
	conflicts  prometheus.Counter
	attempts   *prometheus.CounterVec
	sending    *prometheus.HistogramVec
	repeatable *prometheus.CounterVec
	polls      pollMetrics
	partners   partnerMetrics
	loads      loadMetrics
	commits    commitMetrics
	runs       runMetrics
	beats      beatMetrics
	traces     prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_requests_total", Help: "Requests on the public listener by source and answer."}, []string{"source", "code"}),
		answering: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bridge_request_duration_seconds", Help: "Time to the answer, the commit included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}}, []string{"source"}),
		planned: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_events_planned_total", Help: "Events whose plan is committed, by outcome."}, []string{"outcome"}),
		planning: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bridge_event_planning_seconds", Help: "Time from an event's arrival to its committed plan.",
			Buckets: []float64{.005, .025, .1, .5, 1, 5, 30, 120}}),
		failures:   counter("bridge_plan_failures_total", "Events or timers that could not be planned or applied at one try."),
		conditions: counter("bridge_rule_conditions_failed_total", "Conditions (when:) that failed on an event, so that their rule did not match."),
		traces:     counter("bridge_trace_export_failures_total", "Batches of spans that the collector did not take; they are lost."),
		conflicts:  counter("bridge_plan_conflicts_total", "Plans made again because what they were made from had changed."),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_delivery_attempts_total", Help: "Calls to notifiers by kind of notification and result."}, []string{"notifier", "kind", "result"}),
		sending: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bridge_delivery_duration_seconds", Help: "Time that one call to a notifier took.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"notifier"}),
		polls: newPollMetrics(), partners: newPartnerMetrics(), loads: newLoadMetrics(),
		commits: newCommitMetrics(), runs: newRunMetrics(), beats: newBeatMetrics(),
		repeatable: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_delivery_repeats_total", Help: "Calls that may repeat one whose answer was lost; Slack messages say so."}, []string{"notifier"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "bridge_build_info", Help: "Always 1; the labels tell the version, and that of Go.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.answering, m.planned, m.planning, m.failures, m.conditions, m.conflicts,
		m.attempts, m.sending, m.repeatable, build,
		m.polls.missed, m.polls.late, m.polls.cleared, m.polls.failed, m.polls.took, m.polls.skipped,
		m.loads.config, m.loads.total, m.loads.good, m.loads.at,
		m.partners.fetched, m.partners.failed, m.partners.reminded,
		m.commits.changes, m.commits.took, m.commits.failed, m.runs.became, m.runs.took, m.beats.sent, m.beats.failed, m.traces,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// watchAPI shows whether Datasync's API is called, or left alone because it
// failed several times in a row.
func (m *metrics) watchAPI(healthy func() bool) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bridge_datasync_up", Help: "1 while Datasync's API is called, 0 while it is left alone after failures."},
		func() float64 { return oneIf(healthy()) }))
}

// expect makes the counters of a source begin at zero, because the first
// increase of one that did not exist is none to whoever watches.
func (m *metrics) expect(sources []receiver.Source) {
	for _, s := range sources {
		for _, code := range []string{"accepted", "duplicate", "conflict", "quarantined", "busy", "unavailable",
			string(signature.Mismatch), string(signature.Missing), string(signature.Malformed), string(signature.Stale)} {
			m.requests.WithLabelValues(s.Name, code)
		}
	}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// received observes one answer of the public listener.
func (m *metrics) received(source, code string, took time.Duration) {
	m.requests.WithLabelValues(source, code).Inc()
	m.answering.WithLabelValues(source).Observe(took.Seconds())
}

func (m *metrics) observer() dispatch.Observer {
	return dispatch.Observer{
		Planned: func(p dispatch.Planned) {
			m.polls.planned(p.Event, p.Outcome)
			m.runs.proposed(p.Runs)
			m.planned.WithLabelValues(string(p.Outcome)).Inc()
			m.planning.Observe(p.At.Sub(p.Event.ReceivedAt).Seconds())
		},
		ConditionsFailed: func(count int) { m.conditions.Add(float64(count)) },
		PlanFailed:       m.failures.Inc,
		Conflict:         m.conflicts.Inc,
		Attempted: func(_ incident.Delivery, a dispatch.Attempt) {
			m.attempts.WithLabelValues(a.Notifier, string(a.Kind), string(a.Result)).Inc()
			m.sending.WithLabelValues(a.Notifier).Observe(a.Took.Seconds())
			if a.Repeat {
				m.repeatable.WithLabelValues(a.Notifier).Inc()
			}
		},
	}
}

// counts are the store's figures for the admin API.
func counts(s sqlite.Stats) map[string]int64 {
	m := map[string]int64{
		"events.pending": int64(s.Pending), "events.parked": int64(s.Parked),
		"incidents.open": int64(s.OpenIncidents), "runs.unfinished": int64(s.Runs), "runs.awaiting": int64(s.RunsAwaiting), "runs.unknown": int64(s.RunsUnknown), "store.queue": int64(s.Queue),
	}
	for _, n := range s.Waiting {
		m["deliveries.waiting"] += int64(n)
	}
	for _, n := range s.Dead {
		m["deliveries.dead"] += int64(n)
	}
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}
