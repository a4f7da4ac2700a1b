package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// climb is a whole run: the ladder, aged stores, overload; then the tables.
func climb(ctx context.Context, o options) error {
	l := &lab{o: o, dir: o.dir, facts: facts{Started: map[int64]time.Duration{}}}
	if l.dir == "" {
		dir, err := os.MkdirTemp("", "datasync-bridge-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
		l.dir = dir
	}
	progress := reporter(os.Stderr)
	pager, err := startRung(ctx, l.dir, "pager")
	if err != nil {
		return err
	}
	defer pager.stop()
	if o.soak > 0 {
		return l.soak(ctx, pager.address, os.Stdout)
	}
	if l.facts.Sync, err = syncTime(l.dir); err != nil {
		return err
	}
	for round := range o.rounds {
		if err := l.round(ctx, round+1, pager.address, progress); err != nil {
			return err
		}
	}
	if err := l.age(ctx, progress); err != nil {
		return err
	}
	if err := l.overload(ctx, progress); err != nil {
		return err
	}
	progress("")
	l.results = medians(l.results)
	goals := l.goals()
	if err := l.print(os.Stdout, goals); err != nil {
		return err
	}
	return l.save(goals)
}

// metric adds up what a bridge says of itself.
func metric(ctx context.Context, c *child, line *regexp.Regexp) (total float64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.admin+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	for _, found := range line.FindAllSubmatch(text, -1) {
		n, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

var (
	plannedEvents = regexp.MustCompile(`(?m)^bridge_events_planned_total\S* (\S+)$`)
	pendingEvents = regexp.MustCompile(`(?m)^bridge_events_pending (\S+)$`)
)

// restTime bounds the wait until a bridge has planned what it accepted.
const restTime = 5 * time.Minute

// rest waits until a bridge has planned what it accepted: the next measurement
// would pay for it.
func rest(ctx context.Context, c *child) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(ctx, restTime)
	defer cancel()
	for {
		left, err := metric(ctx, c, pendingEvents)
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%.0f events are not planned after %v", left, restTime)
		}
	}
}

// age measures the store with events in it, in turns with an empty one.
func (l *lab) age(ctx context.Context, progress func(string)) error {
	if len(l.o.stored) == 0 {
		return nil
	}
	aged := filepath.Join(l.dir, "aged")
	if err := configure(aged, "http://127.0.0.1:9"); err != nil {
		return err
	}
	var have int64
	for _, n := range l.o.stored {
		progress(fmt.Sprintf("storing %d events", n))
		c, err := startRung(ctx, aged, "seed", "-count", count(n-have))
		if err != nil {
			return err
		}
		if err := c.wait(ctx); err != nil {
			return err
		}
		have = n
		if err := l.aged(ctx, aged, n, progress); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) aged(ctx context.Context, dir string, stored int64, progress func(string)) error {
	empty := filepath.Join(l.dir, "empty-"+count(stored))
	if err := configure(empty, "http://127.0.0.1:9"); err != nil {
		return err
	}
	old, err := startRung(ctx, dir, durable)
	if err != nil {
		return err
	}
	defer old.stop()
	l.facts.Started[stored] = old.started
	young, err := startRung(ctx, empty, durable)
	if err != nil {
		return err
	}
	defer young.stop()
	for round := range l.o.rounds {
		progress(fmt.Sprintf("round %d of %d: %d events stored", round+1, l.o.rounds, stored))
		var of float64
		for _, c := range []*child{young, old} {
			got, err := l.measure(ctx, c, load{address: c.address, connections: 128, request: signed})
			if err != nil {
				return err
			}
			got.Rung, got.Stored = "empty beside "+count(stored), 0
			if c == old {
				got.Rung, got.Stored, got.OfBase = "aged", stored, got.PerSecond/of
			}
			of = got.PerSecond
			l.results = append(l.results, got)
		}
	}
	return nil
}

// overload offers an open loop of three times what a closed one reached, and
// then looks how soon a tenth of the capacity is served at ease again.
func (l *lab) overload(ctx context.Context, progress func(string)) error {
	dir := filepath.Join(l.dir, "overload")
	if err := configure(dir, "http://127.0.0.1:9"); err != nil {
		return err
	}
	c, err := startRung(ctx, dir, durable)
	if err != nil {
		return err
	}
	defer c.stop()
	for round := range l.o.rounds {
		progress(fmt.Sprintf("round %d of %d: open loops, at half, at the capacity's triple, and after it", round+1, l.o.rounds))
		if err := l.overloaded(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) overloaded(ctx context.Context, c *child) error {
	top, err := l.measure(ctx, c, load{address: c.address, connections: 512, request: signed})
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name        string
		share       float64
		connections int
	}{{"open, half", 0.5, 512}, {"open, triple", 3, 4096}, {"open, after", 0.1, 128}} {
		s := load{address: c.address, connections: step.connections, request: signed, rate: step.share * top.PerSecond, served: step.share > 1}
		got, err := l.measure(ctx, c, s)
		if err != nil {
			return err
		}
		got.Rung, got.OfCapacity = step.name, got.PerSecond/top.PerSecond
		l.results = append(l.results, got)
	}
	return nil
}

func (l *lab) save(goals []goal) error {
	if l.o.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(struct {
		Results []result `json:"results"`
		Facts   facts    `json:"facts"`
		Goals   []goal   `json:"goals"`
	}{l.results, l.facts, goals}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(l.o.json, append(text, '\n'), 0o600)
}

func fdatasync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
