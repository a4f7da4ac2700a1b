package datasync

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	maxMessage = 300 // runes, as maxID
	maxID      = 100
	maxName    = 200
)

// answer is what came back.
type answer struct {
	status    int
	requestID string
	raw       []byte // nil where it is no JSON
	body      object // nil where it is no JSON object
}

func newAnswer(resp *http.Response, body []byte) answer {
	a := answer{status: resp.StatusCode}
	if json.Valid(body) {
		a.raw, a.body = body, decodeObject(body)
	}
	a.requestID = clean(firstOf(a.body.text("request_id", "error.request_id"), resp.Header.Get("X-Request-Id")), maxID)
	return a
}

// message returns the refusal in Datasync's own words, uncut.
func (a answer) message() string {
	return a.body.text("error.message", "message", "error_description", "detail", "error")
}

// object is a JSON object whose numbers are kept as they were written. Its
// fields are looked up under every name that is likely, because the
// documentation shows no answer. A path's steps are divided by dots.
type object map[string]any

func decodeObject(text []byte) object {
	var o object
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&o) != nil {
		return nil
	}
	return o
}

// find returns what stands at a path; false where nothing does, not even null.
func (o object) find(path string) (any, bool) {
	var v any = map[string]any(o)
	for key := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[key]; !ok {
			return nil, false
		}
	}
	return v, true
}

// object returns the first object at one of the paths, nil for none.
func (o object) object(paths ...string) object {
	for _, path := range paths {
		if v, _ := o.find(path); v != nil {
			if m, ok := v.(map[string]any); ok {
				return m
			}
		}
	}
	return nil
}

// text returns the first non-empty text or number at one of the paths.
func (o object) text(paths ...string) string {
	for _, path := range paths {
		v, _ := o.find(path)
		if s := asText(v); s != "" {
			return s
		}
	}
	return ""
}

// line is text that is fit for a line.
func (o object) line(limit int, paths ...string) string { return clean(o.text(paths...), limit) }

// id is text that is an id, "" where what stands there can be none: cut or
// cleaned, it would be another one.
func (o object) id(paths ...string) string {
	if s := o.text(paths...); checkID(s) == nil {
		return s
	}
	return ""
}

// number returns the first number at one of the paths, also where it came as text.
func (o object) number(paths ...string) float64 {
	n, err := strconv.ParseFloat(o.text(paths...), 64)
	if err != nil || math.IsNaN(n) || n > 1e9 {
		return 0
	}
	return n
}

// time returns the first time at one of the paths: RFC 3339, or seconds or
// milliseconds since 1970. Text without a zone is none: a guess would be hours off.
func (o object) time(paths ...string) time.Time {
	for _, path := range paths {
		v, _ := o.find(path)
		text := asText(v)
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			return t.UTC()
		}
		n, err := strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil || n <= 0:
		case n < 1e11:
			return time.Unix(n, 0).UTC()
		case n < 1e14:
			return time.UnixMilli(n).UTC()
		}
	}
	return time.Time{}
}

func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// clean makes foreign text fit for a line: no control or formatting characters,
// cut by runes.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return s
}

// replaceAll puts mask in the place of each secret that is not empty.
func replaceAll(s, mask string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, mask)
		}
	}
	return s
}
