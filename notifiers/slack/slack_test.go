package slack_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/notifiers/notifiertest"
	"datasync-bridge/notifiers/slack"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/routing/incident"
)

func delivery(kind incident.DeliveryKind, thread string) incident.Delivery {
	s, at := notifiertest.Sample("02_failed_asn_final", event.Connectivity, event.Critical)
	if kind == incident.Resolve {
		s, at = notifiertest.Ended(s, incident.Recovered, time.Hour)
	}
	d := notifiertest.Delivery(kind, s, at, "text")
	d.Thread = thread
	return d
}

// last returns the arguments of the last call.
func last(t *testing.T, far *standin.Slack) (method string, args url.Values) {
	t.Helper()
	requests := far.Requests()
	r := requests[len(requests)-1]
	args, err := url.ParseQuery(string(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	return r.Path[strings.LastIndex(r.Path, "/")+1:], args
}

func TestEachKindGoesWhereTheRulesSay(t *testing.T) {
	for _, tt := range []struct {
		rule      string
		kind      incident.DeliveryKind
		rooted    bool
		method    string
		reply     bool
		broadcast bool
	}{
		{"27: an opening is posted", incident.Opening, false, "chat.postMessage", false, false},
		{"27: an opening is posted even where there is a root", incident.Opening, true, "chat.postMessage", false, false},
		{"27: an update edits the root", incident.Update, true, "chat.update", false, false},
		{"27: an update without a root is posted", incident.Update, false, "chat.postMessage", false, false},
		{"18: an alarm anew replies and shows in the channel", incident.Alarm, true, "chat.postMessage", true, true},
		{"18: an alarm anew without a root is posted", incident.Alarm, false, "chat.postMessage", false, false},
		{"20: a reminder replies and shows in the channel", incident.Reminder, true, "chat.postMessage", true, true},
		{"21: a reopening replies and shows in the channel", incident.Reopening, true, "chat.postMessage", true, true},
		{"29: a fallback shows in the channel even in a thread", incident.Fallback, true, "chat.postMessage", true, true},
		{"29: a fallback without a root is posted", incident.Fallback, false, "chat.postMessage", false, false},
		{"32: a resolve replies", incident.Resolve, true, "chat.postMessage", true, false},
		{"27: a resolve without a root is one message that says both", incident.Resolve, false, "chat.postMessage", false, false},
		{"32: an acknowledgement replies", incident.Acknowledged, true, "chat.postMessage", true, false},
		{"32: an escalation replies", incident.Escalated, true, "chat.postMessage", true, false},
		{"32: a run's result replies", incident.RunResult, true, "chat.postMessage", true, false},
		{"21: a count replies", incident.Counted, true, "chat.postMessage", true, false},
		{"10: a notice is posted", incident.Noticed, false, "chat.postMessage", false, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			far, client := workspace(t)
			n := slack.New(botConfig(), notifiertest.Style, client)
			d := delivery(tt.kind, "")
			if tt.rooted {
				d.Thread = open(t, n)
			}
			before := len(far.Requests())
			receipt, err := n.Send(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			if calls := len(far.Requests()) - before; calls != 1 {
				t.Errorf("%d calls, want exactly one", calls)
			}
			method, args := last(t, far)
			if method != tt.method || args.Has("thread_ts") != tt.reply || (args.Get("reply_broadcast") == "true") != tt.broadcast {
				t.Errorf("%s thread_ts=%q reply_broadcast=%q, want %s reply=%t broadcast=%t",
					method, args.Get("thread_ts"), args.Get("reply_broadcast"), tt.method, tt.reply, tt.broadcast)
			}
			isRoot := method == "chat.postMessage" && !tt.reply
			if (receipt.Ref != "") != isRoot {
				t.Errorf("ref %q: want one exactly for a new top-level message", receipt.Ref)
			}
			if method == "chat.postMessage" && args.Get("unfurl_links")+args.Get("unfurl_media") != "falsefalse" {
				t.Errorf("unfurl is on: links %q media %q", args.Get("unfurl_links"), args.Get("unfurl_media"))
			}
			if args.Get("parse") != "none" {
				t.Errorf("parse=%q: Slack would look for names and addresses", args.Get("parse"))
			}
		})
	}
}

func TestRouting27_ARefIsChannelAndTSAndLeadsBackToTheMessage(t *testing.T) {
	far, client := workspace(t)
	n := slack.New(botConfig(), notifiertest.Style, client)
	ref := open(t, n)
	if root := far.Messages(channel)[0]; ref != channel+"/"+root.TS {
		t.Fatalf("ref %q, want %s/%s", ref, channel, root.TS)
	}
	if _, err := n.Send(t.Context(), delivery(incident.Update, ref)); err != nil {
		t.Fatal(err)
	}
	if root := far.Messages(channel)[0]; len(root.Earlier) != 1 {
		t.Errorf("%d earlier versions, want the one that was edited", len(root.Earlier))
	}
}

func TestAnIncidentStaysInTheChannelWhereItWasTold(t *testing.T) {
	far := standin.NewSlack(standin.SlackOptions{Token: token, Channels: map[string]string{channel: "", "C0NEW": ""}})
	client := &http.Client{Transport: standin.Transport(far)}
	ref := open(t, slack.New(botConfig(), notifiertest.Style, client))
	moved := botConfig()
	moved.Channel = "C0NEW"
	if _, err := slack.New(moved, notifiertest.Style, client).Send(t.Context(), delivery(incident.Resolve, ref)); err != nil {
		t.Fatal(err)
	}
	if got := len(far.Messages("C0NEW")); got != 0 {
		t.Errorf("%d messages in the new channel, want the resolve in the old one", got)
	}
}

func TestWhatSlackRefusesAsBlocksGoesOnceAsPlainText(t *testing.T) {
	for _, word := range []string{"invalid_blocks", "msg_blocks_too_long", "metadata_too_large"} {
		t.Run(word, func(t *testing.T) {
			far, client := workspace(t)
			far.SetFaults(func(n int, _ *http.Request) standin.Fault {
				if n == 1 {
					return standin.Fault{Word: word}
				}
				return standin.Fault{}
			})
			receipt, err := slack.New(botConfig(), notifiertest.Style, client).Send(t.Context(), delivery(incident.Opening, ""))
			if err != nil || receipt.Ref == "" || !strings.Contains(receipt.Answer, word) {
				t.Fatalf("receipt %+v, error %v: want a ref, and an answer that names %s", receipt, err, word)
			}
			m := far.Messages(channel)[0]
			if len(m.Blocks) > 0 || len(m.Metadata) > 0 {
				t.Errorf("the second attempt still has blocks or metadata")
			}
			for _, want := range []string{"CRITICAL", "856 ship notice", "Harrowgate Grocers", "due 14:00 CT", "PO PO-88214", "CONNECTION_TIMEOUT", "edi-desk@harrowgate.example", "page-tenders-and-goods", "<!subteam^S012>"} {
				if !strings.Contains(m.Text, want) {
					t.Errorf("plain text lacks %q:\n%s", want, m.Text)
				}
			}
		})
	}
	t.Run("once, not for ever", func(t *testing.T) {
		far, client := workspace(t)
		far.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Word: "invalid_blocks"} })
		_, err := slack.New(botConfig(), notifiertest.Style, client).Send(t.Context(), delivery(incident.Opening, ""))
		if !notifiers.IsPermanent(err) || len(far.Requests()) != 2 {
			t.Errorf("%d calls, error %v: want two and a permanent error", len(far.Requests()), err)
		}
	})
	t.Run("an edit as plain text takes the old blocks away", func(t *testing.T) {
		far, client := workspace(t)
		n := slack.New(botConfig(), notifiertest.Style, client)
		ref := open(t, n)
		far.SetFaults(func(n int, _ *http.Request) standin.Fault {
			if n == 2 {
				return standin.Fault{Word: "invalid_blocks"}
			}
			return standin.Fault{}
		})
		if _, err := n.Send(t.Context(), delivery(incident.Update, ref)); err != nil {
			t.Fatal(err)
		}
		if m := far.Messages(channel)[0]; len(m.Blocks) > 0 {
			t.Errorf("the old blocks still show: %s", m.Blocks)
		}
	})
}

