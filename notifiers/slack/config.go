package slack

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

// Config is a notifier's slack block: token and channel, or webhook_url alone.
type Config struct {
	Token   event.Secret `koanf:"token"`
	Channel string       `koanf:"channel"`
	// Mention is put before an opening of that severity: {critical: "<!subteam^S012>"}.
	Mention map[string]string `koanf:"mention"`
	// APIURL is Slack's base address with its slash. Default https://slack.com/api/.
	APIURL string `koanf:"api_url" expand:"true"`
	// WebhookURL is an incoming webhook, itself a secret: it can only post.
	WebhookURL event.Secret `koanf:"webhook_url"`
}

// WithDefaults fills in Slack's address and the slash that it must end with.
func (c Config) WithDefaults() Config {
	if c.APIURL == "" && c.WebhookURL == "" {
		c.APIURL = "https://slack.com/api/"
	}
	if c.APIURL != "" && !strings.HasSuffix(c.APIURL, "/") {
		c.APIURL += "/"
	}
	return c
}

// mention is what Slack turns into a ping: a user, a user group, or a channel-wide one.
var mention = regexp.MustCompile(`^(<(@[A-Z0-9]+|!subteam\^[A-Z0-9]+|!here|!channel|!everyone)> ?)+$`)

// Validate reports every fault of a slack block.
func (c Config) Validate(report func(path, problem string)) {
	switch {
	case c.Token == "" && c.WebhookURL == "":
		report("", "needs token and channel, or webhook_url alone")
	case c.WebhookURL != "":
		for path, set := range map[string]bool{"token": c.Token != "", "channel": c.Channel != "", "api_url": c.APIURL != ""} {
			if set {
				report(path, "does nothing beside webhook_url; remove one of them")
			}
		}
		if problem := notifiers.AddressProblem(c.WebhookURL.Reveal()); problem != "" {
			report("webhook_url", problem)
		}
	default:
		if c.Channel == "" {
			report("channel", "must be set beside token: the channel's id, such as C0123ABCD")
		}
		if problem := notifiers.AddressProblem(c.APIURL); problem != "" {
			report("api_url", problem)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Mention)) {
		var s event.Severity
		if err := s.UnmarshalText([]byte(name)); err != nil || name == "" {
			report("mention."+name, "is no severity; use info, warning, error or critical")
		}
		if !mention.MatchString(c.Mention[name]) || len(c.Mention[name]) > maxMention {
			report("mention."+name, `must be a mention as Slack writes it: "<@U012AB>", "<!subteam^S012>" or "<!here>"`)
		}
	}
}

// Edits reports whether messages can be changed and replied to: a bot can, an
// incoming webhook only posts.
func (c Config) Edits() bool { return c.WebhookURL == "" }

// Traits is what planning must know of a notifier with this block. A bot's
// token may be rotated without losing its messages, so it has no fingerprint; a
// webhook's address is its destination.
func (c Config) Traits(name string) incident.Notifier {
	n := incident.Notifier{Name: name, Edits: c.Edits(), Destination: c.Channel}
	if !c.Edits() {
		n.Destination, n.Fingerprint = "incoming webhook", notifiers.Fingerprint(c.WebhookURL)
	}
	return n
}
