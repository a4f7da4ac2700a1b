package pagerduty

import (
	"net/url"
	"regexp"
	"strings"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

// Config is a notifier's pagerduty block.
type Config struct {
	// RoutingKey is the 32-character integration key.
	RoutingKey event.Secret `koanf:"routing_key"`
	// EventsURL is the base address. Default https://events.pagerduty.com.
	EventsURL string `koanf:"events_url" expand:"true"`
}

// WithDefaults fills in the base address, without a slash at its end.
func (c Config) WithDefaults() Config {
	if c.EventsURL == "" {
		c.EventsURL = "https://events.pagerduty.com"
	}
	c.EventsURL = strings.TrimSuffix(strings.TrimRight(c.EventsURL, "/"), "/v2/enqueue")
	return c
}

var routingKey = regexp.MustCompile(`^[A-Za-z0-9]{32}$`)

// Validate reports every fault of a pagerduty block.
func (c Config) Validate(report func(path, problem string)) {
	switch key := c.RoutingKey.Reveal(); {
	case key == "":
		report("routing_key", "must be set: the integration key of an Events API v2 integration")
	case !routingKey.MatchString(key):
		report("routing_key", "must be 32 letters and digits: the integration key of an Events API v2 integration, not an API token")
	}
	if problem := notifiers.AddressProblem(c.EventsURL); problem != "" {
		report("events_url", problem)
	}
}

// Traits is what planning must know of a notifier with this block.
func (c Config) Traits(name string) incident.Notifier {
	c = c.WithDefaults()
	host := c.EventsURL
	if u, err := url.Parse(c.EventsURL); err == nil && u.Host != "" {
		host = u.Host
	}
	return incident.Notifier{
		Name: name, Pager: true, Destination: host, Fingerprint: notifiers.Fingerprint(c.RoutingKey),
	}
}
