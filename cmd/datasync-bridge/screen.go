package main

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"datasync-bridge/notifiers/standin"
)

// screen shows a person what the demo's stand-ins receive, as it lands.
type screen struct {
	out    io.Writer
	colour bool
	slack  *standin.Slack
	pager  *standin.PagerDuty

	mu       sync.Mutex
	shown    counted
	pages    map[string]string // dedup key → summary
	verdicts [][]string
	failed   int
}

func newScreen(out io.Writer, slack *standin.Slack, pager *standin.PagerDuty) *screen {
	s := &screen{out: out, slack: slack, pager: pager, pages: map[string]string{}}
	if f, ok := out.(*os.File); ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		info, err := f.Stat()
		s.colour = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

// The few colours in use, as ANSI attributes.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (s *screen) paint(attribute, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + attribute + "m" + text + "\x1b[0m"
}

func (s *screen) intro(st *stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%s\n\n", s.paint(bold, "datasync-bridge demo: all of it runs on this machine, nothing leaves it"))
	fmt.Fprintf(s.out, "  Datasync (stand-in)   %s\n  bridge                %s\n  admin API             %s\n\n", st.sandboxURL, st.webhookURL, st.adminURL)
	fmt.Fprintf(s.out, "  The bridge has subscribed its address; Datasync signs each event with HMAC SHA-256.\n"+
		"  Slack and PagerDuty are stand-ins; what they receive is shown as it lands.\n")
}

func (s *screen) outro(st *stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	control := strings.TrimSuffix(st.sandboxURL, "/v1") + "/_control"
	fmt.Fprintf(s.out, `
The demo stays until Ctrl-C. In another terminal:

  %[3]s incidents -c %[1]s
  %[3]s events -c %[1]s
  curl -sH 'Content-Type: application/json' %[2]s/transactions -d '{"id":"txn_mine","document_type":"856","partner":{"id":"par_me","name":"My Partner"}}'
  curl -sH 'Content-Type: application/json' %[2]s/events -d '{"type":"transaction.failed","transaction":"txn_mine"}'
  curl -sH 'Content-Type: application/json' %[2]s/events -d '{"type":"transaction.delivered","transaction":"txn_mine"}'

`, st.configPath, control, os.Args[0]) // as it was called: it may not be on the PATH
}

func (s *screen) chapter(n int, title, expect string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "\n%s  %s\n", s.paint(bold, fmt.Sprintf("%d  %s", n, title)), s.paint(dim, "expect: "+expect))
}

func (s *screen) verdict(n int, sc scene, got string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mark := s.paint(green, "✓")
	word := "ok"
	if !ok {
		mark, word = s.paint(red, "✗"), "MISSING"
		s.failed++
	}
	fmt.Fprintf(s.out, "   %s %s\n", mark, got)
	s.verdicts = append(s.verdicts, []string{strconv.Itoa(n), sc.title, got, word})
}

// watch shows what lands until ctx ends.
func (s *screen) watch(ctx context.Context) {
	for {
		slack, pager := s.slack.Changed(), s.pager.Changed()
		s.flush()
		select {
		case <-slack:
		case <-pager:
		case <-ctx.Done():
			return
		}
	}
}

// flush shows what has landed since it was last called.
func (s *screen) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	slack, pager := s.slack.Requests(), s.pager.Requests()
	for _, r := range slack[s.shown.slack:] {
		s.line(r, "Slack", s.slackLine(r))
	}
	for _, r := range pager[s.shown.pager:] {
		s.line(r, "PagerDuty", s.pagerLine(r))
	}
	s.shown = counted{len(slack), len(pager)}
}

func (s *screen) line(r standin.Request, where, text string) {
	if r.Faulted {
		text = s.paint(yellow, fmt.Sprintf("answered %d", r.Status)) + s.paint(dim, "  (the stand-in is told to fail)")
	}
	fmt.Fprintf(s.out, "   %s  %-9s  %s\n", s.paint(dim, r.At.Format("15:04:05")), where, text)
}

func (s *screen) slackLine(r standin.Request) string {
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return "posted something unreadable"
	}
	verb := "posted   "
	switch {
	case path.Base(r.Path) == "chat.update":
		verb = "edited   "
	case form.Get("reply_broadcast") == "true":
		verb = "↳ replied, shown in the channel too "
	case form.Get("thread_ts") != "":
		verb = "↳ replied"
	}
	return s.paint(dim, verb) + " " + shorten(html.UnescapeString(firstLine(form.Get("text"))), 110)
}

func (s *screen) pagerLine(r standin.Request) string {
	var call struct {
		Action  string `json:"event_action"`
		Key     string `json:"dedup_key"`
		Payload struct{ Summary, Severity string }
	}
	if err := json.Unmarshal(r.Body, &call); err != nil {
		return "received something unreadable"
	}
	verb := fmt.Sprintf("%-9s", call.Action)
	if call.Action == "trigger" {
		s.pages[call.Key] = call.Payload.Summary
		return s.paint(red, verb) + " " + shorten(call.Payload.Severity+": "+call.Payload.Summary, 110)
	}
	return s.paint(green, verb) + " " + shorten(s.pages[call.Key], 110)
}

// summary is the table at the end.
func (s *screen) summary(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.out)
	table := tabwriter.NewWriter(s.out, 0, 4, 3, ' ', 0)
	fmt.Fprintln(table, "\tWHAT HAPPENED\tWHO WAS TOLD\t")
	for _, row := range s.verdicts {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	_ = table.Flush()
	done := s.paint(green, "every expected alert was delivered")
	if s.failed > 0 {
		done = s.paint(red, fmt.Sprintf("%d of %d scenes missed something", s.failed, len(s.verdicts)))
	}
	fmt.Fprintf(s.out, "\n%s: %d calls to Slack, %d to PagerDuty, %.1f s\n", done, s.shown.slack, s.shown.pager, took.Seconds())
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
