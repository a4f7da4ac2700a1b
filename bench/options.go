package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// options are what a run is asked for.
type options struct {
	lasting     time.Duration // of one measurement
	rounds      int           // of the ladder; medians are printed
	connections []int
	rungs       string  // names separated by commas; "" for all
	stored      []int64 // events in the store beforehand, ascending
	peers       bool
	soak        time.Duration // of steady load on serve; 0 for none
	soakRate    float64       // events a second
	bridge      string        // the bridge's binary
	dir         string        // where stores and logs go
	json        string        // file of the results; "" for none
	profiles    string        // folder of CPU profiles; "" for none
}

func readOptions(args []string) (options, error) {
	var o options
	var connections, stored string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.DurationVar(&o.lasting, "for", 3*time.Second, "length of one measurement")
	f.IntVar(&o.rounds, "rounds", 3, "rounds of the ladder; medians are printed")
	f.StringVar(&connections, "connections", "1,32,128,512", "numbers of connections")
	f.StringVar(&o.rungs, "rungs", "", "names of the rungs to measure, besides hmac; default: all")
	f.StringVar(&stored, "stored", "1000000,10000000", "events in the store beforehand; empty for none")
	f.BoolVar(&o.peers, "peers", true, "measure webhook and prometheus-alertmanager where they are installed")
	f.DurationVar(&o.soak, "soak", 0, "instead of the ladder: steady load on serve for so long, and its memory")
	f.Float64Var(&o.soakRate, "rate", 1000, "events a second of the soak")
	f.StringVar(&o.bridge, "bridge", "bin/datasync-bridge", "the bridge's binary")
	f.StringVar(&o.dir, "dir", "", "folder for the stores, on the disk to be measured; default: a temporary one")
	f.StringVar(&o.json, "json", "bin/bench.json", "file for the results")
	f.StringVar(&o.profiles, "profiles", "", "keep CPU profiles of the bridge's rungs in this folder")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("nothing is known of %q; see -h", f.Arg(0))
	}
	counts, err := numbers(connections)
	if err != nil {
		return o, fmt.Errorf("-connections: %w", err)
	}
	for _, n := range counts {
		o.connections = append(o.connections, int(n))
	}
	if o.stored, err = numbers(stored); err != nil {
		return o, fmt.Errorf("-stored: %w", err)
	}
	if _, err := os.Stat(o.bridge); err != nil {
		return o, fmt.Errorf("the bridge is not built: %w: run make build", err)
	}
	return o, nil
}

func numbers(list string) ([]int64, error) {
	var all []int64
	for part := range strings.SplitSeq(list, ",") {
		if part == "" {
			continue
		}
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no number above zero", part)
		}
		all = append(all, n)
	}
	return all, nil
}
