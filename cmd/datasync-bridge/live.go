package main

import (
	"sync/atomic"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/routing/incident"
)

// live is what is in force. Rooms that decide something for longer than a
// request ask it each time, so that a reload swaps all of them at once.
type live struct{ now atomic.Pointer[inForce] }

// inForce is a configuration and what it compiled to.
type inForce struct {
	cfg *config.Config
	parts
}

func newLive(cfg *config.Config, p parts) *live {
	l := &live{}
	l.now.Store(&inForce{cfg, p})
	return l
}

func (l *live) cfg() *config.Config      { return l.now.Load().cfg }
func (l *live) hash() string             { return l.cfg().Hash }
func (l *live) remediations() []string   { return l.now.Load().guard.Names() }
func (l *live) entry(name string) string { return l.now.Load().entry(name) }

// RunChanged implements remediation.Planner.
func (l *live) RunChanged(v incident.View, run incident.Run, now time.Time) incident.Plan {
	return l.now.Load().machine.RunChanged(v, run, now)
}

// RunDeed implements remediation.Clerk.
func (l *live) RunDeed(v incident.View, run incident.Run, deed incident.Audit, now time.Time) incident.Plan {
	return l.now.Load().machine.RunDeed(v, run, deed, now)
}

// Enriched implements enrich.Planner.
func (l *live) Enriched(v incident.View, p incident.Partner, now time.Time) incident.Plan {
	return l.now.Load().machine.Enriched(v, p, now)
}
