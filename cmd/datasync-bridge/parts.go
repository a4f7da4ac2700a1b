package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/datasync/remediation"
	"datasync-bridge/dispatch"
	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/receiver/mapping"
	"datasync-bridge/routing"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
)

// parts are what a configuration compiles to: everything that decides.
type parts struct {
	mapper  mapper
	table   *routing.Table
	machine *incident.Machine
	guard   *remediation.Guard
	// entries are the hashes that runs are bound to, by remediation.
	entries map[string]string
}

// decides is what of a configuration makes decisions, without a secret: it is
// kept, so that a decision can be explained, and history played again, long
// after.
type decides struct {
	Routing      routing.Config
	Names        routing.Names
	Mappings     map[string]mapping.Config // by source
	Remediations []remediation.Config
	// Environment is which Datasync is called, Configured whether one is.
	Environment event.Environment
	Configured  bool
	// Overlap is that of datasync.reconcile, 0 where nothing is polled; Enrich
	// reports whether partners are kept.
	Overlap time.Duration
	Enrich  bool
}

func decidesOf(cfg *config.Config) decides {
	d := decides{
		Routing: cfg.Routing(), Names: cfg.Names(), Mappings: cfg.Mappings(),
		Remediations: cfg.Remediations, Environment: cfg.Datasync.Environment, Configured: cfg.Datasync.Configured(),
		Enrich: cfg.Datasync.Enrich != nil,
	}
	if r := cfg.Datasync.Reconcile; r != nil {
		d.Overlap = r.Overlap
	}
	return d
}

// docOf is what decides, as it is kept.
func docOf(cfg *config.Config) ([]byte, error) { return json.Marshal(decidesOf(cfg)) }

// partsOf compiles what docOf kept.
func partsOf(doc []byte) (parts, error) {
	var d decides
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	if err := dec.Decode(&d); err != nil {
		return parts{}, fmt.Errorf("read what was kept of the configuration: %w", err)
	}
	return d.compile(nil)
}

// compile makes the deciding parts of a configuration that loaded.
func compile(cfg *config.Config) (parts, error) {
	entries, err := remediation.EntryHashes(cfg.Remediations, cfg.Datasync)
	if err != nil {
		return parts{}, err
	}
	return decidesOf(cfg).compile(entries)
}

func (d decides) compile(entries map[string]string) (parts, error) {
	m, err := newMapper(d.Mappings)
	if err != nil {
		return parts{}, err
	}
	// A load has refused every fault, so what is left are warnings.
	table, problems := routing.Compile(d.Routing, d.Names)
	if table == nil {
		return parts{}, fmt.Errorf("rules: %s: %s", problems[0].Path, problems[0].Text)
	}
	calendars := make([]string, 0, len(d.Routing.Calendars))
	for _, k := range d.Routing.Calendars {
		calendars = append(calendars, k.Name)
	}
	guard, _ := remediation.Compile(d.Remediations, remediation.Options{
		Environment: d.Environment, Configured: d.Configured, CanRead: true, ConfigHash: d.Names.Hash,
		Calendars: calendars, Entries: entries,
	})
	return parts{mapper: m, table: table, machine: &incident.Machine{Settings: d.settings(table)}, guard: guard, entries: entries}, nil
}

// entry is the hash of one remediation, "" for one that is not configured.
func (p parts) entry(remediation string) string { return p.entries[remediation] }

// rules are what dispatch works by; told hears which deliveries could be mapped.
func (p parts) rules(told *arrivals) dispatch.Rules {
	return dispatch.Rules{Mapper: watchedMapper{p.mapper, told}, Router: p.table, Planner: p.machine, Proposer: p.guard}
}

func (d decides) settings(table *routing.Table) incident.Settings {
	of := d.Routing.Defaults
	s := incident.Settings{
		Notifiers:    d.Names.Notifiers,
		Notify:       of.Notify,
		Repeat:       map[event.Severity]event.Span{},
		StaleAfter:   of.StaleAfter,
		CloseAfter:   of.CloseAfter,
		ReopenWithin: of.ReopenWithin,
		Overlap:      d.Overlap,
		WantPartners: d.Enrich,
		Calendars:    table.Calendars(),
		Digests:      table.Digests(),
		Silences:     table.Silences(nil),
		Wording:      table,
		Config:       d.Names.Hash,
	}
	for _, severity := range event.Severities {
		s.Repeat[severity] = of.Repeat[severity.String()]
	}
	if a := of.RetryingAlert; a != nil {
		s.RetryingAttempts, s.RetryingAfter = a.Attempts, a.After
	}
	return s
}

// mapper normalizes stored events by their source's mapping.
type mapper struct {
	bySource map[string]*mapping.Mapping
	// builtIn serves events of a source that is no longer configured, and those
	// that the bridge tells of itself.
	builtIn *mapping.Mapping
}

func newMapper(sources map[string]mapping.Config) (mapper, error) {
	m := mapper{bySource: map[string]*mapping.Mapping{}}
	var err error
	if m.builtIn, err = mapping.New(mapping.Config{}.WithDefaults()); err != nil {
		return m, err
	}
	for name, c := range sources {
		if m.bySource[name], err = mapping.New(c); err != nil {
			return m, fmt.Errorf("source %q: %w", name, err)
		}
	}
	return m, nil
}

// Normalize implements dispatch.Mapper. What polling found of a source is read
// as its webhooks are, so that both have the same incident key.
func (m mapper) Normalize(st event.Stored) (event.Event, error) {
	if own := m.bySource[st.Source]; own != nil && st.Origin != event.OriginBridge {
		return own.Event(st)
	}
	return m.builtIn.Event(st)
}

// style is what every medium must know to print times and links.
func style(cfg *config.Config) notifiers.Style {
	location, err := time.LoadLocation(cfg.Defaults.TimeZone)
	if err != nil {
		location = time.UTC // the load has refused any other name
	}
	return notifiers.Style{Location: location, LinkHosts: cfg.Defaults.LinkHosts}
}

// addressees names the notifiers that something waits for.
func addressees(s *sqlite.Store) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		stats, err := s.Stats(ctx)
		return slices.Collect(maps.Keys(stats.Waiting)), err
	}
}
