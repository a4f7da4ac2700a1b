package slack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"datasync-bridge/event"
	"datasync-bridge/notifiers/notifiertest"
	"datasync-bridge/notifiers/slack"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/routing/incident"
)

const (
	token   = "xoxb-0000000000-secret"
	channel = "C0123ABCD"
	hookURL = "https://hooks.slack.example/services/T0/B0/secretsecret"
)

func botConfig() slack.Config {
	return slack.Config{
		Token: token, Channel: channel, APIURL: "https://slack.example/api/",
		Mention: map[string]string{"critical": "<!subteam^S012>"},
	}
}

// workspace returns a stand-in that already has the root of notifiertest.Thread.
func workspace(t *testing.T) (*standin.Slack, *http.Client) {
	t.Helper()
	s := standin.NewSlack(standin.SlackOptions{
		Token: token, Channels: map[string]string{channel: ""}, Webhooks: map[string]string{"/services/T0/B0/secretsecret": channel},
	})
	return s, &http.Client{Transport: standin.Transport(s)}
}

// open posts an opening and returns its ref.
func open(t *testing.T, n *slack.Notifier) string {
	t.Helper()
	s, at := notifiertest.Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	receipt, err := n.Send(t.Context(), notifiertest.Delivery(incident.Opening, s, at, ""))
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	return receipt.Ref
}

func TestEachMessageAsSlackGetsIt(t *testing.T) {
	for _, c := range notifiertest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			far, client := workspace(t)
			n := slack.New(botConfig(), notifiertest.Style, client)
			d := c.Delivery
			if d.Thread != "" {
				d.Thread = open(t, n)
			}
			if _, err := n.Send(t.Context(), d); err != nil {
				t.Fatalf("send: %v", err)
			}
			requests := far.Requests()
			last := requests[len(requests)-1]
			args, err := url.ParseQuery(string(last.Body))
			if err != nil {
				t.Fatal(err)
			}
			messages := far.Messages(channel)
			shown := messages[len(messages)-1]
			var b strings.Builder
			fmt.Fprintf(&b, "%s thread=%t broadcast=%s\n\n%s\n\ntext: %s\n", last.Path,
				args.Has("thread_ts"), args.Get("reply_broadcast"), shown.Readable(), args.Get("text"))
			fmt.Fprintf(&b, "metadata: %s\nblocks: %s\n", args.Get("metadata"), indented(t, args.Get("blocks")))
			notifiertest.Golden(t, c.Name+".golden", b.String())
		})
	}
}

func indented(t *testing.T, raw string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatalf("blocks: %v", err)
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
