package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/web"
)

// purger finds a partner's events by the mapping in force.
type purger struct {
	store *sqlite.Store
	live  *live
}

// Purge implements web.Purger.
func (p purger) Purge(ctx context.Context, ask incident.Purge, by string) (incident.Purged, error) {
	mapper := p.live.now.Load().mapper
	return p.store.Purge(ctx, ask, by, func(st event.Stored) bool {
		ev, err := mapper.Normalize(st)
		switch {
		case err != nil:
			return false
		case ev.Quarantine != "": // nobody can tell whose it is, but that it names the partner
			return bytes.Contains(st.Body, []byte(ask.Partner))
		}
		return ev.Text(event.PartnerID) == ask.Partner
	})
}

func (c *cli) purgeCommand() *cobra.Command {
	ask := incident.Purge{}
	var before string
	cmd := &cobra.Command{
		Use:   "purge --partner ID",
		Short: "Take away what is kept of a partner's events",
		Long: `Take away what is kept of a partner's events: bodies, the fields, members,
timelines and messages of their incidents, facts of runs, and the partner's record.
Without --yes it is only counted.

Rows stay, with keys, hashes, types, times, rules and who was told, so that a repeated
event is still a duplicate and a decision can still be explained. What is open, or
waits, is left: resolve it, and purge again. What stays of the partner: its id and
the transactions' in runs and in the record of deeds, ids in silences and in
configurations, and all that a backup holds.`,
		Example: `  datasync-bridge events purge --partner par_7h2k9
  datasync-bridge events purge --partner par_7h2k9 --before 2026-06-01 --yes --why "contract ended, ticket 4711"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ask.Why = strings.TrimSpace(ask.Why)
			switch {
			case ask.Partner == "":
				return usagef("purge needs --partner, as events spell partner.id")
			case ask.Apply && ask.Why == "":
				return usagef("purge --yes needs --why: it stands in the record of deeds")
			}
			cfg, err := c.load()
			if err != nil {
				return err
			}
			ask.Before = time.Now()
			if before != "" {
				if ask.Before, err = newFace(cfg, ask.Before).moment("--before", before); err != nil {
					return err
				}
			}
			return c.purge(cmd.Context(), cfg, ask)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&ask.Partner, "partner", "", "whose events, by partner.`id`")
	flags.StringVar(&before, "before", "", "only what came before this `time` (default now)")
	flags.BoolVar(&ask.Apply, "yes", false, "do it; nothing brings it back")
	flags.StringVar(&ask.Why, "why", "", "what to record beside your name")
	return cmd
}

// purge goes through all steps and says what they came to.
func (c *cli) purge(ctx context.Context, cfg *config.Config, ask incident.Purge) error {
	var all incident.Purged
	err := c.withPurges(ctx, cfg, func(step func(context.Context, incident.Purge) (incident.Purged, error)) error {
		for {
			done, err := step(ctx, ask)
			if err != nil {
				return err
			}
			if all.Add(done); all.Next == "" {
				return nil
			}
			ask.Next = all.Next
		}
	})
	if err != nil {
		return err
	}
	if c.output == "json" {
		err = writeJSON(c.out, all)
	} else {
		err = c.writePurged(ask, all)
	}
	if err == nil && ask.Apply && all.LeftEvents+all.LeftIncidents > 0 {
		err = errors.New("something of the partner's is left: resolve what is open, and purge again")
	}
	return err
}

func (c *cli) writePurged(ask incident.Purge, p incident.Purged) error {
	did := "WOULD GO"
	if ask.Apply {
		did = "GONE"
	}
	rows := [][]string{
		{"events", strconv.Itoa(p.Events), strconv.Itoa(p.LeftEvents)},
		{"incidents", strconv.Itoa(p.Incidents), strconv.Itoa(p.LeftIncidents)},
		{"members", strconv.Itoa(p.Members), ""},
		{"messages", strconv.Itoa(p.Messages), ""},
		{"runs", strconv.Itoa(p.Runs), ""},
		{"partner records", strconv.Itoa(p.Partners), ""},
	}
	if err := writeTable(c.out, []string{"WHAT", did, "LEFT"}, rows); err != nil {
		return err
	}
	if len(p.Open) > 0 {
		named := strings.Join(p.Open, ", ")
		if more := p.LeftIncidents - len(p.Open); more > 0 {
			named = fmt.Sprintf("%s and %d more", named, more)
		}
		fmt.Fprintf(c.out, "\nleft, because something is open or under way: %s\n", named)
	}
	switch {
	case !ask.Apply:
		fmt.Fprintln(c.out, "\nnothing was changed: --yes --why TEXT does it, and nothing brings it back; backups keep what they hold")
	case p.Remains:
		fmt.Fprintln(c.out, "\nsomebody reads the store, so its log still holds the bytes until it begins anew; run it once more later")
	}
	return nil
}

// withPurges goes through a purge: on the store's file if no serve holds it,
// else through the running bridge's admin API.
func (c *cli) withPurges(ctx context.Context, cfg *config.Config, do func(func(context.Context, incident.Purge) (incident.Purged, error)) error) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	if !hasStore(cfg) {
		return missingStore(cfg)
	}
	s, err := sqlite.Open(ctx, cfg.Store, sqlite.Options{Log: log})
	if errors.Is(err, sqlite.ErrLocked) {
		return throughBridge(cfg, func(d deeds) error {
			remote, ok := d.(interface {
				Purge(ctx context.Context, p incident.Purge) (incident.Purged, error)
			})
			if !ok {
				return fmt.Errorf("%T knows no purge", d)
			}
			return do(remote.Purge)
		})
	}
	if err != nil {
		return err
	}
	parts, err := compile(cfg)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	own := purger{s, newLive(cfg, parts)}
	err = do(func(ctx context.Context, p incident.Purge) (incident.Purged, error) {
		return own.Purge(ctx, p, web.LocalName())
	})
	return errors.Join(err, s.Close())
}
