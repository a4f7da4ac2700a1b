package mapping_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"datasync-bridge/event"
	"datasync-bridge/receiver/mapping"
)

// jsonCase is one line of testdata/json_cases.txt, which says what its columns are.
type jsonCase struct {
	name, bridge, strict, body, why string
	reads                           map[string]string
}

var causes = map[string]string{
	"ok":         "",
	"not-json":   "the body is not JSON",
	"too-deep":   "the body is nested deeper than 64 levels",
	"not-object": "the body is JSON, but not an object",
	"no-type":    "no event type can be found",
	"long-type":  "the event type is longer than 200 bytes",
}

var places = map[string][2]string{
	"body":  {},
	"value": {`{"type":"x","id":"1","data":{"transaction":{"id":`, `}}}`},
	"key":   {`{"type":"x","id":"1","data":{"transaction":{`, `:"v"}}}`},
}

func jsonCases(t testing.TB) []jsonCase {
	t.Helper()
	text, err := os.ReadFile("testdata/json_cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	var cases []jsonCase
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		columns := strings.Split(line, "|")
		for i := range columns {
			columns[i] = strings.TrimSpace(columns[i])
		}
		if len(columns) != 6 {
			t.Fatalf("%d columns, want 6: %s", len(columns), line)
		}
		around, known := places[columns[3]]
		if !known {
			t.Fatalf("no place %q: %s", columns[3], line)
		}
		c := jsonCase{name: columns[0], strict: columns[2], why: columns[5], reads: map[string]string{}}
		c.body = around[0] + spelled(t, columns[4]) + around[1]
		words := strings.Fields(columns[1])
		c.bridge = words[0]
		for _, word := range words[1:] {
			field, value, _ := strings.Cut(word, "=")
			c.reads[field] = value
		}
		cases = append(cases, c)
	}
	return cases
}

var repeated = regexp.MustCompile(`^ *\* *(\d+)`)

// spelled reads Go strings joined by +, each of which may be repeated by *n.
func spelled(t testing.TB, text string) string {
	t.Helper()
	var out strings.Builder
	rest := text
	for {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		piece, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		rest = rest[len(quoted):]
		times := 1
		if found := repeated.FindStringSubmatch(rest); found != nil {
			rest = rest[len(found[0]):]
			if times, err = strconv.Atoi(found[1]); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
		out.WriteString(strings.Repeat(piece, times))
		if rest = strings.TrimLeft(rest, " "); rest == "" {
			return out.String()
		}
		if rest[0] != '+' {
			t.Fatalf("%s: %q follows a string", text, rest)
		}
		rest = strings.TrimLeft(rest[1:], " ")
	}
}

func TestOddJSONIsReadAsRecordedAndByBothReadersAlike(t *testing.T) {
	m, plain := twoReadings(t), mustNew(t, mapping.Config{})
	cases := jsonCases(t)
	if len(cases) < 150 {
		t.Errorf("%d cases, want 150 or more", len(cases))
	}
	names := map[string]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cause, known := causes[c.bridge]
			if !known || names[c.name] || strings.Trim(c.name[:1], "yni") != "" {
				t.Fatalf("%q is no answer, or the name is taken or of no kind", c.bridge)
			}
			names[c.name] = true
			alike(t, m, c.body)
			p, err := plain.Probe([]byte(c.body))
			if err != nil || p.Quarantine != cause {
				t.Fatalf("cause %q (%v), want %q", p.Quarantine, err, cause)
			}
			if valid := json.Valid([]byte(c.body)); c.name[0] == 'y' && !valid || c.name[0] == 'n' && valid {
				t.Errorf("encoding/json finds it valid: %v", valid)
			}
			ev := normalize(t, plain, c.body)
			for field, want := range c.reads {
				if got := ofBoth(p, ev, field); got != want {
					t.Errorf("%s is %.80q, want %q", field, got, want)
				}
			}
			if got := compared(c.body, cause, ev); got != c.strict {
				t.Errorf("encoding/json: %s, the table says %s", got, c.strict)
			}
			if c.strict != "same" && c.why == "" {
				t.Error("a difference has no reason")
			}
		})
	}
}

// ofBoth is a field as the probe or the event tells it.
func ofBoth(p mapping.Probe, ev event.Event, field string) string {
	switch field {
	case "type":
		return ev.SentType
	case "id":
		return p.ID()
	case "environment":
		return string(ev.Environment)
	}
	return ev.Text(field)
}

// compared says how encoding/json's reading differs from the bridge's, in the
// words of the table.
func compared(body, cause string, ev event.Event) string {
	refused := cause == causes["not-json"] || cause == causes["too-deep"]
	root, err := plainly(body)
	switch {
	case refused && err != nil:
		return "same"
	case refused:
		return "accepts"
	case err != nil:
		return "refuses"
	}
	object, ok := root.(map[string]any)
	if !ok && cause == causes["not-object"] {
		return "same"
	}
	data := ev.Data
	if data == nil { // there is no event, but the readings can be compared all the same
		data, _ = reading(body).(map[string]any)
	}
	if inner, isObject := object["data"].(map[string]any); isObject && ev.Data != nil {
		object = inner
	}
	if !reflect.DeepEqual(data, object) {
		return "reads-otherwise"
	}
	return "same"
}

func plainly(body string) (v any, err error) {
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if err = d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err = d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows")
	}
	return v, nil
}

// reading is a second opinion on valid JSON: encoding/json's tokens, put together
// so that the first of equal keys wins.
func reading(body string) any {
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	return assembled(d)
}

func assembled(d *json.Decoder) any {
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			list = append(list, assembled(d)) // valid JSON: it ends
		}
		_, _ = d.Token()
		return list
	case json.Delim('{'):
		object := map[string]any{}
		for d.More() {
			key, _ := d.Token()
			name, _ := key.(string)
			value := assembled(d)
			if _, taken := object[name]; !taken {
				object[name] = value
			}
		}
		_, _ = d.Token()
		return object
	}
	return token
}

// secondOpinion holds a reading against encoding/json: the same bodies are
// valid, up to the bound on nesting, and what is read from valid UTF-8 is the
// same, the first of equal keys counting.
func secondOpinion(t fataler, body string, ev event.Event) {
	valid := json.Valid([]byte(body))
	switch ev.Quarantine {
	case causes["too-deep"]:
		return
	case causes["not-json"]:
		if valid {
			t.Fatalf("%q is JSON to encoding/json", body)
		}
		return
	}
	if !valid {
		t.Fatalf("%q is no JSON to encoding/json", body)
	}
	if ev.Data == nil || !utf8.ValidString(body) {
		return
	}
	want, _ := reading(body).(map[string]any)
	if inner, ok := want["data"].(map[string]any); ok {
		want = inner
	}
	if !reflect.DeepEqual(ev.Data, want) {
		t.Fatalf("%q is read as %v, to encoding/json it is %v", body, ev.Data, want)
	}
}
