package routing

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/types"

	"datasync-bridge/event"
)

// whenSchema types what a condition may name: strictly event.Schema, with free
// keys only under data and transaction.references. A typo is thus an error
// when the configuration is loaded, not a condition that never holds.
var whenSchema = func() types.Map {
	root := types.Map{"data": types.Map{types.Extra: types.Any}}
	for _, f := range event.Schema {
		at, keys := root, strings.Split(f.Path, ".")
		for _, k := range keys[:len(keys)-1] {
			inner, ok := at[k].(types.Map)
			if !ok {
				inner = types.Map{}
				at[k] = inner
			}
			at = inner
		}
		at[keys[len(keys)-1]] = whenType(f.Kind)
	}
	group, key := referenceGroup()
	root[group].(types.Map)[key].(types.Map)[types.Extra] = types.String
	return root
}()

// referenceGroup splits event.ReferencePrefix, "transaction.references.".
func referenceGroup() (group, key string) {
	group, key, _ = strings.Cut(strings.TrimSuffix(event.ReferencePrefix, "."), ".")
	return group, key
}

func whenType(k event.Kind) types.Type {
	switch k {
	case event.KindNumber:
		return types.Float64
	case event.KindFlag:
		return types.Bool
	case event.KindTime:
		return types.TypeOf(time.Time{})
	case event.KindTexts:
		return types.Array(types.String)
	}
	return types.String
}

var (
	rootNames   = slices.Sorted(maps.Keys(whenSchema))
	schemaPaths = func() []string {
		paths := make([]string, len(event.Schema))
		for i, f := range event.Schema {
			paths[i] = f.Path
		}
		return paths
	}()
)

func isGroup(root string) bool {
	_, ok := whenSchema[root].(types.Map)
	return ok
}

func isFunction(name string) bool {
	_, ok := builtin.Index[name]
	return ok
}

// knownInWhen reports whether a chain of keys names a field, a group of fields,
// or something inside a field (a method of a time), which the language checks.
func knownInWhen(path string) bool {
	var at types.Type = whenSchema
	for _, key := range strings.Split(path, ".") {
		m, ok := at.(types.Map)
		if !ok {
			return true
		}
		if at, ok = m[key]; !ok {
			at, ok = m[types.Extra]
		}
		if !ok {
			return false
		}
	}
	return true
}

// whenEnv builds what conditions see of an event. Groups always exist, so that
// a path into one that is empty is nil; fields that the event lacks do not.
func whenEnv(ev *event.Event) map[string]any {
	root := maps.Clone(emptyEnv)
	own := make(map[string]bool, 8) // groups that are no longer emptyEnv's
	for path, v := range ev.Fields {
		key, _, nested := strings.Cut(path, ".")
		if group, known := whenSchema[key].(types.Map); nested && known && !own[key] {
			root[key], own[key] = emptyGroup(group), true
		}
		switch texts := v.(type) {
		case []string:
			v = texts[:min(len(texts), maxElements)]
		case string:
			v = bounded(texts)
		}
		set(root, path, v)
	}
	for path, v := range map[string]string{
		"id": ev.ID, "type": ev.Type, "source": ev.Source, "environment": string(ev.Environment),
		"class": string(ev.Class), "severity": ev.Severity.String(), "origin": string(ev.Origin),
	} {
		if v != "" {
			root[path] = v
		}
	}
	root["occurred_at"], root["received_at"] = ev.OccurredAt.UTC(), ev.ReceivedAt.UTC()
	return root
}

// bounded is what a condition sees of a text.
func bounded(text string) string {
	if len(text) <= maxWhenText {
		return text
	}
	return strings.ToValidUTF8(text[:maxWhenText], "")
}

// emptyEnv holds all groups without a field. Nothing writes to it.
var emptyEnv = emptyGroup(whenSchema)

func emptyGroup(m types.Map) map[string]any {
	group := map[string]any{}
	for key, t := range m {
		if inner, ok := t.(types.Map); ok {
			group[key] = emptyGroup(inner)
		}
	}
	return group
}

// set places a field by its path. A reference may be named with dots of its
// own; it stays one key.
func set(root map[string]any, path string, v any) {
	at := root
	if key, ok := strings.CutPrefix(path, event.ReferencePrefix); ok {
		group, references := referenceGroup()
		at[group].(map[string]any)[references].(map[string]any)[key] = v
		return
	}
	for {
		key, rest, more := strings.Cut(path, ".")
		if !more {
			at[key] = v
			return
		}
		inner, ok := at[key].(map[string]any)
		if !ok {
			return // not in the schema: no condition can name it
		}
		at, path = inner, rest
	}
}

// whenData is the raw payload with numbers that compare and lists that end.
func whenData(v any) any {
	switch v := v.(type) {
	case string:
		return bounded(v)
	case json.Number:
		n, _ := v.Float64()
		return n
	case []any:
		l := make([]any, min(len(v), maxElements))
		for i := range l {
			l[i] = whenData(v[i])
		}
		return l
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = whenData(e)
		}
		return m
	}
	return v
}
