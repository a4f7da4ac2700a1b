package standin_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"datasync-bridge/notifiers/standin"
)

const (
	token    = "xoxb-test"
	form     = "application/x-www-form-urlencoded"
	jsonType = "application/json; charset=utf-8"
)

func slack(faults standin.Faults) *standin.Slack {
	return standin.NewSlack(standin.SlackOptions{
		Token: token, Faults: faults,
		Channels: map[string]string{"C1": "", "C2": "", "CARCH": "is_archived", "COUT": "not_in_channel"},
		Webhooks: map[string]string{"/services/T/B/X": "C1", "/services/T/B/ARCH": "CARCH", "/services/T/B/LOST": "CGONE"},
	})
}

// answer is what came back, with the body as text and, where it is JSON, decoded.
type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func ask(t *testing.T, base, path, kind, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(raw)}
	_ = json.Unmarshal(raw, &a.json) // plain words stay words
	return a
}

// args makes a form out of pairs.
func args(pairs ...string) string {
	v := url.Values{"token": {token}}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

func blocks(n int, text string) string {
	one := fmt.Sprintf(`{"type":"section","text":{"type":"mrkdwn","text":%q}}`, text)
	return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]"
}

// slackRow is one call; want "" is ok: true.
type slackRow struct{ name, path, body, want string }

func slackRows(ts string) []slackRow {
	const post, update = "/api/chat.postMessage", "/api/chat.update"
	return []slackRow{
		{"a text", post, args("channel", "C1", "text", "x"), ""},
		{"blocks alone", post, args("channel", "C1", "blocks", blocks(1, "x")), ""},
		{"50 blocks", post, args("channel", "C1", "blocks", blocks(50, "x")), ""},
		{"a reply", post, args("channel", "C1", "text", "x", "thread_ts", ts, "reply_broadcast", "true"), ""},
		{"metadata", post, args("channel", "C1", "text", "x", "metadata", `{"event_type":"a","event_payload":{}}`), ""},
		{"an edit", update, args("channel", "C1", "ts", ts, "text", "y"), ""},

		{"no token", post, "channel=C1&text=x", "not_authed"},
		{"a wrong token", post, "token=no&channel=C1&text=x", "invalid_auth"},
		{"no such method", "/api/chat.shout", args(), "unknown_method"},
		{"no such channel", post, args("channel", "C9", "text", "x"), "channel_not_found"},
		{"an archived channel", post, args("channel", "CARCH", "text", "x"), "is_archived"},
		{"a channel without the bot", post, args("channel", "COUT", "text", "x"), "not_in_channel"},
		{"nothing to say", post, args("channel", "C1"), "no_text"},
		{"empty blocks are nothing", post, args("channel", "C1", "blocks", "[]"), "no_text"},
		{"blocks that are no JSON", post, args("channel", "C1", "blocks", "{"), "invalid_blocks_format"},
		{"51 blocks", post, args("channel", "C1", "blocks", blocks(51, "x")), "invalid_blocks"},
		{"a section too long", post, args("channel", "C1", "blocks", blocks(1, strings.Repeat("x", 3001))), "invalid_blocks"},
		{"an empty section", post, args("channel", "C1", "blocks", blocks(1, "")), "invalid_blocks"},
		{"a header too long", post, args("channel", "C1", "blocks", `[{"type":"header","text":{"type":"plain_text","text":"`+strings.Repeat("x", 151)+`"}}]`), "invalid_blocks"},
		{"a header in mrkdwn", post, args("channel", "C1", "blocks", `[{"type":"header","text":{"type":"mrkdwn","text":"x"}}]`), "invalid_blocks"},
		{"11 fields", post, args("channel", "C1", "blocks", `[{"type":"section","fields":[`+strings.TrimSuffix(strings.Repeat(`{"type":"mrkdwn","text":"x"},`, 11), ",")+`]}]`), "invalid_blocks"},
		{"a field too long", post, args("channel", "C1", "blocks", `[{"type":"section","fields":[{"type":"mrkdwn","text":"`+strings.Repeat("x", 2001)+`"}]}]`), "invalid_blocks"},
		{"11 elements in a context", post, args("channel", "C1", "blocks", `[{"type":"context","elements":[`+strings.TrimSuffix(strings.Repeat(`{"type":"mrkdwn","text":"x"},`, 11), ",")+`]}]`), "invalid_blocks"},
		{"26 actions", post, args("channel", "C1", "blocks", `[{"type":"actions","elements":[`+strings.TrimSuffix(strings.Repeat(`{"type":"button"},`, 26), ",")+`]}]`), "invalid_blocks"},
		{"a block_id twice", post, args("channel", "C1", "blocks", `[{"type":"divider","block_id":"a"},{"type":"divider","block_id":"a"}]`), "invalid_blocks"},
		{"a block_id too long", post, args("channel", "C1", "blocks", `[{"type":"divider","block_id":"`+strings.Repeat("x", 256)+`"}]`), "invalid_blocks"},
		{"a block of no known type", post, args("channel", "C1", "blocks", `[{"type":"banner"}]`), "invalid_blocks"},
		{"all blocks too long", post, args("channel", "C1", "blocks", blocks(5, strings.Repeat("x", 2900))), "msg_blocks_too_long"},
		{"metadata that is no JSON", post, args("channel", "C1", "text", "x", "metadata", "{"), "invalid_metadata_format"},
		{"metadata without a type", post, args("channel", "C1", "text", "x", "metadata", "{}"), "invalid_metadata_schema"},
		{"metadata too large", post, args("channel", "C1", "text", "x", "metadata", `{"event_type":"`+strings.Repeat("x", 17000)+`"}`), "metadata_too_large"},
		{"a reply to nothing", post, args("channel", "C1", "text", "x", "thread_ts", "1700000000.000001"), "thread_not_found"},
		{"a reply to no timestamp", post, args("channel", "C1", "text", "x", "thread_ts", "x"), "invalid_thread_ts"},
		{"an edit of nothing", update, args("channel", "C1", "ts", "1700000000.000001", "text", "y"), "message_not_found"},
		{"an edit in another channel", update, args("channel", "C2", "ts", ts, "text", "y"), "message_not_found"},
		{"an edit too long", update, args("channel", "C1", "ts", ts, "text", strings.Repeat("x", 4001)), "msg_too_long"},
	}
}

