package notifiers

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/event"
)

// fields reads a lead's normalized payload. It has been through JSON on its way
// here, so a time may have become text and a list a []any.
type fields map[string]any

// text returns a field cleaned and cut, "" where it is absent or no text.
func (f fields) text(path string, limit int) string {
	s, _ := f[path].(string)
	return Clean(s, limit)
}

// number returns a number as people write it, "" where it is absent.
func (f fields) number(path string) string {
	switch n := f[path].(type) {
	case float64:
		return strconv.FormatFloat(n, 'f', -1, 64)
	case json.Number:
		return Clean(n.String(), 40)
	}
	return ""
}

// money is a number with two decimals, unless it is whole.
func (f fields) money(path string) string {
	n, ok := f[path].(float64)
	if !ok || n == math.Trunc(n) {
		return f.number(path)
	}
	return strconv.FormatFloat(n, 'f', 2, 64)
}

func (f fields) time(path string) time.Time {
	switch t := f[path].(type) {
	case time.Time:
		return t
	case string:
		parsed, _ := time.Parse(time.RFC3339, t)
		return parsed
	}
	return time.Time{}
}

func (f fields) texts(path string, limit int) []string {
	var list []string
	switch v := f[path].(type) {
	case []string:
		list = v
	case []any:
		for _, item := range v {
			if s, ok := item.(string); ok {
				list = append(list, s)
			}
		}
	case string:
		list = []string{v}
	}
	cleaned := make([]string, 0, len(list))
	for _, s := range list {
		if s = Clean(s, limit); s != "" {
			cleaned = append(cleaned, s)
		}
	}
	return cleaned
}

// references lists what people look a document up by: "PO PO-88214",
// "invoice INV-204417", the usual ones first.
func (f fields) references() []string {
	names := map[string]string{
		event.PONumber: "PO", event.InvoiceNumber: "invoice", event.ShipmentID: "shipment",
	}
	paths := []string{event.PONumber, event.InvoiceNumber, event.ShipmentID}
	for _, path := range slices.Sorted(maps.Keys(f)) {
		if key, ok := strings.CutPrefix(path, event.ReferencePrefix); ok && names[path] == "" {
			names[path] = spaced(Clean(key, 30))
			paths = append(paths, path)
		}
	}
	var list []string
	for _, path := range paths {
		if value := f.text(path, 60); value != "" && len(list) < 6 {
			list = append(list, names[path]+" "+value)
		}
	}
	return list
}

// contact is whom to call at the partner, on one line.
func (f fields) contact() string {
	return join(" · ", f.text(event.ContactName, 60), f.text(event.ContactEmail, 80),
		f.text(event.ContactPhone, 40), f.text(event.ContactHours, 80))
}

// spaced turns an identifier into words: "load_tender" → "load tender".
func spaced(name string) string { return strings.ReplaceAll(name, "_", " ") }

// join joins what is not empty.
func join(sep string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), sep)
}
