package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

// unsent is a far side that nothing reaches: it keeps the call that a notifier
// makes, so that what is shown is what would be sent.
type unsent struct{ call *shownCall }

// shownCall is one call as people and programs read it.
type shownCall struct {
	Notifier string `json:"notifier"`
	Method   string `json:"method"`
	URL      string `json:"url"`
	Body     any    `json:"body"`
}

var errUnsent = errors.New("shown, not sent")

// RoundTrip implements http.RoundTripper.
func (u *unsent) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		_ = req.Body.Close()
	}
	u.call = &shownCall{Method: req.Method, URL: req.URL.String(), Body: readable(req.Header.Get("Content-Type"), body)}
	return nil, errUnsent
}

// readable takes a body apart: a form's fields by name, and JSON wherever it stands.
func readable(kind string, body []byte) any {
	if strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err == nil {
			fields := make(map[string]any, len(form))
			for name := range form {
				fields[name] = readable("", []byte(form.Get(name)))
			}
			return fields
		}
	}
	if text := strings.TrimSpace(string(body)); strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		if json.Valid(body) {
			return json.RawMessage(body)
		}
	}
	return string(body)
}

// showCall prints the call that a notifier would make for a delivery. A
// notifier that calls nobody prints by itself.
func (c *cli) showCall(ctx context.Context, n config.Notifier, style notifiers.Style, d incident.Delivery) error {
	far := &unsent{}
	_, err := medium(n, style, &http.Client{Transport: far}, c.out).Send(ctx, d)
	if far.call == nil {
		return err
	}
	far.call.Notifier = n.Name
	text, err := json.Marshal(far.call)
	if err != nil {
		return err
	}
	var shown shownCall
	if err := json.Unmarshal([]byte(without(string(text), n)), &shown); err != nil {
		return err
	}
	if c.output == "json" {
		return writeJSON(c.out, shown)
	}
	fmt.Fprintf(c.out, "%s %s\n", shown.Method, printable(shown.URL))
	return writeJSON(c.out, shown.Body)
}

// without takes a notifier's secrets out of what it would send.
func without(text string, n config.Notifier) string {
	var secrets []string
	if n.Slack != nil {
		secrets = append(secrets, n.Slack.Token.Reveal())
		if u, err := url.Parse(n.Slack.WebhookURL.Reveal()); err == nil {
			secrets = append(secrets, strings.TrimPrefix(u.EscapedPath(), "/"))
		}
	}
	if n.PagerDuty != nil {
		secrets = append(secrets, n.PagerDuty.RoutingKey.Reveal())
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, event.Secret("").String())
		}
	}
	return text
}
