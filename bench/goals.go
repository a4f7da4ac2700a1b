package main

import (
	"fmt"
	"time"
)

// goal is one line of what the bridge is meant to reach; ratios inside one run.
type goal struct {
	What    string  `json:"what"`
	Want    string  `json:"want"`
	Reached float64 `json:"reached"`
	Holds   bool    `json:"holds"`
	Known   bool    `json:"known"` // it could be measured in this run
}

// atLeast and atMost compare what was reached; a figure of 0 was not measured.
func atLeast(what string, reached, want float64) goal {
	return goal{what, fmt.Sprintf("≥ %.2f", want), reached, reached >= want, reached > 0}
}

func atMost(what string, reached, want float64) goal {
	return goal{what, fmt.Sprintf("≤ %.2f", want), reached, reached <= want, reached > 0}
}

func (l *lab) goals() []goal {
	rate := func(rung string, connections int) float64 { return l.find(rung, connections).PerSecond }
	over := func(a, b float64) float64 {
		if b == 0 {
			return 0
		}
		return a / b
	}
	goals := []goal{
		atLeast("durable ÷ hmac, 32 connections", l.find(durable, 32).OfBase, 0.40),
		atLeast("durable ÷ hmac, 128 connections", l.find(durable, 128).OfBase, 0.55),
		atLeast("durable ÷ hmac, 512 connections", l.find(durable, 512).OfBase, 0.70),
		atLeast("serve with dispatch and delivery ÷ hmac, 128", l.find(serving, 128).OfBase, 0.40),
		atLeast("durable ÷ one transaction an event, 128", over(rate(durable, 128), rate(alone, 128)), 14),
		atLeast("durable ÷ Alertmanager in memory, 32", over(rate(durable, 32), rate(peerA, 32)), 1.6),
		atLeast("durable ÷ Alertmanager in memory, 128", over(rate(durable, 128), rate(peerA, 128)), 2.2),
		atLeast("durable ÷ webhook, 128", over(rate(durable, 128), rate(peerW, 128)), 6),
		atMost("p50 of one connection ÷ fdatasync of 4 KB", over(float64(l.find(durable, 1).P50), float64(l.facts.Sync)), 2.2),
		atMost("disk, KB an event, 128 connections", l.find(durable, 128).Disk/1024, 3.0),
		atMost("memory of serve at full load beside the keys, MB", float64(l.find(serving, 512).Peak-l.keys(serving))/(1<<20), 64),
	}
	for _, n := range l.o.stored {
		goals = append(goals,
			atLeast(fmt.Sprintf("rate with %d events stored ÷ empty, 128", n), l.stored(n).OfBase, 0.90),
			atMost(fmt.Sprintf("start with %d events stored, s", n), l.facts.Started[n].Seconds(), 5))
	}
	triple := l.find("open, triple", 4096)
	return append(goals,
		atLeast("accepted at triple load ÷ capacity", triple.OfCapacity, 0.7),
		atMost("p99 of what triple load got accepted, s", triple.P99.Seconds(), 1),
		atMost("p99 after the triple load, ms", float64(l.find("open, after", 128).P99)/float64(time.Millisecond), 25))
}

// keys is what the fingerprints of all events that a rung accepted in a round
// take: 16 bytes a slot, and a power of two of slots, at most seven tenths full.
func (l *lab) keys(rung string) int64 {
	var events int64
	for _, r := range l.results {
		if r.Rung == rung {
			events += r.Accepted / int64(l.o.rounds)
		}
	}
	slots := int64(1)
	for slots*7 < events*10 {
		slots *= 2
	}
	return 16 * slots
}

// find is a line of the ladder, zero if it was not measured.
func (l *lab) find(rung string, connections int) result {
	for _, r := range l.results {
		if r.Rung == rung && r.Connections == connections && r.Stored == 0 {
			return r
		}
	}
	return result{}
}

func (l *lab) stored(n int64) result {
	for _, r := range l.results {
		if r.Stored == n {
			return r
		}
	}
	return result{}
}
