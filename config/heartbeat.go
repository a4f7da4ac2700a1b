package config

import (
	"errors"
	"net"
	"net/url"
	"time"

	"datasync-bridge/outbound"
)

const (
	// defaultHeartbeat is how often a dead man's switch is called.
	defaultHeartbeat = time.Minute
	// minHeartbeat keeps a typing error from becoming a flood of calls.
	minHeartbeat = 10 * time.Second
)

// WithDefaults fills in what the file leaves out.
func (h Heartbeat) WithDefaults() Heartbeat {
	if h.Every == 0 {
		h.Every = defaultHeartbeat
	}
	return h
}

// Validate reports what is wrong, by path below the section. It never prints
// the URL, which is a secret.
func (h Heartbeat) Validate(report func(path, text string)) {
	if h.Every < minHeartbeat {
		report("every", "must be at least 10s")
	}
	u, err := url.Parse(h.URL.Reveal())
	switch {
	case h.URL.Reveal() == "":
		report("url", "is missing; set the https address that your dead man's switch gave you, such as ${HEARTBEAT_URL}")
		return
	case err != nil || u.Hostname() == "":
		report("url", "is not an address; set the https address that your dead man's switch gave you")
		return
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		report("url", "must be https; plain http is for loopback addresses only")
		return
	}
	if u.Scheme != "https" {
		return // loopback, of which outbound knows
	}
	if err := outbound.Allowed(u); errors.Is(err, outbound.ErrRefused) {
		report("url", err.Error())
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
