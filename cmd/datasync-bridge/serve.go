package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"datasync-bridge/datasync/remediation"
	"datasync-bridge/store/sqlite"
)

func (c *cli) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the bridge",
		Long: `Run the bridge: receive events on server.listen, tell people, and answer the
admin API on admin.listen. SIGTERM or Ctrl-C stops it within 15 seconds: the
requests in hand are answered, the sends in hand are finished, and what is
queued stays queued. SIGHUP, the command reload and a changed file put other
rules, notifiers, calendars and silences in force.`,
		Example: "  datasync-bridge serve -c config.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.serve(cmd.Context()) },
	}
}

func (c *cli) serve(ctx context.Context) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	// What is read below is as new as a reload would make it; until one can be
	// asked for, the signal must not end the process.
	signal.Ignore(syscall.SIGHUP)
	cfg, err := c.load()
	if err != nil {
		return err
	}
	for _, warning := range cfg.Warnings {
		log.Warn("configuration", "warning", warning.String())
	}
	if remediation.SwitchedOff(os.Getenv(remediation.KillSwitch)) {
		log.Warn("runs are switched off", "by", remediation.KillSwitch)
	}
	spareProcessor()
	boundGarbage()
	b, err := assemble(ctx, cfg, c.out, log)
	if errors.Is(err, sqlite.ErrLocked) {
		return fmt.Errorf("start: %w: is serve running already? Each bridge needs a store of its own", err)
	}
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer func() {
		if err := b.close(); err != nil {
			log.Error("closing the store", "err", err)
		}
	}()
	b.reloader.path, b.reloader.load = c.configPath, c.load
	l, err := b.listen(ctx)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	log.Info("starting", "version", version, "config", cfg.ShortHash(), "store", cfg.Store.SQLite.Path, "pid", os.Getpid())
	return b.run(ctx, l)
}

// spareProcessor lets Go run one thread more than there are cores, unless
// GOMAXPROCS says how many: one sits in the store's commits, waiting for the
// disk, and its core would idle meanwhile.
func spareProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

// garbage is how many percent of what lives the heap may grow by before it is
// collected. Buffers of connections, which hold no pointers, are most of what
// lives under load, so that collecting more often than by default costs little.
const garbage = 60

// boundGarbage sets it, unless GOGC says how much.
func boundGarbage() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
}
