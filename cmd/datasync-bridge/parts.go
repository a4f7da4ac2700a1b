package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"datasync-bridge/config"
	"datasync-bridge/datasync/remediation"
	"datasync-bridge/dispatch"
	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/notifiers/pagerduty"
	"datasync-bridge/notifiers/slack"
	"datasync-bridge/notifiers/terminal"
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
	m, err := newMapper(cfg)
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

func newMapper(cfg *config.Config) (mapper, error) {
	m := mapper{bySource: map[string]*mapping.Mapping{}}
	var err error
	if m.builtIn, err = mapping.New(mapping.Config{}.WithDefaults()); err != nil {
		return m, err
	}
	for _, source := range cfg.Sources {
		if m.bySource[source.Name], err = mapping.New(source.Mapping); err != nil {
			return m, fmt.Errorf("source %q: %w", source.Name, err)
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

// senders makes one sender per notifier; notifiers of one Slack channel share
// a bucket of one call a second, ten at once (routing rule 32).
func senders(cfg *config.Config, client *http.Client, out io.Writer) []dispatch.Sender {
	buckets := map[string]*rate.Limiter{}
	all := make([]dispatch.Sender, 0, len(cfg.Notifiers))
	for _, n := range cfg.Notifiers {
		s := dispatch.Sender{Name: n.Name, Notifier: medium(n, style(cfg), client, out), Retry: n.Retry}
		if n.Slack != nil {
			to := n.Slack.Traits(n.Name)
			channel := to.Destination + to.Fingerprint // a webhook is known by the latter
			if buckets[channel] == nil {
				buckets[channel] = rate.NewLimiter(1, 10)
			}
			s.Limiter = buckets[channel]
		}
		all = append(all, s)
	}
	return all
}

// addressees names the notifiers that something waits for.
func addressees(s *sqlite.Store) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		stats, err := s.Stats(ctx)
		return slices.Collect(maps.Keys(stats.Waiting)), err
	}
}

// medium makes the one notifier that an entry describes.
func medium(n config.Notifier, style notifiers.Style, client *http.Client, out io.Writer) notifiers.Notifier {
	switch {
	case n.Slack != nil:
		return slack.New(*n.Slack, style, client)
	case n.PagerDuty != nil:
		return pagerduty.New(*n.PagerDuty, style, client)
	default:
		return terminal.New(*n.Terminal, style, out)
	}
}
