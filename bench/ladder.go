package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// result is one line of the ladder: medians over the rounds.
type result struct {
	Rung        string  `json:"rung"`
	Connections int     `json:"connections"`
	Stored      int64   `json:"stored,omitempty"` // events in the store beforehand
	Rate        float64 `json:"rate,omitempty"`   // of an open loop, requests a second
	shot
	ServerCPU float64 `json:"server_cpu_us"`   // of the server, µs a request
	Generator float64 `json:"generator_share"` // of all CPU used, 0 to 1
	Disk      float64 `json:"disk_bytes"`      // written, a request
	RSS       int64   `json:"rss_bytes"`       // of the server, after the load
	Peak      int64   `json:"peak_bytes"`      // of the server, since its start
	// OfBase is the rate as a share of the hmac rung's in the same round.
	OfBase float64 `json:"of_hmac,omitempty"`
	// OfCapacity is the rate of an open loop as a share of what a closed one
	// reached just before.
	OfCapacity float64 `json:"of_capacity,omitempty"`
}

// rung is a server to be measured.
type rung struct {
	name    string
	request func([]byte, int64) []byte
	start   func(ctx context.Context, dir string) (*child, error)
}

// lab is one run of the program.
type lab struct {
	o       options
	dir     string
	serial  atomic.Int64
	results []result
	facts   facts
}

// facts are measured once.
type facts struct {
	Sync    time.Duration           `json:"fdatasync_4k_ns"`    // median
	Started map[int64]time.Duration `json:"start_ns"`           // by events stored
	Planned float64                 `json:"planned_per_second"` // while accepting from 128 connections
}

const (
	base    = "hmac"
	durable = "durable"
	serving = "serve"
	peerA   = "alertmanager"
	peerW   = "webhook"
	alone   = "single"
)

func (l *lab) rungs(pager string) []rung {
	ours := func(name string) func(context.Context, string) (*child, error) {
		return func(ctx context.Context, dir string) (*child, error) {
			var args []string
			if l.o.profiles != "" {
				args = []string{"-profile", filepath.Join(l.o.profiles, name+".cpu")}
			}
			if err := configure(dir, "http://"+pager+"/v2/enqueue"); err != nil {
				return nil, err
			}
			return startRung(ctx, dir, name, args...)
		}
	}
	all := []rung{
		{"bare", signed, ours("bare")},
		{base, signed, ours(base)},
		{"checks", signed, ours("checks")},
		{durable, signed, ours(durable)},
		{serving, signed, func(ctx context.Context, dir string) (*child, error) {
			if err := configure(dir, "http://"+pager+"/v2/enqueue"); err != nil {
				return nil, err
			}
			return startBridge(ctx, l.o.bridge, dir)
		}},
		{alone, signed, ours(alone)},
	}
	if l.o.peers {
		all = append(all, rung{peerA, alert, startAlertmanager}, rung{peerW, signed, startWebhook})
	}
	return slices.DeleteFunc(all, func(r rung) bool {
		return l.o.rungs != "" && r.name != base && !slices.Contains(strings.Split(l.o.rungs, ","), r.name)
	})
}

// round measures every rung at every number of connections once. The rungs
// take turns, so that what the machine does meanwhile strikes all alike.
func (l *lab) round(ctx context.Context, number int, pager string, progress func(string)) error {
	var servers []*child
	var measured []rung
	defer func() {
		for _, c := range servers {
			c.stop()
		}
	}()
	for _, r := range l.rungs(pager) {
		dir := filepath.Join(l.dir, fmt.Sprintf("%s-%d", r.name, number))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		c, err := r.start(ctx, dir)
		if err != nil {
			if r.name == peerA || r.name == peerW {
				progress(r.name + " is not measured: " + err.Error())
				continue
			}
			return err
		}
		servers, measured = append(servers, c), append(measured, r)
	}
	for _, n := range l.o.connections {
		var of float64
		for k, r := range measured {
			if r.name == alone && n != 1 && n != 128 {
				continue
			}
			progress(fmt.Sprintf("round %d of %d: %s, %d connections", number, l.o.rounds, r.name, n))
			got, err := l.measured(ctx, r, servers[k], n)
			if err != nil {
				return fmt.Errorf("%s, %d connections: %w", r.name, n, err)
			}
			if r.name == base {
				of = got.PerSecond
			}
			if of > 0 {
				got.OfBase = got.PerSecond / of
			}
			got.Rung = r.name
			l.results = append(l.results, got)
		}
	}
	return nil
}

