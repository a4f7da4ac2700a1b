// Package mapping reads payloads: which type an event has, what it is about,
// and what it does to incidents. What it knows of a platform is data (a
// profile), and a source's mapping block can change all of it.
//
// It does no I/O. A body is looked at twice, through one JSON reading: a
// *probe* when it is accepted, cheap and only as deep as an answer needs, and
// the whole *normalization* when it is planned, from the stored bytes.
//
// A type *as sent* becomes its *canonical* name through aliases.
package mapping

import (
	"errors"
	"fmt"
	"maps"

	"datasync-bridge/event"
)

// Mapping reads the payloads of one source. It is safe for concurrent use.
type Mapping struct {
	envelope map[string][]Path
	// roots are the keys with which the envelope's paths begin.
	roots  map[string]bool
	fields []field
	// references holds the objects whose keys become transaction.references.*.
	references []Path
	aliases    map[string]string
	effects    map[string]event.Effect
}

// field is one row of the schema with the places to look for it.
type field struct {
	event.Field
	paths []Path
}

// New compiles a configuration.
func New(cfg Config) (*Mapping, error) {
	cfg = cfg.WithDefaults()
	var faults []error
	cfg.Validate(func(at, problem string) {
		faults = append(faults, fmt.Errorf("mapping.%s: %s", at, problem))
	})
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	p := profiles[cfg.Profile]
	m := &Mapping{envelope: map[string][]Path{}, roots: map[string]bool{}, aliases: cfg.canonical(), effects: map[string]event.Effect{}}
	for _, name := range []string{envelopeType, envelopeID, envelopeTime, envelopeEnvironment, envelopeLive} {
		m.envelope[name] = compile(cfg.Paths[name], p.paths[name])
		for _, at := range m.envelope[name] {
			m.roots[at[0].key] = true
		}
	}
	for _, row := range cfg.schema() {
		own := p.paths[row.Path]
		m.fields = append(m.fields, field{row, compile(cfg.Paths[row.Path], own, []string{"data." + row.Path, row.Path})})
	}
	m.references = compile([]string{"data.transaction.references", "transaction.references"})
	for _, effects := range []map[string]event.Effect{p.effects, cfg.Effects} {
		for sent, effect := range effects {
			m.effects[m.canonical(sent)] = effect
		}
	}
	return m, nil
}

// compile joins lists of paths that have been validated, each path once.
func compile(lists ...[]string) []Path {
	var out []Path
	seen := map[string]bool{}
	for _, list := range lists {
		for _, text := range list {
			if p, err := ParsePath(text); err == nil && !seen[text] {
				seen[text] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// Aliases returns the types as sent that have another canonical name.
func (m *Mapping) Aliases() map[string]string { return maps.Clone(m.aliases) }

// Effects returns what each canonical type that the mapping knows does.
func (m *Mapping) Effects() map[string]event.Effect { return maps.Clone(m.effects) }

// Types returns the canonical types that the mapping knows, sorted.
func (m *Mapping) Types() []string { return sorted(m.effects) }

func (m *Mapping) canonical(sent string) string {
	if name, ok := m.aliases[sent]; ok {
		return name
	}
	return sent
}
