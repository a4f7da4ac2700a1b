package signature

import (
	"slices"
	"strconv"
)

// WithDefaults fills every key that is missing from the preset, and gives
// secrets without an id the names s1, s2, …
func (c Config) WithDefaults() Config {
	p := presets[c.Scheme]
	c.Signature = c.Signature.or(p.Signature)
	c.Timestamp = c.Timestamp.or(p.Timestamp)
	c.ID = c.ID.or(p.ID)
	if c.Signed == nil {
		c.Signed = slices.Clone(p.Signed)
	}
	if text(c.Signature.Key) != "" && text(c.Signature.ListSeparator) == "" {
		c.Signature.ListSeparator = new(",")
	}
	if text(c.Timestamp.Key) != "" {
		// A timestamp under a key stands where the signature does.
		fill(&c.Timestamp.Header, c.Signature.Header)
	}
	if text(c.Timestamp.Header) != "" {
		fill(&c.Timestamp.Format, new(formatUnix))
		fill(&c.Timestamp.Tolerance, new(defaultTolerance))
	}
	c.Secrets = slices.Clone(c.Secrets)
	for i := range c.Secrets {
		s := &c.Secrets[i]
		if s.ID == "" {
			s.ID = "s" + strconv.Itoa(i+1)
		}
		if s.Encoding == "" {
			s.Encoding = p.secretEncoding
		}
	}
	return c
}

func (h Header) or(d Header) Header {
	fill(&h.Header, d.Header)
	fill(&h.Prefix, d.Prefix)
	fill(&h.Encoding, d.Encoding)
	fill(&h.ListSeparator, d.ListSeparator)
	fill(&h.Key, d.Key)
	return h
}

func (t Timestamp) or(d Timestamp) Timestamp {
	fill(&t.Header, d.Header)
	fill(&t.Key, d.Key)
	fill(&t.Format, d.Format)
	fill(&t.Tolerance, d.Tolerance)
	return t
}

// or keeps what is written. A header or a composite of one's own takes the
// place of a preset's id, so that its other half does not linger.
func (i ID) or(d ID) ID {
	if i.Header != nil {
		fill(&i.Unsigned, new(false))
	}
	if len(i.Paths) > 0 {
		fill(&i.Path, new(""))
	}
	fill(&i.Header, d.Header)
	fill(&i.Path, d.Path)
	fill(&i.Unsigned, d.Unsigned)
	if i.Paths == nil {
		i.Paths = d.Paths
	}
	return i
}

func fill[T any](field **T, from *T) {
	if *field == nil {
		*field = from
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
