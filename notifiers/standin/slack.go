package standin

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// SlackOptions say what the Slack stand-in knows.
type SlackOptions struct {
	// Token is the bot's; every other one is refused.
	Token string
	// Channels by id. The value is the error word that posting there gives
	// ("is_archived", "not_in_channel"), "" for none.
	Channels map[string]string
	// Webhooks are incoming webhooks: path to channel id.
	Webhooks map[string]string
	Faults   Faults
	// Now is the clock; nil is the real one.
	Now func() time.Time
}

// Slack is a workspace that takes chat.postMessage, chat.update and incoming
// webhooks. The handler answers below any path that ends in a method's name.
type Slack struct {
	desk
	token    string
	channels map[string]string
	webhooks map[string]string
	messages []*SlackMessage
}

// SlackMessage is a message as it stands, and as it stood before each edit.
type SlackMessage struct {
	Channel string
	TS      string
	// Thread is the ts of the message that this one replies to, "" for none;
	// Broadcast that the reply shows in the channel too.
	Thread    string
	Broadcast bool
	Text      string
	Blocks    json.RawMessage
	Metadata  json.RawMessage
	// Webhook reports that it came through an incoming webhook.
	Webhook bool
	At      time.Time
	Earlier []SlackVersion
}

// SlackVersion is what a message said before an edit.
type SlackVersion struct {
	Text   string
	Blocks json.RawMessage
	Until  time.Time
}

// NewSlack returns an empty workspace.
func NewSlack(o SlackOptions) *Slack {
	return &Slack{
		desk: newDesk(o.Faults, o.Now), token: o.Token,
		channels: maps.Clone(o.Channels), webhooks: maps.Clone(o.Webhooks),
	}
}

// Messages returns a channel's messages, replies among them, in order of posting.
func (s *Slack) Messages(channel string) []SlackMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []SlackMessage
	for _, m := range s.messages {
		if m.Channel == channel {
			list = append(list, m.copied())
		}
	}
	return list
}

func (m *SlackMessage) copied() SlackMessage {
	c := *m
	c.Earlier = slices.Clone(m.Earlier)
	return c
}

// Remove deletes a message, as a person would; edits and replies then find none.
func (s *Slack) Remove(channel, ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = slices.DeleteFunc(s.messages, func(m *SlackMessage) bool { return m.Channel == channel && m.TS == ts })
}

func (s *Slack) find(channel, ts string) *SlackMessage {
	for _, m := range s.messages {
		if m.Channel == channel && m.TS == ts {
			return m
		}
	}
	return nil
}

// ServeHTTP answers one call.
func (s *Slack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, func(body []byte) answer {
		if channel, ok := s.webhooks[r.URL.Path]; ok {
			return s.webhook(channel, r, body)
		}
		method := path.Base(r.URL.Path)
		if !strings.Contains(method, ".") {
			return answer{status: http.StatusNotFound, body: "no_service"}
		}
		args, word := arguments(r, body)
		if word == "" {
			word = s.authorize(r, args)
		}
		switch {
		case word != "":
			return no(word)
		case method == "chat.postMessage":
			return s.post(args)
		case method == "chat.update":
			return s.update(args)
		}
		return no("unknown_method")
	}, func(f Fault) answer {
		if f.Word != "" {
			a := no(f.Word)
			if f.RetryAfter != "" {
				a.header["Retry-After"] = f.RetryAfter
			}
			return a
		}
		return failing(f)
	})
}

// arguments reads a call's form, or its JSON: blocks and metadata then come as
// values, and are kept as the JSON that a form carries.
func arguments(r *http.Request, body []byte) (args url.Values, word string) {
	if r.Method != http.MethodPost {
		return nil, "invalid_arguments"
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch strings.TrimSpace(kind) {
	case "application/x-www-form-urlencoded":
		args, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, "invalid_form_data"
		}
		return args, ""
	case "application/json":
		var values map[string]json.RawMessage
		if json.Unmarshal(body, &values) != nil {
			return nil, "invalid_json"
		}
		args := url.Values{}
		for name, raw := range values {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				text = string(raw)
			}
			args.Set(name, text)
		}
		return args, ""
	}
	return nil, "invalid_post_type"
}

