package slack

import (
	"context"
	"net/http"

	"github.com/slack-go/slack"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
)

// form is one message as Slack takes it. Text is what notifications show where
// there are blocks, and the whole message where there are none.
type form struct {
	text   string
	blocks []slack.Block
	trace  map[string]any
}

// bot speaks to the Web API with a token.
type bot struct{ api *slack.Client }

func newBot(cfg Config, client *http.Client) bot {
	// No OptionRetry: it sleeps inside the call; the outbox retries.
	return bot{slack.New(cfg.Token.Reveal(), slack.OptionAPIURL(cfg.APIURL), slack.OptionHTTPClient(client))}
}

func (b bot) post(ctx context.Context, to place, f form) (string, error) {
	options := append(f.options(),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl())
	if len(f.blocks) > 0 {
		options = append(options, slack.MsgOptionBlocks(f.blocks...))
	}
	if to.thread != "" {
		options = append(options, slack.MsgOptionTS(to.thread))
	}
	if to.broadcast {
		options = append(options, slack.MsgOptionBroadcast())
	}
	ctx, call := notifiers.Record(ctx)
	channel, ts, err := b.api.PostMessageContext(ctx, to.channel, options...)
	if err := botVerdict(call, err); err != nil {
		return "", err
	}
	return channel + "/" + ts, nil
}

func (b bot) update(ctx context.Context, at place, f form) error {
	// An empty list of blocks clears those that the message has.
	options := append(f.options(), slack.MsgOptionBlocks(f.blocks...))
	ctx, call := notifiers.Record(ctx)
	_, _, _, err := b.api.UpdateMessageContext(ctx, at.channel, at.edit, options...)
	return botVerdict(call, err)
}

// options are common to both calls. Metadata lets a message be traced back to
// its delivery; where the text alone is sent, so is nothing that may be refused.
func (f form) options() []slack.MsgOption {
	options := []slack.MsgOption{
		slack.MsgOptionText(f.text, false), // escaped already
		slack.MsgOptionParse(false),        // chat.update would look for names and addresses
	}
	if len(f.blocks) > 0 {
		options = append(options, slack.MsgOptionMetadata(slack.SlackMetadata{
			EventType: "datasync_bridge_delivery", EventPayload: f.trace,
		}))
	}
	return options
}

// webhook posts through an incoming webhook.
type webhook struct {
	url    event.Secret
	client *http.Client
}

func (w webhook) post(ctx context.Context, _ place, f form) (string, error) {
	off := false
	m := &slack.WebhookMessage{Text: f.text, UnfurlLinks: &off, UnfurlMedia: &off}
	if len(f.blocks) > 0 {
		m.Blocks = &slack.Blocks{BlockSet: f.blocks}
	}
	ctx, call := notifiers.Record(ctx)
	err := slack.PostWebhookCustomHTTPContext(ctx, w.url.Reveal(), w.client, m)
	return "", webhookVerdict(call, err)
}

func (w webhook) update(context.Context, place, form) error {
	return notifiers.Permanent(&refusal{word: "an incoming webhook cannot edit", about: thePlace})
}
