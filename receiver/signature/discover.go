package signature

import (
	"crypto/sha256"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

// Found is a configuration that verifies a captured request.
type Found struct {
	Config
	// Timestamped reports that an old request cannot be sent again.
	Timestamped bool
	// Preset reports that a known sender signs so.
	Preset bool
}

// Discovery is what came of a search.
type Discovery struct {
	// Found is what verifies the request, the safest first.
	Found []Found
	// Tried counts configurations, and Headers names those that could hold a
	// signature of 32 bytes.
	Tried   int
	Headers []string
}

const (
	// mostOf bounds what one request may make the search try: places of
	// signatures, of times and of ids.
	mostOf = 8
	// longestPrefix is how much may stand before a signature.
	longestPrefix = 16
)

// keyEncodings are how a secret's text may become a key.
var keyEncodings = []string{encodingUTF8, encodingWhsec, encodingBase64, encodingHex}

// templates are the signed texts that senders use, the safest first.
var templates = [][]string{
	{"{id}", ".", "{timestamp}", ".", "{body}"},
	{"{timestamp}", ".", "{body}"}, {"{timestamp}", ":", "{body}"}, {"{timestamp}", "{body}"}, {"{timestamp}", "\n", "{body}"},
	{"{timestamp}", "|", "{body}"}, {"v0:", "{timestamp}", ":", "{body}"}, {"v1:", "{timestamp}", ":", "{body}"},
	{"{body}", ".", "{timestamp}"}, {"{body}", "{timestamp}"}, {"{url}", "{timestamp}", "{body}"}, {"{timestamp}", "{url}", "{body}"},
	{"{id}", ".", "{body}"}, {"{id}", "{body}"}, {"{id}", ":", "{body}"}, {"{id}", "{timestamp}", "{body}"}, {"{timestamp}", ".", "{id}", ".", "{body}"},
	{"{url}", "{body}"}, {"{url}", ".", "{body}"}, {"{body}"},
}

// Discover searches for the scheme of one captured request: presets, and then
// every combination of header, prefix, encoding, signed text and key. It is for
// setting up, off line: in production only the configured scheme is ever tried.
// address is what a signed {url} would be, "" for none.
func Discover(h http.Header, body []byte, secret event.Secret, address string) Discovery {
	d := search{h: h, body: body, address: address, secret: secret}
	for _, name := range slices.Sorted(maps.Keys(presets)) {
		if name != schemeNone && name != schemeCustom {
			for _, encoding := range append([]string{""}, keyEncodings...) {
				if d.try(Config{Scheme: name}, encoding) {
					break
				}
			}
		}
	}
	forms := d.forms()
	times, ids := d.times(), d.ids()
	for _, form := range forms {
		for _, signed := range templates {
			d.combine(form, signed, times, ids)
		}
	}
	slices.SortStableFunc(d.Found, func(a, b Found) int { return b.rank() - a.rank() })
	return d.Discovery
}

func (f Found) rank() (n int) {
	if f.Timestamped {
		n += 2
	}
	if f.Preset {
		n++
	}
	return n
}

// search is one Discover under way.
type search struct {
	Discovery
	h       http.Header
	body    []byte
	address string
	secret  event.Secret
}

// combine tries a signed text with every place of what it names.
func (d *search) combine(form Header, signed []string, times []Timestamp, ids []string) {
	parts, err := compile(signed)
	if err != nil || has(parts, tokenURL) && d.address == "" {
		return
	}
	if !has(parts, tokenTimestamp) {
		times = []Timestamp{{}}
	}
	if !has(parts, tokenID) {
		ids = []string{""}
	}
	for _, at := range times {
		for _, id := range ids {
			cfg := Config{Scheme: schemeCustom, Signature: form, Signed: signed, Timestamp: at}
			if id != "" {
				cfg.ID.Header = &id
			}
			for _, encoding := range keyEncodings {
				if d.try(cfg, encoding) {
					break
				}
			}
		}
	}
}

// try verifies the request by a configuration. One that is stale is proved as
// well: a capture is old.
func (d *search) try(cfg Config, encoding string) bool {
	cfg.Secrets = []Secret{{ID: "s1", Value: d.secret, Encoding: encoding}}
	v, err := New(cfg, d.address)
	if err != nil {
		return false
	}
	d.Tried++
	_, err = v.Verify(d.h, d.body, time.Now())
	var refused *Error
	if err != nil && (!errors.As(err, &refused) || refused.Code != Stale) {
		return false
	}
	d.Found = append(d.Found, Found{Config: cfg, Timestamped: has(v.signed, tokenTimestamp), Preset: cfg.Scheme != schemeCustom})
	return true
}

// forms are the ways in which a header of the request could hold a signature.
func (d *search) forms() (forms []Header) {
	for _, name := range slices.Sorted(maps.Keys(d.h)) {
		before := len(forms)
		for _, value := range d.h[name] {
			forms = append(forms, formsOf(name, value)...)
		}
		if len(forms) > before {
			d.Headers = append(d.Headers, name)
		}
	}
	return forms[:min(len(forms), mostOf)]
}

func formsOf(name, value string) (forms []Header) {
	value = strings.TrimSpace(value)
	if prefix, encoding, ok := trailing(value); ok {
		forms = append(forms, written(name, prefix, encoding, "", ""))
	}
	for _, separator := range []string{",", ";", " "} {
		if !strings.Contains(value, separator) {
			continue
		}
		for item := range items(value, separator) {
			prefix, encoding, ok := trailing(item)
			if !ok || strings.Contains(prefix, separator) {
				continue
			}
			if key, rest, pair := strings.Cut(prefix, "="); pair && rest == "" && key != "" {
				forms = append(forms, written(name, "", encoding, separator, key))
			}
			forms = append(forms, written(name, prefix, encoding, separator, ""))
		}
	}
	return forms
}

// trailing finds a signature at a text's end, and what stands before it.
func trailing(text string) (prefix, encoding string, ok bool) {
	var sum [sha256.Size]byte
	for _, form := range []struct {
		encoding string
		length   int
		decode   func([]byte, string) bool
	}{{encodingHex, 64, decodeHex}, {encodingBase64, 44, decodeBase64}} {
		at := len(text) - form.length
		if at >= 0 && at <= longestPrefix && form.decode(sum[:], text[at:]) {
			return text[:at], form.encoding, true
		}
	}
	return "", "", false
}

// times are the places of what could be a signed time.
func (d *search) times() (found []Timestamp) {
	for _, name := range slices.Sorted(maps.Keys(d.h)) {
		value := strings.TrimSpace(d.h.Get(name))
		if format := timeFormat(value); format != "" {
			found = append(found, stamped(name, "", format))
		}
		for _, separator := range []string{",", ";"} {
			for item := range items(value, separator) {
				key, at, pair := strings.Cut(item, "=")
				if format := timeFormat(at); pair && format != "" {
					found = append(found, stamped(name, key, format))
				}
			}
		}
	}
	return found[:min(len(found), mostOf)]
}

// timeFormat names the format of a text that is a time of this century.
func timeFormat(text string) string {
	for _, format := range []string{formatUnix, formatUnixMilli, formatRFC3339} {
		at, err := stamp{format: format}.parse(text)
		if err == nil && at.Year() >= 2001 && at.Year() < 2100 {
			return format
		}
	}
	return ""
}

// ids are the headers that could hold an event's id.
func (d *search) ids() (found []string) {
	for _, name := range slices.Sorted(maps.Keys(d.h)) {
		lower := strings.ToLower(name)
		for _, word := range []string{"id", "event", "delivery", "message"} {
			if strings.Contains(lower, word) && len(d.h.Get(name)) <= 200 {
				found = append(found, name)
				break
			}
		}
	}
	return found[:min(len(found), mostOf)]
}
