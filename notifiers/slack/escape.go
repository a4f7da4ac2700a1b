package slack

import (
	"strings"
	"unicode/utf8"
)

// escape makes text safe in every Slack text: & < > become entities, so that no
// name can open a link or a mention. The result is at most limit runes long,
// entities included, and none is torn.
func escape(text string, limit int) string {
	if whole := escaper.Replace(text); utf8.RuneCountInString(whole) <= limit {
		return whole
	}
	var b strings.Builder
	used := 1 // the …
	for _, r := range text {
		piece := escaper.Replace(string(r))
		if used += utf8.RuneCountInString(piece); used > limit {
			break
		}
		b.WriteString(piece)
	}
	return strings.TrimRight(b.String(), " ") + "…"
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escapeText is escape for the text field, where Slack makes links of bare
// addresses and nothing turns that off: a blank keeps them text.
func escapeText(text string, limit int) string {
	return escape(strings.ReplaceAll(text, "://", ": //"), limit)
}

// lines gathers lines up to a budget of runes. A line that does not fit is left
// out whole, so that no entity, link or bold word is torn.
type lines struct {
	kept []string
	left int
}

func newLines(budget int) *lines { return &lines{left: budget} }

// add reports whether the line was kept; an empty one is not.
func (l *lines) add(line string) bool {
	n := utf8.RuneCountInString(line) + 1
	if line == "" || n > l.left {
		return false
	}
	l.kept = append(l.kept, line)
	l.left -= n
	return true
}

func (l *lines) String() string { return strings.Join(l.kept, "\n") }
