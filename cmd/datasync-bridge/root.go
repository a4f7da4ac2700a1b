package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/event"
)

// Exit codes of every command.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// streams are what a command reads and writes, so that tests can stand in.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// usageError marks a command line that cannot be understood (exit code 2).
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// errSilent ends a command with exit code 1 after it has said why itself.
var errSilent = errors.New("")

// errFaulty ends one with exit code 2, likewise: what it was given is wrong.
var errFaulty = errors.New("")

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errSilent):
		return exitFailed
	case errors.Is(err, errFaulty):
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(s.err, "%v\nSee %s --help\n", err, cmd.CommandPath())
		return exitUsage
	}
	var faults config.Faults
	if errors.As(err, &faults) {
		fmt.Fprintln(s.err, faults)
	} else {
		fmt.Fprintf(s.err, "datasync-bridge: %v\n", err)
	}
	return exitFailed
}

// cli is what the commands share: streams and the global flags.
type cli struct {
	streams
	configPath string
	output     string
	logFormat  string
	logLevel   string
}

func newRoot(s streams) *cobra.Command {
	c := &cli{streams: s}
	root := &cobra.Command{
		Use:   "datasync-bridge",
		Short: "From signed Datasync events to the people on call",
		Long: `datasync-bridge receives signed webhook events from Datasync, keeps each one
durably, decides by YAML rules who must know, and tells Slack and PagerDuty
what is open and what is over.

Try it without any configuration:  datasync-bridge demo`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		// Before anything is opened: a wrong command line has no side effect.
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return c.checkOutput(cmd) },
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	flags := root.PersistentFlags()
	flags.StringVarP(&c.configPath, "config", "c", "config.yaml", "configuration `file`")
	flags.StringVar(&c.logFormat, "log-format", "text", "log lines as text or json")
	flags.StringVar(&c.logLevel, "log-level", "info", "debug, info, warn or error")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(c.commands()...)
	wrapUsage(root)
	return root
}

func (c *cli) commands() []*cobra.Command {
	return []*cobra.Command{
		c.demoCommand(), c.serveCommand(), c.sandboxCommand(), c.checkCommand(), c.testCommand(), c.schemaCommand(), c.backtestCommand(), c.explainCommand(),
		c.renderCommand(), c.sendTestCommand(), c.subscribeCommand(), c.verifyCommand(), c.datasyncCommand(),
		c.eventsCommand(), c.incidentsCommand(), c.deliveriesCommand(), c.runsCommand(), c.auditCommand(),
		c.silenceCommand(), c.reloadCommand(), c.backupCommand(), c.healthcheckCommand(), c.versionCommand(),
	}
}

// wrapUsage makes wrong arguments a usage error in every command.
func wrapUsage(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				switch {
				case cmd.HasSubCommands(): // it names the unknown command
					if show, _, _ := cmd.Find([]string{"show"}); show != nil && show != cmd {
						err = fmt.Errorf("%w; to see one: %s", err, show.UseLine())
					}
				case !strings.Contains(cmd.Use, " "):
					err = fmt.Errorf("%s takes no argument (got %q); the configuration is named with -c FILE", cmd.CommandPath(), args[0])
				default:
					err = fmt.Errorf("%w; it is used so: %s", err, cmd.UseLine())
				}
				return usageError{err}
			}
			return nil
		}
	}
	for _, child := range cmd.Commands() {
		wrapUsage(child)
	}
}

// load reads the configuration; whoever shows its warnings asks for them.
func (c *cli) load() (*config.Config, error) {
	cfg, err := config.Load(c.configPath, config.Options{Env: os.Environ()})
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

// withCSV marks the commands that have -o csv as well.
var withCSV = map[string]string{"output": "csv"}

// checkOutput refuses an unknown -o in every command that has it.
func (c *cli) checkOutput(cmd *cobra.Command) error {
	csv := cmd.Annotations["output"] == withCSV["output"]
	switch {
	case c.output == "", c.output == "table", c.output == "json", csv && c.output == "csv":
		return nil
	case csv:
		return usagef("--output: %q is none of table, json, csv", c.output)
	}
	return usagef("--output: %q is neither table nor json", c.output)
}

// logger writes to the error stream, so that output can be piped.
func (c *cli) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.logLevel)); err != nil {
		return nil, usagef("--log-level: %q is none of debug, info, warn, error", c.logLevel)
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: withoutQuotes}
	switch c.logFormat {
	case "json":
		return slog.New(slog.NewJSONHandler(c.err, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(c.err, options)), nil
	}
	return nil, usagef("--log-format: %q is neither text nor json", c.logFormat)
}

// withoutQuotes keeps what an error quotes of others out of the log: they may
// repeat what an event told. It is kept with the delivery or the run.
func withoutQuotes(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.StringValue(event.Unquoted(err))
	}
	return a
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  datasync-bridge version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(c.out, "datasync-bridge", version)
			return err
		},
	}
}
