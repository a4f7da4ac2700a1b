package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/web"
	"datasync-bridge/web/client"
	"datasync-bridge/web/view"
)

func (c *cli) silenceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "silence",
		Short: "Keep people from being told for a while: add, list and expire silences",
		Long: `Keep people from being told for a while. What a silence matches is recorded as
ever, and its end is told to whoever was told of it; openings, updates and
reminders wait. When the silence ends, what is still open is told once, and says
since when. An incident is silenced while the event that it is told by is.`,
		Example: `  datasync-bridge silence add --match partner.id=par_7h2k9 --for 2h --why "their maintenance, ticket 4711"
  datasync-bridge silence list
  datasync-bridge silence expire sl_tgq2m0 --why "they are back"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.silenceAddCommand(), c.silenceListCommand(), c.silenceExpireCommand())
	return cmd
}

func (c *cli) silenceAddCommand() *cobra.Command {
	var match []string
	var span, from, until, why string
	cmd := &cobra.Command{
		Use:   "add --match PATH=VALUE (--for DURATION | --until TIME) --why TEXT",
		Short: "Silence what matches, from now or a later time on",
		Long: `Silence what matches. Several --match must all hold; values of one path, in
several --match, are alternatives, and * in a value stands for any text. Besides
= there are != < <= > >= (quote them). Paths are those of the normalized event.
Times are written "2026-12-01 06:00 America/Chicago", or without a zone in
defaults.time_zone.`,
		Example: `  datasync-bridge silence add --match partner.id=par_7h2k9 --match type='mdn.*' --for 2h --why "their maintenance"
  datasync-bridge silence add --match class=connectivity --from "2026-12-01 22:00" --until "2026-12-02 06:00 America/Chicago" --why "network change"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			wanted, err := wantedSilence(match, span, from, until, why, newFace(cfg, time.Now()))
			if err != nil {
				return err
			}
			var kept view.Silence
			err = c.withSilences(cmd.Context(), cfg, func(q silences) error {
				kept, err = q.AddSilence(cmd.Context(), wanted)
				return err
			})
			if err != nil {
				return err
			}
			if c.output == "json" {
				return writeJSON(c.out, kept)
			}
			f := newFace(cfg, time.Now())
			began := "now"
			if kept.State == view.SilenceFuture {
				began = f.line(kept.From)
			}
			_, err = fmt.Fprintf(c.out, "%s silences %s from %s until %s (%s)\n",
				kept.ID, printable(matchText(kept.Match)), began, f.line(kept.Until), f.zone)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&match, "match", nil, "what is to be quiet, such as partner.id=par_7h2k9")
	flags.StringVar(&span, "for", "", "for so long: a `duration` such as 2h or 3d")
	flags.StringVar(&until, "until", "", "until this `time`")
	flags.StringVar(&from, "from", "", "from this `time` on (default now)")
	flags.StringVar(&why, "why", "", "what is told to who asks what held a message")
	flags.StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}

// wantedSilence reads what the flags of add say.
func wantedSilence(match []string, span, from, until, why string, f face) (w view.NewSilence, err error) {
	if why = strings.TrimSpace(why); why == "" {
		return w, usagef("add needs --why: whoever was not told will ask")
	}
	if w.Match, err = matchOf(match); err != nil {
		return w, err
	}
	w.Why = why
	if from != "" {
		if w.From, err = ahead(f, "--from", from); err != nil {
			return w, err
		}
	}
	switch {
	case (span == "") == (until == ""):
		return w, usagef("add needs one of --for and --until")
	case until != "":
		w.Until, err = ahead(f, "--until", until)
		return w, err
	}
	length, err := event.ParseDuration(span)
	if err != nil {
		return w, usagef("--for: %v", err)
	}
	begins := f.now
	if w.From.After(begins) {
		begins = w.From
	}
	w.Until = begins.Add(length)
	return w, nil
}

// ahead reads a time with its zone, or in the configuration's.
func ahead(f face, flag, text string) (time.Time, error) {
	var m event.Moment
	err := m.UnmarshalText([]byte(text))
	if err != nil {
		if here := m.UnmarshalText([]byte(strings.TrimSpace(text) + " " + f.zone.String())); here == nil {
			err = nil
		}
	}
	if err != nil {
		return time.Time{}, usagef("%s: %v", flag, err)
	}
	return m.Time, nil
}