func TestAMessageThatIsGoneIsPostedAnew(t *testing.T) {
	for _, tt := range []struct {
		kind incident.DeliveryKind
		word string
	}{
		{incident.Update, "message_not_found"},
		{incident.Update, "cant_update_message"},
		{incident.Update, "edit_window_closed"},
		{incident.Alarm, "thread_not_found"},
		{incident.Resolve, "message_not_found"},
	} {
		t.Run(string(tt.kind)+" "+tt.word, func(t *testing.T) {
			far, client := workspace(t)
			n := slack.New(botConfig(), notifiertest.Style, client)
			ref := open(t, n)
			far.SetFaults(func(n int, _ *http.Request) standin.Fault {
				if n == 2 {
					return standin.Fault{Word: tt.word}
				}
				return standin.Fault{}
			})
			receipt, err := n.Send(t.Context(), delivery(tt.kind, ref))
			if err != nil {
				t.Fatal(err)
			}
			messages := far.Messages(channel)
			anew := messages[len(messages)-1]
			if receipt.Ref != channel+"/"+anew.TS || anew.Thread != "" || receipt.Ref == ref {
				t.Errorf("ref %q (was %q), thread %q: want a new root and its ref", receipt.Ref, ref, anew.Thread)
			}
		})
	}
	t.Run("and as plain text, where both are refused", func(t *testing.T) {
		far, client := workspace(t)
		n := slack.New(botConfig(), notifiertest.Style, client)
		ref := open(t, n)
		far.SetFaults(func(n int, _ *http.Request) standin.Fault {
			return standin.Fault{Word: map[int]string{2: "message_not_found", 3: "invalid_blocks"}[n]}
		})
		receipt, err := n.Send(t.Context(), delivery(incident.Update, ref))
		if err != nil || receipt.Ref == "" || len(far.Requests()) != 4 {
			t.Errorf("%d calls, receipt %+v, error %v", len(far.Requests()), receipt, err)
		}
	})
}

