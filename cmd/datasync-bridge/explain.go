package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/receiver"
	"datasync-bridge/routing"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/web/view"
)

func (c *cli) explainCommand() *cobra.Command {
	var with, source string
	cmd := &cobra.Command{
		Use:   "explain FILE | EVENT-ID | INCIDENT-ID",
		Short: "Say what became of an event or incident, and why",
		Long: `Say what became of an event or incident, and why. The first line is the verdict.

A stored event (ev_…) or incident (in_…) is explained by the decision as it was
recorded; --with NEW.yaml evaluates a stored event anew under other rules. A file
that holds one event body is evaluated as if it arrived now. Nothing is sent.`,
		Example: `  datasync-bridge explain ev_0000000000000
  datasync-bridge explain in_0000000000000
  datasync-bridge explain event.json
  datasync-bridge explain ev_0000000000000 --with new.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			what, ctx := args[0], cmd.Context()
			switch {
			case with != "" && strings.HasPrefix(what, "in_"):
				return usagef("--with evaluates one event; an incident's stand under Timeline in `incidents show %s`", what)
			case strings.HasPrefix(what, "in_"):
				return c.withReader(ctx, func(s *sqlite.Store) error { return c.explainIncident(ctx, s, what) })
			case strings.HasPrefix(what, "ev_"):
				return c.withReader(ctx, func(s *sqlite.Store) error { return c.explainEvent(ctx, s, what, with) })
			}
			return c.explainFile(what, with, source)
		},
	}
	cmd.Flags().StringVar(&with, "with", "", "evaluate under this configuration `file` instead")
	cmd.Flags().StringVar(&source, "source", "", "the `name` of the source that a file's event is taken to come from; default the first")
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}

// explainFile evaluates a body as if it had arrived, verified, just now.
func (c *cli) explainFile(path, with, source string) error {
	cfg, err := c.loadOther(with)
	if err != nil {
		return err
	}
	st, err := fileEvent(cfg, path, source)
	if err != nil {
		return err
	}
	return c.evaluate(cfg, st)
}

// fileEvent is the event that a file's body would be if it arrived, verified,
// just now.
func fileEvent(cfg *config.Config, path, source string) (event.Stored, error) {
	body, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return event.Stored{}, fmt.Errorf("%w (an event's id begins with ev_, an incident's with in_)", err)
	}
	from, err := sourceNamed(cfg, source)
	if err != nil {
		return event.Stored{}, err
	}
	sum := sha256.Sum256(body)
	return event.Stored{
		ID: "ev_evaluated_now", Status: event.Accepted, State: event.Pending,
		Received: event.Received{
			Source: from.Name, Environment: from.Environment, Key: sum, BodyHash: sum,
			Origin: event.OriginWebhook, Authentic: from.Verify.Scheme != "none", ReceivedAt: time.Now(), Body: body,
		},
	}, nil
}

func sourceNamed(cfg *config.Config, name string) (receiver.Source, error) {
	for _, s := range cfg.Sources {
		if name == "" || s.Name == name {
			return s, nil
		}
	}
	return receiver.Source{}, usagef("no source is named %q", name)
}

// loadOther reads the configuration to evaluate under.
func (c *cli) loadOther(with string) (*config.Config, error) {
	if with == "" {
		return c.load()
	}
	return config.Load(with, config.Options{Env: os.Environ()})
}

// verdictNow is what a configuration would make of an event.
type verdictNow struct {
	// quarantine is why the event could not be read; then there is nothing else.
	quarantine string
	trace      routing.Trace
	plan       incident.Plan
}

// decideNow decides and plans an event where nothing else is open. bend may
// change the parts and the decision before the plan is made; nil for nothing.
func decideNow(cfg *config.Config, st event.Stored, bend func(*parts, *incident.Decision)) (verdictNow, error) {
	parts, err := compile(cfg)
	if err != nil {
		return verdictNow{}, err
	}
	ev, err := parts.mapper.Normalize(st)
	if err != nil {
		return verdictNow{}, fmt.Errorf("normalize %s: %w", st.ID, err)
	}
	if ev.Quarantine != "" {
		return verdictNow{quarantine: printable(ev.Quarantine)}, nil
	}
	v := verdictNow{trace: parts.table.Trace(ev)}
	if bend != nil {
		bend(&parts, &v.trace.Decision)
	}
	v.plan = parts.machine.Event(incident.Input{
		Event: ev, Decision: v.trace.Decision, Runs: parts.guard.Propose(ev, v.trace.Decision), Now: time.Now(),
	})
	if v.plan.Decision != nil {
		v.trace.Decision = *v.plan.Decision
		v.trace.Decision.Incident = "" // it would only be this one's, and nothing is stored
	}
	return v, nil
}

// evaluate prints the decision that a configuration makes now.
func (c *cli) evaluate(cfg *config.Config, st event.Stored) error {
	v, err := decideNow(cfg, st, nil)
	if err != nil {
		return err
	}
	switch {
	case v.quarantine != "" && c.output == "json":
		return writeJSON(c.out, map[string]any{"quarantined": v.quarantine})
	case v.quarantine != "":
		_, err := fmt.Fprintf(c.out, "QUARANTINED: %s; kept, and told to %s\n", v.quarantine, strings.Join(cfg.Defaults.Notify, ", "))
		return err
	case c.output == "json":
		return writeJSON(c.out, v.trace)
	}
	if err := v.trace.Write(c.out); err != nil {
		return err
	}
	rows := make([][]string, 0, len(v.plan.Runs))
	for _, r := range v.plan.Runs {
		rows = append(rows, []string{r.Remediation, string(r.State), r.Why})
	}
	return section(c.out, "Runs", rows)
}

func (c *cli) explainEvent(ctx context.Context, s *sqlite.Store, id, with string) error {
	st, err := s.Event(ctx, id)
	if err != nil {
		return fmt.Errorf("event %s: %w", id, err)
	}
	if with != "" {
		cfg, err := c.loadOther(with)
		if err != nil {
			return err
		}
		return c.evaluate(cfg, st)
	}
	if c.output == "json" {
		return writeJSON(c.out, view.OfEventInFull(st))
	}
	return c.printDecision(ctx, s, st)
}

// printDecision tells a recorded decision, and what was sent because of it.
func (c *cli) printDecision(ctx context.Context, s *sqlite.Store, st event.Stored) error {
	var d incident.Decision
	if len(st.Decision) > 0 {
		if err := json.Unmarshal(st.Decision, &d); err != nil {
			return fmt.Errorf("the recorded decision of %s cannot be read: %w", st.ID, err)
		}
	}
	fmt.Fprintf(c.out, "%s\n\n", printable(verdict(st, d)))
	rows := [][]string{
		{"event", fmt.Sprintf("%s, %s at %s by source %s (%s)", st.ID, st.Status, clock(st.ReceivedAt), st.Source, st.Environment)},
		{"sent as", st.Type + again(st)},
	}
	if d.Outcome != "" {
		rows = append(rows,
			[]string{"decided", fmt.Sprintf("%s under configuration %.12s", clock(d.At), d.Config)},
			[]string{"taken as", fmt.Sprintf("%s (%s), class %s", d.Type, d.Effect, d.Class)},
		)
	}
	if d.Severity != 0 {
		rows = append(rows, []string{"severity", fmt.Sprintf("%s, from %s", d.Severity, d.SeverityFrom)})
	}
	for _, r := range d.Rules {
		rows = append(rows, []string{"rule", fmt.Sprintf("%s (line %d)%s", r.Name, r.Line, flags(r))})
	}
	for _, n := range d.Notifiers {
		rows = append(rows, []string{"told", routed(n)})
	}
	if d.Key != "" {
		rows = append(rows, []string{"grouped", fmt.Sprintf("by %s: %s", strings.Join(d.GroupBy, ", "), d.Key)})
	}
	for _, e := range d.Errors {
		rows = append(rows, []string{"error", e})
	}
	for _, r := range d.Reasons {
		rows = append(rows, []string{"because", r})
	}
	if err := writeTable(c.out, nil, rows); err != nil {
		return err
	}
	if d.Incident == "" {
		return nil
	}
	return printSent(ctx, c.out, s, d.Incident)
}

// printSent lists what was sent of an incident and answered, oldest first.
func printSent(ctx context.Context, w io.Writer, s *sqlite.Store, id string) error {
	deliveries, err := s.Deliveries(ctx, incident.Filter{Incident: id, Limit: 200})
	if err != nil {
		return err
	}
	var rows [][]string
	for i := len(deliveries) - 1; i >= 0; i-- {
		d := deliveries[i]
		next := ""
		if d.State == incident.Waiting {
			next = "next try " + clock(d.NextAt)
		}
		rows = append(rows, []string{clock(d.QueuedAt), d.Notifier, string(d.Kind), string(d.State), lastWord(d), next})
	}
	return section(w, "Notifications of "+id, rows)
}

func (c *cli) explainIncident(ctx context.Context, s *sqlite.Store, id string) error {
	found, err := showIncident(s, ctx, id)
	if err != nil {
		return fmt.Errorf("incident %s: %w", id, err)
	}
	if c.output == "json" {
		return writeJSON(c.out, found)
	}
	v, ok := found.(view.Incident)
	if !ok {
		return errors.New("an incident is shown as something else")
	}
	line := fmt.Sprintf("%s, %s: %d of %d open, told %s", strings.ToUpper(v.State), v.Severity, v.OpenMembers, v.TotalMembers, tellings(v))
	if v.Resolution != "" {
		line = fmt.Sprintf("%s (%s) after %s: told %s", strings.ToUpper(v.State), v.Resolution,
			v.ResolvedAt.Sub(v.OpenedAt).Round(time.Second), tellings(v))
	}
	fmt.Fprintf(c.out, "%s\n\n", printable(line))
	return printIncident(c.out, v)
}

func tellings(v view.Incident) string {
	if len(v.Told) == 0 {
		return "nobody"
	}
	return reached(v.Told, v.Deliveries)
}

// verdict is a stored event's fate in one line.
func verdict(st event.Stored, d incident.Decision) string {
	names := make([]string, 0, len(d.Notifiers))
	for _, n := range d.Notifiers {
		names = append(names, n.Notifier)
	}
	told := strings.Join(names, ", ")
	if told == "" {
		told = "nobody"
	}
	switch {
	case st.State == event.Parked:
		return fmt.Sprintf("PARKED after %d failed plans: defaults.notify was told; the event is kept", st.Failures)
	case st.State == event.Pending:
		return "PENDING: accepted and kept, not planned yet"
	case d.DroppedBy != "":
		return fmt.Sprintf("DROPPED by rule %q: nobody is told", d.DroppedBy)
	case d.Outcome == incident.OldNews:
		return "OLD NEWS: recorded and summarised for defaults.notify; nobody is alarmed"
	case d.Outcome == incident.Settled:
		return fmt.Sprintf("SETTLED %s: whoever was told of it is told", d.Incident)
	case d.Incident != "":
		return fmt.Sprintf("%s %s, %s: tells %s", strings.ToUpper(string(d.Outcome)), d.Incident, d.Severity, told)
	}
	return fmt.Sprintf("%s: no incident, tells %s", strings.ToUpper(string(d.Outcome)), told)
}

func again(st event.Stored) string {
	if st.Duplicates == 0 {
		return ""
	}
	return fmt.Sprintf(", and %s, the last at %s", count(st.Duplicates, "duplicate"), clock(st.LastSeen))
}

func flags(r incident.MatchedRule) string {
	switch {
	case r.Stop:
		return ", stops"
	case r.Copy:
		return ", a copy"
	}
	return ""
}

func routed(n incident.Routed) string {
	text := n.Notifier + " by " + strings.Join(n.By, ", ")
	if n.Instead != "" {
		text += fmt.Sprintf(" instead of %s: %s", n.Instead, n.Why)
	}
	return text
}
