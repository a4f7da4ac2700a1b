package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/datasync"
	"datasync-bridge/event"
	"datasync-bridge/outbound"
	"datasync-bridge/receiver"
	"datasync-bridge/receiver/mapping"
	"datasync-bridge/routing"
	"datasync-bridge/routing/incident"
)

// documentedTypes are the only event types that Datasync's documentation names.
var documentedTypes = []string{"transaction.failed", "mdn.timeout"}

// subscribing is one command line of subscribe.
type subscribing struct {
	source, name, url string
	events            []string
	dryRun            bool
}

// subscription is what is sent, and what came of it.
type subscription struct {
	Name        string   `json:"name"`
	URL         string   `json:"url"`
	Events      []string `json:"events"`
	Environment string   `json:"environment"`
	At          string   `json:"at"` // the API that is called
	DryRun      bool     `json:"dry_run,omitempty"`
	ID          string   `json:"id,omitempty"`
	RequestID   string   `json:"request_id,omitempty"`
}

func (c *cli) subscribeCommand() *cobra.Command {
	var o subscribing
	cmd := &cobra.Command{
		Use:   "subscribe",
		Short: "Ask Datasync to deliver webhooks to this bridge",
		Long: `Ask Datasync to deliver webhooks to this bridge (POST /webhooks/subscriptions):
to server.public_url and the source's path, for the event types that the rules
use and the recoveries that end them. What is sent is printed first. Each run
makes another subscription.

Datasync documents the types transaction.failed and mdn.timeout; all other names
are assumed: correct them with --events, or in the source's mapping.`,
		Example: `  datasync-bridge subscribe -c config.yaml --dry-run
  datasync-bridge subscribe --source datasync --events transaction.failed,mdn.timeout`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			return c.subscribe(cmd.Context(), cfg, o)
		},
	}
	cmd.Flags().StringVar(&o.source, "source", "", "`name` of the source that takes the webhooks; needed if there are several")
	cmd.Flags().StringVar(&o.name, "name", "", "the subscription's `name` (default datasync-bridge-SOURCE)")
	cmd.Flags().StringSliceVar(&o.events, "events", nil, "event `types` instead of those that the rules use")
	cmd.Flags().StringVar(&o.url, "url", "", "`address` instead of server.public_url and the source's path")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print what would be sent, send nothing; needs no credentials")
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}

func (c *cli) subscribe(ctx context.Context, cfg *config.Config, o subscribing) error {
	api, source, err := sourceToSubscribe(cfg, o.source)
	if err != nil {
		return err
	}
	sub := subscription{
		Name: cmp.Or(o.name, "datasync-bridge-"+source.Name), Environment: string(source.Environment),
		At: host(api), DryRun: o.dryRun,
	}
	if sub.URL, err = addressOf(cfg, source, o.url); err != nil {
		return err
	}
	if sub.Events, err = typesOf(cfg, source, o.events); err != nil {
		return err
	}
	asJSON := c.output == "json"
	if !asJSON {
		if err := c.announce(sub); err != nil {
			return err
		}
	}
	if !o.dryRun {
		if err := configured(cfg); err != nil {
			return err
		}
		client, err := c.client(cfg, api)
		if err != nil {
			return err
		}
		made, err := client.Subscribe(ctx, sub.Name, sub.URL, sub.Events)
		if err != nil {
			return explained(err)
		}
		sub.ID, sub.RequestID = made.ID, made.RequestID
		c.recordAfter(ctx, cfg, incident.Audit{
			Action: incident.AuditCalled, Subject: "subscribe " + sub.Name, RequestID: made.RequestID, Result: strings.TrimSpace("subscribed " + made.ID),
		})
	}
	switch {
	case asJSON:
		return writeJSON(c.out, sub)
	case o.dryRun:
		_, err := fmt.Fprintln(c.out, "\nnothing was sent (--dry-run)")
		return err
	}
	_, err = fmt.Fprintf(c.out, "\nsubscribed: id %s, request %s\n\n"+
		"Next: Datasync signs each delivery with this subscription's webhook secret. Put that\n"+
		"secret where sources[%d].verify.secrets of %s looks for it, and start serve again.\n",
		cmp.Or(printable(sub.ID), "(not told)"), cmp.Or(printable(sub.RequestID), "(not told)"), indexOf(cfg, source.Name), c.configPath)
	return err
}

