package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"datasync-bridge/event"
)

// comparisons are what stands between a path and a value; the longer first.
var comparisons = []struct{ sign, operator string }{
	{"!=", "not"}, {">=", "gte"}, {"<=", "lte"}, {"=", ""}, {">", "gt"}, {"<", "lt"},
}

// matchOf reads conditions such as "partner.id=par_7h2k9" into a rule's match.
// Values of one path are alternatives, its other comparisons must all hold.
func matchOf(conditions []string) (map[string]any, error) {
	if len(conditions) == 0 {
		return nil, usagef("add needs --match: what is to be quiet?")
	}
	match := map[string]any{}
	for _, text := range conditions {
		path, operator, value, err := condition(text)
		if err != nil {
			return nil, err
		}
		switch before := match[path].(type) {
		case nil:
			if operator == "" {
				match[path] = value
			} else {
				match[path] = map[string]any{operator: value}
			}
		case map[string]any:
			if _, twice := before[operator]; operator == "" || twice {
				return nil, usagef("--match %s: %s is compared in two ways that do not go together", text, path)
			}
			before[operator] = value
		case []any:
			match[path] = append(before, value)
		default:
			match[path] = []any{before, value}
		}
		if list, ok := match[path].([]any); ok && operator != "" {
			return nil, usagef("--match %s: %s has alternatives already (%s)", text, path, plain(list[:len(list)-1]))
		}
	}
	return match, nil
}

// condition takes one condition apart, at its first sign.
func condition(text string) (path, operator string, value any, err error) {
	at, found := len(text), -1
	for k, c := range comparisons {
		if i := strings.Index(text, c.sign); i >= 0 && i < at {
			at, found = i, k
		}
	}
	path = strings.TrimSpace(text[:at])
	if found < 0 || path == "" {
		return "", "", nil, usagef("--match %q: write PATH=VALUE, such as partner.id=par_7h2k9 or type='mdn.*'", text)
	}
	c := comparisons[found]
	value, err = valueAt(path, strings.TrimSpace(text[at+len(c.sign):]))
	return path, c.operator, value, err
}

// valueAt gives a value the kind of its field: ids of digits alone are texts.
func valueAt(path, text string) (any, error) {
	f, _ := event.FieldAt(path)
	switch f.Kind {
	case event.KindNumber:
		if _, err := strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
			return nil, usagef("--match %s: %q is no number", path, text)
		}
		return json.Number(text), nil
	case event.KindFlag:
		flag, err := strconv.ParseBool(text)
		if err != nil {
			return nil, usagef("--match %s: %q is neither true nor false", path, text)
		}
		return flag, nil
	}
	return text, nil
}

// matchText writes a match as matchOf reads it, alternatives with a bar.
func matchText(match map[string]any) string {
	var parts []string
	for _, path := range slices.Sorted(maps.Keys(match)) {
		switch v := match[path].(type) {
		case map[string]any:
			for _, operator := range slices.Sorted(maps.Keys(v)) {
				sign := " " + operator + " "
				for _, c := range comparisons {
					if c.operator == operator {
						sign = c.sign
					}
				}
				parts = append(parts, path+sign+plain(v[operator]))
			}
		case []any:
			texts := make([]string, 0, len(v))
			for _, one := range v {
				texts = append(texts, plain(one))
			}
			parts = append(parts, path+"="+strings.Join(texts, "|"))
		default:
			parts = append(parts, fmt.Sprintf("%s=%s", path, plain(v)))
		}
	}
	return strings.Join(parts, " ")
}
