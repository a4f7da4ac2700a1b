package slack

import (
	"fmt"

	"github.com/slack-go/slack"

	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

const (
	// maxDigest bounds the lines of a digest together, maxPartner those of one
	// partner, and maxGroups how many partners there are; the rest is counted.
	maxDigest  = 7000
	maxPartner = 2800 // Slack: 3,000
	maxGroups  = 40   // Slack: 50 blocks
)

// This does not compile once a digest adds up to more than Slack takes.
const _ = uint(9500 - (maxHeader + maxShort/3 + maxDigest + maxContext))

// digest is one section for each partner.
func (n *Notifier) digest(d incident.Delivery, m notifiers.Message) []slack.Block {
	header := slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, escape(m.Title(), maxHeader), false, false))
	header.BlockID = d.ID
	status := newLines(maxShort / 3)
	for _, line := range m.Status {
		status.add(escape(line, 300))
	}
	blocks := appendSection([]slack.Block{header}, status.String())
	left, room := m.More, maxDigest
	for i, g := range m.Groups {
		text := newLines(min(maxPartner, room-100))
		fits := i < maxGroups && text.add(bold(escape(g.Partner, 100)))
		for k, item := range g.Items {
			if fits = fits && text.add("• "+escape(digestLine(item), 400)); !fits {
				left += len(g.Items) - k
				break
			}
		}
		if room -= len([]rune(text.String())); len(g.Items) > 0 && i < maxGroups {
			blocks = appendSection(blocks, text.String())
		}
	}
	if left > 0 {
		blocks = appendSection(blocks, escape(fmt.Sprintf("…and %d more: `datasync-bridge incidents` lists them all", left), 200))
	}
	return append(blocks, n.context(m))
}

func digestLine(i notifiers.Item) string {
	return join(" ", i.Icon, join(" · ", i.Text, "since "+i.Since, i.Incident))
}
