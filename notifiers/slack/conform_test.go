package slack_test

import (
	"net/http"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/notifiers/notifiertest"
	"datasync-bridge/notifiers/slack"
	"datasync-bridge/routing/incident"
)

func opening() incident.Delivery {
	s, at := notifiertest.Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	return notifiertest.Delivery(incident.Opening, s, at, "")
}

func no(word string) string { return `{"ok":false,"error":"` + word + `"}` }

func TestBotConforms(t *testing.T) {
	permanent, transient := notifiertest.Verdict{Permanent: true}, notifiertest.Verdict{}
	unclear := notifiertest.Verdict{Unclear: true}
	subject := notifiertest.Subject{
		New: func(base string, client *http.Client) notifiers.Notifier {
			cfg := botConfig()
			cfg.APIURL = base
			return slack.New(cfg, notifiertest.Style, client)
		},
		Base: "https://slack.example/api", Secrets: []string{token}, Delivery: opening(),
		Accepted: notifiertest.Answer{Name: "ok", Status: 200, Body: `{"ok":true,"channel":"C1","ts":"1.2"}`, Want: notifiertest.Verdict{Sent: true}},
		Answers: []notifiertest.Answer{
			notifiertest.Says("ratelimited with 200", 200, "9", no("ratelimited"), notifiertest.Verdict{Paused: true, Wait: 9 * time.Second}),
			notifiertest.Says("rate_limited without a time", 200, "", no("rate_limited"), notifiertest.Verdict{Paused: true}),
			notifiertest.Says("ok false without a word", 200, "", `{"ok":false}`, unclear),
			notifiertest.Says("404 from something between", 404, "", "not here", transient),
			notifiertest.Says("503", 503, "", "down", transient),
			notifiertest.Says("an unknown word", 200, "", no("flux_capacitor_empty"), transient),
		},
	}
	for word, want := range map[string]notifiertest.Verdict{
		"channel_not_found": permanent, "not_in_channel": permanent, "is_archived": permanent,
		"invalid_auth": permanent, "not_authed": permanent, "account_inactive": permanent,
		"token_revoked": permanent, "token_expired": permanent, "missing_scope": permanent,
		"restricted_action": permanent, "restricted_action_read_only_channel": permanent,
		"ekm_access_denied": permanent, "team_not_found": permanent, "messages_tab_disabled": permanent,
		// These fail as plain text too.
		"invalid_blocks": permanent, "msg_blocks_too_long": permanent, "msg_too_long": permanent,
		"no_text": permanent, "invalid_metadata_format": permanent, "metadata_too_large": permanent,
		"internal_error": unclear, "fatal_error": unclear,
		"service_unavailable": transient, "request_timeout": transient, "team_added_to_org": transient,
		"org_login_required": transient, "update_failed": transient, "message_limit_exceeded": transient,
	} {
		subject.Answers = append(subject.Answers, notifiertest.Answer{Name: word, Status: 200, Body: no(word), Want: want})
	}
	notifiertest.Conform(t, subject)
}

func TestWebhookConforms(t *testing.T) {
	permanent, transient := notifiertest.Verdict{Permanent: true}, notifiertest.Verdict{}
	const path = "/services/T0/B0/secretsecret"
	notifiertest.Conform(t, notifiertest.Subject{
		New: func(base string, client *http.Client) notifiers.Notifier {
			return slack.New(slack.Config{WebhookURL: event.Secret(base + path)}, notifiertest.Style, client)
		},
		Base: "https://hooks.slack.example", Secrets: []string{path, hookURL}, Delivery: opening(),
		Accepted: notifiertest.Answer{Name: "ok", Status: 200, Body: "ok", Want: notifiertest.Verdict{Sent: true}},
		Answers: []notifiertest.Answer{
			notifiertest.Says("400 of no known word", 400, "", "user_not_found", permanent),
			notifiertest.Says("400 invalid_payload, as plain text too", 400, "", "invalid_payload", permanent),
			notifiertest.Says("403", 403, "", "action_prohibited", permanent),
			notifiertest.Says("404", 404, "", "no_service", permanent),
			notifiertest.Says("410", 410, "", "channel_is_archived", permanent),
			notifiertest.Says("401 is not in the table", 401, "", "?", transient),
			notifiertest.Says("503", 503, "", "down", transient),
		},
	})
}
