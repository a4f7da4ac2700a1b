package main

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"datasync-bridge/dispatch"
	"datasync-bridge/event"
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
}

func newMetrics(s *sqlite.Store) *metrics {
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
		conflicts:  counter("bridge_plan_conflicts_total", "Plans made again because what they were made from had changed."),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_delivery_attempts_total", Help: "Calls to notifiers by kind of notification and result."}, []string{"notifier", "kind", "result"}),
		sending: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bridge_delivery_duration_seconds", Help: "Time that one call to a notifier took.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"notifier"}),
		polls: newPollMetrics(), partners: newPartnerMetrics(),
		repeatable: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_delivery_repeats_total", Help: "Calls that may repeat one whose answer was lost; Slack messages say so."}, []string{"notifier"}),
	}
	m.loads = newLoadMetrics()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "bridge_build_info", Help: "Always 1; the label tells the version.",
		ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.answering, m.planned, m.planning, m.failures, m.conditions, m.conflicts,
		m.attempts, m.sending, m.repeatable, build, waiting{s},
		m.polls.missed, m.polls.late, m.polls.cleared, m.polls.failed, m.polls.took, m.polls.skipped,
		m.loads.config, m.loads.total, m.loads.good, m.loads.at,
		m.partners.fetched, m.partners.failed, m.partners.reminded,
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
		Planned: func(st event.Stored, outcome incident.Outcome, sinceArrival time.Duration) {
			m.polls.planned(st, outcome)
			m.planned.WithLabelValues(string(outcome)).Inc()
			m.planning.Observe(sinceArrival.Seconds())
		},
		ConditionsFailed: func(count int) { m.conditions.Add(float64(count)) },
		PlanFailed:       m.failures.Inc,
		Conflict:         m.conflicts.Inc,
		Attempted: func(a dispatch.Attempt) {
			m.attempts.WithLabelValues(a.Notifier, string(a.Kind), string(a.Result)).Inc()
			m.sending.WithLabelValues(a.Notifier).Observe(a.Took.Seconds())
			if a.Repeat {
				m.repeatable.WithLabelValues(a.Notifier).Inc()
			}
		},
	}
}

// waiting asks the store what waits, at each scrape.
type waiting struct{ store *sqlite.Store }

var (
	pendingEvents = prometheus.NewDesc("bridge_events_pending", "Accepted events that are not planned yet.", nil, nil)
	pendingAge    = prometheus.NewDesc("bridge_events_pending_age_seconds", "Age of the oldest such event.", nil, nil)
	parkedEvents  = prometheus.NewDesc("bridge_events_parked", "Events that could not be planned three times.", nil, nil)
	openIncidents = prometheus.NewDesc("bridge_incidents_open", "Open incidents.", nil, nil)
	queuedByName  = prometheus.NewDesc("bridge_deliveries_waiting", "Notifications that are not sent yet.", []string{"notifier"}, nil)
	deadByName    = prometheus.NewDesc("bridge_deliveries_dead", "Notifications that were given up.", []string{"notifier"}, nil)
	queuedAge     = prometheus.NewDesc("bridge_deliveries_waiting_age_seconds", "Age of the oldest notification that is not sent.", nil, nil)
	runsAwaiting  = prometheus.NewDesc("bridge_runs_awaiting", "Runs that wait for a person's approval.", nil, nil)
	runsUnknown   = prometheus.NewDesc("bridge_runs_unknown", "Runs that may have acted, and of which nobody knows.", nil, nil)
	storeQueue    = prometheus.NewDesc("bridge_store_queue", "Callers that wait for the store's writer.", nil, nil)
	storeBytes    = prometheus.NewDesc("bridge_store_bytes", "Size of the store's files.", []string{"file"}, nil)
	storeHeld     = prometheus.NewDesc("bridge_store_held_bytes", "What counts against store.max_size: pages in use, and the log.", nil, nil)
	storeFull     = prometheus.NewDesc("bridge_store_full", "1 while new events are refused because a bound is reached: max_size or quarantine.", []string{"bound"}, nil)
	storeUp       = prometheus.NewDesc("bridge_store_ready", "1 while the store can keep events.", nil, nil)
)

// Describe implements prometheus.Collector.
func (w waiting) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{pendingEvents, pendingAge, parkedEvents, openIncidents, runsAwaiting, runsUnknown, queuedByName, deadByName, queuedAge, storeQueue, storeBytes, storeHeld, storeFull, storeUp} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (w waiting) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	stats, err := w.store.Stats(ctx)
	if err != nil {
		gauge(storeUp, 0)
		return
	}
	gauge(storeUp, oneIf(w.store.Ready(ctx) == nil))
	gauge(pendingEvents, float64(stats.Pending))
	gauge(pendingAge, age(w.store, stats.OldestPending))
	gauge(parkedEvents, float64(stats.Parked))
	gauge(openIncidents, float64(stats.OpenIncidents))
	gauge(runsAwaiting, float64(stats.RunsAwaiting))
	gauge(runsUnknown, float64(stats.RunsUnknown))
	for name, n := range stats.Waiting {
		gauge(queuedByName, float64(n), name)
	}
	for name, n := range stats.Dead {
		gauge(deadByName, float64(n), name)
	}
	gauge(queuedAge, age(w.store, stats.OldestWaiting))
	gauge(storeQueue, float64(stats.Queue))
	gauge(storeBytes, float64(stats.Size), "database")
	gauge(storeBytes, float64(stats.Log), "wal")
	gauge(storeHeld, float64(stats.Held))
	gauge(storeFull, oneIf(stats.Full), "max_size")
	gauge(storeFull, oneIf(stats.QuarantineFull), "quarantine")
}

func oneIf(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

func age(s *sqlite.Store, since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(0, s.Now().Sub(since).Seconds())
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
