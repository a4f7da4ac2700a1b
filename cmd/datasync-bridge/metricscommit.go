package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// commitMetrics tell how the store's one writer is doing.
type commitMetrics struct {
	took, events prometheus.Histogram
}

func newCommitMetrics() commitMetrics {
	return commitMetrics{
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bridge_store_commit_duration_seconds", Help: "Time of one commit of the store, its fsync included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .5, 2}}),
		events: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bridge_store_commit_events", Help: "Received events in one commit, of those commits that have any.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}}),
	}
}

func (m commitMetrics) observe(events, _ int, took time.Duration) {
	m.took.Observe(took.Seconds())
	if events > 0 {
		m.events.Observe(float64(events))
	}
}
