package receiver

import (
	"crypto/sha256"
	"encoding/binary"

	"datasync-bridge/receiver/mapping"
	"datasync-bridge/receiver/signature"
)

// identity says where a source's events carry an id.
type identity struct {
	// path is the operator's or the preset's place, nil for the mapping's own.
	path *mapping.Path
	// noPath reports that ids in the body are not to be looked for.
	noPath    bool
	composite []mapping.Path
	// unsigned reports that an id in the body proves nothing either.
	unsigned bool
}

// newIdentity compiles the id block of a valid configuration.
func newIdentity(id signature.ID) identity {
	header := id.Header != nil && *id.Header != ""
	out := identity{unsigned: id.Unsigned != nil && *id.Unsigned && !header}
	if id.Path != nil {
		if at, err := mapping.ParsePath(*id.Path); err == nil {
			out.path = &at
		} else {
			out.noPath = true
		}
	}
	for _, text := range id.Paths {
		if at, err := mapping.ParsePath(text); err == nil {
			out.composite = append(out.composite, at)
		}
	}
	return out
}

// The ways to a dedup key. The way is hashed too, so that an id can never equal
// another event's composite.
const (
	keyByID byte = iota + 1
	keyByComposite
	keyByUnsignedID
	keyByBody
)

// dedupKey applies ingest rule 4: the first rule that yields something wins.
// foreign is the sender's id as text, "" where there is none.
func (i identity) dedupKey(v signature.Verified, p mapping.Probe, bodyHash [sha256.Size]byte) (key [sha256.Size]byte, foreign string) {
	inBody := i.inBody(p)
	switch {
	case v.SignedID != "":
		return hashed(keyByID, v.SignedID), v.SignedID
	case inBody != "" && !i.unsigned:
		return hashed(keyByID, inBody), inBody
	}
	if parts := i.parts(p); len(parts) > 0 {
		return hashed(keyByComposite, parts...), ""
	}
	// An id that nobody signed could be rewritten by whoever replays the body,
	// so it only tells apart what the body already does.
	foreign = v.UnsignedID
	if foreign == "" {
		foreign = inBody
	}
	if foreign != "" {
		return hashed(keyByUnsignedID, foreign, string(bodyHash[:])), foreign
	}
	return hashed(keyByBody, string(bodyHash[:])), ""
}

func (i identity) inBody(p mapping.Probe) string {
	switch {
	case i.noPath:
		return ""
	case i.path != nil:
		return p.At(*i.path)
	}
	return p.ID()
}

// parts is the composite, or nothing if a part is missing: two events that
// both lack it must not look alike.
func (i identity) parts(p mapping.Probe) []string {
	var parts []string
	for _, at := range i.composite {
		text := p.At(at)
		if text == "" {
			return nil
		}
		parts = append(parts, text)
	}
	return parts
}

// hashed writes each part behind its length, so that "ab"+"c" is not "a"+"bc".
func hashed(way byte, parts ...string) [sha256.Size]byte {
	text := make([]byte, 1, 128)
	text[0] = way
	for _, p := range parts {
		text = binary.BigEndian.AppendUint64(text, uint64(len(p)))
		text = append(text, p...)
	}
	return sha256.Sum256(text)
}
