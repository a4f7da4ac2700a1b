package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/receiver/mapping"
	"datasync-bridge/routing"
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

// decides is what of a configuration makes decisions, without a secret: it is
// kept, so that a decision can be explained long after.
type decides struct {
	Routing  routing.Config
	Names    routing.Names
	Mappings map[string]mapping.Config
}

func docOf(cfg *config.Config) ([]byte, error) {
	return json.Marshal(decides{cfg.Routing(), cfg.Names(), mappings(cfg)})
}

// partsOf compiles what docOf kept: the mapper and the rules.
func partsOf(doc []byte) (parts, error) {
	var d decides
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	if err := dec.Decode(&d); err != nil {
		return parts{}, fmt.Errorf("read what was kept of the configuration: %w", err)
	}
	m, err := newMapper(d.Mappings)
	if err != nil {
		return parts{}, err
	}
	table, problems := routing.Compile(d.Routing, d.Names)
	if table == nil {
		return parts{}, fmt.Errorf("rules: %s: %s", problems[0].Path, problems[0].Text)
	}
	return parts{mapper: m, table: table}, nil
}

func mappings(cfg *config.Config) map[string]mapping.Config {
	all := make(map[string]mapping.Config, len(cfg.Sources))
	for _, s := range cfg.Sources {
		all[s.Name] = s.Mapping
	}
	return all
}