func TestRouting27_AWebhookPostsAndNeverEdits(t *testing.T) {
	far, client := workspace(t)
	n := slack.New(slack.Config{WebhookURL: hookURL}, notifiertest.Style, client)
	for _, kind := range notifiertest.Kinds {
		receipt, err := n.Send(t.Context(), delivery(kind, ""))
		if kind == incident.Update {
			if !notifiers.IsPermanent(err) {
				t.Errorf("update: error %v, want permanent", err)
			}
			continue
		}
		if err != nil || receipt.Ref != "" {
			t.Errorf("%s: receipt %+v, error %v", kind, receipt, err)
		}
	}
	for _, m := range far.Messages(channel) {
		if m.Thread != "" || !strings.Contains(m.Readable(), "will not be updated") {
			t.Errorf("a webhook's message must stand alone and say that it will not be updated:\n%s", m.Readable())
		}
	}
}

func TestAWebhooksWordsReachTheOperator(t *testing.T) {
	far, client := workspace(t)
	far.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Status: 410, Body: "channel_is_archived"} })
	_, err := slack.New(slack.Config{WebhookURL: hookURL}, notifiertest.Style, client).Send(t.Context(), delivery(incident.Opening, ""))
	if err == nil || !strings.Contains(err.Error(), "channel_is_archived") {
		t.Errorf("error %v, want Slack's word in it", err)
	}
}

func TestARefusalSaysWhatToDo(t *testing.T) {
	far, client := workspace(t)
	far.SetFaults(func(int, *http.Request) standin.Fault { return standin.Fault{Word: "not_in_channel"} })
	_, err := slack.New(botConfig(), notifiertest.Style, client).Send(t.Context(), delivery(incident.Opening, ""))
	if want := "slack refused: not_in_channel; invite the bot to the channel"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestOnlyWhatRingsMentionsAnybody(t *testing.T) {
	for _, kind := range notifiertest.Kinds {
		far, client := workspace(t)
		n := slack.New(botConfig(), notifiertest.Style, client)
		if _, err := n.Send(t.Context(), delivery(kind, "")); err != nil {
			t.Fatal(err)
		}
		_, args := last(t, far)
		if got := strings.Contains(args.Get("blocks"), `<!subteam^S012>`) || strings.Contains(args.Get("blocks"), `\u003c!subteam^S012`); got != kind.Alarms() {
			t.Errorf("%s mentions: %t, want %t", kind, got, kind.Alarms())
		}
	}
	d := delivery(incident.Opening, "")
	d.Snapshot.Environment = event.Sandbox
	far, client := workspace(t)
	if _, err := slack.New(botConfig(), notifiertest.Style, client).Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if _, args := last(t, far); strings.Contains(args.Get("blocks"), "subteam") {
		t.Error("a sandbox incident mentions people")
	}
}

func TestAMessageCanBeTracedToItsDelivery(t *testing.T) {
	far, client := workspace(t)
	d := delivery(incident.Opening, "")
	if _, err := slack.New(botConfig(), notifiertest.Style, client).Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	m := far.Messages(channel)[0]
	if !strings.Contains(string(m.Metadata), d.ID) || !strings.Contains(string(m.Blocks), `"block_id":"`+d.ID) {
		t.Errorf("metadata %s, blocks %s: want the delivery's id in both", m.Metadata, m.Blocks)
	}
}
