package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/notifiers/standin"
	"datasync-bridge/routing/incident"
)

// until waits for what a scene expects; the stand-ins say when to look again.
func (st *stage) until(ctx context.Context, claim string, holds func() bool) error {
	look := time.NewTicker(100 * time.Millisecond) // for what the stand-ins do not see
	defer look.Stop()
	for {
		slack, pager := st.slack.Changed(), st.pager.Changed()
		if holds() {
			return nil
		}
		select {
		case <-slack:
		case <-pager:
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("did not happen in time: %s", claim)
		}
	}
}

// breathe lets a moment pass between trouble and recovery, so that a person
// can follow.
func (st *stage) breathe(ctx context.Context) {
	select {
	case <-time.After(1500 * time.Millisecond):
	case <-ctx.Done():
	}
}

// planned waits until Datasync has had its answer for an event and the bridge
// has nothing left to plan.
func (st *stage) planned(ctx context.Context, eventID string) error {
	if _, err := st.sandbox.Answered(ctx, eventID); err != nil {
		return err
	}
	return st.until(ctx, "the bridge has planned what it accepted", func() bool {
		pending, err := st.bridge.store.Events(ctx, incident.Filter{State: string(event.Pending), Limit: 1})
		return err == nil && len(pending) == 0
	})
}

// counted is how much the stand-ins have received.
type counted struct{ slack, pager int }

func (st *stage) counts() counted {
	return counted{len(st.slack.Requests()), len(st.pager.Requests())}
}

// nobody checks that nothing was sent since.
func (st *stage) nobody(before counted) (string, error) {
	if now := st.counts(); now != before {
		return "", fmt.Errorf("somebody was told: %d calls to Slack, %d to PagerDuty", now.slack-before.slack, now.pager-before.pager)
	}
	return "nobody was told", nil
}

// roots are the channel's top-level messages that say the words, in any of
// their versions.
func (st *stage) roots(words string) []standin.SlackMessage {
	var found []standin.SlackMessage
	for _, m := range st.slack.Messages(demoChannel) {
		says := strings.Contains(string(m.Blocks)+m.Text, words)
		for _, earlier := range m.Earlier {
			says = says || strings.Contains(string(earlier.Blocks)+earlier.Text, words)
		}
		if m.Thread == "" && says {
			found = append(found, m)
		}
	}
	return found
}

// opened counts the messages that were posted about something.
func (st *stage) opened(words string) int { return len(st.roots(words)) }

// replies counts the replies in those messages' threads that say more words.
func (st *stage) replies(words, more string) int {
	n := 0
	for _, root := range st.roots(words) {
		for _, m := range st.slack.Messages(demoChannel) {
			if m.Thread == root.TS && strings.Contains(strings.ToLower(string(m.Blocks)+m.Text), strings.ToLower(more)) {
				n++
			}
		}
	}
	return n
}

// ended counts the replies that say that it is over.
func (st *stage) ended(words string) int { return st.replies(words, "resolved") }

// alerts counts PagerDuty's alerts about a partner in a state, "" for any.
func (st *stage) alerts(partner string, state standin.AlertState) int {
	n := 0
	for _, a := range st.pager.Alerts() {
		if strings.Contains(a.Summary, partner) && (state == "" || a.State == state) {
			n++
		}
	}
	return n
}
