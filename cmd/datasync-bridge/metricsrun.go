package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datasync-bridge/datasync/remediation"
	"datasync-bridge/routing/incident"
)

// runMetrics are what runs of automations show.
type runMetrics struct {
	became *prometheus.CounterVec
	took   prometheus.Histogram
}

func newRunMetrics() runMetrics {
	return runMetrics{
		became: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_runs_total", Help: "Runs that got into a state by themselves, by remediation; what a person decides is in the audit."}, []string{"remediation", "state"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bridge_run_call_duration_seconds", Help: "Time that Datasync took to take one run.", Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10}}),
	}
}

func (m runMetrics) observer() remediation.Observer {
	return remediation.Observer{
		Called: func(_ incident.Run, began, ended time.Time) { m.took.Observe(ended.Sub(began).Seconds()) },
		Became: m.count,
	}
}

func (m runMetrics) count(run incident.Run) {
	m.became.WithLabelValues(run.Remediation, string(run.State)).Inc()
}

// proposed counts the runs of one event, of which some are refused at once.
func (m runMetrics) proposed(runs []incident.Run) {
	for _, run := range runs {
		m.count(run)
	}
}

// beatMetrics are what the heartbeat shows.
type beatMetrics struct {
	sent, failed prometheus.Counter
}

func newBeatMetrics() beatMetrics {
	return beatMetrics{
		sent:   counter("bridge_heartbeats_total", "Calls of the dead man's switch that it answered well."),
		failed: counter("bridge_heartbeat_failures_total", "Heartbeats that were not sent, because not all is well, or not answered well."),
	}
}

// watchCertificate shows when a listener's certificate ends, for one that has any.
func (m *metrics) watchCertificate(listener string, ends func() time.Time) {
	if ends().IsZero() {
		return
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bridge_certificate_expiry_timestamp_seconds", Help: "When the certificate of a listener ends.",
		ConstLabels: prometheus.Labels{"listener": listener}}, func() float64 { return float64(ends().Unix()) }))
}
