package mapping_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"datasync-bridge/receiver/mapping"
)

// Values that the grammar of RFC 8259 allows.
var validValues = []string{
	`null`, `true`, `false`, `0`, `-0`, `1`, `-1`, `10`, `0.0`, `-0.5`, `1.25`, `0e0`, `1e1`, `1E1`, `1e+1`, `1e-1`, `1.5e300`, `-1.5E-300`,
	`123456789012345678901234567890`, `0.1234567890123456789012345678901234567890`, `1e400`, `-1e400`, `1e-400`, `9007199254740993`,
	`""`, `"a"`, `" "`, `"\""`, `"\\"`, `"\/"`, `"\b\f\n\r\t"`, `"\u0041"`, `"\u0000"`, `"\u001f"`, `"\u20ac"`, `"\uD834\uDD1E"`, `"\ud834\udd1e"`,
	`"\\u0041"`, `"\\\""`, `"/"`, `"'"`, `"€"`, `"𝄞"`, "\"\u007f\"", "\"\u0080\"", "\"\u2028\u2029\"", "\"\ufeff\"", "\"\U0010ffff\"", `"\uFFFE\uFFFF"`,
	`[]`, `[ ]`, `[1]`, `[1,2]`, `[null,true,false]`, `[[]]`, `[{}]`, `["",0]`, "[\t1\n,\r2 ]", `{}`, `{ }`, `{"a":1}`, `{"a":{}}`, `{"a":[]}`, `{"":0}`,
	`{"a b":1}`, `{"a":1,"b":2}`, `{"\u0061":1}`, `{"a\n":1}`, `{"a\u0000b":1}`, "{\t\"a\"\n:\r1 }", `{"a.b":1}`, `{"a*?":1}`, `{"@this":1}`, `{"#":1}`,
}

// Values that it does not.
var invalidValues = []string{
	``, ` `, `nul`, `nulll`, `NULL`, `True`, `tru`, `fals`, `undefined`, `NaN`, `nan`, `Infinity`, `-Infinity`, `+Infinity`, `Inf`, `-`, `+1`, `--1`, `-+1`,
	`01`, `-01`, `00`, `0x1`, `0b1`, `1_000`, `1,000`, `.5`, `-.5`, `5.`, `1.e1`, `1e`, `1e+`, `1e-`, `1E`, `e1`, `1e1.5`, `1.2.3`, `1 2`, `1a`, `0a`, `1f`, `1L`, `٣`, `１`,
	`'a'`, `"a`, `a"`, `"`, `"\"`, `"\`, `"\x41"`, `"\a"`, `"\0"`, `"\'"`, `"\u"`, `"\u0"`, `"\u00"`, `"\u004"`, `"\u004g"`, `"\U0041"`, `"\u 041"`, `"\u+041"`, `"a" "b"`, `"a"b`,
	"\"\n\"", "\"\r\"", "\"\t\"", "\"\x00\"", "\"\x1f\"", "\"a\nb\"", "\"\\\n\"", "“a”", "`a`", `"a\`,
	`[`, `]`, `[1`, `1]`, `[1,]`, `[,1]`, `[,]`, `[1,,2]`, `[1 2]`, `[1:2]`, `[1;2]`, `[}`, `[1}`, `[[]`, `[]]`, `["a]`, `[a]`, `[1]x`, `(1)`, `<1>`,
	`{`, `}`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{,"a":1}`, `{"a" 1}`, `{"a",1}`, `{"a"::1}`, `{"a":1 "b":2}`, `{"a":1,,"b":2}`, `{"a":1;"b":2}`,
	`{a:1}`, `{'a':1}`, `{1:1}`, `{null:1}`, `{[]:1}`, `{"a":1]`, `{"a":}`, `{:1}`, `{"a":1}}`, `{{}}`, `{"a":1}{"b":2}`, `{"a"=1}`, `{"a"=>1}`, "{\"a\n\":1}", `{"a":b}`, `{"a\`, `{"\u00":1}`,
	`/* */1`, `1/* */`, `1//`, `//`, `#`, `1 #`, `[1/**/]`, `<!-- -->`, "\ufeff1", "\u00a01", "1\u00a0", "\u20281", "\x0c1", "\x0b1", "1\x00", "\x001", "\x00", "\xef\xbb", "\xff\xfe1\x00",
}

