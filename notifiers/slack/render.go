package slack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

// Budgets in runes, entities and markup included. Slack allows 150 in a header,
// 3,000 in a section and about 9,500 in all blocks together; these add up to
// less, so a message is bounded however hostile its words are.
const (
	maxHeader  = 150
	maxHead    = 2000
	maxOwn     = 650
	maxShort   = 2900 // Slack: 3,000
	maxField   = 190  // of at most 10
	maxLong    = 1200
	maxMembers = 1200
	maxSymptom = 500
	maxNotes   = 700
	maxLinks   = 600
	maxContext = 600
	maxSummary = 700
	maxText    = 3900 // Slack: 4,000
	maxMention = 200

	maxFields = 10
	maxListed = 10
)

// This does not compile once the budgets add up to more than Slack takes.
const _ = uint(9500 - (maxHeader + maxHead + maxOwn + maxFields*maxField + maxLong + maxMembers + maxSymptom + maxNotes + maxLinks + maxContext))

// render puts a message into Slack's form: in full where it is a root, in short
// where it replies to one.
func (n *Notifier) render(d incident.Delivery, m notifiers.Message, to place, plain bool) form {
	f := form{text: n.summary(m), trace: map[string]any{
		"delivery": d.ID, "incident": d.Incident, "kind": string(d.Kind),
	}}
	switch {
	case plain:
		f.text = n.plain(m)
	case d.Kind == incident.DigestTold:
		f.blocks = n.digest(d, m)
	case to.root():
		if d.Kind == incident.Resolve && n.cfg.Edits() {
			m.Status = append(m.Status, "It opened and ended before it could be told.")
		}
		f.blocks = n.full(d, m)
	default:
		f.blocks = n.short(d, m)
	}
	return f
}

// full is a root: first line, then what to do about it, then the details.
func (n *Notifier) full(d incident.Delivery, m notifiers.Message) []slack.Block {
	header := slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, escape(m.Title(), maxHeader), false, false))
	header.BlockID = d.ID
	blocks := []slack.Block{header}
	if m.Kind == incident.Noticed { // a notice's text can be longer than a header
		header.Text.Text = escape(m.Icon+" "+m.Word, maxHeader)
		blocks = append(blocks, section(escape(m.Headline, maxHead)))
	}
	blocks = appendSection(appendSection(blocks, n.head(m)), own(m))
	if fields := shortFacts(m); len(fields) > 0 {
		blocks = append(blocks, slack.NewSectionBlock(nil, fields, nil))
	}
	for _, text := range []string{longFacts(m), list(m), symptoms(m), notes(m), links(m)} {
		blocks = appendSection(blocks, text)
	}
	return append(blocks, n.context(m))
}

// short is a reply. One that also shows in the channel says what it is about;
// in the thread the root stands above it.
func (n *Notifier) short(d incident.Delivery, m notifiers.Message) []slack.Block {
	text, shown := newLines(maxShort), broadcasts(d.Kind)
	switch {
	case d.Kind == incident.ApprovalAsk: // what is asked, before what happened
		text.add(bold("⏳ " + escape(m.News, 600)))
		m.News = ""
		text.add(escape(m.Title(), 300))
		text.add(n.head(m))
	case shown || d.Kind == incident.Resolve:
		text.add(bold(escape(m.Title(), 300)))
		text.add(n.head(m))
	default:
		text.add(escape(m.News, 1200))
	}
	if !shown {
		m.Why, m.Links, m.Counts = "", nil, ""
	}
	block := section(text.String())
	block.BlockID = d.ID
	blocks := appendSection([]slack.Block{block}, bold(escape(m.Counts, 500)))
	return append(appendSection(blocks, links(m)), n.context(m))
}

// head is what matters after the first line: whom it wakes, who is concerned,
// by when, what is new, and what not to get wrong.
func (n *Notifier) head(m notifiers.Message) string {
	text := newLines(maxHead - 310)
	who := bold(escape(m.Partner, 160))
	if m.Due != "" {
		due := bold("due "+escape(m.Due, 60)) + fmt.Sprintf(" (%s)", m.Left)
		who = join(" · ", who, due)
	}
	first := m.Kind == incident.Fallback || m.Kind == incident.ApprovalAsk
	if first {
		text.add(bold(escape(m.News, 900)))
	}
	text.add(join(" ", n.mention(m), who))
	if !first {
		text.add(escape(m.News, 900))
	}
	for _, line := range m.Status {
		text.add(escape(line, 500))
	}
	if m.Advice != "" {
		text.add("⚠️ " + escape(m.Advice, 300))
	}
	return text.String()
}

// mention is the operator's own text, so it is not escaped. Only what may ring
// mentions anyone, and a test never does.
func (n *Notifier) mention(m notifiers.Message) string {
	if !m.Kind.Alarms() || m.Sandbox {
		return ""
	}
	return strings.TrimSpace(n.cfg.Mention[m.Severity.String()])
}