// TestSlackAnswersAsDocumented holds the stand-in to Slack's method pages and
// Block Kit reference.
func TestSlackAnswersAsDocumented(t *testing.T) {
	s := slack(nil)
	far := httptest.NewServer(s)
	defer far.Close()
	root := ask(t, far.URL, "/api/chat.postMessage", form, args("channel", "C1", "text", "root"))
	ts, _ := root.json["ts"].(string)

	const post = "/api/chat.postMessage"
	for _, tt := range slackRows(ts) {
		t.Run(tt.name, func(t *testing.T) {
			a := ask(t, far.URL, tt.path, form, tt.body)
			if a.status != http.StatusOK || a.json["ok"] != (tt.want == "") {
				t.Fatalf("status %d, body %s", a.status, a.body)
			}
			if word, _ := a.json["error"].(string); word != tt.want {
				t.Errorf("error %q, want %q", word, tt.want)
			}
			if got := a.header.Get("Content-Type"); got != jsonType {
				t.Errorf("content type %q", got)
			}
			if tt.want == "" && (a.json["ts"] == nil || a.json["channel"] != "C1") {
				t.Errorf("body %s: want channel and ts", a.body)
			}
			if tt.want == "invalid_blocks" && !strings.Contains(a.body, "json-pointer:/blocks") {
				t.Errorf("body %s: want a pointer to the fault", a.body)
			}
		})
	}
	t.Run("JSON with a bearer token", func(t *testing.T) {
		a := ask(t, far.URL, post, jsonType, `{"channel":"C2","text":"x","blocks":[{"type":"divider"}]}`, "Authorization", "Bearer "+token)
		if a.json["ok"] != true || len(s.Messages("C2")) != 1 || len(s.Messages("C2")[0].Blocks) == 0 {
			t.Errorf("body %s, messages %+v", a.body, s.Messages("C2"))
		}
	})
	t.Run("a long text is shortened", func(t *testing.T) {
		ask(t, far.URL, post, form, args("channel", "C2", "text", strings.Repeat("x", 50_000)))
		list := s.Messages("C2")
		if got := len(list[len(list)-1].Text); got != 40_000 {
			t.Errorf("%d characters, want 40,000", got)
		}
	})
}

