package mapping

import (
	"errors"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// maxType bounds a type's name; longer ones are quarantined.
const maxType = 200

// Probe is what acceptance needs of a body. It looks into the bytes that it was
// made of, so they must stay as they are for as long as it is asked; what it has
// answered is its own.
type Probe struct {
	// Type is the type as sent; "" when quarantined.
	Type string
	// Quarantine is why the body cannot be mapped, "" if it can. It holds
	// nothing of the body.
	Quarantine string
	// Sandbox reports that the body calls itself a test.
	Sandbox bool
	mapping *Mapping
	root    gjson.Result
	// top holds the first value under each of the mapping's roots, so that the
	// body is scanned once however many places there are to look.
	top []entry
}

type entry struct {
	key   string
	value gjson.Result
}

// Probe looks at a body without decoding it as a whole. What is wrong with the
// body is said by Quarantine; the error is for a body that is not there at all.
func (m *Mapping) Probe(body []byte) (Probe, error) {
	if body == nil {
		return Probe{}, errors.New("probe: no body")
	}
	root, cause := readInPlace(body)
	p := Probe{Quarantine: cause, mapping: m}
	if cause != "" {
		return p, nil
	}
	p.root, p.top = root, make([]entry, 0, 6)
	root.ForEach(func(k, v gjson.Result) bool {
		if key := valid(k.Str); m.roots[key] && !p.holds(key) {
			p.top = append(p.top, entry{key, v})
		}
		return true
	})
	look := func(name string, use func(any) bool) {
		for _, at := range m.envelope[name] {
			if r, ok := p.find(at); ok && use(scalar(r)) {
				return
			}
		}
	}
	look(envelopeType, func(v any) bool { p.Type, _ = v.(string); return p.Type != "" })
	p.Sandbox = sandbox(look)
	p.Type, p.Quarantine = usable(p.Type)
	p.Type = strings.Clone(p.Type)
	return p, nil
}

func (p Probe) holds(key string) bool {
	return slices.ContainsFunc(p.top, func(e entry) bool { return e.key == key })
}

// find follows a path, from the index where it begins there.
func (p Probe) find(at Path) (gjson.Result, bool) {
	if p.mapping == nil || !p.mapping.roots[at[0].key] {
		return at.in(p.root)
	}
	for _, e := range p.top {
		if e.key == at[0].key {
			return at.under(e.value)
		}
	}
	return gjson.Result{}, false
}

// ID returns the sender's id at the mapping's own paths, "" for none.
func (p Probe) ID() string {
	if p.mapping == nil {
		return ""
	}
	for _, at := range p.mapping.envelope[envelopeID] {
		if id := p.At(at); id != "" {
			return id
		}
	}
	return ""
}

// At returns the id at one path of the body: text, or a number as it was
// written. Null, empty, booleans and structures are "".
func (p Probe) At(at Path) string {
	if r, ok := p.find(at); ok {
		return strings.Clone(asText(scalar(r)))
	}
	return ""
}

// scalar decodes all but structures, whose content no scalar can come from.
func scalar(r gjson.Result) any {
	if r.Type == gjson.JSON {
		return nil
	}
	return decode(r)
}

func usable(kind string) (name, cause string) {
	switch {
	case kind == "":
		return "", noType
	case len(kind) > maxType:
		return "", longType
	}
	return kind, ""
}

// sandbox reports whether an envelope names the sandbox, or denies being live.
func sandbox(look func(name string, use func(any) bool)) bool {
	found := false
	look(envelopeEnvironment, func(v any) bool {
		s, isText := v.(string)
		found = strings.EqualFold(s, "sandbox") || strings.EqualFold(s, "test")
		return isText && s != ""
	})
	look(envelopeLive, func(v any) bool {
		live, isFlag := v.(bool)
		found = found || isFlag && !live
		return isFlag
	})
	return found
}
