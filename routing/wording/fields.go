package wording

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/event"
)

// unknown says why no event can have a path, "" where one can: what the schema
// knows, and anything below data.
func unknown(keys []string, form Form) string {
	path := strings.Join(keys, ".")
	if keys[0] == "data" && len(keys) > 1 {
		return ""
	}
	if _, known := event.FieldAt(path); known {
		return ""
	}
	paths := make([]string, len(event.Schema))
	for i, f := range event.Schema {
		paths[i] = f.Path
		if strings.HasPrefix(f.Path, path+".") {
			return fmt.Sprintf(".%s is an object; name one of its fields", path)
		}
	}
	hint := ""
	if form.Suggest != nil {
		hint = form.Suggest(path, paths)
	}
	if hint == "" {
		hint = "; use the names of match, or data.… for the payload as it came"
	}
	return fmt.Sprintf("there is no field .%s", path) + hint
}

// sampleAt is a value of the kind that a path holds.
func sampleAt(keys []string) any {
	if keys[0] == "data" {
		return "x"
	}
	switch f, _ := event.FieldAt(strings.Join(keys, ".")); f.Kind {
	case event.KindFlag:
		return true
	case event.KindTexts:
		return []string{"x"}
	case event.KindTime:
		return "2026-11-30T09:46:00Z"
	case event.KindText, event.KindNumber:
	}
	return "1"
}

// Fields turns an event into plain maps by path, without methods and without
// nulls. Numbers come as their decimal text, times as RFC 3339.
func Fields(ev event.Event) map[string]any {
	m := map[string]any{}
	for _, path := range slices.Sorted(maps.Keys(ev.Fields)) {
		put(m, strings.Split(path, "."), plainValue(ev.Fields[path]))
	}
	for _, f := range event.Schema {
		if v, ok := ev.Lookup(f.Path); f.Own && ok {
			put(m, []string{f.Path}, plainValue(v))
		}
	}
	m["data"] = plainValue(ev.Data)
	return m
}

// put sets a value by path. What holds a value already is never made an object:
// a reference named "a.b" cannot take the place of the one named "a".
func put(m map[string]any, keys []string, v any) {
	if m = inner(m, keys); m != nil {
		m[keys[len(keys)-1]] = v
	}
}

// putMissing sets an empty text where there is nothing.
func putMissing(m map[string]any, keys []string) {
	if m = inner(m, keys); m == nil {
		return
	}
	if last := keys[len(keys)-1]; m[last] == nil {
		m[last] = ""
	}
}

// inner is the map that holds the last of the keys, made where it is missing,
// nil where something else stands on the way.
func inner(m map[string]any, keys []string) map[string]any {
	for _, key := range keys[:len(keys)-1] {
		if m[key] == nil {
			m[key] = map[string]any{}
		}
		next, object := m[key].(map[string]any)
		if !object {
			return nil
		}
		m = next
	}
	return m
}

func plainValue(v any) any {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case json.Number:
		return v.String()
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, one := range v {
			if one != nil {
				out[key] = plainValue(one)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plainValue(v[i])
		}
		return out
	}
	return v
}
