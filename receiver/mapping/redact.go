package mapping

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"datasync-bridge/event"
)

// Redaction blanks values in bodies before they are kept. Nil blanks nothing.
// It is safe for concurrent use.
//
// A path reads as in a mapping, only wider, so that what it names cannot hide:
// every member of a repeated key counts, every object that meets a condition,
// and a step that is no number goes into each element of a list.
type Redaction struct{ paths []Path }

// NewRedaction compiles paths; nil where there are none.
func NewRedaction(paths []string) (*Redaction, error) {
	if len(paths) == 0 {
		return nil, nil //nolint:nilnil // nil blanks nothing
	}
	r := &Redaction{}
	var faults []error
	for i, text := range paths {
		p, err := ParsePath(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("[%d]: %w", i, err))
		}
		r.paths = append(r.paths, p)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return r, nil
}

// Kept returns an event as it is kept. Its key and BodyHash stay those of the
// bytes that were received; KeptHash is set where its body no longer is. Values
// become null, so that they count as absent. A body in which paths mean nothing
// is withheld as a whole. What the bridge tells of itself stays as it is.
func (r *Redaction) Kept(in event.Received) event.Received {
	if r == nil || in.Origin == event.OriginBridge {
		return in
	}
	root, cause := read(in.Body)
	if cause != "" {
		return withheld(in, cause)
	}
	b := blanking{body: in.Body}
	for _, p := range r.paths {
		b.below(root, p)
	}
	if in.ForeignID != "" && slices.ContainsFunc(b.texts(), func(text string) bool { return names(in.ForeignID, text) }) {
		in.ForeignID = ""
		if in.Origin != event.OriginWebhook { // the envelope, which the bridge made, repeats it
			b.below(root, Path{{key: "id", index: -1}})
		}
	}
	if len(b.spans) > 0 {
		in.Body = b.blanked()
		in.KeptHash = sha256.Sum256(in.Body)
	}
	return in
}

// withheld keeps of a body how long it was and its hash. The text is no JSON, so
// it is quarantined as the body was.
func withheld(in event.Received, cause string) event.Received {
	in.Body = fmt.Appendf(nil, "withheld, because store.redact cannot be applied: %s; %d bytes, SHA-256 %x", cause, len(in.Body), in.BodyHash)
	in.KeptHash = sha256.Sum256(in.Body)
	return in
}

// names reports whether an id is a blanked text, or one of the bridge's own that
// ends in it ("poll:txn_1"). An id that was cut short is known by its beginning.
func names(id, text string) bool {
	const cut, sure = 200, 190 // a cut may have replaced the last bytes
	return text != "" && (id == text || strings.HasSuffix(id, ":"+text) ||
		len(id) >= cut && len(text) > cut && text[:sure] == id[:sure])
}

// TypeCovered returns a place where a mapping looks for an event's type and
// which a redaction by the path would blank, "" for none.
func (c Config) TypeCovered(path string) string {
	p, err := ParsePath(path)
	if err != nil {
		return ""
	}
	for _, list := range [][]string{c.Paths[envelopeType], profiles[c.Profile].paths[envelopeType]} {
		for _, text := range list {
			if at, err := ParsePath(text); err == nil && covers(p, at) {
				return text
			}
		}
	}
	return ""
}

// covers reports whether a redaction by p may blank what stands at a place.
func covers(p, at Path) bool {
	switch {
	case len(p) == 0:
		return true
	case len(at) == 0:
		return false
	case p[0].key == at[0].key && covers(p[1:], at[1:]):
		return true
	}
	return at[0].index >= 0 && p[0].index < 0 && covers(p, at[1:]) // an element of a list
}

// blanking collects what is to be blanked in one body.
type blanking struct {
	body  []byte
	spans []span
}

// span is where a value stands in a body.
type span struct{ from, to int }

// below finds what a path names below a value.
func (b *blanking) below(v gjson.Result, p Path) {
	i := 0
	switch {
	case v.IsObject():
		v.ForEach(func(k, v gjson.Result) bool {
			if valid(k.Str) == p[0].key {
				b.under(v, p)
			}
			return true
		})
	case v.IsArray():
		v.ForEach(func(_, v gjson.Result) bool {
			switch {
			case p[0].index < 0:
				b.below(v, p)
			case p[0].index == i:
				b.under(v, p)
			}
			i++
			return true
		})
	}
}

// under goes on from the value of the path's first step.
func (b *blanking) under(v gjson.Result, p Path) {
	switch s := p[0]; {
	case s.where != "" && v.IsArray():
		v.ForEach(func(_, v gjson.Result) bool {
			b.under(v, p)
			return true
		})
	case s.where != "" && !s.met(v):
	case len(p) > 1:
		b.below(v, p[1:])
	default:
		b.spans = append(b.spans, span{v.Index, v.Index + len(v.Raw)})
	}
}

// met reports whether an object meets the step's condition by any of its
// members of that name.
func (s step) met(v gjson.Result) (met bool) {
	if !v.IsObject() {
		return false
	}
	v.ForEach(func(k, v gjson.Result) bool {
		met = valid(k.Str) == s.where && v.Type == gjson.String && valid(v.Str) == s.equals
		return !met
	})
	return met
}

// texts are the ids that the blanked values hold.
func (b *blanking) texts() (out []string) {
	var gather func(v gjson.Result)
	gather = func(v gjson.Result) {
		if v.Type != gjson.JSON {
			out = append(out, asText(scalar(v)))
			return
		}
		v.ForEach(func(_, v gjson.Result) bool {
			gather(v)
			return true
		})
	}
	for _, s := range b.spans {
		gather(gjson.ParseBytes(b.body[s.from:s.to]))
	}
	return out
}

// blanked copies the body with null in place of each value; every other byte
// stays. Of a value inside another the outer one counts.
func (b *blanking) blanked() []byte {
	slices.SortFunc(b.spans, func(a, o span) int {
		if a.from != o.from {
			return a.from - o.from
		}
		return o.to - a.to
	})
	out, done := make([]byte, 0, len(b.body)), 0
	for _, s := range b.spans {
		if s.from < done {
			continue
		}
		out = append(append(out, b.body[done:s.from]...), "null"...)
		done = s.to
	}
	return append(out, b.body[done:]...)
}
