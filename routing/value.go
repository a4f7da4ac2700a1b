package routing

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"datasync-bridge/event"
)

// kind is what a path holds in one event.
type kind uint8

const (
	isMissing kind = iota // absent, null, or an empty field of the bridge's own
	isText
	isNumber
	isFlag
	isList
	isObject
)

// value is what a path holds in one event, sorted out once.
type value struct {
	kind kind
	flag bool
	// text is the text, or a number as it was written.
	text string
	num  float64
	// list is a []string or a []any. Its elements are sorted out one by one,
	// because a payload may hold very many.
	list any
}

// valueAt resolves a path. The bridge's own fields do not pass through an
// interface, because every event is asked for them.
func valueAt(ev *event.Event, path string) value {
	var own string
	switch path {
	case "type":
		own = ev.Type
	case "source":
		own = ev.Source
	case "environment":
		own = string(ev.Environment)
	case "class":
		own = string(ev.Class)
	case "severity":
		own = ev.Severity.String()
	default:
		if s, ok := ev.Fields[path].(string); ok {
			return value{kind: isText, text: s}
		}
		v, ok := ev.Lookup(path)
		if !ok {
			return value{}
		}
		return valueOf(v)
	}
	if own == "" {
		return value{}
	}
	return value{kind: isText, text: own}
}

func valueOf(v any) value {
	switch v := v.(type) {
	case string:
		return value{kind: isText, text: v}
	case bool:
		return value{kind: isFlag, flag: v}
	case float64:
		return value{kind: isNumber, num: v, text: formatNumber(v)}
	case int:
		return value{kind: isNumber, num: float64(v), text: strconv.Itoa(v)}
	case json.Number:
		// One that a float64 cannot hold is infinite: it equals nothing, and no
		// order holds for it.
		n, err := v.Float64()
		if err != nil {
			n = math.Inf(1)
		}
		return value{kind: isNumber, num: n, text: v.String()}
	case []string, []any:
		return value{kind: isList, list: v}
	case nil:
		return value{}
	}
	return value{kind: isObject}
}

func formatNumber(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// exact is the size below which a float64 holds every integer.
const exact = 1 << 53

// equalNumbers compares by value, and large integers by their digits.
func equalNumbers(a, b value) bool {
	if math.IsInf(a.num, 0) || math.IsInf(b.num, 0) || a.num != b.num {
		return false
	}
	return math.Abs(a.num) < exact || plainNumber(a) == plainNumber(b)
}

// plainNumber writes equal numbers alike: 3, 3.0 and 3e0 are "3".
func plainNumber(v value) string {
	if !strings.ContainsAny(v.text, ".eE") || math.IsInf(v.num, 0) {
		return v.text
	}
	return formatNumber(v.num)
}

// ordered returns the number that an order operator compares: a number, or a
// text that is one in decimal digits.
func (v value) ordered() (float64, bool) {
	switch v.kind {
	case isNumber:
		return v.num, !math.IsInf(v.num, 0)
	case isText:
		return parseNumber(v.text)
	}
	return 0, false
}

// parseNumber reads decimal digits only: no hexadecimal, no underscores, no Inf.
func parseNumber(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

// any reports whether the value, or an element of the list that it is, passes.
// Elements that are lists themselves do not.
func (v value) any(pass func(value) bool) bool {
	switch l := v.list.(type) {
	case []string:
		for _, e := range l {
			if pass(value{kind: isText, text: e}) {
				return true
			}
		}
	case []any:
		for _, e := range l {
			if pass(valueOf(e)) {
				return true
			}
		}
	default:
		return pass(v)
	}
	return false
}

// shown is the value for a person, bounded.
func (v value) shown() string {
	switch v.kind {
	case isMissing:
		return "missing"
	case isText:
		return strconv.Quote(cut(v.text, 120))
	case isNumber:
		return cut(v.text, 40)
	case isFlag:
		return strconv.FormatBool(v.flag)
	case isList:
		parts := make([]string, 0, 8)
		v.any(func(e value) bool {
			if len(parts) == cap(parts) {
				parts[len(parts)-1] = "…"
				return true
			}
			parts = append(parts, e.shown())
			return false
		})
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return "an object"
}

// cut bounds a text by runes.
func cut(s string, runes int) string {
	n := 0
	for i := range s {
		if n == runes {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
