package datasync

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"unicode"
)

const (
	maxMessage = 300 // runes, as maxID
	maxID      = 100
)

// answer is what came back. Its fields are looked up under every name that is
// likely, because the documentation shows no answer.
type answer struct {
	status    int
	requestID string
	body      map[string]any
}

func newAnswer(resp *http.Response, body []byte) answer {
	a := answer{status: resp.StatusCode}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&a.body) != nil {
		a.body = nil
	}
	a.requestID = clean(firstOf(a.text("request_id", "error.request_id"), resp.Header.Get("X-Request-Id")), maxID)
	return a
}

// message returns the refusal in Datasync's own words, uncut.
func (a answer) message() string {
	return a.text("error.message", "message", "error_description", "detail", "error")
}

// text returns the first non-empty text or number at one of the dotted paths.
func (a answer) text(paths ...string) string {
	for _, path := range paths {
		switch v := a.at(path).(type) {
		case string:
			if v != "" {
				return v
			}
		case json.Number:
			return v.String()
		}
	}
	return ""
}

// number returns the first number at one of the paths, also where it came as text.
func (a answer) number(paths ...string) float64 {
	n, err := strconv.ParseFloat(a.text(paths...), 64)
	if err != nil || math.IsNaN(n) || n > 1e9 {
		return 0
	}
	return n
}

func (a answer) at(path string) any {
	var v any = a.body
	for key := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
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
