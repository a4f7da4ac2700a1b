package tracing

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"datasync-bridge/outbound"
)

// Config says where spans go, and of how many events.
type Config struct {
	// Endpoint is the address of an OpenTelemetry collector that speaks OTLP over
	// HTTP, such as http://127.0.0.1:4318; without a path, /v1/traces is added.
	Endpoint string `koanf:"endpoint" expand:"true"`
	// Sample is the share of events that are traced, from 0 to 1. Default 1.
	Sample *Share `koanf:"sample"`
}

// Share is a part of a whole, from 0 to 1.
type Share float64

// UnmarshalText reads 0.1.
func (s *Share) UnmarshalText(text []byte) error {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return fmt.Errorf("must be a share from 0 to 1, such as 0.1 (got %.20q)", text)
	}
	*s = Share(f)
	return nil
}

// WithDefaults fills in what the file leaves out.
func (c Config) WithDefaults() Config {
	if c.Sample == nil {
		all := Share(1)
		c.Sample = &all
	}
	return c
}

// Validate reports every fault, by path below telemetry.traces. It does not
// repeat the address, where somebody may have put a password.
func (c Config) Validate(report func(path, problem string)) {
	u, err := url.Parse(c.Endpoint)
	switch {
	case c.Endpoint == "":
		report("endpoint", "is missing; set your collector's address for OTLP over HTTP, such as http://127.0.0.1:4318")
		return
	case err != nil || u.Host == "":
		report("endpoint", "is no address; write one such as http://127.0.0.1:4318")
		return
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		report("endpoint", "must be scheme, host and path alone; a secret does not belong into an address")
		return
	}
	if err := outbound.Allowed(u); err != nil {
		report("endpoint", fmt.Sprintf("%v; run a collector on this machine, or give its https address", err))
	}
}

// address is where batches are posted.
func (c Config) address() string {
	if u, err := url.Parse(c.Endpoint); err == nil && strings.Trim(u.Path, "/") == "" {
		return u.JoinPath("v1", "traces").String()
	}
	return c.Endpoint
}
