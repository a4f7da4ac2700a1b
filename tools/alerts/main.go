// Alerts runs unit tests of Prometheus rules that are written in promtool's
// format, with promtool's own parts, as far as promql_expr_test goes: promtool
// itself takes several times as long to build, because it brings every cloud's
// service discovery. It knows no other keys, and says so.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"go.yaml.in/yaml/v3"
)

type file struct {
	RuleFiles []string       `yaml:"rule_files"`
	Every     model.Duration `yaml:"evaluation_interval"`
	Tests     []test         `yaml:"tests"`
}

type test struct {
	Name     string         `yaml:"name"`
	Interval model.Duration `yaml:"interval"`
	Series   []struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	Asked []asked `yaml:"promql_expr_test"`
}

// asked is an expression, when it is evaluated, and what it must yield.
type asked struct {
	Expr    string         `yaml:"expr"`
	At      model.Duration `yaml:"eval_time"`
	Samples []struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	} `yaml:"exp_samples"`
}

var promQL = parser.NewParser(parser.Options{})

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: alerts FILE_test.yaml")
		os.Exit(2)
	}
	count, err := run(os.Args[1])
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s:\n%v\n", os.Args[1], err)
		os.Exit(1)
	}
	fmt.Printf("%s: %d alerts, each fires when it should and is quiet when it should\n", os.Args[1], count)
}

// run plays a file of tests, each named after its alert. Every alert of the
// rules needs a time at which it
// fires and one at which it does not.
func run(path string) (alerts int, err error) {
	text, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer text.Close()
	var f file
	dec := yaml.NewDecoder(text)
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		return 0, err
	}
	for i, name := range f.RuleFiles {
		f.RuleFiles[i] = filepath.Join(filepath.Dir(path), name)
	}
	all, shown := map[string]bool{}, map[string]string{}
	var faults []error
	for _, t := range f.Tests {
		if err := t.play(f, all, shown); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", t.Name, err))
		}
	}
	for name := range all {
		for _, what := range []string{"fires", "quiet"} {
			if !strings.Contains(shown[name], what) {
				faults = append(faults, fmt.Errorf("no test shows that %s %s", name, map[string]string{"fires": "fires", "quiet": "is quiet"}[what]))
			}
		}
	}
	return len(all), errors.Join(faults...)
}

// play evaluates the rules over the series of a test, and then what it asks.
// It notes all alerts, and of which one is shown that it fires or is quiet.
func (t test) play(f file, all map[string]bool, shown map[string]string) error {
	load := "load " + t.Interval.String() + "\n"
	for _, s := range t.Series {
		load += "  " + s.Series + " " + s.Values + "\n"
	}
	suite, err := promqltest.NewLazyLoader(load, promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true, Parser: promQL})
	if err != nil {
		return err
	}
	defer suite.Close()
	suite.SubqueryInterval = time.Duration(f.Every)
	query := rules.EngineQueryFunc(suite.QueryEngine(), suite.Storage())
	m := rules.NewManager(&rules.ManagerOptions{
		QueryFunc: query, AppendableV2: suite.Storage(), Context: context.Background(), Parser: promQL,
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {}, Logger: slog.New(slog.DiscardHandler),
	})
	groups, faults := m.LoadGroups(time.Duration(t.Interval), labels.EmptyLabels(), "", nil, false, f.RuleFiles...)
	var last time.Duration
	for _, a := range t.Asked {
		last = max(last, time.Duration(a.At))
	}
	for _, g := range groups {
		for _, r := range g.Rules() {
			if a, ok := r.(*rules.AlertingRule); ok {
				a.SetRestored(true) // so that ALERTS is there
				all[a.Name()] = true
			}
		}
	}
	began := time.Unix(0, 0).UTC()
	for at := time.Duration(0); at <= last && len(faults) == 0; at += time.Duration(f.Every) {
		suite.WithSamplesTill(began.Add(at), func(err error) {
			if err != nil {
				faults = append(faults, err)
				return
			}
			for _, g := range slices.Sorted(maps.Keys(groups)) {
				faults = append(faults, evaluate(suite.Context(), groups[g], began.Add(at))...)
			}
		})
	}
	for _, a := range t.Asked {
		got, err := query(suite.Context(), a.Expr, began.Add(time.Duration(a.At)))
		if err == nil {
			err = a.compare(got)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("at %s: %w", a.At, err))
		}
		if len(a.Samples) > 0 {
			shown[t.Name] += " fires"
		} else {
			shown[t.Name] += " quiet"
		}
	}
	return errors.Join(faults...)
}

// evaluate moves a group on. The texts of what fires must come out whole.
func evaluate(ctx context.Context, g *rules.Group, at time.Time) (faults []error) {
	g.Eval(ctx, at)
	for _, r := range g.Rules() {
		if err := r.LastError(); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", r.Name(), err))
		}
		alert, ok := r.(*rules.AlertingRule)
		if !ok {
			continue
		}
		for _, a := range alert.ActiveAlerts() {
			for _, name := range []string{"summary", "description"} {
				if text := a.Annotations.Get(name); text == "" || strings.Contains(text, "<error") || strings.Contains(text, "<no value>") {
					faults = append(faults, fmt.Errorf("%s: its %s is %q", r.Name(), name, text))
				}
			}
			if s := a.Labels.Get("severity"); s != "critical" && s != "warning" {
				faults = append(faults, fmt.Errorf("%s: its severity is %q", r.Name(), s))
			}
		}
	}
	return faults
}

func (a asked) compare(got promql.Vector) error {
	var has, wants []string
	for _, s := range got {
		has = append(has, fmt.Sprint(s.Metric, " ", s.F))
	}
	for _, s := range a.Samples {
		l, err := promQL.ParseMetric(s.Labels)
		if err != nil {
			return err
		}
		wants = append(wants, fmt.Sprint(l, " ", s.Value))
	}
	slices.Sort(has)
	slices.Sort(wants)
	if !slices.Equal(has, wants) {
		return fmt.Errorf("%s\n  is   %v\n  want %v", a.Expr, has, wants)
	}
	return nil
}
