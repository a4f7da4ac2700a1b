package mapping

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Path is where in a payload a value may stand: keys joined by dots
// ("data.partner.id"), with two additions for thin, reference-only shapes:
// a number picks from an array ("resources.0.id"), and a condition picks the
// first object that has a value ("resource[type=partner].id").
type Path []step

type step struct {
	key string
	// index is key as a number, or -1.
	index int
	// where and equals are the condition, empty for none.
	where, equals string
}

// ParsePath reads a path. A dot inside a key is written "\.".
func ParsePath(text string) (Path, error) {
	if text == "" {
		return nil, errors.New("is empty; write a path such as data.partner.id")
	}
	const dot = "\x00"
	var p Path
	for part := range strings.SplitSeq(strings.ReplaceAll(text, `\.`, dot), ".") {
		part = strings.ReplaceAll(part, dot, ".")
		s := step{key: part, index: -1}
		if key, condition, conditional := strings.Cut(part, "["); conditional {
			where, equals, ok := strings.Cut(strings.TrimSuffix(condition, "]"), "=")
			if !ok || where == "" || equals == "" || !strings.HasSuffix(condition, "]") {
				return nil, fmt.Errorf("%q: write a condition as key[field=value]", text)
			}
			s.key, s.where, s.equals = key, where, equals
		}
		if s.key == "" {
			return nil, fmt.Errorf("%q has an empty step", text)
		}
		if n, err := strconv.Atoi(s.key); err == nil && n >= 0 && n < 1000 {
			s.index = n
		}
		p = append(p, s)
	}
	return p, nil
}

// in follows the path through a payload as it came.
func (p Path) in(r gjson.Result) (gjson.Result, bool) {
	switch {
	case r.IsObject():
		r = member(r, p[0].key)
	case r.IsArray() && p[0].index >= 0:
		r = element(r, func(i int, _ gjson.Result) bool { return i == p[0].index })
	default:
		return gjson.Result{}, false
	}
	return p.under(r)
}

// under follows the path below its first step, whose value is given.
func (p Path) under(value gjson.Result) (gjson.Result, bool) {
	value, ok := p[0].choosing(value)
	if !ok || len(p) == 1 {
		return value, ok
	}
	return p[1:].in(value)
}

// choosing applies the step's condition to the value under its key.
func (s step) choosing(v gjson.Result) (gjson.Result, bool) {
	if s.where == "" {
		return v, v.Exists()
	}
	matches := func(_ int, v gjson.Result) bool {
		if !v.IsObject() {
			return false
		}
		field := member(v, s.where)
		return field.Type == gjson.String && valid(field.Str) == s.equals
	}
	if v.IsArray() {
		v = element(v, matches)
		return v, v.Exists()
	}
	return v, matches(0, v)
}

func element(list gjson.Result, want func(int, gjson.Result) bool) (found gjson.Result) {
	i := 0
	list.ForEach(func(_, v gjson.Result) bool {
		if want(i, v) {
			found = v
			return false
		}
		i++
		return true
	})
	return found
}

// of follows the path through decoded values; it finds what in finds.
func (p Path) of(v any) (any, bool) {
	for _, s := range p {
		found := false
		switch holder := v.(type) {
		case map[string]any:
			v, found = holder[s.key]
		case []any:
			if found = s.index >= 0 && s.index < len(holder); found {
				v = holder[s.index]
			}
		}
		if found && s.where != "" {
			v, found = s.choosingOf(v)
		}
		if !found {
			return nil, false
		}
	}
	return v, true
}

// choosingOf is choosing for decoded values.
func (s step) choosingOf(v any) (any, bool) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, v := range list {
		if object, ok := v.(map[string]any); ok && object[s.where] == s.equals {
			return v, true
		}
	}
	return nil, false
}
