package routing

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"datasync-bridge/event"
)

// matchCompiler turns a match as written into conditions, once.
type matchCompiler struct {
	*compiler
	// noSeverity refuses the path severity: defaults.severity decides it.
	noSeverity bool
}

// compile returns the conditions in order of path, the type first because
// people read it first. It reports every fault with its path.
func (c matchCompiler) compile(at string, m Match) []condition {
	paths := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if (a == "type") != (b == "type") {
			if a == "type" {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	conditions := make([]condition, 0, len(paths))
	for _, path := range paths {
		here := at + "." + path
		if !c.path(here, path) {
			continue
		}
		if path == "severity" && c.noSeverity {
			c.fault(here, "severity is what this list decides; match on something else")
			continue
		}
		conditions = append(conditions, condition{
			path: path, slot: c.slot(path), tests: c.tests(here, path, m[path]),
		})
	}
	return conditions
}

// path reports whether a rule may name the path.
func (c *compiler) path(at, path string) bool {
	if problem := unknownPath(path); problem != "" {
		c.fault(at, problem)
		return false
	}
	return true
}

// unknownPath says why no event can have the path, or "".
func unknownPath(path string) string {
	if rest, raw := strings.CutPrefix(path, "data."); raw && rest != "" {
		return ""
	}
	if _, known := event.FieldAt(path); known {
		return ""
	}
	for _, f := range event.Schema {
		if strings.HasPrefix(f.Path, path+".") {
			return fmt.Sprintf("%q is a group of fields; write a whole path, such as %s", path, f.Path)
		}
	}
	names := make([]string, len(event.Schema))
	for i, f := range event.Schema {
		names[i] = f.Path
	}
	return fmt.Sprintf("no field named %q", path) + orElse(suggest(path, names),
		"; fields of the raw payload begin with data.")
}

func (c *compiler) tests(at, path string, written any) []test {
	m, ok := asMap(written)
	if !ok {
		return []test{{op: opIs, want: c.oneOf(at, path, written)}}
	}
	if len(m) == 0 {
		c.fault(at, "has no operator; write one of "+strings.Join(operators, ", ")+", or a value")
	}
	tests := make([]test, 0, len(m))
	for _, op := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(operators, op) {
			hint := suggest(op, operators)
			if _, known := event.FieldAt(path + "." + op); known {
				hint = fmt.Sprintf("; write the path in one key: %s.%s", path, op)
			}
			c.fault(at+"."+op, fmt.Sprintf("no operator named %q", op)+orElse(hint, "; use "+strings.Join(operators, ", ")))
			continue
		}
		tests = append(tests, c.test(at+"."+op, path, operator(op), m[op]))
	}
	return tests
}

func asMap(v any) (map[string]any, bool) {
	switch m := v.(type) {
	case map[string]any:
		return m, true
	case Match:
		return m, true
	}
	return nil, false
}

func (c *compiler) test(at, path string, op operator, written any) test {
	t := test{op: op}
	switch op {
	case opNot:
		t.want = c.oneOf(at, path, written)
	case opExists:
		var ok bool
		if t.exists, ok = written.(bool); !ok {
			c.fault(at, "must be true or false")
		}
	case opRegex:
		t.source, t.re = c.regex(at, path, written)
	default:
		v := valueOf(written)
		var ok bool
		if t.bound, ok = v.ordered(); !ok {
			c.fault(at, fmt.Sprintf("must be a number (got %s)", v.shown()))
		} else if f, _ := event.FieldAt(path); f.Kind != event.KindNumber && f.Kind != event.KindText {
			c.fault(at, fmt.Sprintf("compares numbers, and %s is none; use when", path))
		} else if path == "severity" {
			c.fault(at, "compares numbers; list the severities instead")
		}
	}
	return t
}

// matchesNothing stands in for a regex that does not compile.
var matchesNothing = regexp.MustCompile(`$.^`)

func (c *compiler) regex(at, path string, written any) (string, *regexp.Regexp) {
	source, ok := written.(string)
	if !ok {
		c.fault(at, "must be a text with a regular expression (RE2)")
		return "", matchesNothing
	}
	re, err := regexp.Compile(`\A(?:` + source + `)\z`)
	if _, plain := regexp.Compile(source); err != nil || plain != nil {
		c.fault(at, fmt.Sprintf("is no regular expression (RE2): %s", regexFault(plain, err)))
		return source, matchesNothing
	}
	if f, known := event.FieldAt(path); known && f.Kind != event.KindText && f.Kind != event.KindTexts {
		c.fault(at, fmt.Sprintf("compares texts, and %s is none", path))
	}
	return source, re
}

// regexFault prefers the message about the expression as written.
func regexFault(plain, anchored error) string {
	if plain != nil {
		return strings.TrimPrefix(plain.Error(), "error parsing regexp: ")
	}
	return strings.TrimPrefix(anchored.Error(), "error parsing regexp: ")
}

// oneOf reads a scalar or a list of them, each of the kind that the path holds.
func (c *compiler) oneOf(at, path string, written any) oneOf {
	var o oneOf
	literals, isList := written.([]any)
	if !isList {
		literals = []any{written}
	} else if len(literals) == 0 {
		c.fault(at, "is an empty list, which nothing can match; name a value or remove the key")
	}
	for i, literal := range literals {
		here := at
		if isList {
			here = fmt.Sprintf("%s[%d]", at, i)
		}
		literal, ok := c.literal(here, path, literal)
		if !ok {
			continue
		}
		if err := o.add(literal); err != nil {
			c.fault(here, err.Error())
		}
	}
	return o
}

// literal refuses what cannot be equal to what the path holds, and returns a
// type by its canonical name.
func (c *compiler) literal(at, path string, literal any) (any, bool) {
	if literal == nil {
		c.fault(at, "null is missing; write {exists: false}")
		return nil, false
	}
	if v := valueOf(literal); v.kind == isNumber {
		if _, ok := v.ordered(); !ok {
			c.fault(at, fmt.Sprintf("%s is no decimal number; if a text is meant, quote it", v.text))
			return nil, false
		}
	}
	field, known := event.FieldAt(path)
	if !known { // the raw payload: any kind
		return literal, true
	}
	switch v := literal.(type) {
	case string:
		return c.textLiteral(at, path, field.Kind, v)
	case bool:
		if field.Kind != event.KindFlag {
			c.fault(at, fmt.Sprintf("is true or false to YAML; if a text is meant, quote it: \"%t\"", v))
			return nil, false
		}
	case json.Number, int, float64:
		switch field.Kind {
		case event.KindNumber:
		case event.KindFlag:
			c.fault(at, "must be true or false")
			return nil, false
		default:
			c.fault(at, fmt.Sprintf("%v is a number to YAML, and %s is a text; quote it: \"%v\" as the partner or document spells it", v, path, v))
			return nil, false
		}
	}
	return literal, true
}

func (c *compiler) textLiteral(at, path string, kind event.Kind, v string) (any, bool) {
	switch kind {
	case event.KindFlag:
		c.fault(at, fmt.Sprintf("must be true or false, without quotes (got %q)", v))
		return nil, false
	case event.KindNumber:
		if _, ok := parseNumber(v); !ok {
			c.fault(at, fmt.Sprintf("must be a number (got %q)", v))
			return nil, false
		}
		return json.Number(v), true
	}
	switch path {
	case "type":
		return c.typeLiteral(at, v), true
	case "severity":
		c.word(at, v, "severity", []string{"info", "warning", "error", "critical"})
	case "environment":
		c.word(at, v, "environment", []string{string(event.Production), string(event.Sandbox)})
	case "origin":
		c.word(at, v, "origin", []string{
			string(event.OriginWebhook), string(event.OriginReconcile), string(event.OriginReplay),
		})
	case "class":
		c.word(at, v, "class", classes)
	}
	return v, true
}

// word refuses what is none of a closed list; a glob is left alone.
func (c *compiler) word(at, got, what string, words []string) {
	if g, _ := parseGlob(got); g != nil || slices.Contains(words, got) {
		return
	}
	c.fault(at, fmt.Sprintf("no %s named %q", what, got)+orElse(suggest(got, words), "; use "+strings.Join(words, ", ")))
}

var classes = func() []string {
	names := make([]string, 0, 20)
	for _, c := range event.Categories {
		names = append(names, string(c))
	}
	for _, c := range []event.Class{
		event.MDNTimeout, event.MDNNegative, event.FunctionalReject, event.AckOverdue, event.SLA,
		event.AutomationFault, event.QuarantineClass, event.UnknownClass, event.BridgeClass,
	} {
		names = append(names, string(c))
	}
	return names
}()

// typeLiteral returns the canonical name, and warns of what looks like a
// misspelled type. Types that the mapping does not list are allowed: platforms
// grow.
func (c *compiler) typeLiteral(at, name string) string {
	g, plain := parseGlob(name)
	if g != nil {
		c.typeGlob(at, name, g)
		return name
	}
	if canonical, ok := c.names.Aliases[plain]; ok {
		return canonical
	}
	if hint := c.typeTypo(plain); hint != "" {
		c.warn(at, fmt.Sprintf("the mapping lists no type %q", plain)+hint)
	}
	return name
}

func (c *compiler) typeTypo(name string) string {
	if len(c.names.Types) == 0 || slices.Contains(c.names.Types, name) {
		return ""
	}
	return suggest(name, append(slices.Sorted(maps.Keys(c.names.Aliases)), c.names.Types...))
}

// typeGlob warns of a glob that fits only aliases: events carry canonical names.
func (c *compiler) typeGlob(at, pattern string, g *glob) {
	if slices.ContainsFunc(c.names.Types, g.match) {
		return
	}
	for _, alias := range slices.Sorted(maps.Keys(c.names.Aliases)) {
		if g.match(alias) {
			c.warn(at, fmt.Sprintf("%q fits no type, only the alias %q; write its canonical name %q",
				pattern, alias, c.names.Aliases[alias]))
			return
		}
	}
}
