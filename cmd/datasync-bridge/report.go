package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
)

// reported is one incident in a report.
type reported struct {
	Incident    string    `json:"incident"`
	Environment string    `json:"environment"`
	Source      string    `json:"source"`
	PartnerID   string    `json:"partner_id,omitempty"`
	Partner     string    `json:"partner,omitempty"`
	Class       string    `json:"class"`
	Severity    string    `json:"severity"`
	Opened      time.Time `json:"opened"`
	// ToldFirst is when the first alarm arrived anywhere.
	ToldFirst    time.Time `json:"told_first,omitzero"`
	Acknowledged time.Time `json:"acknowledged,omitzero"`
	By           string    `json:"acknowledged_by,omitempty"`
	Resolved     time.Time `json:"resolved,omitzero"`
	// How is recovered, unconfirmed, manual, or open.
	How string `json:"how"`
	// Seconds count from the opening to the end.
	Seconds    int64    `json:"duration_s,omitempty"`
	Documents  int      `json:"documents"`
	Types      string   `json:"document_types,omitempty"`
	Messages   int      `json:"messages"`
	Pages      int      `json:"pages"`
	Runs       int      `json:"runs"`
	Reopenings int      `json:"reopenings"`
	Rules      []string `json:"rules,omitempty"`
	// Penalty is the estimate that the partner's agreement names, as it was sent.
	Penalty string `json:"penalty,omitempty"`
}

func ofTally(t sqlite.Tally, pagers map[string]bool) reported {
	field := func(path string) string { s, _ := t.Lead.Fields[path].(string); return s }
	r := reported{
		Incident: t.ID, Environment: string(t.Environment), Source: t.Source, PartnerID: field(event.PartnerID), Partner: field(event.PartnerName),
		Class: string(t.Class), Severity: t.Severity.String(), Opened: t.OpenedAt.UTC(), ToldFirst: t.FirstTold.UTC(),
		How: "open", Documents: t.Total, Reopenings: len(t.Reopenings), Rules: t.Rules, Penalty: field("sla.estimated_penalty"),
	}
	if t.Taken != nil {
		r.Acknowledged, r.By = t.Taken.At.UTC(), t.Taken.By
	}
	if t.State == incident.Resolved {
		r.Resolved, r.How = t.ResolvedAt.UTC(), string(t.Resolution)
		r.Seconds = int64(t.ResolvedAt.Sub(t.OpenedAt) / time.Second)
	}
	types := make([]string, 0, len(t.Documents))
	for _, d := range t.Documents {
		if d.Type != "" {
			types = append(types, fmt.Sprintf("%s: %d", d.Type, d.Total))
		}
	}
	r.Types = strings.Join(types, ", ")
	for _, c := range t.Sent {
		switch {
		case !pagers[c.Notifier]:
			r.Messages += c.Count
		case c.Kind.Alarms():
			r.Pages += c.Count
		}
	}
	for state, n := range t.Runs {
		if slices.Contains([]incident.RunState{incident.RunStarted, incident.RunDone, incident.RunFailed, incident.RunUnknown}, state) {
			r.Runs += n
		}
	}
	return r
}

var reportHeader = []string{
	"incident", "environment", "source", "partner_id", "partner", "class", "severity", "opened", "told_first", "told_after_s",
	"acknowledged", "acknowledged_by", "acknowledged_after_s", "resolved", "how", "duration_s", "documents", "document_types",
	"messages", "pages", "runs", "reopenings", "rules", "penalty",
}

func (r reported) cells() []string {
	after := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return strconv.FormatInt(int64(t.Sub(r.Opened)/time.Second), 10)
	}
	lasted := ""
	if !r.Resolved.IsZero() {
		lasted = strconv.FormatInt(r.Seconds, 10)
	}
	return []string{
		r.Incident, r.Environment, r.Source, r.PartnerID, r.Partner, r.Class, r.Severity, iso(r.Opened), iso(r.ToldFirst), after(r.ToldFirst),
		iso(r.Acknowledged), r.By, after(r.Acknowledged), iso(r.Resolved), r.How, lasted, strconv.Itoa(r.Documents), r.Types,
		strconv.Itoa(r.Messages), strconv.Itoa(r.Pages), strconv.Itoa(r.Runs), strconv.Itoa(r.Reopenings), strings.Join(r.Rules, ", "), r.Penalty,
	}
}

