package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/notifiers/terminal"
	"datasync-bridge/receiver/mapping"
	"datasync-bridge/routing"
	"datasync-bridge/routing/incident"
	"datasync-bridge/trial"
	"datasync-bridge/trial/script"
)

func (c *cli) testCommand() *cobra.Command {
	var junit string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test TESTS.yaml...",
		Short: "Run tests of rules: which events come when, and who must be told",
		Long: `Run tests of rules: which events come when, what people must see of them and what
they must not. Every test has a frozen clock and begins with nothing open; nothing
is sent and nothing is stored. How a test is written stands in docs/rule-tests.md.

Tests need no secrets: the environment is not read, and each ${NAME} and each
secret's file is stood in for by a placeholder. The configuration is the one that
a file names in config:, else -c.

Exit code 0: all passed. 1: some failed. 2: a file cannot be run as it is.`,
		Example: `  datasync-bridge test config.example.tests.yaml
  datasync-bridge test -c new.yaml tests/*.yaml --junit results.xml
  datasync-bridge test -v docs/situations/01-*.yaml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, files []string) error {
			return c.runTests(files, junit, verbose)
		},
	}
	cmd.Flags().StringVar(&junit, "junit", "", "also write the results as JUnit XML to this `file`")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print what happened in each test, also in those that passed")
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}

func (c *cli) runTests(names []string, junit string, verbose bool) error {
	files, err := c.readTests(names)
	if err != nil {
		return err
	}
	results := []script.Result{}
	failed := false
	for _, f := range files {
		results = append(results, f.Run()...)
	}
	for _, r := range results {
		failed = failed || len(r.Failures) > 0
	}
	if junit != "" {
		if err := writeJUnit(junit, results); err != nil {
			return err
		}
	}
	if c.output == "json" {
		err = writeJSON(c.out, results)
	} else {
		err = script.Write(c.out, results, c.colours(), verbose)
	}
	if err == nil && failed {
		err = errSilent
	}
	return err
}

// readTests reads all files before any of them is run, and says all that is
// wrong with them.
func (c *cli) readTests(names []string) ([]*script.File, error) {
	worlds := map[string]*script.World{}
	open := func(name string) (*script.World, error) {
		name = cmp.Or(name, c.configPath)
		if worlds[name] == nil {
			cfg, err := config.Load(name, config.Options{Placeholders: true})
			if err != nil {
				return nil, err
			}
			if worlds[name], err = testWorld(cfg); err != nil {
				return nil, err
			}
		}
		return worlds[name], nil
	}
	var files []*script.File
	said := map[string]bool{}
	for _, name := range names {
		f, err := script.Read(name, open)
		if err == nil {
			files = append(files, f)
		} else if text := err.Error(); !said[text] { // the same configuration is told once
			said[text] = true
			fmt.Fprintln(c.err, text)
		}
	}
	if len(said) > 0 {
		return nil, errFaulty
	}
	return files, nil
}

// testWorld is what a configuration gives to its tests.
func testWorld(cfg *config.Config) (*script.World, error) {
	p, err := compile(cfg)
	if err != nil {
		return nil, err
	}
	w := &script.World{
		Trace: p.table.Trace, Notifiers: cfg.NotifierTraits(), Say: saying(cfg),
		Open: testBridge(p, cfg.Redaction()),
		Matches: func(match map[string]any, report func(path, text string)) {
			for _, problem := range routing.CheckSilence(cfg.Names(), match) {
				if !problem.Warning {
					report(strings.TrimPrefix(strings.TrimPrefix(problem.Path, "match"), "."), problem.Text)
				}
			}
		},
	}
	for _, r := range cfg.Rules {
		w.Rules = append(w.Rules, r.Name)
	}
	for i := range cfg.Remediations {
		w.Remediations = append(w.Remediations, cfg.Remediations[i].Name)
	}
	for i := range cfg.Sources {
		s := &cfg.Sources[i]
		w.Sources = append(w.Sources, script.Source{Name: s.Name, Environment: s.Environment, Signed: s.Verify.Scheme != "none"})
	}
	return w, nil
}

// testBridge opens a trial for one test, with silences of its own.
func testBridge(p parts, redaction *mapping.Redaction) func(time.Time, trial.Observer) script.Bridge {
	return func(start time.Time, o trial.Observer) script.Bridge {
		machine := *p.machine
		added := &addedSilences{table: p.table, all: p.table.Silences(nil)}
		machine.Silences = added
		return &silenceable{
			Bridge:        trial.New(trial.Parts{Mapper: p.mapper, Router: p.table, Planner: &machine, Proposer: p.guard}, start, o),
			addedSilences: added,
			redaction:     redaction,
		}
	}
}

// silenceable is a trial in which silences can be made.
type silenceable struct {
	*trial.Bridge
	*addedSilences
	redaction *mapping.Redaction
}

// Post implements script.Bridge: what arrives is kept as serve would keep it.
func (s *silenceable) Post(st event.Stored) (incident.Decision, error) {
	st.Received = s.redaction.Kept(st.Received)
	return s.Bridge.Post(st)
}

// addedSilences are those of the file, and those that a test makes.
type addedSilences struct {
	table *routing.Table
	made  []incident.Silence
	all   *routing.Quiet
}

// Silencing implements incident.Silences.
func (a *addedSilences) Silencing(ev event.Event, at time.Time) (incident.Silence, bool) {
	return a.all.Silencing(ev, at)
}

// Silence implements script.Bridge.
func (a *addedSilences) Silence(s incident.Silence) {
	a.made = append(a.made, s)
	a.all = a.table.Silences(a.made)
}

// saying words a message as a terminal shows it, without the line that says to
// whom it goes.
func saying(cfg *config.Config) func(incident.Delivery) string {
	return func(d incident.Delivery) string {
		var text bytes.Buffer
		n := terminal.New(terminal.Config{}, style(cfg), &text)
		if _, err := n.Send(context.Background(), d); err != nil {
			return err.Error() // a buffer takes all; a kind that cannot be shown says so
		}
		_, said, _ := strings.Cut(text.String(), "\n")
		return said
	}
}

// colours are those of the stream, none where it is no terminal.
func (c *cli) colours() script.Colours {
	if !isTerminal(c.out) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return script.Colours{}
	}
	return script.ForTerminals
}

// writeJUnit writes a whole file or none.
func writeJUnit(path string, results []script.Result) (err error) {
	f, err := os.Create(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return script.WriteJUnit(io.Writer(f), results)
}
