package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// BenchmarkBacktest plays a history of 200 partners through one configuration
// and through two, each time as a process of its own, for its peak of memory.
// BACKTEST_EVENTS sets how many events the history has (33,000 make a day), and
// BACKTEST_DIR keeps it, to be played again:
//
//	BACKTEST_EVENTS=1000000 BACKTEST_DIR=/var/tmp/months go test -run '^$' -bench Backtest -benchtime 1x ./cmd/datasync-bridge
func BenchmarkBacktest(b *testing.B) {
	events := 20_000
	if text := os.Getenv("BACKTEST_EVENTS"); text != "" {
		var err error
		if events, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	dir := os.Getenv("BACKTEST_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	path := filepath.Join(dir, fmt.Sprintf("months-%d.db", events))
	if _, err := os.Stat(path); err != nil {
		newMonths(1, rehearsalStart, 200, monthOfAMillion).keep(b, path, events)
	}
	old := writeConfiguration(b, b.TempDir(), path, "http://127.0.0.1:9", manyRules)
	changed := writeConfiguration(b, b.TempDir(), path, "http://127.0.0.1:9", fewerPages)
	for _, way := range []struct {
		name string
		args []string
	}{{"one-configuration", []string{"-c", old}}, {"two-configurations", []string{"-c", changed, "--against", old}}} {
		b.Run(way.name, func(b *testing.B) {
			var peak int64
			began := time.Now()
			for b.Loop() {
				var out bytes.Buffer
				cmd := bridgeCommand(b.Context(), append([]string{"backtest", "--since", "2026-01-01", "--until", "2026-06-01"}, way.args...)...)
				cmd.Stdout, cmd.Stderr = &out, &out
				if err := cmd.Run(); err != nil {
					b.Fatalf("%v\n%s", err, out.String())
				}
				if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
					peak = max(peak, usage.Maxrss)
				}
			}
			b.ReportMetric(float64(events*b.N)/time.Since(began).Seconds(), "events/s")
			b.ReportMetric(float64(peak)/1024, "peak-MB")
		})
	}
}

// monthOfAMillion is how far apart a million events are in thirty days.
const monthOfAMillion = 30 * 24 * time.Hour / 1_000_000

// fewerPages are rules that page for fewer documents than manyRules, and gather longer.
const fewerPages = `
defaults: {notify: [ops], group: {wait: 5m}, close_after: 24h}
rules:
  - name: goods
    match: {class: authentication, transaction.document_type: ["856"]}
    severity: critical
    notify: [pager, ops]
  - name: receipts
    match: {type: mdn.timeout}
    notify: [ops]
`
