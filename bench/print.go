package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mattn/go-isatty"
)

// reporter shows what is going on: one line that is overwritten on a terminal,
// a line each elsewhere.
func reporter(to *os.File) func(string) {
	terminal := isatty.IsTerminal(to.Fd())
	return func(now string) {
		switch {
		case terminal:
			fmt.Fprintf(to, "\r\x1b[K%s", now)
		case now != "":
			fmt.Fprintln(to, now)
		}
	}
}

// print writes the ladder, the facts and the goals.
func (l *lab) print(to io.Writer, goals []goal) error {
	fmt.Fprintf(to, "%d cores, %v a measurement, medians of %d rounds; fdatasync of 4 KB %v\n\n",
		runtime.NumCPU(), l.o.lasting, l.o.rounds, l.facts.Sync.Round(time.Microsecond))
	table := tabwriter.NewWriter(to, 0, 4, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...string) { fmt.Fprintln(table, strings.Join(cells, "\t")+"\t") }
	row("rung", "conns", "2xx/s", "÷ hmac", "p50 ms", "p99 ms", "p99.9 ms", "503s", "failed", "server µs", "load's share", "disk B", "RSS MB", "peak MB")
	for _, r := range l.results {
		row(r.Rung, strconv.Itoa(r.Connections), fmt.Sprintf("%.0f", r.PerSecond), ratio(r.OfBase),
			millis(r.P50), millis(r.P99), millis(r.P999), count(r.Shed), count(r.Failed),
			fmt.Sprintf("%.1f", r.ServerCPU), fmt.Sprintf("%.0f%%", 100*r.Generator), fmt.Sprintf("%.0f", r.Disk),
			count(r.RSS>>20), count(r.Peak>>20))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range l.results {
		if r.Failed > 0 {
			fmt.Fprintf(to, "%s, %d connections: %d failed, the first: %s\n", r.Rung, r.Connections, r.Failed, r.Why)
		}
		if r.Rate > 0 {
			fmt.Fprintf(to, "%s, %d connections: %.2f of the capacity; %.0f requests/s were due, %.0f were sent; %d connections were opened anew\n",
				r.Rung, r.Connections, r.OfCapacity, r.Rate, r.Sent, r.Redials)
		}
		if r.Shed > 0 && !r.Retry {
			fmt.Fprintf(to, "%s, %d connections: a 503 without Retry-After\n", r.Rung, r.Connections)
		}
	}
	fmt.Fprintf(to, "\nserve planned %.0f events a second while it accepted from 128 connections\n", l.facts.Planned)
	fmt.Fprintln(to)
	table = tabwriter.NewWriter(to, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "goal\twanted\treached\t")
	for _, g := range goals {
		verdict := "holds"
		switch {
		case !g.Known:
			verdict = "not measured"
		case !g.Holds:
			verdict = "NOT REACHED"
		}
		fmt.Fprintf(table, "%s\t%s\t%.2f\t%s\n", g.What, g.Want, g.Reached, verdict)
	}
	return table.Flush()
}

func ratio(of float64) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", of)
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond))
}
