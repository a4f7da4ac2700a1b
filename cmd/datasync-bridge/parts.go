package main

import (
	"context"
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

// compile makes the deciding parts of a configuration that loaded.
func compile(cfg *config.Config) (parts, error) {
	m, err := newMapper(mappings(cfg))
	if err != nil {
		return parts{}, err
	}
	// The load has refused every fault, so what is left are warnings.
	table, problems := routing.Compile(cfg.Routing(), cfg.Names())
	if table == nil {
		return parts{}, fmt.Errorf("rules: %s: %s", problems[0].Path, problems[0].Text)
	}
	entries, err := remediation.EntryHashes(cfg.Remediations, cfg.Datasync)
	if err != nil {
		return parts{}, err
	}
	guard, _ := remediation.Compile(cfg.Remediations, remediation.Options{
		Environment: cfg.Datasync.Environment, Configured: cfg.Datasync.Configured(), CanRead: true, ConfigHash: cfg.Hash,
		Calendars: cfg.CalendarNames(),
		Entries:   entries,
	})
	return parts{mapper: m, table: table, machine: &incident.Machine{Settings: settings(cfg, table)}, guard: guard, entries: entries}, nil
}

// entry is the hash of one remediation, "" for one that is not configured.
func (p parts) entry(remediation string) string { return p.entries[remediation] }

// rules are what dispatch works by.
func (p parts) rules() dispatch.Rules {
	return dispatch.Rules{Router: p.table, Planner: p.machine, Proposer: p.guard}
}

func settings(cfg *config.Config, table *routing.Table) incident.Settings {
	d := cfg.Defaults
	s := incident.Settings{
		Notifiers:    cfg.NotifierTraits(),
		Notify:       d.Notify,
		Repeat:       map[event.Severity]event.Span{},
		StaleAfter:   d.StaleAfter,
		CloseAfter:   d.CloseAfter,
		ReopenWithin: d.ReopenWithin,
		Calendars:    table.Calendars(),
		Digests:      table.Digests(),
		Silences:     table.Silences(nil),
		Wording:      table,
		Config:       cfg.Hash,
	}
	for _, severity := range event.Severities {
		s.Repeat[severity] = d.Repeat[severity.String()]
	}
	if r := cfg.Datasync.Reconcile; r != nil {
		s.Overlap = r.Overlap
	}
	s.WantPartners = cfg.Datasync.Enrich != nil
	if a := d.RetryingAlert; a != nil {
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
