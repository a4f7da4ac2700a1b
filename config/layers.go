package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
)

const (
	prefix = "BRIDGE_"
	// killSwitch turns automations off at run time; it is no key.
	killSwitch = "BRIDGE_AUTOMATIONS"
	// delim separates levels inside koanf only. No key can hold it, whereas
	// keys such as transaction.document_type hold dots.
	delim = "\x00"
)

// merge lays variables over the file and flags over both.
func (b *book) merge(file map[string]any, o Options) map[string]any {
	k := koanf.New(delim)
	vars := env.Provider(delim, env.Opt{
		Prefix:        prefix,
		EnvironFunc:   func() []string { return o.Env },
		TransformFunc: b.variable,
	})
	flags := make(map[string]any, len(o.Flags))
	for key, value := range o.Flags {
		if at := b.override("flag "+key, strings.Split(key, ".")); at != "" {
			flags[at] = value
		}
	}
	err := errors.Join(
		k.Load(confmap.Provider(file, ""), nil),
		k.Load(vars, nil),
		k.Load(confmap.Provider(flags, delim), nil),
	)
	if err != nil {
		b.fault("", "cannot be merged with variables and flags: %v", err)
	}
	return k.Raw()
}

// variable names the key that a variable sets, or "" to pass it over.
func (b *book) variable(name, value string) (string, any) {
	if name == killSwitch {
		return "", nil
	}
	keys := strings.Split(strings.ToLower(strings.TrimPrefix(name, prefix)), "__")
	if len(keys) == 1 && keys[0] != "version" {
		// An orchestrator may add such names on its own: BRIDGE_SERVICE_HOST
		// for a service called bridge. They must not keep it from starting.
		b.push(Fault{File: name, Warning: true,
			Text: "is not used; a variable for a key is written BRIDGE_SECTION__KEY, with two underscores"})
		return "", nil
	}
	return b.override(name, keys), value
}

// override checks that a variable or flag names a scalar and notes it as the
// place of that key. It returns koanf's spelling of the key, "" for a fault.
func (b *book) override(origin string, keys []string) string {
	path := strings.Join(keys, ".")
	t := reflect.TypeFor[Config]()
	for i, key := range keys {
		next, err := below(t, key)
		if err == nil && i == len(keys)-1 && !scalar(next) {
			err = errors.New("is not a single value; set it in the file")
		}
		if err != nil {
			b.push(Fault{File: origin, Path: strings.Join(keys[:i+1], "."), Text: err.Error()})
			return ""
		}
		t = next
	}
	// Marks of the value that is replaced fall with it.
	for p := range b.bad {
		if p == path || strings.HasPrefix(p, path+".") {
			delete(b.bad, p)
		}
	}
	b.places[path] = place{file: origin}
	delete(b.texts, path)
	return strings.Join(keys, delim)
}

// below is the type of a key inside a value of type t.
func below(t reflect.Type, key string) (reflect.Type, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Struct && !scalar(t):
		fields := fieldsOf(t)
		if f, ok := fields.find(key); ok {
			return f.Type, nil
		}
		return nil, errors.New(fields.unknown(key))
	case t.Kind() == reflect.Map:
		return t.Elem(), nil
	case t.Kind() == reflect.Slice:
		return nil, errors.New("is part of a list, which variables and flags cannot reach; set it in the file")
	}
	return nil, fmt.Errorf("has no key %q below it", key)
}

var textual = reflect.TypeFor[encoding.TextUnmarshaler]()

// scalar reports whether one text can say a value of type t.
func scalar(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64:
		return true
	}
	return reflect.PointerTo(t).Implements(textual)
}

// fieldset is what a section may hold.
type fieldset []reflect.StructField

func fieldsOf(t reflect.Type) fieldset {
	var fs fieldset
	for f := range t.Fields() {
		if tag := f.Tag.Get("koanf"); tag != "" && tag != "-" {
			fs = append(fs, f)
		}
	}
	return fs
}

// find returns the field of a key; NAME_file finds the secret NAME.
func (fs fieldset) find(key string) (reflect.StructField, bool) {
	base, isFile := strings.CutSuffix(key, fileSuffix)
	for _, f := range fs {
		tag := f.Tag.Get("koanf")
		if tag == key || (isFile && tag == base && f.Type == secretType) {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func (fs fieldset) unknown(key string) string {
	var known []string
	for _, f := range fs {
		known = append(known, f.Tag.Get("koanf"))
		if f.Type == secretType {
			known = append(known, f.Tag.Get("koanf")+fileSuffix)
		}
	}
	slices.Sort(known)
	return "is not a known key" + suggest(key, known)
}
