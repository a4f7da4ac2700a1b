package routing

import (
	"fmt"
	"strings"
	"testing"

	"datasync-bridge/event"
)

func TestRouting4_Conditions(t *testing.T) {
	for _, tt := range []struct {
		when string
		want bool
	}{
		{`transaction.amount > 10000 && transaction.currency == "USD"`, true},
		{`transaction.amount < 10000`, false},
		{`transaction.document_type in ["856", "DESADV"]`, true},
		{`partner.id startsWith "par_"`, true},
		{`sla.due_at - received_at < duration("2h")`, true},
		{`sla.due_at - received_at < duration("30m")`, false},
		{`received_at.Hour() == 14`, true},
		{`"E5" in acknowledgment.codes`, true},
		{`transaction.references.bol == "BOL-1"`, true},
		{`transaction.references.seal == "X"`, false},
		{`attempt.final`, true},
		{`attempt.number == 3`, true},
		{`data.n == 3 && data.obj.a < 2`, true},
		{`data.digits == "12.5"`, true},
		{`any(data.tags, # == "a")`, true},
		{`data?.no?.such?.key == "x"`, false},
		{`type matches "^transaction\\."`, true},
		{`environment == "production" and class == "connectivity" and severity == "error"`, true},
		// what is missing is nil: it equals no text and no number
		{`error.code == "X"`, false},
		{`error.code != "X"`, true},
		{`error.code in ["X"]`, false},
		{`error.code == nil`, true},
		{`attempt.max == 0`, false},
		{`(attempt.max ?? 7) == 7`, true},
		{`mdn.late`, false},
		{`mdn.late == false`, false},
		{`error.message contains "X"`, false},
	} {
		t.Run(tt.when, func(t *testing.T) {
			d := decide(t, failure(withData(t, body)), Rule{When: tt.when, Notify: []string{"archive"}})
			if len(d.Errors) > 0 {
				t.Fatalf("errors %q", d.Errors)
			}
			if got := matched(d) == "a"; got != tt.want {
				t.Errorf("holds: %t, want %t", got, tt.want)
			}
		})
	}
}

func TestRouting4_AConditionThatFailsDidNotMatchIsCountedAndTold(t *testing.T) {
	for _, when := range []string{
		`transaction.amount < 10000`,
		`transaction.amount * 2 > 1`,
		`not mdn.late`,
		`data.no.such == 1`,
		`sla.violated_at < received_at`,
		`1..1000000 == data.n`,
	} {
		t.Run(when, func(t *testing.T) {
			d := decide(t, failure(without(event.Amount)),
				Rule{When: when, Notify: []string{"archive"}},
				Rule{Match: Match{"type": "transaction.failed"}, Notify: []string{"pager"}})
			wantMatched(t, d, "b")
			wantTold(t, d, "pager slack")
			if len(d.Errors) != 1 || !strings.HasPrefix(d.Errors[0], `rule "a" (line 10): when: `) {
				t.Errorf("errors %q", d.Errors)
			}
			if strings.Contains(d.Errors[0], "<nil>") {
				t.Errorf("the error speaks of nil: %q", d.Errors[0])
			}
			wantReason(t, d, "because a condition failed")
		})
	}
}

func TestRouting4_AConditionIsNotReachedWhereTheMatchDoesNotHold(t *testing.T) {
	d := decide(t, failure(without(event.Amount)),
		Rule{Match: Match{"type": "mdn.timeout"}, When: "transaction.amount < 1", Notify: []string{"pager"}})
	if len(d.Errors) > 0 {
		t.Errorf("errors %q", d.Errors)
	}
}

