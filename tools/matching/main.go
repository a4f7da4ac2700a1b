// Matching measures, in alternating rounds of one run, how long the bridge's
// rules and Alertmanager's Route.Match take to match one event or alert. Both
// have n flat rules that each ask one field for one value, and the one in the
// middle is hit; the bridge's half is BenchmarkFlat of its routing. What else
// runs on the machine can only slow a round down, so the quickest one counts.
//
// It is a module of its own, because the bridge must not depend on Alertmanager.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

// wanted are the goals: Alertmanager's time as a multiple of the bridge's.
var wanted = map[int]float64{1_000: 100, 10_000: 1_000}

// round is how long one round takes: short, so that one in many is undisturbed.
const round = "50ms"

// hit is the partner that the rule in the middle asks for.
const hit = "par_7h2k9"

func main() {
	testing.Init()
	rounds := flag.Int("rounds", 15, "alternating rounds, of which the quickest counts")
	flag.Parse()
	if err := run(*rounds); err != nil {
		fmt.Fprintln(os.Stderr, "matching:", err)
		os.Exit(1)
	}
}

// run builds the bridge's benchmarks and compares them with Alertmanager.
func run(rounds int) error {
	if err := flag.Set("test.benchtime", round); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "matching")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bridge := filepath.Join(dir, "routing.test")
	build := exec.Command("go", "test", "-c", "-o", bridge, "./routing")
	build.Dir, build.Stdout, build.Stderr = filepath.Join("..", ".."), os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the bridge's benchmarks: %w", err)
	}
	return compare(bridge, rounds)
}

// compare prints a line for each size: with routes that end the search (the
// goals are of these), and with those that go on, as the bridge's rules do by
// default.
func compare(bridge string, rounds int) error {
	fmt.Println("| search | rules | bridge, ns | Alertmanager, ns | ratio | goal | |\n|---|--:|--:|--:|--:|--:|---|")
	for _, stop := range []bool{true, false} {
		for _, n := range []int{10, 1_000, 10_000} {
			ours, theirs := math.Inf(1), math.Inf(1)
			for range rounds {
				own, err := measured(bridge, n, stop)
				if err != nil {
					return err
				}
				their, err := routeMatch(n, stop)
				if err != nil {
					return err
				}
				ours, theirs = min(ours, own), min(theirs, their)
			}
			search, goal, verdict := "first match", "", ""
			if !stop {
				search = "every match"
			} else if want := wanted[n]; want > 0 {
				goal, verdict = fmt.Sprintf("≥ %.0f", want), "**not reached**"
				if theirs/ours >= want {
					verdict = "holds"
				}
			}
			fmt.Printf("| %s | %d | %.0f | %.0f | %.1f | %s | %s |\n",
				search, n, ours, theirs, theirs/ours, goal, verdict)
		}
	}
	return nil
}

// took finds the figure in a benchmark's line.
var took = regexp.MustCompile(`([0-9.]+) ns/op`)

// measured is how long the bridge took, in nanoseconds.
func measured(bridge string, n int, stop bool) (float64, error) {
	name := fmt.Sprintf("^BenchmarkFlat$/^stop=%t$/^rules=%d$", stop, n)
	out, err := exec.Command(bridge, "-test.run", "^$", "-test.bench", name, "-test.benchtime", round).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	m := took.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("%s measured nothing:\n%s", name, out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

// routeMatch is how long Alertmanager took, in nanoseconds. The alert has as
// many labels as the bridge's event has fields.
func routeMatch(n int, stop bool) (float64, error) {
	root := &dispatch.Route{}
	for i := range n {
		partner := fmt.Sprintf("par_%05d", i)
		if i == n/2 {
			partner = hit
		}
		m, err := labels.NewMatcher(labels.MatchEqual, "partner_id", partner)
		if err != nil {
			return 0, err
		}
		root.Routes = append(root.Routes, &dispatch.Route{Matchers: labels.Matchers{m}, Continue: !stop})
	}
	alert := model.LabelSet{
		"alertname": "transaction.failed", "class": "connectivity", "environment": "production", "source": "datasync",
		"transaction_id": "txn_1", "document_type": "856", "partner_id": hit, "amount": "12500", "currency": "USD",
		"attempt": "3", "final": "true",
	}
	missed := false
	r := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			missed = missed || len(root.Match(alert)) != 1
		}
	})
	if missed || r.N == 0 {
		return 0, errors.New("Route.Match did not find the route in the middle")
	}
	return float64(r.T.Nanoseconds()) / float64(r.N), nil
}