// announce prints what will be sent.
func (c *cli) announce(sub subscription) error {
	rows := make([][]string, 0, 3+len(sub.Events))
	rows = append(rows, []string{"to", sub.At + " (" + sub.Environment + ")"}, []string{"name", sub.Name}, []string{"url", sub.URL})
	for i, name := range sub.Events {
		label, note := "", ""
		if i == 0 {
			label = "events"
		}
		if !slices.Contains(documentedTypes, name) {
			note = "assumed"
		}
		rows = append(rows, []string{label, name, note})
	}
	if err := writeTable(c.out, nil, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.out, "\n"+strings.Join(documentedTypes, " and ")+" are documented; the other names are assumed.")
	return err
}

// sourceToSubscribe finds the source, and the API of its environment: a source
// of the sandbox is subscribed there, and nothing that calls the sandbox may
// reach production.
func sourceToSubscribe(cfg *config.Config, name string) (datasync.Config, *receiver.Source, error) {
	api := cfg.Datasync
	var found []*receiver.Source
	names := make([]string, len(cfg.Sources))
	for i := range cfg.Sources {
		s := &cfg.Sources[i]
		names[i] = s.Name
		if s.Name == name || name == "" && (s.Environment == api.Environment || len(cfg.Sources) == 1) {
			found = append(found, s)
		}
	}
	switch {
	case len(found) == 0 && name != "":
		return api, nil, usagef("--source: no source named %q; there are %s", name, strings.Join(names, ", "))
	case len(found) != 1:
		return api, nil, usagef("which source is to take the webhooks? Say --source with one of %s", strings.Join(names, ", "))
	case api.Environment == event.Sandbox && found[0].Environment != event.Sandbox:
		return api, nil, fmt.Errorf("source %q takes production events, but datasync.environment is sandbox: make the two equal", found[0].Name)
	}
	api.Environment = found[0].Environment
	return api, found[0], nil
}

// addressOf is where Datasync is to deliver.
func addressOf(cfg *config.Config, source *receiver.Source, given string) (string, error) {
	address := given
	if given == "" {
		if cfg.Server.PublicURL == "" {
			return "", fmt.Errorf("server.public_url is missing: set it to the address by which Datasync reaches this bridge, such as https://ops.example.com, or say --url")
		}
		address = strings.TrimSuffix(cfg.Server.PublicURL, "/") + source.Path
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return "", usagef("--url: must be a URL without user and password, such as https://ops.example.com/hooks/datasync")
	}
	if err := outbound.Allowed(u); err != nil {
		return "", fmt.Errorf("%s: %w", printable(address), err)
	}
	return address, nil
}

// typesOf are the event types to ask for, as Datasync spells them.
func typesOf(cfg *config.Config, source *receiver.Source, given []string) ([]string, error) {
	if given != nil {
		if slices.Contains(given, "") {
			return nil, usagef("--events: one of the types is empty")
		}
		return given, nil
	}
	m, err := mapping.New(source.Mapping)
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", source.Name, err)
	}
	table, _ := routing.Compile(cfg.Routing(), cfg.Names()) // the load has refused every fault
	// An alias of the configuration's own tells how a type is really sent.
	sent := map[string][]string{}
	for alias, canonical := range source.Mapping.Aliases {
		sent[canonical] = append(sent[canonical], alias)
	}
	var types []string
	for _, name := range table.Wanted(m.Effects()) {
		if aliases, ok := sent[name]; ok {
			types = append(types, aliases...)
		} else {
			types = append(types, name)
		}
	}
	slices.Sort(types)
	return slices.Compact(types), nil
}

func indexOf(cfg *config.Config, source string) int {
	return slices.IndexFunc(cfg.Sources, func(s receiver.Source) bool { return s.Name == source })
}