// iso is a time as spreadsheets and databases read it: UTC, to the second.
func iso(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func (c *cli) reportCommand() *cobra.Command {
	var since, until string
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Report the incidents of a time, one line each, for the month's end",
		Long: `Report the incidents that were opened in a time, one line each, oldest first:
who was told when, who took it and after how long, how it ended, and what it came
to in documents, messages, pages and runs. CSV and JSON have every column, times
in UTC and spans in seconds; the table has the most important ones and a total.
Incidents are kept for store.retain.incidents.`,
		Example: `  datasync-bridge incidents report --since 2026-11-01 --until 2026-12-01 -o csv > november.csv
  datasync-bridge incidents report --since 7d`,
		Args:        cobra.NoArgs,
		Annotations: withCSV,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.onStored(cmd.Context(), func(cfg *config.Config, s *sqlite.Store) error {
				f := newFace(cfg, time.Now())
				from, err := f.back("--since", since)
				if err != nil {
					return err
				}
				to, err := f.back("--until", until)
				if err != nil {
					return err
				}
				if !to.IsZero() && !from.Before(to) {
					return usagef("--since must be before --until")
				}
				return c.report(cmd.Context(), cfg, s, from, to)
			})
		},
	}
	cmd.Flags().StringVar(&since, "since", "30d", "only those opened from this `time` on: 2026-11-01 (in defaults.time_zone), or a duration back such as 7d")
	cmd.Flags().StringVar(&until, "until", "", "only those opened before this `time`")
	cmd.Flags().StringVarP(&c.output, "output", "o", "table", "table, json or csv")
	return cmd
}

// back reads a time, or a duration back from now; "" is none.
func (f face) back(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if age, err := event.ParseDuration(text); err == nil {
		return f.now.Add(-age), nil
	}
	return f.moment(flag, text)
}

// reportPage is how many incidents are read at once.
const reportPage = 500

// report writes page by page, so that a year takes no more memory than a day.
func (c *cli) report(ctx context.Context, cfg *config.Config, s *sqlite.Store, since, until time.Time) error {
	pagers := map[string]bool{}
	for name, traits := range cfg.NotifierTraits() {
		pagers[name] = traits.Pager
	}
	out := c.reportSink(newFace(cfg, time.Now()))
	for after := ""; ; {
		page, err := s.Report(ctx, since, until, after, reportPage)
		if err != nil {
			return err
		}
		for _, t := range page {
			if err := out.add(ofTally(t, pagers)); err != nil {
				return err
			}
			after = t.ID
		}
		if len(page) < reportPage {
			return out.end()
		}
	}
}

func (c *cli) reportSink(f face) sink[reported] {
	switch c.output {
	case "json":
		return &jsonSink[reported]{w: c.out, of: func(r reported) any { return r }}
	case "csv":
		s := &csvSink[reported]{csv.NewWriter(c.out), reported.cells}
		s.w.UseCRLF = true          // RFC 4180
		_ = s.w.Write(reportHeader) // an error stays in the writer, for end
		return s
	}
	return &reportTable{tableSink: tableSink[reported]{
		w: c.out, none: "no incident was opened in that time",
		columns: []string{"OPENED", "PARTNER", "CLASS", "SEVERITY", "TOLD", "TAKEN", "ENDED", "DOCS", "MSGS", "PAGES", "RUNS", "ID"},
		row:     f.reportRow,
	}}
}

func (f face) reportRow(r reported) []string {
	after := func(t time.Time, by string) string {
		if t.IsZero() {
			return "-"
		}
		return strings.TrimSpace(brief(t.Sub(r.Opened)) + " " + by)
	}
	partner := r.Partner
	if partner == "" {
		partner = r.PartnerID
	}
	ended := r.How
	if !r.Resolved.IsZero() {
		ended += " " + brief(time.Duration(r.Seconds)*time.Second)
	}
	return []string{
		r.Opened.In(f.zone).Format("01-02 15:04"), shorten(partner, 16), r.Class, r.Severity, after(r.ToldFirst, ""), after(r.Acknowledged, r.By), ended,
		strconv.Itoa(r.Documents), strconv.Itoa(r.Messages), strconv.Itoa(r.Pages), strconv.Itoa(r.Runs), r.Incident,
	}
}

// brief is a span in one unit.
func brief(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// reportTable adds a total to the table, which alone is read by people.
type reportTable struct {
	tableSink[reported]
	more, open, taken, documents, messages, pages, runs int
}

func (t *reportTable) add(r reported) error {
	if r.How == "open" {
		t.open++
	}
	if r.By != "" {
		t.taken++
	}
	t.documents, t.messages, t.pages, t.runs = t.documents+r.Documents, t.messages+r.Messages, t.pages+r.Pages, t.runs+r.Runs
	if len(t.rows) == maxTable {
		t.more++
		return nil
	}
	return t.tableSink.add(r)
}

func (t *reportTable) end() error {
	n := len(t.rows) + t.more
	if err := t.tableSink.end(); err != nil || n == 0 {
		return err
	}
	if t.more > 0 {
		fmt.Fprintf(t.w, "and %d more, which -o csv has\n", t.more)
	}
	_, err := fmt.Fprintf(t.w, "\n%s, %d of them open, %d taken by somebody; %s, %s, %s, %s\n",
		count(n, "incident"), t.open, t.taken, count(t.documents, "document"), count(t.messages, "message"), count(t.pages, "page"), count(t.runs, "run"))
	return err
}