// measured is one measurement of the ladder; of the bridge it also notes how
// many events were planned meanwhile.
func (l *lab) measured(ctx context.Context, r rung, c *child, connections int) (result, error) {
	with := load{address: c.address, connections: connections, request: r.request}
	if r.name != serving {
		return l.measure(ctx, c, with)
	}
	before, err := metric(ctx, c, plannedEvents)
	if err != nil {
		return result{}, err
	}
	got, err := l.measure(ctx, c, with)
	if err != nil {
		return result{}, err
	}
	after, err := metric(ctx, c, plannedEvents)
	if err != nil {
		return result{}, err
	}
	if connections == 128 {
		l.facts.Planned = max(l.facts.Planned, (after-before)/(got.elapsed.Seconds()*11/10)) // the warm-up is a tenth
	}
	return got, rest(ctx, c)
}

// measure loads a server and reads what it cost.
func (l *lab) measure(ctx context.Context, c *child, with load) (result, error) {
	with.serial = &l.serial
	if with.lasting == 0 {
		with.lasting = l.o.lasting
	}
	warm := with
	warm.lasting = with.lasting / 10
	guns, err := with.open()
	if err != nil {
		return result{}, err
	}
	defer guns.close()
	if _, err := warm.fire(ctx, guns); err != nil {
		return result{}, err
	}
	before, err := usageOf(c.cmd.Process.Pid)
	if err != nil {
		return result{}, err
	}
	s, err := with.fire(ctx, guns)
	if err != nil {
		return result{}, err
	}
	after, err := usageOf(c.cmd.Process.Pid)
	if err != nil {
		return result{}, err
	}
	cpu := after.cpu - before.cpu
	answered := float64(s.Accepted + s.Shed)
	return result{
		Connections: with.connections, Rate: with.rate, shot: s,
		ServerCPU: float64(cpu.Microseconds()) / answered,
		Generator: s.cpu.Seconds() / (s.cpu + cpu).Seconds(),
		Disk:      float64(after.written-before.written) / answered,
		RSS:       after.rss, Peak: after.peak,
	}, nil
}

// medians folds the rounds into one line each, in the order of the first round.
func medians(all []result) []result {
	type key struct {
		rung        string
		connections int
		stored      int64
	}
	var order []key
	by := map[key][]result{}
	for _, r := range all {
		k := key{r.Rung, r.Connections, r.Stored}
		if by[k] == nil {
			order = append(order, k)
		}
		by[k] = append(by[k], r)
	}
	folded := make([]result, 0, len(order))
	for _, k := range order {
		rs := by[k]
		m := rs[0]
		m.PerSecond = median(rs, func(r result) float64 { return r.PerSecond })
		m.P50 = time.Duration(median(rs, func(r result) float64 { return float64(r.P50) }))
		m.P99 = time.Duration(median(rs, func(r result) float64 { return float64(r.P99) }))
		m.P999 = time.Duration(median(rs, func(r result) float64 { return float64(r.P999) }))
		m.ServerCPU = median(rs, func(r result) float64 { return r.ServerCPU })
		m.Generator = median(rs, func(r result) float64 { return r.Generator })
		m.Disk = median(rs, func(r result) float64 { return r.Disk })
		m.OfBase = median(rs, func(r result) float64 { return r.OfBase })
		m.OfCapacity = median(rs, func(r result) float64 { return r.OfCapacity })
		m.Rate = median(rs, func(r result) float64 { return r.Rate })
		m.Sent = median(rs, func(r result) float64 { return r.Sent })
		m.RSS = int64(median(rs, func(r result) float64 { return float64(r.RSS) }))
		m.Accepted, m.Shed, m.Failed, m.Redials = 0, 0, 0, 0
		for _, r := range rs {
			m.Peak = max(m.Peak, r.Peak)
			m.Accepted, m.Shed, m.Failed = m.Accepted+r.Accepted, m.Shed+r.Shed, m.Failed+r.Failed
			m.Redials, m.Retry = m.Redials+r.Redials, m.Retry && r.Retry
			if m.Why == "" {
				m.Why = r.Why
			}
		}
		folded = append(folded, m)
	}
	return folded
}

func median(rs []result, of func(result) float64) float64 {
	values := make([]float64, len(rs))
	for k, r := range rs {
		values[k] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// syncTime is the median of appending 4 KB to a file and waiting for the disk.
func syncTime(dir string) (time.Duration, error) {
	file, err := os.OpenFile(filepath.Join(dir, "sync"), os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the run's own folder
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // the folder goes as well
	defer file.Close()           //nolint:errcheck // nothing of it is kept
	page := make([]byte, 4096)
	took := make([]time.Duration, 1000)
	for k := range took {
		began := time.Now()
		_, err1 := file.Write(page)
		if err := errors.Join(err1, fdatasync(file)); err != nil {
			return 0, err
		}
		took[k] = time.Since(began)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func count(n int64) string { return strconv.FormatInt(n, 10) }