// Values on which readers of JSON differ. Each says what the bridge does.
var disputedValues = []struct{ value, does string }{
	{`{"a":1,"a":2}`, "the first of two equal keys counts"},
	{`{"a":1,"\u0061":2}`, "keys are equal by what they say, not by how it is written"},
	{"\"\xff\"", "invalid UTF-8 becomes U+FFFD"},
	{"\"\xc3\x28\"", "a broken sequence becomes U+FFFD"},
	{"\"\xc0\x80\"", "an overlong form becomes U+FFFD"},
	{"\"\xe0\x80\xaf\"", "an overlong form becomes U+FFFD"},
	{"\"\xed\xa0\x80\"", "a surrogate in UTF-8 becomes U+FFFD"},
	{"\"\xf4\x90\x80\x80\"", "what is beyond Unicode becomes U+FFFD"},
	{"\"\xe2\x82\"", "a sequence that is cut becomes U+FFFD"},
	{"\"\x80\"", "a lone continuation becomes U+FFFD"},
	{"{\"\xff\":1,\"\xfe\":2}", "in keys as well, and so two broken keys are equal"},
	{`"\ud800"`, "a lone surrogate becomes U+FFFD"},
	{`"\udc00"`, "a lone surrogate becomes U+FFFD"},
	{`"\ud800\ud800"`, "two halves of one side become U+FFFD"},
	{`"\udd1e\ud834"`, "halves in the wrong order become U+FFFD"},
	{`"\ud800a"`, "a half before a letter becomes U+FFFD"},
	{`"\ud800\n"`, "a half before an escape becomes U+FFFD"},
	{`"\uDBFF\u0041"`, "a half before another character becomes U+FFFD"},
	{strings.Repeat("9", 5000), "digits are kept as they are written"},
	{"1e" + strings.Repeat("9", 100), "an exponent beyond float64 is kept as it is written"},
	{"0." + strings.Repeat("0", 400) + "1", "so is what is too small for it"},
	{strings.Repeat("[", 60) + strings.Repeat("]", 60), "63 levels are read"},
}

// TestTheTwoReadersOfABodyAgreeOnEveryCase puts each case where a value may
// stand: in a field that is not looked at, in those that are, in a list, under
// equal keys, and as the whole body. Both readers, the one that accepts and the
// one that plans, must say the same, and of validity the same as encoding/json.
func TestTheTwoReadersOfABodyAgreeOnEveryCase(t *testing.T) {
	m := twoReadings(t)
	cases := 0
	each := func(value string, wantValid bool, why string) {
		for _, place := range []string{
			`{"type":"a.b","x":%s}`, `{"x":%s,"type":"a.b"}`, `{"type":"a.b","data":[0,%s]}`, `{"type":"a.b","data":{"x":{"y":%s}}}`,
			`{"type":"a.b","id":%s}`, `{"type":"a.b","id":"1","id":%s}`, `{"type":%s,"event_type":"a.b"}`, `{"type":"a.b","environment":%s}`,
			`{"type":"a.b","created_at":%s}`, " \t\r\n{ \"type\" : \"a.b\" , \"x\" : %s } \n",
		} {
			body := fmt.Sprintf(place, value)
			cases++
			alike(t, m, body)
			p, err := m.Probe([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			taken := p.Quarantine != "the body is not JSON"
			if taken != wantValid || taken != json.Valid([]byte(body)) {
				t.Errorf("%.100q: taken for JSON %v, want %v (encoding/json says %v) %s", body, taken, wantValid, json.Valid([]byte(body)), why)
			}
		}
		cases++
		alike(t, m, value)
	}
	for _, v := range validValues {
		each(v, true, "")
	}
	for _, v := range invalidValues {
		each(v, false, "")
	}
	for _, d := range disputedValues {
		each(d.value, true, d.does)
	}
	if n := len(validValues) + len(invalidValues) + len(disputedValues); n < 240 || cases < 2500 {
		t.Errorf("only %d values in %d bodies", n, cases)
	}
}

// What the table says of disputed values holds of what is read.
func TestDisputedValuesAreReadAsTheTableSays(t *testing.T) {
	m := mustNew(t, mapping.Config{Paths: map[string][]string{"transaction.id": {"x.a", "x"}}})
	for body, want := range map[string]string{
		`{"type":"t","x":{"a":"1","a":"2"}}`:      "1",
		`{"type":"t","x":{"a":"1","\u0061":"2"}}`: "1",
		"{\"type\":\"t\",\"x\":\"a\xffb\"}":       "a\ufffdb",
		"{\"type\":\"t\",\"x\":\"a\xc0\x80b\"}":   "a\ufffdb",
		`{"type":"t","x":"a\ud800b"}`:             "a\ufffdb",
		`{"type":"t","x":"\ud834\udd1e"}`:         "𝄞",
	} {
		if got := normalize(t, m, body).Text("transaction.id"); got != want {
			t.Errorf("%q is read as %q, want %q", body, got, want)
		}
	}
}
