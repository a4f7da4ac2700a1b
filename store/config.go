// Package store tells what is kept and for how long; its inner rooms keep it.
package store

import (
	"fmt"
	"time"

	"datasync-bridge/event"
)

// Config is the store section.
type Config struct {
	SQLite SQLite `koanf:"sqlite"`
	Retain Retain `koanf:"retain"`
	// MaxSize bounds what the store holds, with its log: above it new events are
	// answered 503, until retention or a purge has made room. All else goes on, so
	// leave room on the disk beyond it. Default none; at least 64MiB.
	MaxSize event.Size `koanf:"max_size"`
	// Quarantine bounds what cannot be mapped.
	Quarantine Quarantine `koanf:"quarantine"`
	// Redact lists payload paths, in the form of mapping.paths, whose values are
	// blanked before a body is kept: no rule, message or query finds them.
	Redact []string `koanf:"redact"`
}

// Quarantine is the part of the store for authentic events that cannot be mapped.
type Quarantine struct {
	// MaxSize bounds their bodies together: above it new ones are answered 503,
	// and all others are taken. Default a quarter of store.max_size.
	MaxSize event.Size `koanf:"max_size"`
}

// SQLite places the one file.
type SQLite struct {
	// Path of the database file; its folder is created with mode 0700.
	// Default ./data/bridge.db.
	Path string `koanf:"path" expand:"true"`
	// Queue bounds requests that wait for the writer; more get 503. Default 4096.
	Queue int `koanf:"queue"`
}

// Retain says how long settled things are kept.
type Retain struct {
	// Events: default 90d, at least 14d, because dedup keys live as long.
	Events time.Duration `koanf:"events"`
	// Incidents with their deliveries, runs and timeline: default 400d, at least Events.
	Incidents time.Duration `koanf:"incidents"`
}

const (
	day = 24 * time.Hour

	defaultPath      = "./data/bridge.db"
	defaultQueue     = 4096
	defaultEvents    = 90 * day
	defaultIncidents = 400 * day
	// leastEvents is the shortest time in which a sender may still repeat itself.
	leastEvents = 14 * day
	// leastSize holds an empty store, its log, and some hours of events.
	leastSize = 64 << 20
)

// WithDefaults returns the configuration with what was left out filled in.
// Incidents follow a longer Events, so that setting one key is enough.
func (c Config) WithDefaults() Config {
	if c.SQLite.Path == "" {
		c.SQLite.Path = defaultPath
	}
	if c.SQLite.Queue == 0 {
		c.SQLite.Queue = defaultQueue
	}
	if c.Retain.Events == 0 {
		c.Retain.Events = defaultEvents
	}
	if c.Retain.Incidents == 0 {
		c.Retain.Incidents = max(defaultIncidents, c.Retain.Events)
	}
	if c.Quarantine.MaxSize == 0 {
		c.Quarantine.MaxSize = c.MaxSize / 4
	}
	return c
}

// Validate reports every fault of a configuration whose defaults are filled in,
// each with its path below "store".
func (c Config) Validate(report func(path, problem string)) {
	if c.SQLite.Queue < 1 {
		report("sqlite.queue", fmt.Sprintf("must be above zero (got %d)", c.SQLite.Queue))
	}
	if c.MaxSize != 0 && c.MaxSize < leastSize {
		report("max_size", fmt.Sprintf("must be at least 64MiB (got %s); an empty store with its log takes a third of that", c.MaxSize))
	}
	if c.MaxSize != 0 && c.Quarantine.MaxSize > c.MaxSize {
		report("quarantine.max_size", fmt.Sprintf("must be at most store.max_size, %s (got %s)", c.MaxSize, c.Quarantine.MaxSize))
	}
	if c.Retain.Events < leastEvents {
		report("retain.events", fmt.Sprintf("must be at least 14d, because a repeated event is recognised only while the first is kept (got %s)", c.Retain.Events))
	}
	if c.Retain.Incidents < c.Retain.Events {
		report("retain.incidents", fmt.Sprintf("must be at least retain.events, %s (got %s)", c.Retain.Events, c.Retain.Incidents))
	}
}
