package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// loadMetrics tell which configuration is in force, and whether the file's is.
type loadMetrics struct {
	config *prometheus.GaugeVec
	total  *prometheus.CounterVec
	good   prometheus.Gauge
	at     prometheus.Gauge
}

func newLoadMetrics() loadMetrics {
	return loadMetrics{
		config: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "bridge_config_info", Help: "Always 1; the label tells the configuration in force."}, []string{"config"}),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_config_loads_total", Help: "Loads of the configuration, that of the start included, by result."}, []string{"result"}),
		good: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bridge_config_last_reload_successful", Help: "1 where the file that was read last is in force, 0 where it was refused."}),
		at: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bridge_config_last_reload_success_timestamp_seconds", Help: "When a configuration came into force last."}),
	}
}

// loaded observes that a configuration is in force after a load, and whether it
// is the one that was read.
func (m *metrics) loaded(config string, good bool, at time.Time) {
	if !good {
		m.loads.total.WithLabelValues("refused").Inc()
		m.loads.good.Set(0)
		return
	}
	m.loads.total.WithLabelValues("in_force").Inc()
	m.loads.good.Set(1)
	m.loads.at.Set(float64(at.UnixMilli()) / 1000)
	m.loads.config.Reset()
	m.loads.config.WithLabelValues(config).Set(1)
}
