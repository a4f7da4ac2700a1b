package config_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/invopop/jsonschema"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing"
	"datasync-bridge/routing/incident"
	"datasync-bridge/tracing"
)

const schemaFile = "schema.json"

// documented are the folders whose comments describe keys.
var documented = []string{
	"config", "datasync", "dispatch", "event", "notifiers", "outbound", "receiver", "routing", "store", "tracing", "web",
}

func TestTheSchemaIsMadeFromTheStructsAndTheirComments(t *testing.T) {
	t.Chdir("..")
	made := makeSchema(t)
	file := path.Join("config", schemaFile)
	if *update {
		if err := os.WriteFile(file, made, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(made, config.Schema()) {
		t.Errorf("%s is stale: a key, a comment or an enumeration has changed; run go test ./config -run Schema -update", file)
	}
}

// maker reflects one configuration into a schema.
type maker struct {
	*jsonschema.Reflector
	// secrets are the keys of secrets by definition.
	secrets map[string][]string
}

// makeSchema must run in the folder of the module.
func makeSchema(t *testing.T) []byte {
	t.Helper()
	m := maker{secrets: map[string][]string{}}
	m.Reflector = &jsonschema.Reflector{
		Anonymous: true, FieldNameTag: "koanf", RequiredFromJSONSchemaTags: true, ExpandedStruct: true,
		Namer: nameOf, Mapper: ofType,
	}
	for _, dir := range documented {
		if err := m.AddGoComments("datasync-bridge", dir, jsonschema.WithFullComment()); err != nil {
			t.Fatal(err)
		}
	}
	m.LookupComment = m.described
	s := m.Reflect(config.Config{})
	s.Title, s.Description = "datasync-bridge", "The configuration of datasync-bridge. Every key is described; nothing unknown is accepted."
	s.Required = []string{"version", "sources", "notifiers", "defaults"}
	s.Definitions["match"] = matchSchema()
	for kind, name := range matchKinds {
		s.Definitions[name] = matchValue(kind)
	}
	m.findSecrets(reflect.TypeFor[config.Config](), map[reflect.Type]bool{})
	for name, keys := range m.secrets {
		def := s.Definitions[name]
		if def == nil {
			t.Fatalf("no definition %s, only %v", name, slices.Sorted(maps.Keys(s.Definitions)))
		}
		for _, key := range keys {
			def.Properties.Set(key+"_file", &jsonschema.Schema{
				Type: "string", MinLength: ptr(1), Description: "The file that holds " + key + ", instead of the key itself.",
				Examples: []any{"/run/secrets/" + key},
			})
			def.AllOf = append(def.AllOf, &jsonschema.Schema{Not: &jsonschema.Schema{Required: []string{key, key + "_file"}}})
		}
	}
	refine(t, s)
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func ptr(n uint64) *uint64 { return &n }

// nameOf names definitions by package and type: three packages have a Config.
func nameOf(t reflect.Type) string {
	if t.Name() == "" {
		return ""
	}
	return path.Base(t.PkgPath()) + "." + t.Name()
}

// goNames finds words that are fields' names in Go, to spell them as keys.
var goNames = regexp.MustCompile(`\b[A-Z][A-Za-z0-9]+\b`)

// described is the comment on a field with the fields of its struct spelled as
// an operator knows them.
func (m maker) described(t reflect.Type, field string) string {
	name := t.PkgPath() + "." + t.Name()
	if field != "" {
		name += "." + field
	}
	text := m.CommentMap[name]
	if own, ok := spoken[strings.TrimSuffix(nameOf(t)+"."+keyOf(t, field), ".")]; ok {
		return own
	}
	if t.Kind() != reflect.Struct || text == "" {
		return text
	}
	keys := map[string]string{}
	for f := range t.Fields() {
		if key := f.Tag.Get("koanf"); key != "" && key != "-" {
			keys[f.Name] = key
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	if field == "" {
		return upper(opening.ReplaceAllString(text, ""))
	}
	return goNames.ReplaceAllStringFunc(text, func(word string) string {
		if key, ok := keys[word]; ok {
			return key
		}
		return word
	})
}

// opening is how a comment on a type begins.
var opening = regexp.MustCompile(`^[A-Z]\w+ (is|are|holds) `)

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func keyOf(t reflect.Type, field string) string {
	if t.Kind() != reflect.Struct || field == "" {
		return ""
	}
	if f, ok := t.FieldByName(field); ok {
		return f.Tag.Get("koanf")
	}
	return ""
}

func (m maker) findSecrets(t reflect.Type, seen map[reflect.Type]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] || ofType(t) != nil {
		return
	}
	seen[t] = true
	for f := range t.Fields() {
		switch key := f.Tag.Get("koanf"); {
		case key == "" || key == "-":
		case f.Type == reflect.TypeFor[event.Secret]():
			m.secrets[nameOf(t)] = append(m.secrets[nameOf(t)], key)
		default:
			m.findSecrets(f.Type, seen)
		}
	}
}

const (
	spanPart = `([0-9]+(\.[0-9]+)?(w|d|h|ms|m|s|us|µs|ns))+`
	instant  = `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})`
)

func text(pattern string, examples ...any) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: pattern, Examples: examples}
}

func enum(values ...string) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, v := range values {
		s.Enum = append(s.Enum, v)
	}
	return s
}

// ofType is the schema of a type whose text has a form of its own, nil for the
// others.
func ofType(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[event.Secret]():
		// ${NAME} is a variable, $${ a literal ${.
		return text(`^(\$\$\{|\$\{[A-Za-z_][A-Za-z0-9_]*\}|\$+[^${]|[^$])+\$*$`, "${NAME_OF_A_VARIABLE}")
	case reflect.TypeFor[time.Duration]():
		return duration(`^\s*`+spanPart+`\s*$|^0$`, "30s", "15m", "4h", "7d")
	case reflect.TypeFor[event.Span]():
		return duration(`^\s*`+spanPart+`\s*$|^never$`, "30m", "72h", "never")
	case reflect.TypeFor[event.Size]():
		return text(`^[0-9]+\s*([KMG]i?)?B$`, "64KiB", "1MiB")
	case reflect.TypeFor[tracing.Share]():
		return &jsonschema.Schema{Type: "number", Minimum: "0", Maximum: "1", Examples: []any{0.1}}
	case reflect.TypeFor[time.Time]():
		return text("^"+instant+"$", "2026-12-31T00:00:00Z")
	case reflect.TypeFor[event.Moment]():
		return text(`^\s*(`+instant+`|[0-9]{4}-[0-9]{2}-[0-9]{2} +[0-9]{2}:[0-9]{2}(:[0-9]{2})? +[A-Za-z][A-Za-z0-9_+/-]*)\s*$`,
			"2026-11-30 22:00 America/Chicago", "2026-11-30T22:00:00-06:00")
	case reflect.TypeFor[event.Severity]():
		return enum("info", "warning", "error", "critical")
	case reflect.TypeFor[event.Effect]():
		return enum("open", "settle", "note", "none")
	case reflect.TypeFor[event.Environment]():
		return enum("production", "sandbox")
	case reflect.TypeFor[event.Class]():
		return enum(classes...)
	case reflect.TypeFor[incident.Outside]():
		return enum(string(incident.Delayed), string(incident.Digested), string(incident.Left))
	case reflect.TypeFor[routing.Match]():
		return &jsonschema.Schema{Ref: "#/$defs/match"}
	case reflect.TypeFor[routing.Repeat]():
		return repeat()
	}
	return nil
}

