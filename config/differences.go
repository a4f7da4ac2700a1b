package config

import (
	"reflect"
	"slices"

	"datasync-bridge/receiver"
)

// Differences names the sections that differ between two configurations and
// that only a restart puts in force, in the order of the file. The others
// (defaults, rules, calendars, digests, silences, inhibit, notifiers,
// remediations, and the verify block of each source) are reloadable. Nil if there are none.
func Differences(a, b *Config) (restart []string) {
	for _, section := range []struct {
		name string
		a, b any
	}{
		{"server", a.Server, b.Server},
		{"admin", a.Admin, b.Admin},
		{"store", a.Store, b.Store},
		{"sources", withoutVerify(a.Sources), withoutVerify(b.Sources)},
		{"datasync", a.Datasync, b.Datasync},
		{"outbound", a.Outbound, b.Outbound},
		{"heartbeat", a.Heartbeat, b.Heartbeat},
		{"telemetry", a.Telemetry, b.Telemetry},
	} {
		if !reflect.DeepEqual(section.a, section.b) {
			restart = append(restart, section.name)
		}
	}
	return restart
}

// Keeping is the configuration with the sections that only a restart puts in
// force as they are in the running one.
func (c *Config) Keeping(running *Config) *Config {
	k := *c
	k.Server, k.Admin, k.Store = running.Server, running.Admin, running.Store
	k.Datasync, k.Outbound, k.Heartbeat, k.Telemetry = running.Datasync, running.Outbound, running.Heartbeat, running.Telemetry
	k.Sources = slices.Clone(running.Sources)
	for n := range k.Sources {
		for _, next := range c.Sources {
			if next.Name == k.Sources[n].Name && next.Path == k.Sources[n].Path {
				k.Sources[n].Verify = next.Verify
			}
		}
	}
	return &k
}

func withoutVerify(sources []receiver.Source) []receiver.Source {
	bare := slices.Clone(sources)
	for n := range bare {
		bare[n].Verify = nil
	}
	return bare
}
