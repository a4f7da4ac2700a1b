package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"datasync-bridge/receiver/mapping"
)

// Differences names the sections that differ between two configurations and
// that only a restart puts in force, in the order of the file. The others
// (sources, defaults, rules, calendars, digests, silences, inhibit, notifiers,
// remediations) are reloadable. Nil if there are none.
func Differences(a, b *Config) (restart []string) {
	for _, section := range []struct {
		name string
		a, b any
	}{
		{"server", a.Server, b.Server},
		{"admin", a.Admin, b.Admin},
		{"store", a.Store, b.Store},
		{"datasync", []any{a.Datasync, a.standsFor()}, []any{b.Datasync, b.standsFor()}},
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
// force as they are in the running one, and with the mappings of sources that
// it has no more. It fails where what is new contradicts what stays.
func (c *Config) Keeping(running *Config) (*Config, error) {
	k := *c
	k.Server, k.Admin, k.Store = running.Server, running.Admin, running.Store
	k.Datasync, k.Outbound, k.Heartbeat, k.Telemetry = running.Datasync, running.Outbound, running.Heartbeat, running.Telemetry
	asked := running.standsFor()
	k.asked = &asked
	k.Gone = map[string]mapping.Config{}
	for name, m := range running.Mappings() {
		if !slices.Contains(k.sourceNames(), name) {
			k.Gone[name] = m
		}
	}
	var faults []error
	k.checkRedact(func(path, text string) {
		faults = append(faults, fmt.Errorf("store.%s, as it was at the start: %s", path, text))
	})
	return &k, errors.Join(faults...)
}

// Mappings are those of the sources by name, with those of sources that are
// gone.
func (c *Config) Mappings() map[string]mapping.Config {
	all := make(map[string]mapping.Config, len(c.Sources)+len(c.Gone))
	maps.Copy(all, c.Gone)
	for i := range c.Sources {
		all[c.Sources[i].Name] = c.Sources[i].Mapping
	}
	return all
}

// standsFor are the sources in whose names Datasync is asked for transactions
// and for partners, which is settled at the start.
func (c *Config) standsFor() (names [2]string) {
	if c.asked != nil {
		return *c.asked
	}
	if c.Datasync.Reconcile != nil {
		names[0] = c.PolledSource()
	}
	if c.Datasync.Enrich != nil {
		names[1] = c.ReminderSource()
	}
	return names
}
