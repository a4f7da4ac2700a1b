package mapping

import (
	"bytes"
	"encoding/json"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"
)

// maxDepth bounds nesting. It is checked without recursion, before anything
// that recurses sees the bytes.
const maxDepth = 64

// Why an authentic body cannot be mapped. These are told to people, and told
// once per cause, so they hold nothing of the body.
const (
	notJSON   = "the body is not JSON"
	tooDeep   = "the body is nested deeper than 64 levels"
	notObject = "the body is JSON, but not an object"
	noType    = "no event type can be found"
	longType  = "the event type is longer than 200 bytes"
)

// read checks a body and returns its root object, or the cause for which there
// is none. It is the bridge's only way into a payload, so that acceptance,
// normalization and rules cannot read one body in two ways: the first of two
// equal keys wins, and invalid UTF-8 becomes U+FFFD, in keys as in values.
func read(body []byte) (root gjson.Result, cause string) { return readBy(gjson.ParseBytes, body) }

// readInPlace is read without a copy: what comes of it is good only for as long
// as the body stays as it is.
func readInPlace(body []byte) (root gjson.Result, cause string) {
	return readBy(func(b []byte) gjson.Result {
		return gjson.Parse(unsafe.String(unsafe.SliceData(b), len(b))) //nolint:gosec // the caller keeps the body as it is
	}, body)
}

func readBy(parse func([]byte) gjson.Result, body []byte) (root gjson.Result, cause string) {
	if tooNested(body) {
		return root, tooDeep
	}
	if !gjson.ValidBytes(body) {
		return root, notJSON
	}
	root = parse(body)
	if !root.IsObject() {
		return root, notObject
	}
	return root, ""
}

// tooNested counts brackets outside strings. On what is not JSON it may guess
// wrong, and both causes quarantine.
func tooNested(body []byte) bool {
	if bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) <= maxDepth {
		return false // so few cannot be too deep, wherever they stand
	}
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// member returns the first value under a key.
func member(object gjson.Result, key string) (found gjson.Result) {
	object.ForEach(func(k, v gjson.Result) bool {
		if valid(k.Str) == key {
			found = v
			return false
		}
		return true
	})
	return found
}

// decode builds Go values: string, json.Number, bool, nil, []any, map[string]any.
// It recurses at most maxDepth deep, which read has checked.
func decode(r gjson.Result) any {
	switch r.Type {
	case gjson.String:
		return valid(r.Str)
	case gjson.Number:
		return json.Number(r.Raw)
	case gjson.True, gjson.False:
		return r.Type == gjson.True
	case gjson.JSON:
		if r.IsArray() {
			list := []any{}
			r.ForEach(func(_, v gjson.Result) bool {
				list = append(list, decode(v))
				return true
			})
			return list
		}
		object := map[string]any{}
		r.ForEach(func(k, v gjson.Result) bool {
			key := valid(k.Str)
			if _, taken := object[key]; !taken {
				object[key] = decode(v)
			}
			return true
		})
		return object
	}
	return nil
}
