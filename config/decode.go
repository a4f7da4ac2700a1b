package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/event"
)

var (
	secretType   = reflect.TypeFor[event.Secret]()
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
)

// decoder fills the rooms' structs from plain values, strictly, and goes on
// after each fault, so that one load reports them all.
type decoder struct {
	*book
	// lookup finds variables; nil for placeholders instead of them.
	lookup func(name string) (string, bool)
}

// unread stands for a secret that could not be had. Such a load fails, so it
// goes nowhere; but a room that finds the secret missing would only repeat, in
// other words, what has been said.
const unread = "could not be read"

// decode fills out, which is settable, with the value v found at path. expand
// says that ${NAME} may stand in it.
func (d *decoder) decode(path string, v any, out reflect.Value, expand bool) {
	t := out.Type()
	if t == secretType {
		out.SetString(unread)
	}
	if v == nil && t.Kind() != reflect.Interface {
		d.fault(path, "has no value; give it one or remove the key")
		return
	}
	switch {
	case t.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		d.decode(path, v, p.Elem(), expand)
		out.Set(p)
	case t == secretType:
		if _, quoted := v.(string); !quoted {
			d.fault(path, "must be text in quotes") // and is not repeated here
		} else if text, ok := d.text(path, v, true); ok {
			out.SetString(text)
		}
	case t == durationType:
		d.duration(path, v, out)
	case t == timeType:
		d.time(path, v, out)
	case reflect.PointerTo(t).Implements(textual) && (t.Kind() != reflect.Map || !isMap(v)) && (t.Kind() != reflect.Slice || !isList(v)):
		d.marshaled(path, v, out)
	default:
		d.kind(path, v, out, expand)
	}
}

func (d *decoder) kind(path string, v any, out reflect.Value, expand bool) {
	switch out.Kind() {
	case reflect.String:
		if text, ok := d.text(path, v, expand); ok {
			out.SetString(text)
		}
	case reflect.Bool:
		d.flag(path, v, out)
	case reflect.Int, reflect.Int64:
		d.number(path, v, out)
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			d.fault(path, "must be a list, such as [a, b] (got %s)", sort(v))
			return
		}
		// An empty list is not a missing one: rooms tell them apart by nil.
		out.Set(reflect.MakeSlice(out.Type(), len(list), len(list)))
		for i, item := range list {
			d.decode(fmt.Sprintf("%s[%d]", path, i), item, out.Index(i), expand)
		}
	case reflect.Map:
		d.entries(path, v, out, expand)
	case reflect.Struct:
		d.section(path, v, out)
	case reflect.Interface:
		if free := d.free(path, v); free != nil {
			out.Set(reflect.ValueOf(free))
		}
	default:
		panic("config: no decoding for " + out.Type().String())
	}
}

func (d *decoder) entries(path string, v any, out reflect.Value, expand bool) {
	m, ok := v.(map[string]any)
	if !ok {
		d.fault(path, "must be a mapping, such as {key: value} (got %s)", sort(v))
		return
	}
	out.Set(reflect.MakeMapWithSize(out.Type(), len(m)))
	for key, item := range m {
		e := reflect.New(out.Type().Elem()).Elem()
		d.decode(join(path, key), item, e, expand)
		out.SetMapIndex(reflect.ValueOf(key).Convert(out.Type().Key()), e)
	}
}

func (d *decoder) section(path string, v any, out reflect.Value) {
	m, ok := v.(map[string]any)
	if !ok {
		d.fault(path, "must be a section with keys of its own (got %s)", sort(v))
		return
	}
	fields := fieldsOf(out.Type())
	for key, item := range m {
		at := join(path, key)
		f, known := fields.find(key)
		switch {
		case !known && isLater(at):
			d.fault(at, "is not supported in this version; remove it")
		case !known:
			d.fault(at, "%s", fields.unknown(key))
		case f.Tag.Get("koanf") != key:
			d.secretFile(at, item, m[f.Tag.Get("koanf")], out.FieldByIndex(f.Index))
		default:
			d.decode(at, item, out.FieldByIndex(f.Index), f.Tag.Get("expand") == "true")
		}
	}
	// What a room cannot know by itself: where its entry stands.
	if line := out.FieldByName("Line"); line.IsValid() && line.Kind() == reflect.Int {
		line.SetInt(int64(d.at(path).line))
	}
}

