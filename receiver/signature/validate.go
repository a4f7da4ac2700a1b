package signature

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// Validate reports every fault of a configuration whose defaults are filled.
func (c Config) Validate(report func(path, problem string)) {
	switch _, known := presets[c.Scheme]; {
	case c.Scheme == "":
		report("scheme", "is required; name a preset ("+strings.Join(Presets(), ", ")+"), custom, or none")
		return
	case !known:
		report("scheme", fmt.Sprintf("no scheme %q; use %s, custom or none", c.Scheme, strings.Join(Presets(), ", ")))
		return
	case c.Scheme == schemeNone:
		c.validateNone(report)
		return
	}
	if c.Unauthenticated {
		report("unauthenticated", "belongs beside scheme none alone; remove it")
	}
	c.validateSecrets(report)
	c.Signature.validate(report)
	parts, err := compile(c.Signed)
	switch {
	case err != nil:
		report("signed", err.Error())
		return
	case !has(parts, tokenBody):
		report("signed", "must contain {body}, or anyone could rewrite it")
	}
	c.validateTimestamp(parts, report)
	c.validateID(parts, report)
}

func (c Config) validateNone(report func(path, problem string)) {
	if !c.Unauthenticated {
		report("unauthenticated", "must be true beside scheme none: anyone may post, and such events neither page nor remediate")
	}
	if len(c.Secrets) > 0 {
		report("secrets", "are not used by scheme none; name the sender's scheme, or custom")
	}
	if text(c.ID.Header) != "" && !c.unsignedID() {
		report("id.unsigned", "must be true: nothing is signed by scheme none")
	}
}

func (c Config) validateSecrets(report func(path, problem string)) {
	if len(c.Secrets) == 0 {
		report("secrets", "needs at least one secret")
	}
	seen := map[string]int{}
	for i, s := range c.Secrets {
		at := fmt.Sprintf("secrets[%d]", i)
		if first, twice := seen[s.ID]; twice {
			report(at+".id", fmt.Sprintf("%q is the id of secrets[%d] too; give each its own", s.ID, first))
		}
		seen[s.ID] = i
		if !slices.Contains([]string{encodingUTF8, encodingBase64, encodingHex, encodingWhsec}, s.Encoding) {
			report(at+".encoding", fmt.Sprintf("no encoding %q; use utf8, base64, hex or whsec", s.Encoding))
			continue
		}
		if _, err := s.key(); err != nil {
			report(at+".value", err.Error())
		}
	}
}

func (h Header) validate(report func(path, problem string)) {
	checkHeader("signature.header", text(h.Header), true, report)
	if e := text(h.Encoding); e != encodingHex && e != encodingBase64 {
		report("signature.encoding", fmt.Sprintf("no encoding %q; use hex or base64", e))
	}
}

func (c Config) validateTimestamp(parts []part, report func(path, problem string)) {
	t := c.Timestamp
	signed := has(parts, tokenTimestamp)
	if text(t.Header) == "" {
		if signed {
			report("timestamp.header", "is required, because signed contains {timestamp}")
		}
		return
	}
	checkHeader("timestamp.header", text(t.Header), false, report)
	if !signed {
		report("timestamp.tolerance", "the timestamp is not in signed, so anyone could rewrite it; add {timestamp} to signed, or leave timestamp out")
	}
	if f := text(t.Format); f != formatUnix && f != formatUnixMilli && f != formatRFC3339 {
		report("timestamp.format", fmt.Sprintf("no format %q; use unix, unix_ms or rfc3339", f))
	}
	if t.Tolerance != nil && *t.Tolerance <= 0 {
		report("timestamp.tolerance", fmt.Sprintf("must be above zero (got %v)", *t.Tolerance))
	}
}

func (c Config) validateID(parts []part, report func(path, problem string)) {
	header, signed := text(c.ID.Header), has(parts, tokenID)
	switch {
	case header == "" && signed:
		report("id.header", "is required, because signed contains {id}")
	case header != "" && !signed && !c.unsignedID():
		report("id.header", "the id is not in signed, so anyone could rewrite it; add {id} to signed, or set id.unsigned: true")
	}
	checkHeader("id.header", header, false, report)
	for i, p := range c.ID.Paths {
		if p == "" {
			report(fmt.Sprintf("id.paths[%d]", i), "is empty; write a path into the body")
		}
	}
}

func checkHeader(path, name string, required bool, report func(path, problem string)) {
	switch {
	case name == "" && required:
		report(path, "is required; name the header that carries the signature")
	case name != "" && !headerName.MatchString(name):
		report(path, fmt.Sprintf("%q is no header name", name))
	}
}

func (c Config) unsignedID() bool { return c.ID.Unsigned != nil && *c.ID.Unsigned }

// Warnings reports what is allowed but deserves a look. It never names a
// secret's text.
func (c Config) Warnings(now time.Time, report func(path, problem string)) {
	if c.Scheme == schemeNone {
		report("scheme", "nothing is verified: anyone who knows the address may post; its events neither page nor remediate")
		return
	}
	live := 0
	for i, s := range c.Secrets {
		at := fmt.Sprintf("secrets[%d]", i)
		if key, err := s.key(); err == nil && len(key) < 16 {
			report(at+".value", fmt.Sprintf("is short: %d bytes; use at least 16", len(key)))
		}
		if s.expired(now) {
			report(at+".not_after", "has passed; this secret is no longer accepted")
			continue
		}
		live++
	}
	if live == 0 && len(c.Secrets) > 0 {
		report("secrets", "every secret is past its not_after: no request can be verified")
	}
}

func (s Secret) expired(now time.Time) bool {
	return !s.NotAfter.IsZero() && now.After(s.NotAfter)
}

// SameKey reports whether two secrets give the same key, however written.
func (s Secret) SameKey(other Secret) bool {
	a, errA := s.key()
	b, errB := other.key()
	if errA == nil && errB == nil && string(a) == string(b) {
		return true
	}
	return s.Value != "" && s.Value == other.Value
}
