package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datasync-bridge/store/sqlite"
)

// commitMetrics are what the store's writer shows.
type commitMetrics struct {
	changes, took prometheus.Histogram
	failed        prometheus.Counter
}

func newCommitMetrics() commitMetrics {
	return commitMetrics{
		changes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bridge_store_batch_changes", Help: "Events and other changes that one commit of the store was made for.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10)}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bridge_store_commit_duration_seconds", Help: "Time that one commit of the store took, until it was on disk.",
			Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}}),
		failed: counter("bridge_store_commit_failures_total", "Commits of the store that failed, for all who waited for them."),
	}
}

// committed observes one commit of the store's writer.
func (m commitMetrics) committed(c sqlite.Commit) {
	if c.Err != nil {
		m.failed.Inc()
		return
	}
	m.changes.Observe(float64(c.Events + c.Jobs))
	m.took.Observe(c.Took.Seconds())
}

// watchStore shows what waits in a store, and the room on its disk.
func (m *metrics) watchStore(s *sqlite.Store, path string) { m.registry.MustRegister(waiting{s, path}) }

// waiting asks the store what waits, at each scrape.
type waiting struct {
	store *sqlite.Store
	path  string
}

var (
	pendingEvents = prometheus.NewDesc("bridge_events_pending", "Accepted events that are not planned yet.", nil, nil)
	pendingAge    = prometheus.NewDesc("bridge_events_pending_age_seconds", "Age of the oldest such event.", nil, nil)
	parkedEvents  = prometheus.NewDesc("bridge_events_parked", "Events that could not be planned three times.", nil, nil)
	openIncidents = prometheus.NewDesc("bridge_incidents_open", "Open incidents.", nil, nil)
	queuedByName  = prometheus.NewDesc("bridge_deliveries_waiting", "Notifications that are not sent yet.", []string{"notifier"}, nil)
	deadByName    = prometheus.NewDesc("bridge_deliveries_dead", "Notifications that were given up.", []string{"notifier"}, nil)
	queuedAge     = prometheus.NewDesc("bridge_deliveries_waiting_age_seconds", "Age of the oldest notification that is not sent.", nil, nil)
	overdue       = prometheus.NewDesc("bridge_deliveries_overdue_seconds", "How long the notification waits that has waited longest beyond its time.", []string{"notifier"}, nil)
	runsAwaiting  = prometheus.NewDesc("bridge_runs_awaiting", "Runs that wait for a person's approval.", nil, nil)
	runsUnknown   = prometheus.NewDesc("bridge_runs_unknown", "Runs that may have acted, and of which nobody knows.", nil, nil)
	storeQueue    = prometheus.NewDesc("bridge_store_queue", "Callers that wait for the store's writer.", nil, nil)
	storeBytes    = prometheus.NewDesc("bridge_store_bytes", "Size of the store's files.", []string{"file"}, nil)
	storeHeld     = prometheus.NewDesc("bridge_store_held_bytes", "What counts against store.max_size: pages in use, and the log.", nil, nil)
	storeFull     = prometheus.NewDesc("bridge_store_full", "1 while new events are refused because a bound is reached: max_size or quarantine.", []string{"bound"}, nil)
	diskFree      = prometheus.NewDesc("bridge_store_disk_free_bytes", "What is free on the store's disk for the bridge.", nil, nil)
	diskSize      = prometheus.NewDesc("bridge_store_disk_size_bytes", "Size of the store's disk.", nil, nil)
	storeUp       = prometheus.NewDesc("bridge_store_ready", "1 while the store can keep events.", nil, nil)
)

// Describe implements prometheus.Collector.
func (w waiting) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{pendingEvents, pendingAge, parkedEvents, openIncidents, runsAwaiting, runsUnknown,
		queuedByName, deadByName, queuedAge, overdue, storeQueue, storeBytes, storeHeld, storeFull, diskFree, diskSize, storeUp} {
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
	if free, all, err := diskSpace(filepath.Dir(w.path)); err == nil {
		gauge(diskFree, float64(free))
		gauge(diskSize, float64(all))
	}
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
	for name, since := range stats.OldestDue {
		gauge(overdue, age(w.store, since), name)
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
