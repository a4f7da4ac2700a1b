package routing

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Trace is a decision with everything that was looked at on the way.
type Trace struct {
	Decision incident.Decision `json:"decision"`
	// Rules are all rules of the configuration, in file order; none where the
	// event's effect asks no rule.
	Rules []RuleTrace `json:"rules"`
	// Zone is that of times in the verdict; nil is UTC.
	Zone *time.Location `json:"-"`
}

// RuleTrace is one rule and why it matched or not.
type RuleTrace struct {
	Name    string `json:"name"`
	Line    int    `json:"line,omitempty"`
	Matched bool   `json:"matched"`
	// Skipped says why it was not looked at, "" where it was.
	Skipped string `json:"skipped,omitempty"`
	// Keys are all keys of its match, and "when" at the end if it has one.
	Keys []KeyTrace `json:"keys,omitempty"`
	// Gives is what the rule asks for where it matches, for people.
	Gives string `json:"gives,omitempty"`
}

// KeyTrace is one key of a match, or a condition.
type KeyTrace struct {
	Path string `json:"path"`
	// Want is what the rule asks for, Got what the event has, both for people.
	Want    string `json:"want"`
	Got     string `json:"got,omitempty"`
	Matched bool   `json:"matched"`
	// Why explains a key that does not match for a reason that is easily
	// missed, or a condition that failed.
	Why string `json:"why,omitempty"`
}

// Trace evaluates like Decide, and takes notes of every rule and key.
func (t *Table) Trace(ev event.Event) Trace {
	trace := Trace{}
	e := evaluation{table: t, ev: &ev, values: t.values(nil), trace: &trace}
	trace.Decision = e.run()
	return trace
}

// matches looks at all keys, also after one that does not hold; the condition
// is run only where all of them do, as it would be without notes.
func (t *Trace) matches(e *evaluation, r *rule) (bool, error) {
	note := RuleTrace{Name: r.Name, Line: r.Line, Matched: true, Gives: r.gives()}
	for i := range r.conditions {
		c := &r.conditions[i]
		v := *e.value(c.slot)
		for k := range c.tests {
			test := &c.tests[k]
			key := KeyTrace{Path: c.path, Want: test.String(), Got: v.shown(), Matched: test.holds(v)}
			if !key.Matched {
				key.Why = test.why(v)
				note.Matched = false
			}
			note.Keys = append(note.Keys, key)
		}
	}
	var err error
	if r.when != nil {
		key := KeyTrace{Path: "when", Want: r.when.source}
		if note.Matched {
			key.Matched, err = e.when(r)
			if err != nil {
				key.Why = err.Error()
			}
		} else {
			key.Why = "not asked, because the match does not hold"
		}
		note.Matched = key.Matched
		note.Keys = append(note.Keys, key)
	}
	t.Rules = append(t.Rules, note)
	return note.Matched, err
}

// skipped notes a rule that was not looked at. Without notes it does nothing.
func (t *Trace) skipped(r, by *rule) {
	if t != nil {
		t.Rules = append(t.Rules, RuleTrace{
			Name: r.Name, Line: r.Line, Skipped: fmt.Sprintf("not looked at: %s stops", by.label),
		})
	}
}

// Verdict is the decision in one line.
func (t Trace) Verdict() string {
	d := t.Decision
	told := make([]string, len(d.Notifiers))
	for i, r := range d.Notifiers {
		told[i] = r.Notifier
	}
	switch {
	case d.Outcome == incident.OldNews:
		return fmt.Sprintf("OLD NEWS: this %s is recorded and summarised for defaults.notify; nobody is alarmed", d.Type)
	case d.DroppedBy != "":
		return fmt.Sprintf("DROPPED by rule %q: nobody is told of this %s", d.DroppedBy, d.Type)
	case d.Effect == event.Settle:
		return fmt.Sprintf("SETTLES: %s ends what is open; no rule is asked", d.Type)
	case d.Effect == event.None:
		return fmt.Sprintf("NOTHING: %s tells nobody now", d.Type)
	case len(told) == 0:
		return fmt.Sprintf("NOBODY can be told of this %s", orElse(d.Type, "event"))
	}
	verb := "OPENS or joins an incident"
	if d.Effect == event.Note {
		verb = "NOTED"
	}
	text := fmt.Sprintf("%s, %s: tells %s", verb, d.Severity, strings.Join(told, ", "))
	parts := make([]string, 0, 1+len(d.Held))
	parts = append(parts, text)
	for _, h := range d.Held {
		held := fmt.Sprintf("%s %s holds %s", h.Kind, h.By, h.Notifier)
		if !h.Until.IsZero() {
			held += " until " + t.clock(h.Until)
		}
		parts = append(parts, held)
	}
	return strings.Join(parts, "; ")
}

func (t Trace) clock(at time.Time) string {
	zone := t.Zone
	if zone == nil {
		zone = time.UTC
	}
	return at.In(zone).Format("Mon 2006-01-02 15:04 MST")
}

// Write prints the trace for people. The first line is the verdict.
func (t Trace) Write(w io.Writer) error {
	var b strings.Builder
	b.WriteString(t.Verdict() + "\n\n")
	columns(&b, "  ", t.facts())
	if _, err := io.WriteString(w, strings.Map(printable, b.String())); err != nil {
		return err
	}
	if len(t.Rules) == 0 {
		return nil
	}
	if _, err := io.WriteString(w, "\nRules, in file order\n"); err != nil {
		return err
	}
	return t.WriteRules(w)
}