// duration also takes a bare 0, which needs no unit.
func duration(pattern string, examples ...any) *jsonschema.Schema {
	return &jsonschema.Schema{
		AnyOf:    []*jsonschema.Schema{text(pattern), {Const: 0}},
		Examples: examples,
	}
}

func repeat() *jsonschema.Schema {
	span := ofType(reflect.TypeFor[event.Span]())
	each := jsonschema.NewProperties()
	for _, s := range event.Severities {
		each.Set(s.String(), span)
	}
	return &jsonschema.Schema{
		AnyOf: []*jsonschema.Schema{
			span, {Type: "object", Properties: each, AdditionalProperties: jsonschema.FalseSchema},
		},
		Examples: []any{"4h", map[string]any{"critical": "1h", "info": "never"}},
	}
}

// refine adds what types alone do not say. A name that no struct has is a fault
// of this table.
func refine(t *testing.T, s *jsonschema.Schema) {
	t.Helper()
	key := func(name string) *jsonschema.Schema {
		at := strings.LastIndex(name, ".")
		def := s.Definitions[name[:at]]
		if def == nil {
			t.Fatalf("no definition %s", name[:at])
		}
		property, ok := def.Properties.Get(name[at+1:])
		if !ok {
			t.Fatalf("%s has no such key", name)
		}
		return property
	}
	for name, words := range closed {
		at := key(name)
		if at.Items != nil {
			at = at.Items
		}
		at.Enum = append(at.Enum, enum(words...).Enum...)
	}
	for name, values := range examples {
		key(name).Examples = values
	}
	for name, pattern := range patterns {
		key(name).Pattern = pattern
	}
	for name, keys := range required {
		for _, k := range keys {
			key(name + "." + k)
		}
		s.Definitions[name].Required = keys
	}
	for _, name := range []string{"routing.Defaults.notify", "routing.Rule.notify", "routing.Escalate.notify", "routing.Group.by"} {
		key(name).MinItems = ptr(1)
	}
	for name, def := range s.Definitions {
		for p := def.Properties.Oldest(); p != nil && !strings.HasPrefix(name, "match"); p = p.Next() {
			if p.Value.Description == "" {
				t.Errorf("%s.%s has no description: comment the field, or add it to the table", name, p.Key)
			}
		}
	}
	version, _ := s.Properties.Get("version")
	version.Const = 1
	for _, list := range []string{"sources", "notifiers"} {
		property, _ := s.Properties.Get(list)
		property.MinItems = ptr(1)
	}
	for _, medium := range []string{"slack", "pagerduty", "terminal"} {
		one := &jsonschema.Schema{Required: []string{medium}}
		s.Definitions["config.Notifier"].OneOf = append(s.Definitions["config.Notifier"].OneOf, one)
	}
}