func (c *cli) silenceListCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List silences, active ones first",
		Long: `List the silences of the configuration and those made at run time: active ones
and those to come, with --all also those that ended in the last 30 days. The
store is read as it lies on disk, with or without a serve.`,
		Example: "  datasync-bridge silence list\n  datasync-bridge silence list --all -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			return c.withReader(cmd.Context(), func(s *sqlite.Store) error {
				list, err := silencerOfFile(cfg, s, nil).Silences(cmd.Context())
				if err != nil {
					return err
				}
				return c.writeSilences(list, all, newFace(cfg, s.Now()))
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that are over")
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}

func (c *cli) writeSilences(list []incident.Silence, all bool, f face) error {
	shown := []view.Silence{}
	for _, state := range []string{view.SilenceActive, view.SilenceFuture, view.SilenceOver} {
		for _, s := range list {
			if v := view.OfSilence(s, f.now); v.State == state && (all || state != view.SilenceOver) {
				shown = append(shown, v)
			}
		}
	}
	if c.output == "json" {
		return writeJSON(c.out, shown)
	}
	if len(shown) == 0 {
		_, err := fmt.Fprintln(c.out, "no silences")
		return err
	}
	rows := make([][]string, 0, len(shown))
	for _, v := range shown {
		by, until, why := v.By, v.Until, v.Why
		if v.FromFile {
			by = strings.TrimSpace(by + " (configuration)")
		}
		if v.Expired != nil {
			until, why = v.Expired.At, why+"; ended by "+v.Expired.By+": "+v.Expired.Why
		}
		rows = append(rows, []string{v.ID, v.State, f.minute(v.From), f.minute(until), matchText(v.Match), by, why})
	}
	return writeTable(c.out, []string{"ID", "STATE", "FROM", "UNTIL", "MATCH", "BY", "WHY"}, rows)
}

// minute is a time in a column.
func (f face) minute(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(f.zone).Format("2006-01-02 15:04")
}

func (c *cli) silenceExpireCommand() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use:     "expire ID --why TEXT",
		Short:   "End a silence before its time: what it held and is still open is told",
		Example: `  datasync-bridge silence expire sl_tgq2m0 --why "they are back"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(why) == "" {
				return usagef("expire needs --why: the next reader wants to know")
			}
			cfg, err := c.load()
			if err != nil {
				return err
			}
			err = c.withSilences(cmd.Context(), cfg, func(q silences) error { return q.ExpireSilence(cmd.Context(), args[0], why) })
			if errors.Is(err, event.ErrNotFound) {
				err = fmt.Errorf("there is no silence %s: silence list --all shows those that are kept", args[0])
			}
			if err != nil {
				return named(err, args[0])
			}
			_, err = fmt.Fprintln(c.out, args[0], "ended")
			return err
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "why it is over")
	return cmd
}

// silences are changed by these deeds.
type silences interface {
	AddSilence(ctx context.Context, s view.NewSilence) (view.Silence, error)
	ExpireSilence(ctx context.Context, id, why string) error
}

var (
	_ silences     = (*client.Client)(nil)
	_ web.Silencer = (*silencer)(nil)
)

// withSilences carries a change out: on the store's file if no serve holds it,
// else through the running bridge's admin API.
func (c *cli) withSilences(ctx context.Context, cfg *config.Config, do func(silences) error) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	if !hasStore(cfg) {
		return missingStore(cfg) // opening would make an empty one
	}
	s, err := sqlite.Open(ctx, cfg.Store, sqlite.Options{Log: log})
	if errors.Is(err, sqlite.ErrLocked) {
		return throughBridge(cfg, func(d deeds) error {
			remote, ok := d.(silences)
			if !ok {
				return fmt.Errorf("%T knows no silences", d)
			}
			return do(remote)
		})
	}
	if err != nil {
		return err
	}
	// A serve that starts takes silences over; its log is for what it does itself.
	own := silencesOnFile{silencerOfFile(cfg, s, slog.New(slog.DiscardHandler)), s.Now}
	if err := errors.Join(do(own), s.Close()); err != nil {
		return err
	}
	fmt.Fprintln(c.err, "no serve is running: this holds once it starts")
	return nil
}

// silencesOnFile changes silences of a store that no serve holds, in the local
// user's name.
type silencesOnFile struct {
	*silencer
	now func() time.Time
}

func (f silencesOnFile) AddSilence(ctx context.Context, s view.NewSilence) (view.Silence, error) {
	kept, err := f.silencer.AddSilence(ctx, incident.Silence{Match: s.Match, From: s.From, Until: s.Until, Why: s.Why}, web.LocalName())
	return view.OfSilence(kept, f.now()), err
}

func (f silencesOnFile) ExpireSilence(ctx context.Context, id, why string) error {
	return f.silencer.ExpireSilence(ctx, id, web.LocalName(), why)
}
