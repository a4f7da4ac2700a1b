package wording

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"text/template"
	"time"
)

const (
	// maxResult bounds what a function takes of a text, and gives, in bytes, so
	// that none inside another can make them grow without end.
	maxResult = 16 << 10
	// maxElements is how many elements of a list are joined.
	maxElements = 200
)

// Functions are those of messages. None of them fails on what an event holds:
// what is not of its kind comes back as it is. Times are printed in zone.
func Functions(zone *time.Location) template.FuncMap {
	if zone == nil {
		zone = time.UTC
	}
	return template.FuncMap{
		"lower": func(v any) string { return strings.ToLower(text(v)) },
		"upper": func(v any) string { return strings.ToUpper(text(v)) },
		"trim":  func(v any) string { return strings.TrimSpace(text(v)) },
		"cut":   func(limit int, v any) string { return cut(text(v), min(max(limit, 1), maxResult)) },
		"replace": func(old, new string, v any) string {
			if old == "" {
				return text(v)
			}
			return text(strings.ReplaceAll(text(v), old, new))
		},
		"default": func(fallback string, v any) string {
			if s := text(v); s != "" {
				return s
			}
			return fallback
		},
		"join":  func(sep string, v any) string { return text(strings.Join(texts(v), sep)) },
		"money": money,
		"time":  func(v any) string { return clock(v, zone, "15:04 MST") },
		"date":  func(v any) string { return clock(v, zone, "Mon 2 Jan 2006") },
		"span":  span,
	}
}

// Plain are the functions of texts that are no message: they only tidy.
func Plain() template.FuncMap {
	return template.FuncMap{"lower": strings.ToLower, "upper": strings.ToUpper, "trim": strings.TrimSpace}
}

// text is a value as people read it, bounded; a list is joined by commas.
func text(v any) string {
	var s string
	switch v := v.(type) {
	case nil:
	case string:
		s = v
	case bool:
		s = strconv.FormatBool(v)
	case int:
		s = strconv.Itoa(v)
	case []string, []any:
		s = strings.Join(texts(v), ", ")
	default:
		s = "an object"
	}
	if len(s) > maxResult {
		s = strings.ToValidUTF8(s[:maxResult], "")
	}
	return s
}

func texts(v any) []string {
	var list []string
	add := func(one string) {
		if one != "" && len(list) < maxElements {
			list = append(list, one)
		}
	}
	switch v := v.(type) {
	case []string:
		for _, s := range v[:min(len(v), maxElements)] {
			add(text(s))
		}
	case []any:
		for _, one := range v[:min(len(v), maxElements)] {
			if _, nested := one.([]any); !nested { // its depth is the sender's
				add(text(one))
			}
		}
	default:
		add(text(v))
	}
	return list
}

// money writes an amount with two decimals unless it is whole, thousands apart,
// and its currency: "48,210.55 USD".
func money(amount, currency any) string {
	s := text(amount)
	n, err := strconv.ParseFloat(s, 64)
	if err == nil && math.Abs(n) < 1e15 {
		whole, cents, _ := strings.Cut(strconv.FormatFloat(math.Abs(n), 'f', 2, 64), ".")
		var b strings.Builder
		for i, digit := range whole {
			if i > 0 && (len(whole)-i)%3 == 0 {
				b.WriteByte(',')
			}
			b.WriteRune(digit)
		}
		if s = b.String(); cents != "00" {
			s += "." + cents
		}
		if n < 0 {
			s = "-" + s
		}
	}
	return strings.TrimSpace(s + " " + text(currency))
}

func clock(v any, zone *time.Location, layout string) string {
	at, err := time.Parse(time.RFC3339, text(v))
	if err != nil {
		return text(v)
	}
	return at.In(zone).Format(layout)
}

// span is how far two times are apart: "4 h 14 min".
func span(from, to any) string {
	a, errA := time.Parse(time.RFC3339, text(from))
	b, errB := time.Parse(time.RFC3339, text(to))
	if errA != nil || errB != nil {
		return ""
	}
	d := b.Sub(a).Abs()
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}
