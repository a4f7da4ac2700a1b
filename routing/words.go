package routing

import (
	"fmt"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/routing/wording"
)

// Bounds of what templates write, in bytes, and of fields.
const (
	maxTitle  = 600 // 150 runes at most
	maxText   = 8 << 10
	maxField  = 1200
	maxFields = 10
)

// words are the templates of one rule, or of the defaults; nil where it has none.
type words struct {
	title, text *wording.Template
	fields      []namedTemplate
}

type namedTemplate struct {
	name string
	text *wording.Template
}

// worded reports whether a rule words anything.
func worded(title, text string, fields []TemplateField) bool {
	return title != "" || text != "" || len(fields) > 0
}

// words compiles templates, nil where there are none.
func (c *compiler) words(at, title, text string, fields []TemplateField) *words {
	if !worded(title, text, fields) {
		return nil
	}
	w := &words{title: c.template(at+".title", title, maxTitle), text: c.template(at+".text", text, maxText)}
	if len(fields) > maxFields {
		c.fault(at+".fields", fmt.Sprintf("may be %d at most (got %d)", maxFields, len(fields)))
	}
	for i, f := range fields {
		here := fmt.Sprintf("%s[%d]", at+".fields", i)
		if strings.TrimSpace(f.Name) == "" {
			c.fault(here+".name", "is missing; it labels the line")
		}
		if f.Text == "" {
			c.fault(here+".text", "is missing")
		}
		w.fields = append(w.fields, namedTemplate{f.Name, c.template(here+".text", f.Text, maxField)})
	}
	return w
}

func (c *compiler) template(at, source string, most int) *wording.Template {
	if source == "" {
		return nil
	}
	t, err := wording.Parse(source, wording.Form{
		Functions: wording.Functions(c.zone), Max: most, Suggest: suggest,
	})
	if err != nil {
		p := Problem{Path: at, Text: err.Error()}
		if f, ok := err.(*wording.Fault); ok { //nolint:errorlint // Parse promises the type itself
			p.Line, p.Col = f.Line, f.Col
		}
		c.problems = append(c.problems, p)
	}
	return t
}

// zoneOf is the time zone of times in messages; a wrong one is a fault elsewhere.
func zoneOf(d Defaults) *time.Location {
	zone, err := time.LoadLocation(d.TimeZone)
	if err != nil {
		return time.UTC
	}
	return zone
}

// wordedBy says whose templates word the message: each text by the first
// matching rule that has one, else by the defaults.
func (e *evaluation) wordedBy(d *incident.Decision, matched []*rule) {
	if d.Effect != event.Open {
		return
	}
	first := func(has func(w *words) bool) string {
		for _, r := range matched {
			if r.words != nil && has(r.words) {
				return r.Name
			}
		}
		if w := e.table.words[byDefaults]; w != nil && has(w) {
			return byDefaults
		}
		return ""
	}
	d.TitleFrom = first(func(w *words) bool { return w.title != nil })
	d.TextFrom = first(func(w *words) bool { return w.text != nil })
	d.FieldsFrom = first(func(w *words) bool { return len(w.fields) > 0 })
}

// Words implements incident.Wording.
func (t *Table) Words(d incident.Decision, ev event.Event) (w incident.Words, failures []string) {
	if d.TitleFrom == "" && d.TextFrom == "" && d.FieldsFrom == "" {
		return w, nil
	}
	ev.Severity = d.Severity
	fields := wording.Fields(ev)
	render := func(of *wording.Template, what, by string) string {
		if of == nil {
			return ""
		}
		text, err := of.Render(fields)
		if err != nil {
			failures = append(failures, fmt.Sprintf("%s of %s: %v", what, byWords(by), err))
			return ""
		}
		return strings.TrimSpace(text)
	}
	if by := t.words[d.TitleFrom]; by != nil {
		w.Title = render(by.title, "title", d.TitleFrom)
	}
	if by := t.words[d.TextFrom]; by != nil {
		w.Text = render(by.text, "text", d.TextFrom)
	}
	if by := t.words[d.FieldsFrom]; by != nil {
		for _, f := range by.fields {
			if text := render(f.text, fmt.Sprintf("field %q", f.name), d.FieldsFrom); text != "" {
				w.Fields = append(w.Fields, incident.NamedText{Name: f.name, Text: text})
			}
		}
	}
	return w, failures
}

func byWords(by string) string {
	if by == byDefaults {
		return by
	}
	return fmt.Sprintf("rule %q", by)
}
