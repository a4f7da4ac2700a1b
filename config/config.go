// Package config loads the bridge's one configuration file, strictly, and
// composes the sections that each room owns.
//
// A load reports every *fault* at once, each at the line and column (the
// *place*) where its key was typed, or under the name of the variable or flag
// that set it. Nothing unknown is ignored: an unknown key, a key of a later
// version, a number without quotes where text is meant are all faults. Values
// come from the file, then from variables (BRIDGE_SERVER__LISTEN), then from
// flags. It never prints a secret, and it starts nothing.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/datasync/remediation"
	"datasync-bridge/dispatch"
	"datasync-bridge/event"
	"datasync-bridge/notifiers/pagerduty"
	"datasync-bridge/notifiers/slack"
	"datasync-bridge/notifiers/terminal"
	"datasync-bridge/outbound"
	"datasync-bridge/receiver"
	"datasync-bridge/receiver/mapping"
	"datasync-bridge/routing"
	"datasync-bridge/routing/calendar"
	"datasync-bridge/store"
	"datasync-bridge/tracing"
	"datasync-bridge/web"
)

// Config is the whole configuration, with every default filled in.
type Config struct {
	// Version of the file's form; 1 is the only one.
	Version      int                  `koanf:"version"`
	Server       receiver.Config      `koanf:"server"`
	Admin        web.Config           `koanf:"admin"`
	Store        store.Config         `koanf:"store"`
	Sources      []receiver.Source    `koanf:"sources"`
	Datasync     datasync.Config      `koanf:"datasync"`
	Outbound     outbound.Config      `koanf:"outbound"`
	Notifiers    []Notifier           `koanf:"notifiers"`
	Defaults     routing.Defaults     `koanf:"defaults"`
	Rules        []routing.Rule       `koanf:"rules"`
	Calendars    []calendar.Config    `koanf:"calendars"`
	Digests      []routing.Digest     `koanf:"digests"`
	Silences     []routing.Silence    `koanf:"silences"`
	Inhibit      []routing.Inhibit    `koanf:"inhibit"`
	Heartbeat    *Heartbeat           `koanf:"heartbeat"`
	Telemetry    Telemetry            `koanf:"telemetry"`
	Remediations []remediation.Config `koanf:"remediations"`

	// Hash is the SHA-256 of the file, in hex; recorded with each decision.
	Hash string `koanf:"-"`
	// Warnings are what is dubious but loads.
	Warnings Faults `koanf:"-"`
	// Gone are the mappings of sources that reloads took away since the start, by
	// name, so that what came of them is read as before.
	Gone map[string]mapping.Config `koanf:"-"`
	// asked are the sources in whose names Datasync is asked, where that was
	// settled by another configuration.
	asked *[2]string `koanf:"-"`
	// places knows where each key was typed, for what is found wrong later.
	places *book `koanf:"-"`
}

// Notifier is one entry of notifiers: a name, exactly one medium, and the
// patience to have with it.
type Notifier struct {
	Name      string             `koanf:"name"`
	Slack     *slack.Config      `koanf:"slack"`
	PagerDuty *pagerduty.Config  `koanf:"pagerduty"`
	Terminal  *terminal.Config   `koanf:"terminal"`
	Fallback  *dispatch.Fallback `koanf:"fallback"`
	Retry     dispatch.Retry     `koanf:"retry"`
	// Retired notifiers get nothing new; they are told how their open
	// incidents end.
	Retired bool `koanf:"retired"`
}

// Heartbeat lets an outside dead man's switch notice that the bridge is silent.
type Heartbeat struct {
	// URL is called by GET; like a webhook's, it is a secret.
	URL   event.Secret  `koanf:"url"`
	Every time.Duration `koanf:"every"` // default 1m
}

// Telemetry is what the bridge tells beside /metrics and its log.
type Telemetry struct {
	Traces *tracing.Config `koanf:"traces"`
}

// Options is what may lie over the file.
type Options struct {
	// Env holds NAME=value pairs, as os.Environ gives them: BRIDGE_… variables
	// set keys, and ${NAME} names any of them.
	Env []string
	// Flags sets keys by path: "server.listen" → ":8081".
	Flags map[string]string
	// Placeholders stand in for every ${NAME} and every secret's file: nothing
	// is read but the configuration itself. For those who ask what rules say
	// and call nobody.
	Placeholders bool
}

// lookup finds what ${NAME} stands for.
func (o Options) lookup() func(string) (string, bool) {
	if o.Placeholders {
		return nil
	}
	return environment(o.Env)
}

// Load reads the file at path. The error is always Faults.
func Load(path string, o Options) (*Config, error) {
	b := newBook(path)
	text, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return nil, Faults{{File: path, Text: readFault(err).Error()}}
	}
	return b.load(text, o)
}

func (b *book) load(text []byte, o Options) (*Config, error) {
	sum := sha256.Sum256(text)
	c := &Config{Hash: hex.EncodeToString(sum[:]), places: b}
	if file := b.parse(text); file != nil {
		d := decoder{b, o.lookup()}
		d.section("", b.merge(file, o), reflect.ValueOf(c).Elem())
		c.fill()
		c.check(b)
	}
	faults := b.sorted()
	if b.fatal {
		return nil, faults
	}
	c.Warnings = faults
	return c, nil
}

// Server tells where the public listener of a configuration is, and nothing
// else: whoever asks a running bridge how it is needs none of its secrets, and
// must not call it ill because somebody is editing another line.
func Server(path string, o Options) (server receiver.Config, err error) {
	b := newBook(path)
	text, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return server, Faults{{File: path, Text: readFault(err).Error()}}
	}
	file := b.parse(text)
	if file == nil {
		return server, b.sorted()
	}
	d := decoder{b, o.lookup()}
	if section, ok := b.merge(file, o)["server"]; ok {
		d.section("server", section, reflect.ValueOf(&server).Elem())
	}
	if b.bad["server"] || b.bad["server.listen"] || b.bad["server.tls"] || b.bad["server.tls.cert"] {
		return server, b.sorted()
	}
	return server.WithDefaults(), nil
}

// environment looks variables up; as in a shell, the last of equal names wins.
func environment(pairs []string) func(string) (string, bool) {
	m := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		if name, value, ok := strings.Cut(pair, "="); ok {
			m[name] = value
		}
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

// ShortHash is the beginning of Hash, for people.
func (c *Config) ShortHash() string { return c.Hash[:min(12, len(c.Hash))] }

// Redaction is what store.redact blanks, nil for nothing.
func (c *Config) Redaction() *mapping.Redaction {
	r, _ := mapping.NewRedaction(c.Store.Redact) // a load has refused every fault
	return r
}

// Routing is the part that routing compiles.
func (c *Config) Routing() routing.Config {
	return routing.Config{
		Defaults: c.Defaults, Rules: c.Rules, Calendars: c.Calendars,
		Digests: c.Digests, Silences: c.Silences, Inhibit: c.Inhibit,
	}
}
