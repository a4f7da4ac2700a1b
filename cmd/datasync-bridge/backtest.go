package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime/debug"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/store"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/trial"
)

// backtestFlags are what the command is asked for.
type backtestFlags struct{ against, store, since, until string }

func (c *cli) backtestCommand() *cobra.Command {
	var flags backtestFlags
	cmd := &cobra.Command{
		Use:   "backtest -c NEW.yaml",
		Short: "Run stored history through other rules, and print what would differ",
		Long: `Run the events that a store has kept through the rules of -c and through those of
--against, and print the difference in incidents, messages, pages and runs: in all,
by rule and by partner, with examples of what would newly page or no longer.
Nothing is sent, nothing is run, and the store is only read, also beside a running
bridge.

--against is config.yaml in the current folder, unless that is what -c names; then
only the totals of -c are printed. The history is read from the store of --against,
or from --store, which may be a backup: with it no secrets are needed, because the
environment is not read, and each ${NAME} and each secret's file is stood in for.`,
		Example: `  datasync-bridge backtest -c new.yaml
  datasync-bridge backtest -c new.yaml --against /etc/datasync-bridge/config.yaml --since 7d
  datasync-bridge backtest -c new.yaml --against old.yaml --store bridge-2026-11-26.db -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.backtest(cmd.Context(), flags) },
	}
	cmd.Flags().StringVar(&flags.against, "against", "", "the `file` whose rules are compared with; default config.yaml, if that is another one")
	cmd.Flags().StringVar(&flags.store, "store", "", "read the history from this store's `file`")
	cmd.Flags().StringVar(&flags.since, "since", "30d", "only events that arrived from this `time` on: 2026-11-01 (in defaults.time_zone), or a duration back such as 7d")
	cmd.Flags().StringVar(&flags.until, "until", "", "only events that arrived before this `time`; default now")
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}

func (c *cli) backtest(ctx context.Context, flags backtestFlags) error {
	files := []string{c.configPath}
	if against := backtestAgainst(flags.against, c.configPath); against != "" {
		files = []string{against, c.configPath}
	}
	options := config.Options{Env: os.Environ()}
	if flags.store != "" {
		options = config.Options{Placeholders: true}
	}
	var sides []*side
	for _, file := range files {
		cfg, err := config.Load(file, options)
		if err != nil {
			return err
		}
		one, err := newSide(file, cfg)
		if err != nil {
			return err
		}
		sides = append(sides, one)
	}
	cfg := sides[0].cfg
	f := newFace(cfg, time.Now())
	since, err := f.back("--since", flags.since)
	if err != nil {
		return err
	}
	until, err := f.back("--until", flags.until)
	if err != nil {
		return err
	}
	if until.IsZero() || until.After(f.now) {
		until = f.now
	}
	if !since.Before(until) {
		return usagef("--since must be before --until")
	}
	return c.backtestOver(ctx, flags.store, &replay{sides: sides, since: since, until: until, face: f})
}

// backtestAgainst is the file that the new one is compared with, "" for none:
// where serve looks for its own.
func backtestAgainst(named, new string) string {
	if named != "" {
		return named
	}
	const usual = "config.yaml"
	a, err := os.Stat(usual)
	if err != nil {
		return ""
	}
	if b, err := os.Stat(new); err != nil || os.SameFile(a, b) {
		return ""
	}
	return usual
}

// backtestOver opens the store, plays it and prints what came of it.
func (c *cli) backtestOver(ctx context.Context, path string, r *replay) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	cfg := r.sides[0].cfg
	at := cfg.Store
	at.SQLite = store.SQLite{Path: cmp.Or(path, at.SQLite.Path), Queue: at.SQLite.Queue}
	s, err := sqlite.OpenReadOnly(ctx, at, sqlite.Options{Log: log})
	if errors.Is(err, fs.ErrNotExist) && path == "" {
		return missingStore(cfg)
	}
	if err != nil {
		return err
	}
	err = c.showing(ctx, s, r)
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	b := r.compare(path)
	if c.output == "json" {
		return writeJSON(c.out, b)
	}
	return b.write(c.out)
}

// showing plays the history, with a bar where a person waits.
func (c *cli) showing(ctx context.Context, s *sqlite.Store, r *replay) error {
	// Most of what planning makes is thrown away at once, and little is kept:
	// collecting half as often is a tenth to a quarter faster, and costs as much
	// memory as is kept.
	defer debug.SetGCPercent(debug.SetGCPercent(200))
	if !isTerminal(c.err) {
		return r.run(ctx, s)
	}
	n, err := s.HistorySize(ctx, r.since, r.until)
	if err != nil {
		return err
	}
	bar := progressbar.NewOptions(n, progressbar.OptionSetWriter(c.err), progressbar.OptionSetDescription("replaying"),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("events"), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish())
	r.passed = func(events int) { _ = bar.Add(events) } // a bar that cannot be drawn stops nothing
	return errors.Join(r.run(ctx, s), bar.Finish())
}

// memoryOf is how long a trial under a configuration must remember what is
// over. An opening that comes later than defaults.stale_after opens nothing
// whatever was seen, unless it has a deadline ahead: twice that time leaves room
// for those. A document of which nothing is heard for defaults.close_after is
// given up, as an incident would be.
func memoryOf(cfg *config.Config) trial.Memory {
	seen, ends := cfg.Defaults.StaleAfter.Ends()
	if !ends || seen <= 0 {
		seen = unstale
	}
	if r := cfg.Defaults.RetryingAlert; r != nil {
		seen = max(seen, r.After)
	}
	if r := cfg.Datasync.Reconcile; r != nil {
		seen = max(seen, r.Overlap)
	}
	heard, ends := cfg.Defaults.CloseAfter.Ends()
	if !ends {
		heard = 0
	}
	return trial.Memory{
		Ended: cfg.Defaults.ReopenWithin, Heard: max(heard, leastHeard), Seen: min(2*seen, cfg.Store.Retain.Events),
	}
}

const (
	// unstale stands for defaults.stale_after where that is never.
	unstale = 72 * time.Hour
	// leastHeard is how long a document of which nothing is heard is remembered
	// where defaults.close_after is shorter, or never.
	leastHeard = 72 * time.Hour
)