func TestRouting4_ATypoInAConditionIsALoadErrorWithItsPlace(t *testing.T) {
	for _, tt := range []struct {
		when      string
		line, col int
		text      string
	}{
		{`tpye == "x"`, 1, 1, `no field named "tpye"; did you mean "type"?`},
		{`transaction.amout > 1`, 1, 13, `no field named "transaction.amout"; did you mean "transaction.amount"?`},
		{"type == \"mdn.timeout\" &&\n  transaction.document_typ == \"856\"", 2, 15, `did you mean "transaction.document_type"?`},
		{`transaction?.amout > 1`, 1, 14, `did you mean "transaction.amount"?`},
		{`transaction.amount == "x"`, 1, 20, "mismatched types float64 and string"},
		{`transaction.currency > 3`, 1, 22, "mismatched types string and int"},
		{`sla.due_at < "2026"`, 1, 12, "mismatched types time.Time and string"},
		{`type ==`, 1, 7, "unexpected token EOF"},
		{`transaction.amount`, 1, 1, "expected bool, but got float64"},
		{`received_at < now()`, 1, 15, "now() is not available in conditions; received_at is the time of the event"},
		{`get(transaction, "amout") == 1`, 1, 1, "get() is not available in conditions"},
		{`reduce(1..40, #acc + #acc, "x") != ""`, 1, 1, "reduce() is not available in conditions"},
		{`$env.tpye == "x"`, 1, 1, "$env is not available"},
		{`let a = error.message; a == "x"`, 1, 1, "let is not available"},
		{`map(data.tags, #)[0] == "x"`, 1, 1, "map() is not available in conditions"},
		{`replace(type, "a", type) == "x"`, 1, 1, "replace() is not available in conditions"},
		{`toJSON(data) == "x"`, 1, 1, "toJSON() is not available in conditions"},
		{`all(data.a, any(data.b, # == 1))`, 1, 25, "a predicate in a predicate"},
		{`customers.id == "x"`, 1, 1, `no field or function named "customers"`},
		{`received_at.Foo() == 1`, 1, 13, "has no method Foo"},
		{`type matches "("`, 1, 6, "missing closing )"},
		{strings.Repeat("true && ", 400) + "true", 1, 1, "exceeds maximum allowed nodes"},
	} {
		t.Run(tt.when[:min(40, len(tt.when))], func(t *testing.T) {
			p := wantProblem(t, problemsOf(config(Rule{When: tt.when})), "rules[0].when", tt.text)
			if p.Line != tt.line || p.Warning {
				t.Errorf("%q: %d:%d (warning %t), want line %d", p.Text, p.Line, p.Col, p.Warning, tt.line)
			}
			if tt.col > 1 && p.Col != tt.col {
				t.Errorf("%q: column %d, want %d", p.Text, p.Col, tt.col)
			}
		})
	}
}

func TestRouting4_EveryTypoOfAConditionIsTold(t *testing.T) {
	problems := problemsOf(config(Rule{When: `tpye == "a" || partner.ide == "b" || transaction.curency == "c"`}))
	for _, part := range []string{`"type"`, `"partner.id"`, `"transaction.currency"`} {
		wantProblem(t, problems, "rules[0].when", "did you mean "+part)
	}
	if len(problems) != 3 {
		t.Errorf("%d problems, want 3: %+v", len(problems), problems)
	}
}

func TestRouting4_AConditionWarnsOfAMisspelledType(t *testing.T) {
	p := wantProblem(t, problemsOf(config(Rule{When: `type == "transaction.faild"`})), "rules[0].when",
		`did you mean "transaction.failed"?`)
	if !p.Warning || p.Line != 1 || p.Col != 9 {
		t.Errorf("%+v, want a warning at 1:9", p)
	}
}

func TestConditionsSeeListsUpToABound(t *testing.T) {
	many := make([]string, 5*maxElements)
	for i := range many {
		many[i] = "x"
	}
	quoted := `"` + strings.Join(many, `","`) + `"`
	ev := failure(withData(t, fmt.Sprintf(`{"list": [%s], "in": [{"list": [%s]}]}`, quoted, quoted)),
		with("acknowledgment.codes", many))
	for _, path := range []string{"data.list", "data.in[0].list", "acknowledgment.codes"} {
		wantMatched(t, decide(t, ev, Rule{When: fmt.Sprintf("len(%s) == %d", path, maxElements)}), "a")
	}
	if len(ev.Data["list"].([]any)) != len(many) {
		t.Error("the event itself was cut")
	}
}

func TestConditionsOfOneEventSeeNothingOfAnother(t *testing.T) {
	tab := table(t, config(Rule{When: `error.code == "X" || partner.contact.name == "X" || data?.a == 1`}))
	leave := failure(with(event.ErrorCode, "X"), with(event.ContactName, "X"), withData(t, `{"a": 1}`))
	wantMatched(t, decideBy(t, tab, leave), "a")
	wantMatched(t, decideBy(t, tab, failure()), "")
}

// TestNoPayloadMakesAConditionRunLong gives conditions that look at much what is
// at most as long as they may see, nested, listed and matched.
func TestNoPayloadMakesAConditionRunLong(t *testing.T) {
	long := strings.Repeat("a", 1<<20)
	list := `["` + strings.Repeat(long[:1000]+`","`, 5000) + `"]`
	ev := failure(withData(t, fmt.Sprintf(`{"text": %q, "list": %s}`, long, list)), with(event.ErrorMessage, long))
	for when, want := range map[string]string{
		`len(data.text) == 16384 && len(error.message) == 16384`:                   "a",
		`all(data.list, # matches "(a|aa)+$") && count(data.list, len(#) > 5) > 1`: "a",
		`any(filter(filter(data.list, len(#) > 1), len(#) > 2), # == "b")`:         "",
		`len(join(split(data.text, ""), "aaaaaaaaaaaaaaaaaaaaaaaa")) > 1`:          "a",
	} {
		wantMatched(t, decide(t, ev, Rule{When: when, Notify: []string{"archive"}}), want)
	}
	for _, name := range inConditions {
		if !isFunction(name) {
			t.Errorf("the language has no function %s any more", name)
		}
	}
}
