package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
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
	var by byWhat
	cmd := &cobra.Command{
		Use:   "explain [FILE | ID]",
		Short: "Say what became of an event or incident, and why",
		Long: `Say what became of an event or incident, and why. The first line is the verdict:
was somebody paged, and if not, why not. Then come the event, the decision as it
was recorded, each rule and key under the configuration that decided, what held
it, what was sent and answered, and what happens next. Nothing is sent.

A stored event (ev_…) or incident (in_…) is named by its id, a notification (dl_…)
or run (rn_…) stands for what it belongs to; or an event is found by what it is about; of several, the one nearest to --at (default: now) is explained, and
the others are listed. Times are in defaults.time_zone. --with NEW.yaml evaluates
a stored event anew under other rules. A file that holds one event body is
evaluated as if it arrived now.`,
		Example: `  datasync-bridge explain ev_0000000000000
  datasync-bridge explain --po PO-88214
  datasync-bridge explain --partner "Harrowgate Grocers" --at "2026-11-26 02:40"
  datasync-bridge explain in_0000000000000 -o json
  datasync-bridge explain event.json
  datasync-bridge explain ev_0000000000000 --with new.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if err := by.one(len(args)); err != nil {
				return err
			}
			if len(args) == 0 {
				return c.onStored(ctx, func(cfg *config.Config, s *sqlite.Store) error { return c.explainFound(ctx, cfg, s, by, with) })
			}
			switch what := args[0]; {
			case with != "" && !strings.HasPrefix(what, "ev_") && someKind.MatchString(what):
				return usagef("--with evaluates one event; an incident's stand under Timeline in `incidents show %s`", what)
			case strings.HasPrefix(what, "in_"):
				return c.onStored(ctx, func(cfg *config.Config, s *sqlite.Store) error { return c.explainIncident(ctx, cfg, s, what) })
			case strings.HasPrefix(what, "dl_"), strings.HasPrefix(what, "rn_"):
				return c.onStored(ctx, func(cfg *config.Config, s *sqlite.Store) error { return c.explainBelonging(ctx, cfg, s, what) })
			case strings.HasPrefix(what, "ev_"):
				return c.onStored(ctx, func(cfg *config.Config, s *sqlite.Store) error { return c.explainEvent(ctx, cfg, s, what, with, nil) })
			default:
				return c.explainFile(what, with, source)
			}
		},
	}
	by.flags(cmd)
	cmd.Flags().StringVar(&with, "with", "", "evaluate under this configuration `file` instead")
	cmd.Flags().StringVar(&source, "source", "", "the `name` of the source that a file's event is taken to come from; default the first")
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table or json")
	return cmd
}

// someKind is how an id of the bridge begins.
var someKind = regexp.MustCompile(`^(in|dl|rn)_`)

// onStored reads the store under the configuration that says where it is.
func (c *cli) onStored(ctx context.Context, read func(*config.Config, *sqlite.Store) error) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	return c.withReader(ctx, func(s *sqlite.Store) error { return read(cfg, s) })
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
	return c.evaluate(cfg, st, nil)
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
		Received: cfg.Redaction().Kept(event.Received{
			Source: from.Name, Environment: from.Environment, Key: sum, BodyHash: sum,
			Origin: event.OriginWebhook, Authentic: from.Verify.Scheme != "none", ReceivedAt: time.Now(), Body: body,
		}),
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

// evaluated is a decision made now, as programs read it.
type evaluated struct {
	Verdict  string              `json:"verdict"`
	Decision *view.Decision      `json:"decision"`
	Rules    []routing.RuleTrace `json:"rules"`
	Runs     []view.Run          `json:"runs,omitempty"`
	Held     []heldBack          `json:"held,omitempty"`
	// Differs says where it is not what was recorded of a stored event.
	Differs []string `json:"differs,omitempty"`
}

// evaluate prints the decision that a configuration makes now, and where that
// is not what was recorded; nil where nothing was.
func (c *cli) evaluate(cfg *config.Config, st event.Stored, recorded *incident.Decision) error {
	v, err := decideNow(cfg, st, nil)
	if err != nil {
		return err
	}
	v.trace.Zone = style(cfg).Location
	var differs []string
	if recorded != nil {
		differs = differences(*recorded, v.trace.Decision)
	}
	switch {
	case v.quarantine != "" && c.output == "json":
		return writeJSON(c.out, map[string]any{"quarantined": v.quarantine})
	case v.quarantine != "":
		_, err := fmt.Fprintf(c.out, "QUARANTINED: %s; kept, and told to %s\n", v.quarantine, strings.Join(cfg.Defaults.Notify, ", "))
		return err
	case c.output == "json":
		return writeJSON(c.out, evaluated{
			Verdict: printable(v.trace.Verdict()), Decision: view.OfDecision(v.trace.Decision), Rules: v.trace.Rules,
			Runs: view.Each(v.plan.Runs, view.OfRun), Held: heldOf(v.trace.Decision.Held), Differs: differs,
		})
	}
	if err := v.trace.Write(c.out); err != nil {
		return err
	}
	rows := make([][]string, 0, len(v.plan.Runs))
	for _, r := range v.plan.Runs {
		rows = append(rows, []string{r.Remediation, string(r.State), r.Why})
	}
	if err := section(c.out, "Runs", rows); err != nil || recorded == nil {
		return err
	}
	rows = nil
	for _, d := range differs {
		rows = append(rows, []string{d})
	}
	if rows == nil {
		rows = [][]string{{"nothing of rules, notifiers, severity, type and class differs"}}
	}
	return section(c.out, fmt.Sprintf("Beside what was recorded on %s", newFace(cfg, time.Now()).full(recorded.At)), rows)
}

func (c *cli) explainEvent(ctx context.Context, cfg *config.Config, s *sqlite.Store, id, with string, others []event.Stored) error {
	if with != "" {
		st, err := s.Event(ctx, id)
		if err != nil {
			return fmt.Errorf("event %s: %w", id, err)
		}
		other, err := c.loadOther(with)
		if err != nil {
			return err
		}
		var recorded *incident.Decision
		if len(st.Decision) > 0 {
			recorded = new(incident.Decision)
			if err := json.Unmarshal(st.Decision, recorded); err != nil {
				return fmt.Errorf("the recorded decision of %s cannot be read: %w", st.ID, err)
			}
		}
		return c.evaluate(other, st, recorded)
	}
	a := newAccount(cfg, time.Now())
	if err := a.ofEvent(ctx, s, id); err != nil {
		return err
	}
	return c.tellAccount(ctx, cfg, s, a, others)
}

func (c *cli) explainIncident(ctx context.Context, cfg *config.Config, s *sqlite.Store, id string) error {
	a := newAccount(cfg, time.Now())
	if err := a.ofIncident(ctx, s, id); err != nil {
		return err
	}
	return c.tellAccount(ctx, cfg, s, a, nil)
}

// explainBelonging explains the incident of a notification, or the event of a run.
func (c *cli) explainBelonging(ctx context.Context, cfg *config.Config, s *sqlite.Store, id string) error {
	if strings.HasPrefix(id, "rn_") {
		r, err := s.Run(ctx, id)
		if err != nil {
			return fmt.Errorf("run %s: %w", id, err)
		}
		return c.explainEvent(ctx, cfg, s, r.Event, "", nil)
	}
	d, err := s.Delivery(ctx, id)
	switch {
	case err != nil:
		return fmt.Errorf("notification %s: %w", id, err)
	case d.Incident == "":
		return usagef("%s is a %s, which is about no incident; see `deliveries show %s`", id, d.Kind, id)
	}
	return c.explainIncident(ctx, cfg, s, d.Incident)
}

// tellAccount prints an account, and what else was found.
func (c *cli) tellAccount(ctx context.Context, cfg *config.Config, s *sqlite.Store, a *account, others []event.Stored) error {
	if err := a.retrace(ctx, decidedBy(cfg, s.ConfigLoad, partsOf)); err != nil {
		return err
	}
	if c.output == "json" {
		return writeJSON(c.out, a.json(others))
	}
	if err := a.write(c.out); err != nil {
		return err
	}
	return a.writeOthers(c.out, others)
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
