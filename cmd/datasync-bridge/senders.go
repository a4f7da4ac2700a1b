package main

import (
	"io"
	"net/http"
	"reflect"
	"strconv"

	"golang.org/x/time/rate"

	"datasync-bridge/config"
	"datasync-bridge/dispatch"
	"datasync-bridge/notifiers"
	"datasync-bridge/notifiers/pagerduty"
	"datasync-bridge/notifiers/slack"
	"datasync-bridge/notifiers/terminal"
)

// crew makes senders, and remembers from one configuration to the next what a
// change of it must not undo: how far a channel's bucket is drained, and which
// senders are the same as before.
type crew struct {
	client *http.Client
	out    io.Writer
	// buckets are by channel: notifiers of one Slack channel share one call a
	// second, ten at once (routing rule 32).
	buckets map[string]*rate.Limiter
	made    map[string]made
}

// made is what a sender was made from.
type made struct {
	entry   config.Notifier
	style   notifiers.Style
	version int
}

// newCrew calls by client; notifiers of kind terminal print to out.
func newCrew(client *http.Client, out io.Writer) *crew {
	return &crew{client: client, out: out, buckets: map[string]*rate.Limiter{}, made: map[string]made{}}
}

// senders makes one sender per notifier.
func (c *crew) senders(cfg *config.Config) []dispatch.Sender {
	all := make([]dispatch.Sender, 0, len(cfg.Notifiers))
	for _, n := range cfg.Notifiers {
		s := dispatch.Sender{Name: n.Name, Notifier: medium(n, style(cfg), c.client, c.out), Retry: n.Retry, Version: c.version(n, style(cfg))}
		if n.Slack != nil {
			to := n.Slack.Traits(n.Name)
			channel := to.Destination + to.Fingerprint // a webhook is known by the latter
			if c.buckets[channel] == nil {
				c.buckets[channel] = rate.NewLimiter(1, 10)
			}
			s.Limiter = c.buckets[channel]
		}
		all = append(all, s)
	}
	return all
}

// version counts up where anything of the notifier, a secret too, is not as it
// was.
func (c *crew) version(n config.Notifier, style notifiers.Style) string {
	was := c.made[n.Name]
	if was.version == 0 || !reflect.DeepEqual(was.entry, n) || !reflect.DeepEqual(was.style, style) {
		was = made{n, style, was.version + 1}
		c.made[n.Name] = was
	}
	return strconv.Itoa(was.version)
}

// medium makes the one notifier that an entry describes.
func medium(n config.Notifier, style notifiers.Style, client *http.Client, out io.Writer) notifiers.Notifier {
	switch {
	case n.Slack != nil:
		return slack.New(*n.Slack, style, client)
	case n.PagerDuty != nil:
		return pagerduty.New(*n.PagerDuty, style, client)
	default:
		return terminal.New(*n.Terminal, style, out)
	}
}
