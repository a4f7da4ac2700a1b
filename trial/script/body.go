package script

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
)

// maxBody bounds a file that holds one event.
const maxBody = 1 << 20

// envelope are the keys of a body beside the paths of a match.
var envelope = []string{"created_at", "data", "environment", "id", "type"}

// builder makes a body of what a step writes.
type builder struct {
	start, at time.Time
	report    func(path, format string, args ...any)
}

// lay puts keys over a body. What cannot be used is reported at its path.
func (b builder) lay(body, keys map[string]any, path string) {
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		at := path + "." + key
		field, known := event.FieldAt(key)
		switch {
		case key == "created_at":
			if t, ok := b.time(at, keys[key]); ok {
				body[key] = t
			}
		case key == "data":
			data, ok := keys[key].(map[string]any)
			if !ok {
				b.report(at, "must be a mapping: the event's payload")
				continue
			}
			b.raw(at, "", data)
			body[key] = data
		case slices.Contains(envelope, key):
			if _, ok := keys[key].(string); !ok {
				b.report(at, "must be text in quotes")
				continue
			}
			body[key] = keys[key]
		case !known || field.Own:
			b.report(at, "is no field of an event%s", config.Suggest(key, fields()))
		default:
			if v, ok := b.value(at, field.Kind, keys[key]); ok {
				set(body, "data."+key, v)
			}
		}
	}
}

// fields are the keys that an event may have.
func fields() []string {
	names := slices.Clone(envelope)
	for _, f := range event.Schema {
		if !f.Own {
			names = append(names, f.Path)
		}
	}
	return names
}

// value reads what a path holds as the kind that a match compares.
func (b builder) value(path string, kind event.Kind, v any) (any, bool) {
	if v == nil {
		return nil, true // as JSON's null it is missing
	}
	switch kind {
	case event.KindText:
		if _, ok := v.(string); !ok {
			b.report(path, "must be text: quote it%s", example(v))
			return nil, false
		}
	case event.KindFlag:
		if _, ok := v.(bool); !ok {
			b.report(path, "must be true or false")
			return nil, false
		}
	case event.KindNumber:
		text := fmt.Sprint(v)
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			b.report(path, "must be a number")
			return nil, false
		}
	case event.KindTime:
		return b.time(path, v)
	case event.KindTexts:
	}
	return v, true
}

func example(v any) string {
	switch v.(type) {
	case json.Number, bool:
		return fmt.Sprintf(`, "%v"`, v)
	}
	return ""
}

// time reads a moment, relative to the step that it stands in: "2h" is two
// hours after the start, "+2h" two hours after the step.
func (b builder) time(path string, v any) (string, bool) {
	text, ok := v.(string)
	if !ok {
		b.report(path, "must be a time: %s", forms)
		return "", false
	}
	at, err := moment(text, b.start, b.at)
	if err != nil {
		b.report(path, "%v", err)
		return "", false
	}
	return at.UTC().Format(time.RFC3339Nano), true
}

// raw looks through a payload for numbers where a match compares text: YAML
// would already have made another number of some of them.
func (b builder) raw(at, path string, data map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(data)) {
		name := strings.TrimPrefix(path+"."+key, ".")
		switch v := data[key].(type) {
		case map[string]any:
			b.raw(at+"."+key, name, v)
		case json.Number, bool:
			if f, known := event.FieldAt(name); known && !f.Own && f.Kind == event.KindText {
				b.report(at+"."+key, "must be text: quote it%s", example(v))
			}
		}
	}
}

// set puts a value at a dotted path, making objects on the way.
func set(body map[string]any, path string, v any) {
	keys := strings.Split(path, ".")
	for _, key := range keys[:len(keys)-1] {
		child, ok := body[key].(map[string]any)
		if !ok {
			child = map[string]any{}
			body[key] = child
		}
		body = child
	}
	body[keys[len(keys)-1]] = v
}

// numbered is a copy of a value with {n} in its texts replaced.
func numbered(v any, n string) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, "{n}", n)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = numbered(v[i], n)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for key := range v {
			m[key] = numbered(v[key], n)
		}
		return m
	}
	return v
}

// readEvent reads a file that holds one event.
func readEvent(tests, name string) (map[string]any, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(tests), name)
	}
	file, err := os.Open(name) // #nosec G304 -- the operator names the file
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	defer func() { _ = file.Close() }() // read only: nothing to lose
	text, err := io.ReadAll(io.LimitReader(file, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", err)
	case len(text) > maxBody:
		return nil, fmt.Errorf("names a file of more than %d KiB", maxBody>>10)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var body map[string]any
	if err := dec.Decode(&body); err != nil || body == nil {
		return nil, fmt.Errorf("names a file that holds no JSON object; use body: for what is no event")
	}
	return body, nil
}
