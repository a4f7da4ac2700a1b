package slack_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"datasync-bridge/notifiers/notifiertest"
	"datasync-bridge/notifiers/slack"
	"datasync-bridge/notifiers/standin"
)

func TestRouting31_NothingFromOutsideCanPingOrForge(t *testing.T) {
	for _, many := range []bool{false, true} {
		for _, kind := range notifiertest.Kinds {
			for _, thread := range []bool{false, true} {
				far, client := workspace(t)
				cfg := botConfig()
				cfg.Mention = nil
				n := slack.New(cfg, notifiertest.Style, client)
				d := notifiertest.Hostile(kind, many)
				if thread {
					d.Thread = open(t, n)
				}
				if _, err := n.Send(t.Context(), d); err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				_, args := last(t, far)
				checkHarmless(t, string(kind), args)
				checkSize(t, string(kind), args)
			}
		}
	}
}

var bareAmpersand = regexp.MustCompile(`&(?:[^agl]|a[^m]|g[^t]|l[^t]|$).{0,10}`)

// checkHarmless looks at every text that Slack would show.
func checkHarmless(t *testing.T, name string, args url.Values) {
	t.Helper()
	for _, text := range append(texts(t, args.Get("blocks")), args.Get("text")) {
		for _, piece := range strings.Split(text, "<")[1:] {
			if !strings.HasPrefix(piece, "https://console.datasync.example/transactions/") {
				t.Errorf("%s: an opening bracket of unknown origin: <%.60s", name, piece)
			}
		}
		if bare := bareAmpersand.FindString(text); bare != "" {
			t.Errorf("%s: an ampersand that is no entity: %q", name, bare)
		}
		if r, bad := notifiertest.Concealed(text); bad {
			t.Errorf("%s: %U in %.80q", name, r, text)
		}
	}
	if strings.Contains(args.Get("text"), "://evil") {
		t.Errorf("%s: Slack would make a link of an address in the text: %.200s", name, args.Get("text"))
	}
	for _, block := range decode(t, args.Get("blocks")) {
		if text, ok := block["text"].(map[string]any); ok && text["type"] == "mrkdwn" && text["verbatim"] != true {
			t.Errorf("%s: Slack would make links and pings in %v", name, text)
		}
	}
}

func checkSize(t *testing.T, name string, args url.Values) {
	t.Helper()
	total := 0
	for _, text := range texts(t, args.Get("blocks")) {
		total += utf8.RuneCountInString(text)
	}
	if total > 9500 || utf8.RuneCountInString(args.Get("text")) > 4000 {
		t.Errorf("%s: %d characters in blocks, %d in text: too many", name, total, utf8.RuneCountInString(args.Get("text")))
	}
}

func decode(t *testing.T, raw string) (blocks []map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(raw), &blocks); err != nil {
		t.Fatalf("blocks: %v", err)
	}
	return blocks
}

// texts are all texts in blocks.
func texts(t *testing.T, raw string) []string {
	t.Helper()
	var found []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			if text, ok := v["text"].(string); ok {
				found = append(found, text)
			}
			for _, item := range v {
				walk(item)
			}
		}
	}
	var all any
	if err := json.Unmarshal([]byte(raw), &all); err != nil {
		t.Fatalf("blocks: %v", err)
	}
	walk(all)
	return found
}

func TestAPlainTextIsHarmlessAndBoundedToo(t *testing.T) {
	for _, kind := range notifiertest.Kinds {
		far, client := workspace(t)
		cfg := botConfig()
		cfg.Mention = nil
		far.SetFaults(func(n int, _ *http.Request) standin.Fault {
			return standin.Fault{Word: map[int]string{1: "invalid_blocks"}[n]}
		})
		if _, err := slack.New(cfg, notifiertest.Style, client).Send(t.Context(), notifiertest.Hostile(kind, true)); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		_, args := last(t, far)
		args.Set("blocks", "[]")
		checkHarmless(t, string(kind), args)
		checkSize(t, string(kind), args)
	}
}
