package slack_test

import (
	"slices"
	"strings"
	"testing"

	"datasync-bridge/notifiers/slack"
)

func TestConfigFaultsAreAllReportedWithTheirPaths(t *testing.T) {
	mention := func(m map[string]string) slack.Config {
		c := botConfig()
		c.Mention = m
		return c
	}
	for _, tt := range []struct {
		name string
		cfg  slack.Config
		want []string
	}{
		{"a bot", botConfig(), nil},
		{"a webhook", slack.Config{WebhookURL: hookURL}, nil},
		{"nothing", slack.Config{}, []string{""}},
		{"a token alone", slack.Config{Token: token}, []string{"channel"}},
		{"a channel alone", slack.Config{Channel: channel}, []string{""}},
		{"both ways", slack.Config{Token: token, Channel: channel, WebhookURL: hookURL}, []string{"channel", "token"}},
		{"a webhook without https", slack.Config{WebhookURL: "http://hooks.slack.com/x"}, []string{"webhook_url"}},
		{"a webhook on loopback", slack.Config{WebhookURL: "http://127.0.0.1:8123/x"}, nil},
		{"an api without https", slack.Config{Token: token, Channel: channel, APIURL: "http://slack.com/api/"}, []string{"api_url"}},
		{"an api that is no address", slack.Config{Token: token, Channel: channel, APIURL: "slack"}, []string{"api_url"}},
		{"mentions", mention(map[string]string{"critical": "<!subteam^S012> <@U1>", "warning": "<!here>"}), nil},
		{"a mention of no severity", mention(map[string]string{"urgent": "<!here>"}), []string{"mention.urgent"}},
		{"a mention that pings nobody", mention(map[string]string{"error": "@here"}), []string{"mention.error"}},
		{"two faults", slack.Config{Token: token, APIURL: "http://x.example", Mention: map[string]string{"x": "y"}},
			[]string{"api_url", "channel", "mention.x", "mention.x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			tt.cfg.WithDefaults().Validate(func(path, problem string) {
				got = append(got, path)
				if strings.Contains(problem, "secret") {
					t.Errorf("%s: the problem shows a secret: %s", path, problem)
				}
			})
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("faults at %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAPIURLGetsItsSlash(t *testing.T) {
	for given, want := range map[string]string{"": "https://slack.com/api/", "https://x.example/api": "https://x.example/api/", "https://x.example/api/": "https://x.example/api/"} {
		if got := (slack.Config{Token: token, Channel: channel, APIURL: given}).WithDefaults().APIURL; got != want {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
	}
}

func TestTraitsNameThePlaceAndNeverTheKey(t *testing.T) {
	bot := botConfig().Traits("edi-slack")
	if !bot.Edits || bot.Pager || bot.Destination != channel || bot.Name != "edi-slack" {
		t.Errorf("bot: %+v", bot)
	}
	hook := slack.Config{WebhookURL: hookURL}.Traits("hook")
	if hook.Edits || hook.Fingerprint == "" || strings.Contains(hook.Destination+hook.Fingerprint, "secret") {
		t.Errorf("webhook: %+v", hook)
	}
}
