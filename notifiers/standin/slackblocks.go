package standin

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Slack's limits, in characters. The total is not documented; it was found by
// others at about 13,200.
const (
	maxPosted   = 40000
	maxUpdated  = 4000
	maxBlocks   = 50
	maxAll      = 13200
	maxMetadata = 16 << 10
)

func length(text string) int { return utf8.RuneCountInString(text) }

func truncate(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit])
	}
	return text
}

var ts = regexp.MustCompile(`^\d{10,}\.\d{6,}$`)

func validTS(text string) bool { return ts.MatchString(text) }

// said reads what a message says and holds it to the limits.
func said(args url.Values) (*SlackMessage, *answer) {
	m := &SlackMessage{Text: args.Get("text")}
	refuse := func(word string, messages ...string) (*SlackMessage, *answer) {
		a := no(word, messages...)
		return nil, &a
	}
	if raw := args.Get("blocks"); raw != "" {
		var blocks []block
		if json.Unmarshal([]byte(raw), &blocks) != nil {
			return refuse("invalid_blocks_format")
		}
		faults, total := checkBlocks(blocks)
		if len(faults) > 0 {
			return refuse("invalid_blocks", faults...)
		}
		if total > maxAll {
			return refuse("msg_blocks_too_long")
		}
		if len(blocks) > 0 {
			m.Blocks = json.RawMessage(raw)
		}
	}
	if raw := args.Get("metadata"); raw != "" {
		var meta struct {
			Type    string          `json:"event_type"`
			Payload json.RawMessage `json:"event_payload"`
		}
		switch {
		case len(raw) > maxMetadata:
			return refuse("metadata_too_large")
		case json.Unmarshal([]byte(raw), &meta) != nil:
			return refuse("invalid_metadata_format")
		case meta.Type == "" || len(meta.Payload) == 0:
			return refuse("invalid_metadata_schema")
		}
		m.Metadata = json.RawMessage(raw)
	}
	if m.Text == "" && len(m.Blocks) == 0 {
		return refuse("no_text")
	}
	return m, nil
}

type block struct {
	Type     string      `json:"type"`
	ID       string      `json:"block_id"`
	Text     *textObject `json:"text"`
	Fields   []textObject
	Elements []json.RawMessage
}

type textObject struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// checkBlocks returns what is wrong, as Slack points to it, and how many
// characters the blocks hold.
func checkBlocks(blocks []block) (faults []string, total int) {
	var c blockCheck
	if len(blocks) > maxBlocks {
		c.fault("/blocks", "no more than %d items allowed", maxBlocks)
	}
	seen := map[string]bool{}
	for i, b := range blocks {
		at := fmt.Sprintf("/blocks/%d", i)
		if length(b.ID) > 255 {
			c.fault(at+"/block_id", "must be less than 256 characters")
		}
		if b.ID != "" && seen[b.ID] {
			c.fault(at+"/block_id", "block_id must be unique")
		}
		seen[b.ID] = true
		c.block(at, b)
	}
	return c.faults, c.total
}

type blockCheck struct {
	faults []string
	total  int
}

func (c *blockCheck) fault(pointer, format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf("[ERROR] "+format+" [json-pointer:%s]", append(args, pointer)...))
}

func (c *blockCheck) block(at string, b block) {
	switch b.Type {
	case "header":
		c.text(at+"/text", orEmpty(b.Text), 150, true)
	case "section":
		if b.Text == nil && len(b.Fields) == 0 {
			c.fault(at, "missing required field: text")
		}
		if b.Text != nil {
			c.text(at+"/text", *b.Text, 3000, false)
		}
		if len(b.Fields) > 10 {
			c.fault(at+"/fields", "no more than 10 items allowed")
		}
		for i, f := range b.Fields {
			c.text(fmt.Sprintf("%s/fields/%d", at, i), f, 2000, false)
		}
	case "context":
		c.count(at+"/elements", len(b.Elements), 10)
		for i, raw := range b.Elements {
			var t textObject
			_ = json.Unmarshal(raw, &t) // not a text: the type is refused
			c.text(fmt.Sprintf("%s/elements/%d", at, i), t, 3000, false)
		}
	case "actions":
		c.count(at+"/elements", len(b.Elements), 25)
	case "divider":
	default:
		c.fault(at+"/type", "unsupported type: %s", b.Type)
	}
}

func (c *blockCheck) count(pointer string, n, most int) {
	if n == 0 || n > most {
		c.fault(pointer, "must have 1 to %d items", most)
	}
}

func (c *blockCheck) text(pointer string, t textObject, limit int, plainOnly bool) {
	n := length(t.Text)
	c.total += n
	switch {
	case t.Type != "plain_text" && (plainOnly || t.Type != "mrkdwn"):
		c.fault(pointer+"/type", "unsupported type: %s", t.Type)
	case n == 0:
		c.fault(pointer+"/text", "must be more than 0 characters")
	case n > limit:
		c.fault(pointer+"/text", "must be less than %d characters", limit+1)
	}
}

func orEmpty(t *textObject) textObject {
	if t == nil {
		return textObject{Type: "plain_text"}
	}
	return *t
}

// Readable is the message as a person sees it, roughly: blocks as lines, fields
// side by side, links and mentions as they were written.
func (m SlackMessage) Readable() string {
	var blocks []block
	if json.Unmarshal(m.Blocks, &blocks) != nil || len(blocks) == 0 {
		return html.UnescapeString(m.Text)
	}
	var lines []string
	for _, b := range blocks {
		if b.Text != nil {
			lines = append(lines, b.Text.Text)
		}
		for i := 0; i < len(b.Fields); i += 2 {
			row := oneLine(b.Fields[i].Text)
			if i+1 < len(b.Fields) {
				row = fmt.Sprintf("%-44s %s", row, oneLine(b.Fields[i+1].Text))
			}
			lines = append(lines, row)
		}
		for _, raw := range b.Elements {
			var t textObject
			if json.Unmarshal(raw, &t) == nil && t.Text != "" {
				lines = append(lines, t.Text)
			}
		}
	}
	return html.UnescapeString(strings.Join(lines, "\n"))
}

func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " ") }