func shortFacts(m notifiers.Message) []*slack.TextBlockObject {
	var fields []*slack.TextBlockObject
	for _, f := range m.Facts {
		if !f.Long && len(fields) < maxFields {
			label := bold(escape(f.Label, 30)) + "\n"
			fields = append(fields, mrkdwn(label+escape(f.Text, maxField-len(label))))
		}
	}
	return fields
}

func longFacts(m notifiers.Message) string {
	text := newLines(maxLong)
	for _, f := range m.Facts {
		if f.Long {
			text.add(bold(escape(f.Label, 30)) + "  " + escape(f.Text, 540))
		}
	}
	return text.String()
}

// list shows a grouped incident: how many of what, then its members.
func list(m notifiers.Message) string {
	if m.Counts == "" {
		return ""
	}
	text := newLines(maxMembers - 40) // room for the last line
	text.add(bold(escape(m.Counts, 500)))
	left := m.More
	for i, l := range m.Listed {
		due := ""
		if l.Due != "" {
			due = "due " + l.Due
		}
		line := join(" · ", escape(l.Document, 60), escape(l.Reference, 70), code(l.Transaction, 70), escape(l.State, 50), escape(l.Partner, 60), escape(due, 40))
		if i >= maxListed || !text.add("• "+line) {
			left += len(m.Listed) - i
			break
		}
	}
	if left > 0 && !m.Over {
		return text.String() + fmt.Sprintf("\n…and %d more", left)
	}
	return text.String()
}

// own is the text that a rule gave.
func own(m notifiers.Message) string {
	text := newLines(maxOwn)
	for _, line := range m.Text {
		text.add(escape(line, 300))
	}
	return text.String()
}

// symptoms lists what this incident explains.
func symptoms(m notifiers.Message) string {
	text := newLines(maxSymptom)
	for i, line := range m.Symptoms {
		line = escape(line, 250)
		if i == 0 {
			line = bold(line)
		}
		text.add(line)
	}
	return text.String()
}

func notes(m notifiers.Message) string {
	if len(m.Notes) == 0 {
		return ""
	}
	title, text := "*What the bridge did*", newLines(maxNotes-30)
	for _, note := range m.Notes[max(0, len(m.Notes)-5):] { // newest last
		text.add("• " + escape(note, 300))
	}
	return title + "\n" + text.String()
}

func links(m notifiers.Message) string {
	text := newLines(maxLinks)
	for _, l := range m.Links {
		text.add("<" + escape(l.Address, 600) + "|" + escape(l.Text, 80) + ">")
	}
	return text.String()
}

// context is the small print: why this came, and from when it is.
func (n *Notifier) context(m notifiers.Message) slack.Block {
	var why string
	if m.Why != "" {
		why = "Why you see this: " + m.Why
	}
	parts := []string{escape(why, 330), escape(strings.Join(m.Footer, " · "), 220)}
	if !n.cfg.Edits() {
		parts = append(parts, "posted by an incoming webhook: this message will not be updated")
	}
	text := newLines(maxContext)
	for _, part := range parts {
		text.add(part)
	}
	return slack.NewContextBlock("", mrkdwn(text.String()))
}

// summary is the text beside the blocks: what a telephone shows.
func (n *Notifier) summary(m notifiers.Message) string {
	return join(" ", escapeText(m.Summary(), maxSummary), n.mention(m))
}

// plain is the whole message without blocks, for when Slack refuses those.
func (n *Notifier) plain(m notifiers.Message) string {
	text := newLines(maxText)
	text.add(n.summary(m))
	add := func(line string, limit int) { text.add(escapeText(line, limit)) }
	for _, line := range slices.Concat(m.Status, []string{m.Advice}, m.Text) {
		add(line, 300)
	}
	for _, f := range m.Facts {
		add(f.Label+": "+f.Text, 300)
	}
	add(m.Counts, 400)
	for _, g := range m.Groups {
		add(g.Partner, 80)
		for _, item := range g.Items {
			add("• "+digestLine(item), 300)
		}
	}
	for _, line := range m.Symptoms {
		add(line, 250)
	}
	for _, note := range m.Notes {
		add(note, 200)
	}
	text.add(links(m))
	if m.Why != "" {
		add("Why you see this: "+m.Why, 300)
	}
	add(strings.Join(m.Footer, " · "), 200)
	return text.String()
}

func section(text string) *slack.SectionBlock { return slack.NewSectionBlock(mrkdwn(text), nil, nil) }

func appendSection(blocks []slack.Block, text string) []slack.Block {
	if text == "" { // Slack refuses an empty one
		return blocks
	}
	return append(blocks, section(text))
}

// mrkdwn is verbatim: Slack then makes no links or pings of bare addresses and
// names.
func mrkdwn(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, text, false, true)
}

func bold(escaped string) string {
	if escaped == "" {
		return ""
	}
	return "*" + escaped + "*"
}

func code(text string, limit int) string {
	if text == "" {
		return ""
	}
	return "`" + escape(strings.ReplaceAll(text, "`", "'"), limit) + "`"
}

func join(sep string, parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, sep)
}

var _ notifiers.Notifier = (*Notifier)(nil)
