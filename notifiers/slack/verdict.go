package slack

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
)

// about is what a refusal is about, and so what can still be done.
type about int

const (
	nothingKnown   about = iota // an unknown word: try again, up to the cap
	thePlace                    // token, channel, rights: no retry can help
	theForm                     // blocks, size: plain text may pass
	theThread                   // the root is gone or closed: post anew
	theMoment                   // try again
	theMomentActed              // try again, but it may have been done
	theRate                     // pause
)

// words are Slack's error words by what they are about. The documented lists of
// chat.postMessage, chat.update and the incoming webhooks.
var words = func() map[string]about {
	m := map[string]about{}
	for a, list := range map[about]string{
		thePlace: `not_authed invalid_auth account_inactive token_revoked token_expired missing_scope
			no_permission not_allowed_token_type access_denied ekm_access_denied enterprise_is_restricted
			two_factor_setup_required app_access_restricted channel_not_found not_in_channel is_archived
			team_not_found messages_tab_disabled channel_is_archived action_prohibited
			no_service no_service_id no_team no_active_hooks invalid_token posting_to_general_channel_denied
			user_not_found method_deprecated deprecated_endpoint team_access_not_granted`,
		theForm: `invalid_blocks invalid_blocks_format msg_blocks_too_long msg_too_long no_text
			too_many_attachments attachment_payload_limit_exceeded metadata_too_large
			metadata_must_be_sent_from_app invalid_arg_name invalid_form_data
			invalid_charset markdown_text_conflict invalid_payload`,
		theThread: `message_not_found cant_update_message edit_window_closed is_inactive block_mismatch
			thread_not_found invalid_thread_ts cannot_reply_to_message thread_locked`,
		theMoment:      `service_unavailable request_timeout team_added_to_org org_login_required update_failed external_channel_migrating message_limit_exceeded`,
		theMomentActed: `internal_error fatal_error rollup_error`,
		theRate:        `ratelimited rate_limited`,
	} {
		for _, word := range strings.Fields(list) {
			m[word] = a
		}
	}
	return m
}()

func meaning(word string) about {
	switch {
	case strings.HasPrefix(word, "restricted_action"):
		return thePlace
	case strings.HasPrefix(word, "invalid_metadata_"):
		return theForm
	}
	return words[word]
}

// hints tell the operator what to do about the refusals that a new installation meets.
var hints = map[string]string{
	"not_in_channel":    "invite the bot to the channel",
	"channel_not_found": "check the channel's id, and invite the bot where it is private",
	"missing_scope":     "give the app the scope chat:write and install it again",
	"invalid_auth":      "check the token",
	"no_service":        "the webhook was removed; make a new one",
}

// refusal is Slack's "no" in its own words.
type refusal struct {
	word   string
	about  about
	detail string
}

func (r *refusal) Error() string {
	text := "slack refused: " + r.word
	if r.detail != "" {
		text += " (" + r.detail + ")"
	}
	if hint := hints[r.word]; hint != "" {
		text += "; " + hint
	}
	return text
}

// codeWord is what Slack has for a cause: it tells of nobody's business.
var codeWord = regexp.MustCompile(`^[a-z][a-z_]{0,60}$`)

// Quotes implements event.Quoter. A webhook's word may be a whole page.
func (r *refusal) Quotes() []string {
	if codeWord.MatchString(r.word) {
		return []string{r.detail}
	}
	return []string{r.word, r.detail}
}

func refusalOf(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return nil
}

// refused turns a word into the verdict.
func refused(word, detail string, call *notifiers.Call) error {
	r := &refusal{word: word, about: meaning(word), detail: detail}
	switch r.about {
	case thePlace, theForm, theThread:
		return notifiers.Permanent(r)
	case theRate:
		return notifiers.Wait(call.RetryAfter(time.Now()), r)
	case theMomentActed:
		return notifiers.Unclear(r)
	}
	return r
}

// botVerdict judges an answer of the Web API. nil means ok: true.
func botVerdict(call *notifiers.Call, err error) error {
	if call.Status == 0 || call.Err != nil {
		return call.Broken(err)
	}
	if call.Status != http.StatusOK {
		return statusVerdict(call)
	}
	var answer struct {
		OK       bool   `json:"ok"`
		Error    string `json:"error"`
		Metadata struct {
			Messages []string `json:"messages"`
		} `json:"response_metadata"`
	}
	if bad := json.Unmarshal(call.Body, &answer); bad != nil || !answer.OK && answer.Error == "" {
		// Something between us answered in Slack's place; what it did is anyone's guess.
		return notifiers.Unclear(fmt.Errorf("slack answered 200 without its usual form: %w", event.Quoted(call.Words())))
	}
	if answer.OK {
		return nil
	}
	return refused(notifiers.Clean(answer.Error, 80),
		notifiers.Clean(strings.Join(answer.Metadata.Messages, "; "), 300), call)
}

// webhookVerdict judges an answer of an incoming webhook. nil means "ok".
func webhookVerdict(call *notifiers.Call, err error) error {
	if call.Status == 0 || call.Err != nil {
		return call.Broken(err)
	}
	word := call.Words()
	switch call.Status {
	case http.StatusOK:
		if strings.TrimSpace(string(call.Body)) == "ok" { // not as cleaned: that may leave an ok of what was none
			return nil
		}
		return notifiers.Unclear(fmt.Errorf("slack's webhook answered 200 but not ok: %w", event.Quoted(word)))
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		if meaning(word) == theForm {
			return refused(word, "", call)
		}
		return notifiers.Permanent(&refusal{word: word, about: thePlace, detail: fmt.Sprintf("status %d", call.Status)})
	}
	return statusVerdict(call)
}

// statusVerdict judges the statuses that both ways share: all of them pass. A
// 500, 502 or 504 may stand behind work that was done.
func statusVerdict(call *notifiers.Call) error {
	err := fmt.Errorf("slack answered status %d: %w", call.Status, event.Quoted(call.Words()))
	switch call.Status {
	case http.StatusTooManyRequests:
		return notifiers.Wait(call.RetryAfter(time.Now()), err)
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return notifiers.Unclear(err)
	}
	return err
}
