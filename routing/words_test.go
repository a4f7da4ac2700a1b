package routing

import (
	"slices"
	"strings"
	"testing"

	"datasync-bridge/event"
)

func TestRouting3EachTextIsTheFirstRulesThatHasItElseTheDefaults(t *testing.T) {
	cfg := config(
		Rule{Name: "a", Match: Match{"type": "transaction.failed"}, Notify: []string{"slack"}, Text: "of a"},
		Rule{Name: "b", Match: Match{"type": "transaction.failed"}, Title: "{{ .partner.id }} of b", Text: "of b"},
		Rule{Name: "c", Match: Match{"type": "mdn.timeout"}, Title: "of c"},
	)
	cfg.Defaults.Title, cfg.Defaults.Fields = "of defaults", []TemplateField{{Name: "Severity", Text: "{{ .severity }}"}}
	tab := table(t, cfg)
	d := decideBy(t, tab, failure())
	if d.TitleFrom != "b" || d.TextFrom != "a" || d.FieldsFrom != "defaults" {
		t.Fatalf("title from %q, text from %q, fields from %q", d.TitleFrom, d.TextFrom, d.FieldsFrom)
	}
	w, failures := tab.Words(d, failure())
	if w.Title != "par_7h2k9 of b" || w.Text != "of a" || len(w.Fields) != 1 || w.Fields[0].Text != d.Severity.String() || len(failures) > 0 {
		t.Errorf("words are %+v (%q)", w, failures)
	}
	if d := decideBy(t, tab, failure(typed("invoice.archived", event.Note, ""))); d.TitleFrom != "" {
		t.Errorf("a note is worded by %q", d.TitleFrom)
	}
}

func TestRouting30ATemplateThatFailsAtRunTimeIsNamedAndLeavesTheRest(t *testing.T) {
	tab := table(t, config(Rule{Name: "a", Match: Match{"type": "transaction.failed"}, Notify: []string{"slack"},
		Title: "{{ .data.word.deeper }}", Text: "stays"}))
	ev := failure(withData(t, `{"word": "a text"}`))
	w, failures := tab.Words(decideBy(t, tab, ev), ev)
	if w.Title != "" || w.Text != "stays" || len(failures) != 1 || !strings.Contains(failures[0], `title of rule "a"`) {
		t.Errorf("words are %+v, failures %q", w, failures)
	}
}

func TestRouting30FaultsOfTemplatesNameTheirPlace(t *testing.T) {
	problems := problemsOf(edited(rule0(func(r *Rule) {
		r.Title, r.Text = "{{ .partner.nmae }}", "fine\n{{ nosuch }}"
		r.Fields = slices.Repeat([]TemplateField{{Name: "x", Text: "{{ .type }}"}}, 11)
		r.Fields[1] = TemplateField{}
	})))
	if p := wantProblem(t, problems, "rules[0].title", `did you mean "partner.name"`); p.Line != 1 || p.Col != 12 {
		t.Errorf("it stands at %d:%d", p.Line, p.Col)
	}
	if p := wantProblem(t, problems, "rules[0].text", "nosuch is not allowed here"); p.Line != 2 {
		t.Errorf("it stands at line %d", p.Line)
	}
	wantProblem(t, problems, "rules[0].fields", "10 at most")
	wantProblem(t, problems, "rules[0].fields[1].name", "is missing")
	wantProblem(t, problems, "rules[0].fields[1].text", "is missing")
}