// text reads a text. Numbers and booleans without quotes are refused, because
// YAML readers change them: 0123 becomes 83, and 006922827 loses its zeros.
func (d *decoder) text(path string, v any, expand bool) (string, bool) {
	switch v := v.(type) {
	case string:
		if !d.at(path).typed() {
			return v, true // a variable or flag means what it says
		}
		return d.expand(path, v, expand)
	case json.Number, bool:
		d.fault(path, `must be text: quote it, "%v"`, v)
	default:
		d.fault(path, "must be text (got %s)", sort(v))
	}
	return "", false
}

func (d *decoder) flag(path string, v any, out reflect.Value) {
	if text, ok := v.(string); ok && !d.at(path).typed() && (text == "true" || text == "false") {
		v = text == "true"
	}
	if b, ok := v.(bool); ok {
		out.SetBool(b)
		return
	}
	d.fault(path, "must be true or false (got %s)", sort(v))
}

// whole are whole numbers that every reader takes for the same.
var whole = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

func (d *decoder) number(path string, v any, out reflect.Value) {
	if text, ok := v.(string); ok && !d.at(path).typed() {
		v = json.Number(text)
	}
	n, ok := v.(json.Number)
	if !ok {
		d.fault(path, "must be a whole number without quotes (got %s)", sort(v))
		return
	}
	i, err := strconv.ParseInt(string(n), 10, out.Type().Bits())
	if err != nil || !whole.MatchString(string(n)) {
		d.fault(path, "must be a whole number in plain digits (got %s)", cut(string(n)))
		return
	}
	out.SetInt(i)
}

func (d *decoder) duration(path string, v any, out reflect.Value) {
	switch v := v.(type) {
	case string:
		span, err := event.ParseDuration(v)
		if err != nil {
			d.fault(path, "%v", err)
			return
		}
		out.SetInt(int64(span))
	case json.Number:
		if v == "0" {
			out.SetInt(0)
			return
		}
		d.fault(path, "needs a unit, such as %ss or %sm (got %s)", v, v, v)
	default:
		d.fault(path, "must be a duration, such as 30s, 15m, 4h, 7d (got %s)", sort(v))
	}
}

func (d *decoder) time(path string, v any, out reflect.Value) {
	text, ok := v.(string)
	if !ok {
		d.fault(path, `must be a time, such as "2026-12-31T00:00:00Z" (got %s)`, sort(v))
		return
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		d.fault(path, `must be a time, such as "2026-12-31T00:00:00Z" (got %q)`, cut(text))
		return
	}
	out.Set(reflect.ValueOf(at))
}

// marshaled reads a type with a text form of its own, such as 1MiB or 12h.
func (d *decoder) marshaled(path string, v any, out reflect.Value) {
	var text string
	switch v := v.(type) {
	case string:
		text = v
	case json.Number:
		text = string(v)
	default:
		d.fault(path, "must be text (got %s)", sort(v))
		return
	}
	if strings.Contains(text, "${") {
		d.expand(path, text, false)
		return
	}
	if err := out.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		d.fault(path, "%v", err)
	}
}

// free reads a value whose kind is known only to its room: what a match
// compares with, a parameter of an automation.
func (d *decoder) free(path string, v any) any {
	switch v := v.(type) {
	case string:
		text, _ := d.expand(path, v, false)
		return text
	case json.Number:
		if f, err := v.Float64(); err != nil || math.IsInf(f, 0) || !json.Valid([]byte(v)) {
			d.fault(path, `is read differently by different programs: quote it, "%s", or write plain decimal digits`, cut(string(v)))
			return string(v)
		}
		return v
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = d.free(fmt.Sprintf("%s[%d]", path, i), item)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, item := range v {
			m[key] = d.free(join(path, key), item)
		}
		return m
	}
	return v
}

func isMap(v any) bool { _, ok := v.(map[string]any); return ok }

func isList(v any) bool { _, ok := v.([]any); return ok }

// sort names the kind of a value, without the value: it may be a secret in the
// wrong place.
func sort(v any) string {
	switch v := v.(type) {
	case string:
		return "text"
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "a mapping"
	}
	return "nothing"
}

// cut bounds what of the file is repeated in a fault.
func cut(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// later are the keys of later versions. They are refused as such: accepting
// and ignoring one would let an operator rely on what does not happen.
var later = []string{
	"templates", "enrichment", "console", "tracing",
	"store.postgres",
	"sources[].digest", "sources[].reconcile",
	"notifiers[].webhook", "notifiers[].email", "notifiers[].slack.buttons", "notifiers[].slack.signing_secret",
	"notifiers[].pagerduty.webhook_secret",
	"rules[].enrich",
	"admin.console", "admin.slack", "admin.pagerduty",
}

var index = regexp.MustCompile(`\[\d+\]`)

func isLater(path string) bool {
	return slices.Contains(later, index.ReplaceAllString(path, "[]"))
}