func TestAWebhookAnswersInPlainWords(t *testing.T) {
	s := slack(nil)
	far := httptest.NewServer(s)
	defer far.Close()
	for _, tt := range []struct {
		name, path, body string
		status           int
		want             string
	}{
		{"a text", "/services/T/B/X", `{"text":"x"}`, 200, "ok"},
		{"blocks", "/services/T/B/X", `{"blocks":` + blocks(1, "x") + `}`, 200, "ok"},
		{"no such webhook", "/services/T/B/NO", `{"text":"x"}`, 404, "no_service"},
		{"a channel that is gone", "/services/T/B/LOST", `{"text":"x"}`, 404, "channel_not_found"},
		{"an archived channel", "/services/T/B/ARCH", `{"text":"x"}`, 410, "channel_is_archived"},
		{"no JSON", "/services/T/B/X", `{`, 400, "invalid_payload"},
		{"nothing to say", "/services/T/B/X", `{}`, 400, "no_text"},
		{"bad blocks", "/services/T/B/X", `{"blocks":` + blocks(51, "x") + `}`, 400, "invalid_blocks"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := ask(t, far.URL, tt.path, "application/json", tt.body)
			if a.status != tt.status || a.body != tt.want {
				t.Errorf("status %d %q, want %d %q", a.status, a.body, tt.status, tt.want)
			}
		})
	}
	ts := s.Messages("C1")[0].TS
	if a := ask(t, far.URL, "/api/chat.update", form, args("channel", "C1", "ts", ts, "text", "y")); a.json["error"] != "cant_update_message" {
		t.Errorf("a bot edited a webhook's message: %s", a.body)
	}
}

func TestSlackKeepsThreadsEditsAndRemovals(t *testing.T) {
	s := slack(nil)
	far := httptest.NewServer(s)
	defer far.Close()
	say := func(pairs ...string) string {
		a := ask(t, far.URL, "/api/chat.postMessage", form, args(pairs...))
		ts, _ := a.json["ts"].(string)
		return ts
	}
	root := say("channel", "C1", "text", "one", "blocks", blocks(1, "a"))
	say("channel", "C1", "text", "reply", "thread_ts", root, "reply_broadcast", "true")
	ask(t, far.URL, "/api/chat.update", form, args("channel", "C1", "ts", root, "text", "two"))
	list := s.Messages("C1")
	if len(list) != 2 || list[1].Thread != root || !list[1].Broadcast {
		t.Fatalf("messages %+v", list)
	}
	if m := list[0]; m.Text != "two" || len(m.Blocks) > 0 || len(m.Earlier) != 1 || m.Earlier[0].Text != "one" {
		t.Errorf("root %+v: a text without blocks takes the blocks away, and the old version is kept", m)
	}
	s.Remove("C1", root)
	if a := ask(t, far.URL, "/api/chat.update", form, args("channel", "C1", "ts", root, "text", "x")); a.json["error"] != "message_not_found" {
		t.Errorf("body %s", a.body)
	}
	if again := say("channel", "C1", "text", "x"); again == list[1].TS {
		t.Error("a ts was given twice")
	}
}
