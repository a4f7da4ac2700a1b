// Package signature verifies that a request was signed by the sender of a
// source. A scheme is data (Config): ten presets and custom ones pass through
// the same verifier.
//
// It reads headers and bytes, does no I/O, and never prints, returns or logs a
// secret or the MAC that it expected.
//
// A *claim* is what the headers say, before anything is proved: candidate
// signatures and the text that was signed with the body.
package signature

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"sync"
	"time"
)

// Headers gives all values of a header, by any spelling of its case.
// http.Header is one.
type Headers interface {
	Values(name string) []string
}

// Code is why a request was refused, as the answer names it.
type Code string

// The codes of a refusal (ingest rule 3).
const (
	Missing   Code = "signature_missing"
	Malformed Code = "signature_malformed"
	Mismatch  Code = "signature_mismatch"
	Stale     Code = "timestamp_out_of_tolerance"
)

// Error is a refusal. Detail is for the operator's log: it holds names of
// headers and lengths of time, never a value that came or was expected.
type Error struct {
	Code   Code
	Detail string
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

func refuse(code Code, format string, args ...any) error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Verified tells what a valid request proved.
type Verified struct {
	// Authentic is false for scheme none alone.
	Authentic bool
	// SecretID names the secret that matched.
	SecretID string
	// SignedID is the id that the signature covers, UnsignedID one that it does
	// not. Both come from the header; ids in the body are the caller's to read.
	SignedID   string
	UnsignedID string
	// Timestamp is the signed time, zero where the scheme has none.
	Timestamp time.Time
}

// Verifier verifies requests of one source. It is safe for concurrent use.
type Verifier struct {
	authentic bool
	signature header
	decode    func(dst []byte, text string) bool
	timestamp stamp
	id        string
	unsigned  bool
	signed    []part
	url       string
	secrets   []secret
}

type secret struct {
	id      string
	expired func(time.Time) bool
	macs    *sync.Pool // of *mac
}

// mac is a keyed hash with the room that one verification needs.
type mac struct {
	hash.Hash
	sum  [sha256.Size]byte
	text []byte
}

// New compiles a configuration. address is what {url} stands for where the
// configuration does not say: the source's public URL with its path.
func New(cfg Config, address string) (*Verifier, error) {
	cfg = cfg.WithDefaults()
	var faults []error
	cfg.Validate(func(path, problem string) {
		faults = append(faults, fmt.Errorf("verify.%s: %s", path, problem))
	})
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	v := &Verifier{id: text(cfg.ID.Header), unsigned: cfg.unsignedID()}
	if cfg.Scheme == schemeNone {
		return v, nil
	}
	v.authentic = true
	v.signature = header{
		name: text(cfg.Signature.Header), prefix: text(cfg.Signature.Prefix),
		separator: text(cfg.Signature.ListSeparator), key: text(cfg.Signature.Key),
	}
	v.decode = decodeHex
	if text(cfg.Signature.Encoding) == encodingBase64 {
		v.decode = decodeBase64
	}
	v.signed, _ = compile(cfg.Signed)
	if has(v.signed, tokenTimestamp) {
		v.timestamp = stamp{
			name: text(cfg.Timestamp.Header), key: text(cfg.Timestamp.Key),
			separator: v.signature.separator, format: text(cfg.Timestamp.Format), tolerance: *cfg.Timestamp.Tolerance,
		}
	}
	if v.url = cfg.URL; v.url == "" {
		v.url = address
	}
	if has(v.signed, tokenURL) && v.url == "" {
		return nil, errors.New("verify.url: is required, because signed contains {url}; set it or server.public_url")
	}
	for _, s := range cfg.Secrets {
		key, err := s.key()
		if err != nil {
			return nil, fmt.Errorf("verify.secrets: secret %q %w", s.ID, err)
		}
		v.secrets = append(v.secrets, secret{id: s.ID, expired: s.expired, macs: &sync.Pool{
			New: func() any { return &mac{Hash: hmac.New(sha256.New, key)} },
		}})
	}
	return v, nil
}

// Claim is what the headers of one request say.
type Claim struct {
	candidates [][sha256.Size]byte
	timestamp  string
	id         string
}

// Verify proves a request as a whole: the shape of its headers, then the MAC
// over the raw body, then freshness. Its error is always an *Error.
func (v *Verifier) Verify(h Headers, body []byte, now time.Time) (Verified, error) {
	claim, err := v.Read(h)
	if err != nil {
		return Verified{}, err
	}
	return v.Check(claim, body, now)
}

// Read takes the claim from the headers, so that a request without a usable
// signature is refused before its body is read.
func (v *Verifier) Read(h Headers) (Claim, error) {
	var c Claim
	if !v.authentic {
		c.id, _ = single(h, v.id)
		return c, nil
	}
	values, err := single(h, v.signature.name)
	switch {
	case err != nil:
		return c, err
	case values == "":
		return c, refuse(Missing, "no %s header", v.signature.name)
	}
	if c.candidates = v.candidates(values); len(c.candidates) == 0 {
		return c, refuse(Malformed, "%s holds no signature of this scheme", v.signature.name)
	}
	if c.timestamp, err = v.timestamp.text(h); err != nil {
		return c, err
	}
	if v.id == "" {
		return c, nil
	}
	c.id, err = single(h, v.id)
	switch {
	case v.unsigned && err != nil:
		c.id = "" // two different ids prove nothing, and refuse nothing
	case err != nil:
		return c, err
	case c.id == "" && !v.unsigned:
		return c, refuse(Missing, "no %s header", v.id)
	}
	return c, nil
}

// Check proves a claim. Freshness is looked at only after a MAC matched, so
// that an answer tells a stranger nothing about clocks.
func (v *Verifier) Check(c Claim, body []byte, now time.Time) (Verified, error) {
	verified := Verified{Authentic: v.authentic, SignedID: c.id}
	if v.unsigned || !v.authentic {
		verified.SignedID, verified.UnsignedID = "", c.id
	}
	if !v.authentic {
		return verified, nil
	}
	matched := v.match(c, body, now)
	if matched == nil {
		return Verified{}, refuse(Mismatch, "no live secret gives this signature")
	}
	verified.SecretID = matched.id
	at, err := v.timestamp.fresh(c.timestamp, now)
	if err != nil {
		return Verified{}, err
	}
	verified.Timestamp = at
	return verified, nil
}

// match returns the first live secret that one of the candidates was made with.
func (v *Verifier) match(c Claim, body []byte, now time.Time) *secret {
	for i := range v.secrets {
		s := &v.secrets[i]
		if s.expired(now) {
			continue
		}
		m := s.macs.Get().(*mac)
		sum := m.over(v.signed, c, v.url, body)
		equal := false
		for k := range c.candidates {
			if hmac.Equal(sum, c.candidates[k][:]) {
				equal = true
			}
		}
		clear(sum)
		s.macs.Put(m)
		if equal {
			return s
		}
	}
	return nil
}

// over computes the MAC of the signed text. The result is valid until the next call.
func (m *mac) over(signed []part, c Claim, url string, body []byte) []byte {
	m.Reset()
	for _, p := range signed {
		switch p.token {
		case tokenBody:
			m.Write(body)
			continue
		case tokenTimestamp:
			m.text = append(m.text[:0], c.timestamp...)
		case tokenID:
			m.text = append(m.text[:0], c.id...)
		case tokenURL:
			m.text = append(m.text[:0], url...)
		default:
			m.text = append(m.text[:0], p.literal...)
		}
		m.Write(m.text)
	}
	return m.Sum(m.sum[:0])
}

// stamp is the signed time: where it stands and how far it may be off.
type stamp struct {
	name, key, separator string
	format               string
	tolerance            time.Duration
}

// text returns the timestamp exactly as it was sent, because that text is what
// was signed, not the number it stands for.
func (t stamp) text(h Headers) (string, error) {
	if t.name == "" {
		return "", nil
	}
	value, err := single(h, t.name)
	if err != nil {
		return "", err
	}
	if t.key != "" {
		if value, err = pair(value, cmp.Or(t.separator, ","), t.key); err != nil {
			return "", err
		}
	}
	if value == "" {
		return "", refuse(Missing, "no timestamp in %s", t.name)
	}
	return value, nil
}

// fresh reads the timestamp and refuses one too far off in either direction.
func (t stamp) fresh(text string, now time.Time) (time.Time, error) {
	if t.name == "" {
		return time.Time{}, nil
	}
	at, err := t.parse(text)
	if err != nil {
		return time.Time{}, refuse(Malformed, "the timestamp in %s is not %s", t.name, t.format)
	}
	if off := now.Sub(at); off > t.tolerance || off < -t.tolerance {
		return time.Time{}, refuse(Stale, "the timestamp is off by %v, more than %v", off.Round(time.Second), t.tolerance)
	}
	return at, nil
}

func (t stamp) parse(text string) (time.Time, error) {
	if t.format == formatRFC3339 {
		return time.Parse(time.RFC3339, text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	if t.format == formatUnixMilli {
		return time.UnixMilli(n), nil
	}
	return time.Unix(n, 0), nil
}
