package routing

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// inhibit is a compiled entry of inhibit.
type inhibit struct {
	by, mutes []condition
	// same are the slots of the paths that must be equal, in order of path.
	same []int
	// prefix begins its handles: a hash of what the entry says, so that an edit
	// elsewhere in the file leaves those that are stored alone.
	prefix string
}

func (c *compiler) inhibits(entries []Inhibit) []inhibit {
	out := make([]inhibit, 0, len(entries))
	for i, n := range entries {
		at := fmt.Sprintf("inhibit[%d]", i)
		for key, m := range map[string]Match{"by": n.By, "mutes": n.Mutes} {
			if len(m) == 0 {
				c.fault(at+"."+key, "is missing; an entry says what explains what")
			}
		}
		if len(n.Same) == 0 {
			c.fault(at+".same", "is missing; without it one partner's trouble would mute all others: name a path such as partner.id")
		}
		c.checkPaths(at+".same", n.Same)
		m := matchCompiler{compiler: c}
		compiled := inhibit{by: m.compile(at+".by", n.By), mutes: m.compile(at+".mutes", n.Mutes)}
		same := slices.Compact(slices.Sorted(slices.Values(n.Same)))
		for _, path := range same {
			compiled.same = append(compiled.same, c.slot(path))
		}
		sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", matchKeys(n.By), matchKeys(n.Mutes), same))
		compiled.prefix = "cause:" + hex.EncodeToString(sum[:8])
		out = append(out, compiled)
	}
	return out
}

// causes says by which handles the event's incident explains others, and at
// which its own cause is looked for. An event that is a cause by an entry is
// not muted by the same one.
func (e *evaluation) causes(d *incident.Decision) {
	if d.Effect != event.Open {
		return
	}
	for i := range e.table.inhibits {
		n := &e.table.inhibits[i]
		if by := e.all(n.by); by || e.all(n.mutes) {
			handle := e.handle(n)
			switch {
			case handle == "":
			case by:
				d.Causes = append(d.Causes, handle)
			default:
				d.CausedBy = append(d.CausedBy, handle)
			}
		}
	}
}

// handle spells the values that must be equal, "" where one is missing.
func (e *evaluation) handle(n *inhibit) string {
	key := append(make([]byte, 0, 96), n.prefix...)
	for _, slot := range n.same {
		if e.value(slot).kind == isMissing {
			return ""
		}
		path := e.table.paths[slot]
		v, ok := e.ev.Lookup(path)
		if !ok {
			return ""
		}
		key = appendPair(append(key, '|'), path, v)
	}
	return string(key)
}
