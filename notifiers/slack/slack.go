// Package slack posts incidents to a Slack channel: by a bot token, which can
// edit what it posted and reply in its thread, or by an incoming webhook, which
// can only post and says so.
//
// One delivery is one call, except that Slack may refuse the form (then the
// same is sent once as plain text) or no longer have the message to edit or
// reply to (then it is posted anew, in the same channel). The *root* is an incident's top-level
// message; its Ref is "channel/ts". A resolve, an alarm anew and the like reply
// to the root; the edit that shows the new state there is a delivery of its own.
//
// Slack has no idempotency key: a post whose answer was lost may have arrived.
// It is sent again and marked as what may be a repeat.
package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

// Notifier sends to one channel or one incoming webhook. It is safe for
// concurrent use.
type Notifier struct {
	cfg   Config
	style notifiers.Style
	far   far
}

// far is Slack as this room needs it: the wrapped library behind it breaks its
// own interface every few weeks.
type far interface {
	// post returns the new message's ref, "" where the far side names none.
	post(ctx context.Context, to place, f form) (ref string, err error)
	update(ctx context.Context, at place, f form) error
}

// place is where a message goes. Root: neither thread nor edit.
type place struct {
	channel string
	// thread is the root's ts that is replied to, and Broadcast shows the reply
	// in the channel too.
	thread    string
	broadcast bool
	// edit is the ts of the message to change.
	edit string
}

func (p place) root() bool { return p.thread == "" }

// New returns a notifier; a nil client means one with a time limit of its own.
func New(cfg Config, style notifiers.Style, client *http.Client) *Notifier {
	cfg = cfg.WithDefaults()
	if client == nil {
		client = notifiers.DefaultClient()
	}
	client = notifiers.Recording(client)
	n := &Notifier{cfg: cfg, style: style}
	if cfg.Edits() {
		n.far = newBot(cfg, client)
	} else {
		n.far = webhook{url: cfg.WebhookURL, client: client}
	}
	return n
}

// Send makes the call for one delivery. See notifiers for the verdict in its error.
func (n *Notifier) Send(ctx context.Context, d incident.Delivery) (notifiers.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return notifiers.Receipt{}, err
	}
	receipt, err := n.send(ctx, d)
	return receipt, notifiers.Redact(err, n.secrets()...)
}

// secrets are what no error may show. A webhook's secret is its path.
func (n *Notifier) secrets() []string {
	list := []string{n.cfg.Token.Reveal(), n.cfg.WebhookURL.Reveal()}
	if u, err := url.Parse(n.cfg.WebhookURL.Reveal()); err == nil && len(u.Path) > 1 {
		list = append(list, u.Path)
	}
	return list
}

func (n *Notifier) send(ctx context.Context, d incident.Delivery) (notifiers.Receipt, error) {
	to, err := n.where(d)
	if err != nil {
		return notifiers.Receipt{}, err
	}
	m := notifiers.Compose(d, n.style)
	said := ""
	for plain, anew := false, false; ; {
		ref, err := n.deliver(ctx, to, n.render(d, m, to, plain))
		switch r := refusalOf(err); {
		case r == nil && err == nil:
			return notifiers.Receipt{Ref: ref, Answer: to.done() + said}, nil
		case r != nil && r.about == theForm && !plain:
			plain, said = true, said+", as plain text because Slack said "+r.word
		case r != nil && r.about == theThread && !anew && to != (place{channel: to.channel}):
			// Where its root was the incident has been told, so there, not where
			// the configuration points now.
			to, anew, said = place{channel: to.channel}, true, said+", anew because Slack said "+r.word
		default:
			return notifiers.Receipt{}, err
		}
	}
}

// deliver makes exactly one call.
func (n *Notifier) deliver(ctx context.Context, to place, f form) (ref string, err error) {
	if to.edit != "" {
		return "", n.far.update(ctx, to, f)
	}
	ref, err = n.far.post(ctx, to, f)
	if !to.root() {
		ref = "" // a reply is no top-level message
	}
	return ref, err
}

// where decides between a new message, an edit and a reply (routing rules 18,
// 20, 21, 27, 29, 32). Without a root there is nothing to edit or reply to, and
// what would have been either becomes the root.
func (n *Notifier) where(d incident.Delivery) (place, error) {
	switch {
	case d.Kind == incident.Update && !n.cfg.Edits():
		return place{}, notifiers.Permanent(errors.New("an incoming webhook cannot edit, so it takes no updates"))
	case d.Thread == "" || !n.cfg.Edits() || d.Kind == incident.Opening || d.Kind == incident.Noticed:
		return place{channel: n.cfg.Channel}, nil
	}
	channel, ts, ok := strings.Cut(d.Thread, "/")
	if !ok || channel == "" || ts == "" {
		return place{}, notifiers.Permanent(fmt.Errorf("%q is no ref of a Slack message", d.Thread))
	}
	if d.Kind == incident.Update {
		return place{channel: channel, edit: ts}, nil
	}
	return place{channel: channel, thread: ts, broadcast: broadcasts(d.Kind)}, nil
}

// broadcasts reports whether a reply is shown in the channel too: what may ring,
// and what asks something of people.
func broadcasts(k incident.DeliveryKind) bool {
	return k.Alarms() || k == incident.Reminder || k == incident.ApprovalAsk
}

// done says what was done, for the timeline.
func (p place) done() string {
	switch {
	case p.edit != "":
		return "edited"
	case p.broadcast:
		return "replied, and shown in the channel"
	case p.thread != "":
		return "replied"
	}
	return "posted"
}
