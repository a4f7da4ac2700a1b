package mapping

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/event"
)

// convert reads a decoded value as a field's kind; false leaves the field absent.
func convert(v any, kind event.Kind) (any, bool) {
	switch kind {
	case event.KindText:
		s := asText(v)
		return s, s != ""
	case event.KindNumber:
		return asNumber(v)
	case event.KindFlag:
		return asFlag(v)
	case event.KindTime:
		t, ok := asTime(v)
		return t, ok
	case event.KindTexts:
		list := asTexts(v)
		return list, len(list) > 0
	}
	return nil, false
}

// asText keeps a number as the text that was sent: as a float, ids above 2^53
// would merge. Null, booleans and structures are no text.
func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// asNumber takes JSON numbers and decimal text ("48210.55").
func asNumber(v any) (any, bool) {
	text := asText(v)
	if text == "" || strings.Trim(text, "0123456789+-.eE") != "" {
		return nil, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && !math.IsInf(n, 0)
}

func asFlag(v any) (any, bool) {
	switch v {
	case true, "true":
		return true, true
	case false, "false":
		return false, true
	}
	return nil, false
}

// asTime reads RFC 3339, or an epoch whose unit follows from its size: seconds
// until the year 5138, then milliseconds, microseconds, nanoseconds. Text
// without a zone is refused, because a guess would be hours off.
func asTime(v any) (time.Time, bool) {
	text := asText(v)
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f, isNumber := asNumber(v)
		if !isNumber || f.(float64) <= 0 || f.(float64) >= 1e11 {
			return time.Time{}, false
		}
		return time.UnixMilli(int64(f.(float64) * 1000)).UTC(), true
	}
	switch {
	case n <= 0:
		return time.Time{}, false
	case n < 1e11:
		return time.Unix(n, 0).UTC(), true
	case n < 1e14:
		return time.UnixMilli(n).UTC(), true
	case n < 1e17:
		return time.UnixMicro(n).UTC(), true
	}
	return time.Unix(0, n).UTC(), true
}

// maxTexts bounds a list: an acknowledgment may carry thousands of errors.
const maxTexts = 20

// asTexts reads one text, a list, or an object of texts ({"AK5": "R"} is
// "AK5=R", in the order of the keys).
func asTexts(v any) []string {
	var list []string
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if s := line(item); s != "" && len(list) < maxTexts {
				list = append(list, s)
			}
		}
	case map[string]any:
		for _, key := range sorted(v) {
			if s := asText(v[key]); s != "" && len(list) < maxTexts {
				list = append(list, key+"="+s)
			}
		}
	default:
		if s := asText(v); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// line puts one acknowledgment error into words: "HL at 14: Segment has data
// element errors (8)".
func line(v any) string {
	object, ok := v.(map[string]any)
	if !ok {
		return asText(v)
	}
	words := asText(object["text"])
	if words == "" {
		words = asText(object["message"])
	}
	place := asText(object["segment"])
	if at := asText(object["position"]); at != "" {
		place = strings.TrimSpace(place + " at " + at)
	}
	if place != "" && words != "" {
		place += ": "
	}
	out := place + words
	if code := asText(object["code"]); code != "" {
		out = strings.TrimSpace(out + " (" + code + ")")
	}
	return out
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