// WriteRules prints each rule and each of its keys, and why they match or not.
func (t Trace) WriteRules(w io.Writer) error {
	var b strings.Builder
	for _, r := range t.Rules {
		r.write(&b)
	}
	_, err := io.WriteString(w, strings.Map(printable, b.String()))
	return err
}

// printable keeps what a payload holds from steering a terminal.
func printable(r rune) rune {
	if r == '\n' || unicode.IsPrint(r) {
		return r
	}
	return '\uFFFD'
}

func (t Trace) facts() [][]string {
	d := t.Decision
	rows := [][]string{{"type", orElse(d.Type, "none (could not be mapped)")}, {"class", string(d.Class)}, {"effect", string(d.Effect)}}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, value})
		}
	}
	add("severity", fmt.Sprintf("%s, by %s", d.Severity, d.SeverityFrom))
	for _, r := range d.Notifiers {
		by := "by " + strings.Join(r.By, ", ")
		if r.Instead != "" {
			by += fmt.Sprintf("; instead of %s: %s", r.Instead, r.Why)
		}
		add("tells", r.Notifier+", "+by)
	}
	for _, s := range d.Escalate {
		add("escalates", fmt.Sprintf("after %s to %s, by %s", plain(s.After), strings.Join(s.Notify, ", "), s.Rule))
	}
	for _, name := range d.Remediate {
		add("remediates", name)
	}
	if d.Key != "" {
		add("groups by", strings.Join(d.GroupBy, ", "))
		add("key", d.Key)
		add("gathers", fmt.Sprintf("wait %s, interval %s, resolve wait %s, lists %d members",
			plain(d.Group.Wait), plain(d.Group.Interval), plain(d.Group.ResolveWait), d.Group.MaxMembers))
	}
	for _, reason := range d.Reasons {
		add("because", reason)
	}
	for _, e := range d.Errors {
		add("failed", e)
	}
	add("config", d.Config)
	return rows
}

// gives is what a rule asks for, in words.
func (r *rule) gives() string {
	var parts []string
	add := func(word, value string) {
		if value != "" {
			parts = append(parts, word+value)
		}
	}
	add("tells ", strings.Join(r.Notify, ", "))
	add("severity ", r.Severity.String())
	add("only during ", r.OnlyDuring)
	if r.OnlyDuring != "" {
		add("else ", string(r.Outside))
	}
	add("digest ", r.Digest)
	for _, step := range r.Escalate {
		add("", fmt.Sprintf("after %s tells %s", plain(step.After), strings.Join(step.Notify, ", ")))
	}
	add("repair ", r.Remediate)
	switch {
	case r.Drop:
		add("drops it", ": "+r.Why)
	case r.Copy:
		add("", "a copy")
	case r.Stop:
		add("", "stops")
	}
	return strings.Join(parts, "; ")
}

// plain writes a span without its empty parts: "15m", not "15m0s".
func plain(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func (r RuleTrace) write(b *strings.Builder) {
	mark := "-"
	if r.Matched {
		mark = "✓"
	}
	line := fmt.Sprintf("  %s %s", mark, r.Name)
	if r.Line > 0 {
		line += fmt.Sprintf(" (line %d)", r.Line)
	}
	switch {
	case r.Skipped != "":
		line += "  " + r.Skipped
	case r.Matched && r.Gives != "":
		line += ": " + r.Gives
	case r.Matched:
		line += ": adds nothing"
	}
	b.WriteString(line + "\n")
	if len(r.Keys) == 0 && r.Skipped == "" {
		b.WriteString("      ✓ matches every event\n")
	}
	rows := make([][]string, 0, len(r.Keys))
	for _, k := range r.Keys {
		mark = "✗"
		if k.Matched {
			mark = "✓"
		}
		got := k.Got
		if got != "" {
			got = "has " + cut(got, mostOfValue)
		}
		if k.Why == "the event has no such field" && got == "has missing" {
			got = "the event has no such field"
		} else if k.Why != "" {
			got = strings.TrimPrefix(got+": "+k.Why, ": ")
		}
		if utf8.RuneCountInString(k.Want) > widest && got != "" {
			rows = append(rows, []string{mark, k.Path, k.Want}, []string{"", "", got})
			continue
		}
		rows = append(rows, []string{mark, k.Path, k.Want, got})
	}
	columns(b, "      ", rows)
}

// mostOfValue is how much of a value stands beside a key.
const mostOfValue = 60

// widest bounds a column, so that one long value does not push all others away.
const widest = 36

// columns aligns rows; cells at the end of a row that are empty print nothing.
func columns(b *strings.Builder, indent string, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], min(widest, utf8.RuneCountInString(cell)))
		}
	}
	for _, row := range rows {
		end := len(row)
		for end > 0 && row[end-1] == "" {
			end--
		}
		b.WriteString(indent)
		for i, cell := range row[:end] {
			if i > 0 {
				b.WriteString("  ")
			}
			cell = strings.ReplaceAll(cell, "\n", " ")
			b.WriteString(cell)
			if i < end-1 {
				b.WriteString(strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell))))
			}
		}
		b.WriteString("\n")
	}
}
