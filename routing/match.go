package routing

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// condition is one key of a match: every test must hold for what the path holds.
type condition struct {
	path string
	// slot is where an evaluation keeps the path's value.
	slot  int
	tests []test
}

// test is one operator; a scalar or a list is operator opIs.
type test struct {
	op operator
	// want is for opIs and opNot.
	want oneOf
	// bound is for the order operators.
	bound float64
	// re is for opRegex: anchored at both ends. source is as written.
	re     *regexp.Regexp
	source string
	// exists is for opExists.
	exists bool
}

// operator is a key of an operator map.
type operator string

const (
	opIs     operator = "" // a scalar or a list, not in an operator map
	opNot    operator = "not"
	opGTE    operator = "gte"
	opGT     operator = "gt"
	opLTE    operator = "lte"
	opLT     operator = "lt"
	opRegex  operator = "regex"
	opExists operator = "exists"
)

var operators = []string{
	string(opNot), string(opGTE), string(opGT), string(opLTE), string(opLT), string(opRegex), string(opExists),
}

// holds reports whether every test holds.
func (c *condition) holds(v *value) bool {
	for i := range c.tests {
		t := &c.tests[i]
		// Most tests ask whether a text is one of a few: that needs no copies.
		if v.kind == isText && t.op == opIs && len(t.want.few) > 0 {
			if !slices.Contains(t.want.few, v.text) {
				return false
			}
			continue
		}
		if !t.holds(*v) {
			return false
		}
	}
	return true
}

// holds reports whether the operator holds. What is missing passes only "not"
// and "exists: false"; of a list any element will do.
func (t *test) holds(v value) bool {
	switch t.op {
	case opIs:
		return v.kind != isMissing && v.any(t.want.has)
	case opNot:
		return v.kind == isMissing || !v.any(t.want.has)
	case opExists:
		return t.exists == (v.kind != isMissing)
	case opRegex:
		return v.any(func(e value) bool { return e.kind == isText && t.re.MatchString(e.text) })
	default:
		return v.any(func(e value) bool {
			n, ok := e.ordered()
			return ok && inOrder(t.op, n, t.bound)
		})
	}
}

func inOrder(op operator, n, bound float64) bool {
	switch op {
	case opGTE:
		return n >= bound
	case opGT:
		return n > bound
	case opLTE:
		return n <= bound
	default:
		return n < bound
	}
}

// fewTexts is up to how many a list is quicker than a map.
const fewTexts = 4

// oneOf is a list of alternatives, sorted by kind.
type oneOf struct {
	// few are the texts where they are at most fewTexts and no glob is among
	// them: quicker to go through than to look up.
	few     []string
	texts   map[string]struct{}
	globs   []*glob
	numbers []value
	// flags holds whether false and true are among them.
	flags [2]bool
	shown []string
}

func (o *oneOf) has(v value) bool {
	switch v.kind {
	case isText:
		if _, ok := o.texts[v.text]; ok {
			return true
		}
		for _, g := range o.globs {
			if g.match(v.text) {
				return true
			}
		}
	case isNumber:
		for _, n := range o.numbers {
			if equalNumbers(n, v) {
				return true
			}
		}
	case isFlag:
		if v.flag {
			return o.flags[1]
		}
		return o.flags[0]
	}
	return false
}

// add takes one literal: string (perhaps a glob), bool, or a number.
func (o *oneOf) add(literal any) error {
	v := valueOf(literal)
	switch v.kind {
	case isText:
		g, plain := parseGlob(v.text)
		if g != nil {
			o.globs = append(o.globs, g)
			break
		}
		if o.texts == nil {
			o.texts = make(map[string]struct{}, 1)
		}
		o.texts[plain] = struct{}{}
	case isNumber:
		o.numbers = append(o.numbers, v)
	case isFlag:
		o.flags[map[bool]int{false: 0, true: 1}[v.flag]] = true
	default:
		return fmt.Errorf("must be a text, a number or true/false (got %s)", kindName(literal))
	}
	if n, ok := literal.(json.Number); ok {
		o.shown = append(o.shown, n.String())
	} else {
		o.shown = append(o.shown, fmt.Sprint(literal))
	}
	o.few = nil
	if len(o.globs) == 0 && len(o.texts) <= fewTexts {
		o.few = slices.Sorted(maps.Keys(o.texts))
	}
	return nil
}

func kindName(literal any) string {
	switch literal.(type) {
	case nil:
		return "null"
	case map[string]any, Match:
		return "a map"
	case []any:
		return "a list in a list"
	}
	return fmt.Sprintf("%v", literal)
}

// String is the test as a person would write it.
func (t *test) String() string {
	switch t.op {
	case opIs:
		return shortList(t.want.shown)
	case opNot:
		return "not " + shortList(t.want.shown)
	case opExists:
		return "exists: " + strconv.FormatBool(t.exists)
	case opRegex:
		return "regex " + t.source
	default:
		return string(t.op) + " " + formatNumber(t.bound)
	}
}

func shortList(of []string) string {
	const most = 6
	if len(of) > most {
		return strings.Join(of[:most], ", ") + fmt.Sprintf(" or %d more", len(of)-most)
	}
	if len(of) > 1 {
		return strings.Join(of[:len(of)-1], ", ") + " or " + of[len(of)-1]
	}
	return strings.Join(of, "")
}

// why says what a person could miss about a test that does not hold, or "".
func (t *test) why(v value) string {
	switch t.op {
	case opIs:
		switch {
		case v.kind == isMissing:
			return "the event has no such field"
		case v.kind == isText && len(t.want.numbers) > 0 && len(t.want.texts) == 0:
			return "the event has a text, the rule a number; quote the value in the rule"
		case v.kind == isNumber && len(t.want.texts) > 0 && len(t.want.numbers) == 0:
			return "the event has a number, the rule a text; write the value without quotes"
		case v.kind == isText && t.want.flags != [2]bool{}:
			return "true and false compare only with true and false, not with a text"
		case v.kind == isObject:
			return "the event has an object there; name a path inside it"
		}
	case opRegex:
		switch {
		case v.kind == isMissing:
			return "the event has no such field"
		case !v.any(func(e value) bool { return e.kind == isText }):
			return "a regex compares texts only"
		}
	case opGTE, opGT, opLTE, opLT:
		switch {
		case v.kind == isMissing:
			return "the event has no such field"
		case !v.any(func(e value) bool { _, ok := e.ordered(); return ok }):
			return "order operators compare numbers and numeric texts only"
		}
	}
	return ""
}