func (s *Slack) authorize(r *http.Request, args url.Values) (word string) {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		token = args.Get("token")
	}
	switch {
	case token == "":
		return "not_authed"
	case token != s.token:
		return "invalid_auth"
	}
	return ""
}

func (s *Slack) post(args url.Values) answer {
	channel := args.Get("channel")
	word, known := s.channels[channel]
	switch {
	case !known:
		return no("channel_not_found")
	case word != "":
		return no(word)
	}
	said, refusal := said(args)
	if refusal != nil {
		return *refusal
	}
	thread := args.Get("thread_ts")
	if thread != "" {
		if !validTS(thread) {
			return no("invalid_thread_ts")
		}
		if s.find(channel, thread) == nil {
			return no("thread_not_found")
		}
	}
	said.Channel, said.Thread = channel, thread
	said.Broadcast = thread != "" && args.Get("reply_broadcast") == "true"
	said.Text = truncate(said.Text, maxPosted)
	s.add(said)
	return ok(map[string]any{"channel": channel, "ts": said.TS, "message": map[string]any{
		"type": "message", "subtype": "bot_message", "text": said.Text, "ts": said.TS,
	}})
}

func (s *Slack) add(m *SlackMessage) {
	m.At = s.now()
	m.TS = fmt.Sprintf("%d.%06d", m.At.Unix(), len(s.messages)+1)
	for s.find(m.Channel, m.TS) != nil { // after a removal
		m.TS += "1"
	}
	s.messages = append(s.messages, m)
}

func (s *Slack) update(args url.Values) answer {
	channel, ts := args.Get("channel"), args.Get("ts")
	word, known := s.channels[channel]
	switch {
	case !known:
		return no("channel_not_found")
	case word != "":
		return no(word)
	}
	m := s.find(channel, ts)
	switch {
	case m == nil:
		return no("message_not_found")
	case m.Webhook: // posted by another than this bot
		return no("cant_update_message")
	case length(args.Get("text")) > maxUpdated:
		return no("msg_too_long")
	}
	said, refusal := said(args)
	if refusal != nil {
		return *refusal
	}
	m.Earlier = append(m.Earlier, SlackVersion{Text: m.Text, Blocks: m.Blocks, Until: s.now()})
	m.Text, m.Blocks = said.Text, said.Blocks
	if len(said.Metadata) > 0 {
		m.Metadata = said.Metadata
	}
	return ok(map[string]any{"channel": channel, "ts": ts, "text": m.Text})
}

func (s *Slack) webhook(channel string, r *http.Request, body []byte) answer {
	text := func(status int, word string) answer {
		return answer{status: status, body: word, header: map[string]string{"Content-Type": "text/html"}}
	}
	args, word := arguments(r, body)
	if word == "" && args.Has("payload") {
		args, word = arguments(&http.Request{Method: r.Method, Header: http.Header{"Content-Type": {"application/json"}}}, []byte(args.Get("payload")))
	}
	if word != "" {
		return text(http.StatusBadRequest, "invalid_payload")
	}
	switch state, known := s.channels[channel]; {
	case !known:
		return text(http.StatusNotFound, "channel_not_found")
	case state == "is_archived":
		return text(http.StatusGone, "channel_is_archived")
	case state != "":
		return text(http.StatusForbidden, "action_prohibited")
	}
	said, refusal := said(args)
	if refusal != nil {
		var a struct{ Error string }
		_ = json.Unmarshal([]byte(refusal.body), &a) // our own
		return text(http.StatusBadRequest, a.Error)
	}
	said.Channel, said.Webhook = channel, true
	s.add(said)
	return text(http.StatusOK, "ok")
}

func ok(fields map[string]any) answer { return reply(fields, true) }

// no is a refusal by the Web API: status 200, ok false.
func no(word string, messages ...string) answer {
	fields := map[string]any{"error": word}
	if len(messages) > 0 {
		fields["response_metadata"] = map[string]any{"messages": messages}
	}
	return reply(fields, false)
}

func reply(fields map[string]any, ok bool) answer {
	fields["ok"] = ok
	body, err := json.Marshal(fields)
	if err != nil {
		body = []byte(`{"ok":false,"error":"internal_error"}`)
	}
	return answer{status: http.StatusOK, body: string(body),
		header: map[string]string{"Content-Type": "application/json; charset=utf-8"}}
}
