package routing

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"datasync-bridge/event"
)

const body = `{
	"n": 3, "big": 9007199254740993, "huge": 1e400, "digits": "12.5", "hex": "0x10", "inf": "Inf",
	"yes": true, "yesText": "true", "nothing": null, "empty": "", "word": "Über",
	"tags": ["a", "mdn.late", 3], "none": [], "nulls": [null], "nested": [["a"]], "levels": ["1", "9"],
	"obj": {"a": 1, "b.c": "dotted"}, "star": "5*"
}`

func num(s string) json.Number { return json.Number(s) }

// op is an operator map of name, value, name, value, …
func op(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

type matchCase struct {
	name  string
	match Match
	want  bool
}

// matchCases are asked of failure() with body.
var matchCases = []matchCase{
	{"4: an empty match matches everything", Match{}, true},
	{"4: a canonical name", Match{"type": "transaction.failed"}, true},
	{"4: keys are AND", Match{"type": "transaction.failed", event.DocumentType: "810"}, false},
	{"4: list values are OR", Match{event.DocumentType: []any{"810", "856"}}, true},
	{"4: operators are AND, both hold", Match{event.Amount: op("gte", num("100"), "lt", num("20000"))}, true},
	{"4: operators are AND, one does not", Match{event.Amount: op("gte", num("100"), "lt", num("12500"))}, false},
	{"4: not with a list", Match{event.DocumentType: op("not", []any{"810", "850"})}, true},
	{"4: not with a list that has it", Match{event.DocumentType: op("not", []any{"810", "856"})}, false},
	{"4: not with a glob", Match{event.DocumentType: op("not", "8*")}, false},

	{"5: own fields", Match{"source": "datasync", "environment": "production", "class": "connectivity", "origin": "webhook"}, true},
	{"5: the amount is a number", Match{event.Amount: num("12500")}, true},
	{"5: a reference of any name", Match{"transaction.references.bol": "BOL-1"}, true},
	{"5: the raw payload", Match{"data.obj.a": num("1")}, true},
	{"5: a payload key with dots", Match{"data.obj.b.c": "dotted"}, true},

	{"6: missing: equality", Match{"error.code": "X"}, false},
	{"6: missing: glob", Match{"error.code": "*"}, false},
	{"6: missing: regex", Match{"error.code": op("regex", ".*")}, false},
	{"6: missing: order", Match{"attempt.max": op("lt", num("10"))}, false},
	{"6: missing: not", Match{"error.code": op("not", "X")}, true},
	{"6: missing: exists false", Match{"error.code": op("exists", false)}, true},
	{"6: missing: exists true", Match{"error.code": op("exists", true)}, false},
	{"6: present: exists true", Match{event.DocumentType: op("exists", true)}, true},
	{"6: null is missing", Match{"data.nothing": op("exists", false)}, true},
	{"6: null is missing for not", Match{"data.nothing": op("not", "x")}, true},
	{"6: empty text is present", Match{"data.empty": ""}, true},
	{"6: order takes numeric text", Match{"data.digits": op("gt", num("12"))}, true},
	{"6: the bound may be numeric text", Match{"data.digits": op("lte", "12.5")}, true},
	{"6: order of a word is false", Match{"data.word": op("gte", num("0"))}, false},
	{"6: order of a boolean is false", Match{"data.yes": op("gte", num("0"))}, false},
	{"6: hexadecimal is no number", Match{"data.hex": op("gte", num("0"))}, false},
	{"6: Inf is no number", Match{"data.inf": op("gte", num("0"))}, false},
	{"6: a number out of range has no order", Match{"data.huge": op("gte", num("0"))}, false},

	{"7: case counts", Match{event.Currency: "usd"}, false},
	{"7: 3 = 3.0", Match{"data.n": num("3.0")}, true},
	{"7: 3 = 3e0", Match{"data.n": num("3e0")}, true},
	{"7: large integers by their digits", Match{"data.big": num("9007199254740992")}, false},
	{"7: large integers, equal", Match{"data.big": num("9007199254740993")}, true},
	{"7: a number is no text", Match{"data.n": "3"}, false},
	{"7: a text is no number", Match{"data.digits": num("12.5")}, false},
	{"7: booleans with booleans", Match{"data.yes": true, event.AttemptFinal: true}, true},
	{"7: the other boolean", Match{"data.yes": false}, false},
	{"7: true is no text", Match{"data.yesText": true}, false},
	{"7: a text is no boolean", Match{"data.yes": "true"}, false},
	{"7: any element of an array", Match{"data.tags": "a"}, true},
	{"7: any element, a number", Match{"data.tags": num("3")}, true},
	{"7: any element, glob", Match{"data.tags": "mdn.*"}, true},
	{"7: any element of a field", Match{"acknowledgment.codes": "E5"}, true},
	{"7: any element, order", Match{"data.levels": op("gt", num("8"))}, true},
	{"7: any element, regex", Match{"data.tags": op("regex", "mdn\\..*")}, true},
	{"7: not of an array that has it", Match{"data.tags": op("not", "a")}, false},
	{"7: an empty array", Match{"data.none": "a"}, false},
	{"7: an array of null", Match{"data.nulls": "*"}, false},
	{"7: an array in an array", Match{"data.nested": "a"}, false},
	{"7: an object equals nothing", Match{"data.obj": "*"}, false},
	{"7: glob over dots", Match{"type": "trans*ed"}, true},
	{"7: glob of an empty run", Match{event.DocumentType: "856*"}, true},
	{"7: an escaped star", Match{"data.star": `5\*`}, true},
	{"7: an escaped star is no glob", Match{event.DocumentType: `85\*`}, false},
	{"7: mdn.* is not mdn", Match{"type": "transaction.failed.*"}, false},
	{"7: regex is anchored", Match{"type": op("regex", "transaction")}, false},
	{"7: alternatives are anchored too", Match{"type": op("regex", "transaction|failed")}, false},
	{"7: regex over the whole", Match{"type": op("regex", "transaction\\.(failed|rejected)")}, true},
	{"7: regex begins with a fixed part", Match{"data.word": op("regex", "Ü.*")}, true},
	{"7: regex ignores case where it says so", Match{event.Currency: op("regex", "(?i)usd")}, true},
}

func TestRouting4_KeysListsAndOperators(t *testing.T)            { matchLanguage(t, 4) }
func TestRouting5_PathsNameFieldsOrThePayload(t *testing.T)      { matchLanguage(t, 5) }
func TestRouting6_WhatIsMissingHoldsOnlyWhereAsked(t *testing.T) { matchLanguage(t, 6) }
func TestRouting7_TextNumbersArraysGlobsAndRegex(t *testing.T)   { matchLanguage(t, 7) }

// matchLanguage runs the cases of one number.
func matchLanguage(t *testing.T, number int) {
	t.Helper()
	ran := 0
	for _, tt := range matchCases {
		if !strings.HasPrefix(tt.name, fmt.Sprint(number, ": ")) {
			continue
		}
		ran++
		t.Run(tt.name, func(t *testing.T) {
			d := decide(t, failure(withData(t, body)), Rule{Match: tt.match, Notify: []string{"archive"}})
			if got := matched(d) == "a"; got != tt.want {
				t.Errorf("%v matches: %t, want %t", tt.match, got, tt.want)
			}
		})
	}
	if ran == 0 {
		t.Fatalf("there is no case of rule %d", number)
	}
}

func TestRouting4_AliasesMeanTheirCanonicalName(t *testing.T) {
	ev := failure(typed("sla.violated", event.Open, event.SLA))
	for _, m := range []Match{
		{"type": "sla.missed"},
		{"type": []any{"mdn.timeout", "sla.missed"}},
	} {
		wantMatched(t, decide(t, ev, Rule{Match: m}), "a")
	}
	wantMatched(t, decide(t, ev, Rule{Match: Match{"type": map[string]any{"not": "sla.missed"}}}), "")
	for when, want := range map[string]string{
		`type == "sla.missed"`:         "a",
		`"sla.missed" == type`:         "a",
		`type in ["x", "sla.missed"]`:  "a",
		`type != "sla.missed"`:         "",
		`not (type == "sla.violated")`: "",
	} {
		wantMatched(t, decide(t, ev, Rule{When: when}), want)
	}
}

// TestRouting7_GlobIsTheNaiveOne holds the linear matcher against the plainest
// one that there is.
func TestRouting7_GlobIsTheNaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab.*\\]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[ab.*\\]{0,12}`).Draw(t, "text")
		got := func() bool {
			g, plain := parseGlob(pattern)
			if g == nil {
				return plain == s
			}
			return g.match(s)
		}()
		if want := naiveGlob(pattern, s); got != want {
			t.Fatalf("glob %q on %q: %t, want %t", pattern, s, got, want)
		}
	})
}

func naiveGlob(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case strings.HasPrefix(pattern, `\*`):
		return strings.HasPrefix(s, "*") && naiveGlob(pattern[2:], s[1:])
	case pattern[0] == '*':
		return naiveGlob(pattern[1:], s) || s != "" && naiveGlob(pattern, s[1:])
	}
	return s != "" && s[0] == pattern[0] && naiveGlob(pattern[1:], s[1:])
}

// TestTheIndexNamesEveryRuleThatMatches holds the index against asking every
// rule, which is what Trace does.
func TestTheIndexNamesEveryRuleThatMatches(t *testing.T) {
	texts := []string{"a", "ab", "abc", "b", "ba", "a*", "ab*", "*b", "*", `a\*`}
	paths := []string{"data.x", "data.y", "data.z", event.PartnerID}
	rapid.Check(t, func(t *rapid.T) {
		literal := rapid.SampledFrom(texts)
		condition := rapid.Custom(func(t *rapid.T) any {
			switch rapid.IntRange(0, 5).Draw(t, "form") {
			case 0:
				return map[string]any{"regex": rapid.SampledFrom([]string{"a.*", "ab?", "(a|b)", "^b", "(?i)AB", "a|ba"}).Draw(t, "regex")}
			case 1:
				return map[string]any{"not": literal.Draw(t, "not")}
			case 2, 3:
				list := rapid.SliceOfN(literal, 1, 3).Draw(t, "list")
				l := make([]any, len(list))
				for i, s := range list {
					l[i] = s
				}
				return l
			default:
				return literal.Draw(t, "text")
			}
		})
		rules := make([]Rule, rapid.IntRange(1, 8).Draw(t, "rules"))
		for i := range rules {
			rules[i].Name = string(rune('a' + i))
			rules[i].Match = rapid.MapOfN(rapid.SampledFrom(paths), condition, 1, 3).Draw(t, "match")
		}
		tab, problems := Compile(Config{Defaults: Defaults{Notify: []string{"slack"}}, Rules: rules}, names())
		if tab == nil {
			t.Fatalf("%+v", problems)
		}
		plain := rapid.SampledFrom([]string{"a", "ab", "abc", "b", "ba", "a*", "AB", ""})
		ev := failure(with(event.PartnerID, plain.Draw(t, "partner")))
		ev.Data = map[string]any{}
		for _, key := range []string{"x", "y", "z"} {
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				ev.Data[key] = plain.Draw(t, key)
			case 1:
				ev.Data[key] = []any{plain.Draw(t, key), json.Number("3"), plain.Draw(t, key)}
			}
		}
		if got, want := matched(tab.Decide(ev)), matched(tab.Trace(ev).Decision); got != want {
			t.Fatalf("the index leads to %q, asking every rule to %q", got, want)
		}
	})
}
