package notifiers

import (
	"strings"

	"datasync-bridge/routing/incident"
)

// Bounds of the texts that rules give, in runes and lines.
const (
	maxTitle    = 150
	maxTextLine = 300
	maxText     = 10 // lines
	maxNamed    = 300
)

// word puts a rule's own texts in the place of the bridge's: its title for the
// headline, except at the end, which must not be told as more than it is; its
// text below the first lines; its fields before the facts. What they hold came
// from outside, so they are cleaned as anything else.
func (m *Message) word(w incident.Words) {
	if title := Clean(w.Title, maxTitle); title != "" && !m.Over {
		m.Headline = title
	}
	if m.Over {
		return
	}
	for line := range strings.SplitSeq(w.Text, "\n") {
		if line = Clean(line, maxTextLine); line != "" && len(m.Text) < maxText {
			m.Text = append(m.Text, line)
		}
	}
	var own []Fact
	for _, f := range w.Fields {
		name, text := Clean(f.Name, 30), Clean(f.Text, maxNamed)
		if name != "" && text != "" {
			own = append(own, Fact{Label: name, Text: text, Long: len(text) > 60})
		}
	}
	m.Facts = append(own, m.Facts...)
}
