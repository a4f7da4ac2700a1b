// Package terminal prints what a notifier would send, for people who rehearse a
// configuration or watch a demo. It never fails for good and makes no calls.
package terminal

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

// Notifier prints to one writer. It is safe for concurrent use.
type Notifier struct {
	cfg    Config
	style  notifiers.Style
	colour bool

	mu  sync.Mutex
	out io.Writer
}

// New returns a notifier that prints to out, in colour if out is a terminal and
// NO_COLOR is not set.
func New(cfg Config, style notifiers.Style, out io.Writer) *Notifier {
	return &Notifier{cfg: cfg.WithDefaults(), style: style, out: out, colour: coloured(out)}
}

func coloured(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Send prints one delivery.
func (n *Notifier) Send(ctx context.Context, d incident.Delivery) (notifiers.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return notifiers.Receipt{}, err
	}
	text := n.render(d)
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := io.WriteString(n.out, text); err != nil {
		return notifiers.Receipt{}, fmt.Errorf("print to the terminal: %w", err)
	}
	receipt := notifiers.Receipt{Answer: "printed"}
	if d.Thread == "" {
		receipt.Ref = "terminal/" + d.ID
	}
	return receipt, nil
}

// deeds name each kind by what another medium would do.
var deeds = map[incident.DeliveryKind]string{
	incident.Opening: "opens", incident.Alarm: "alarms again", incident.Reopening: "reopens",
	incident.Fallback: "falls back", incident.Resolve: "resolves", incident.Update: "edits",
	incident.Reminder: "reminds", incident.Acknowledged: "acknowledges", incident.Escalated: "escalates",
	incident.RunResult: "reports a run", incident.Counted: "counts", incident.Noticed: "notes",
	incident.ApprovalAsk: "asks for approval", incident.DigestTold: "tells a digest",
}

func (n *Notifier) render(d incident.Delivery) string {
	m := notifiers.Compose(d, n.style)
	var b strings.Builder
	deed := deeds[d.Kind]
	if n.cfg.Pager {
		deed += ", as a pager"
	}
	fmt.Fprintf(&b, "── %s %s\n", notifiers.Clean(d.Notifier, 60), deed)
	b.WriteString(n.paint(m.Severity, m.Over, m.Title()) + "\n")
	row := func(label, text string) {
		if text != "" {
			fmt.Fprintf(&b, "   %-19s %s\n", label, text)
		}
	}
	row("News", m.News)
	row("Partner", m.Partner)
	if m.Due != "" {
		row("Due", m.Due+" ("+m.Left+")")
	}
	for _, line := range m.Status {
		row("Status", line)
	}
	row("Careful", m.Advice)
	for _, line := range m.Text {
		row("Text", line)
	}
	for _, f := range m.Facts {
		row(f.Label, f.Text)
	}
	row("Count", m.Counts)
	for _, l := range m.Listed {
		row("", "• "+listed(l))
	}
	for _, g := range m.Groups {
		fmt.Fprintf(&b, "   %s\n", g.Partner)
		for _, i := range g.Items {
			row("", fmt.Sprintf("%s %s · since %s · %s", i.Icon, i.Text, i.Since, i.Incident))
		}
	}
	if m.More > 0 {
		row("", fmt.Sprintf("…and %d more", m.More))
	}
	for _, line := range m.Symptoms {
		row("", line)
	}
	for _, note := range m.Notes {
		row("Bridge", note)
	}
	for _, l := range m.Links {
		row("Link", l.Address)
	}
	row("Why", m.Why)
	row("", strings.Join(m.Footer, " · "))
	return b.String() + "\n"
}

func listed(l notifiers.Listed) string {
	parts := []string{l.Document}
	for _, p := range []string{l.Reference, l.Transaction, l.State, l.Partner} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if l.Due != "" {
		parts = append(parts, "due "+l.Due)
	}
	return strings.Join(parts, " · ")
}

// paint colours the first line by severity, green at the end.
func (n *Notifier) paint(s event.Severity, over bool, text string) string {
	if !n.colour {
		return text
	}
	code := map[event.Severity]string{
		event.Critical: "1;31", event.Error: "31", event.Warning: "33", event.Info: "36",
	}[s]
	if over {
		code = "32"
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
