package datasync_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
)

func TestAdviceNamesTheFaultAndTheNextStep(t *testing.T) {
	const acted = "may have taken effect"
	for _, tt := range []struct {
		name   string
		answer func() (*http.Response, error)
		want   []string
		never  string
	}{
		{"an invalid payload", status(422), []string{"found the request invalid", "quote request req_1"}, acted},
		{"credentials", status(401), []string{"datasync.client_id", "Settings → API Access", "req_1"}, acted},
		{"a scope", status(403), []string{"lacks a scope", "Settings → API Access", "req_1"}, acted},
		{"an unknown address", status(404), []string{"check the id", "req_1"}, acted},
		{"too many", status(429), []string{"try again in 7s", "req_1"}, acted},
		{"an incident", status(500), []string{"incident on Datasync's side", acted, "req_1"}, ""},
		{"a redirect", status(302), []string{"redirect", acted}, ""},
		{"a conflict", status(409), []string{"documentation does not explain", acted}, ""},
		{"no answer", func() (*http.Response, error) { return nil, errReset }, []string{"the network", "the proxy"}, "req_1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &wire{answer: func(int, *http.Request) (*http.Response, error) { return tt.answer() }}
			_, err := w.client(datasync.Config{}, datasync.Options{}).Run(t.Context(), "w", nil, "k")
			advice := kindOf(t, err).Advice()
			for _, part := range tt.want {
				if !strings.Contains(advice, part) {
					t.Errorf("%q lacks %q", advice, part)
				}
			}
			if tt.never != "" && strings.Contains(advice, tt.never) {
				t.Errorf("%q says %q", advice, tt.never)
			}
		})
	}
	t.Run("of a read that failed, that nothing happened", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{answer: func(int, *http.Request) (*http.Response, error) { return reply(500, `{}`), nil }}
			_, err := w.client(datasync.Config{}, datasync.Options{}).Partner(t.Context(), "par_1")
			if e := kindOf(t, err); !e.Sent || strings.Contains(e.Advice(), acted) {
				t.Errorf("%q", e.Advice())
			}
		})
	})
	t.Run("of calls that pause, until when", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newOutage()
			o.now = down
			err := o.run(t, o.client(datasync.Config{}, datasync.Options{}), 6)
			if e := kindOf(t, err); !errors.Is(e, datasync.ErrPaused) || !strings.Contains(e.Advice(), "try again in 30s") {
				t.Errorf("%q", e.Advice())
			}
		})
	})
	t.Run("of what was not sent, that it was not", func(t *testing.T) {
		_, err := pages(t).client(datasync.Config{}, datasync.Options{}).Partner(t.Context(), "..")
		if e := kindOf(t, err); !strings.Contains(e.Advice(), "Nothing was sent") {
			t.Errorf("%q", e.Advice())
		}
	})
}

func status(n int) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		return reply(n, `{"request_id":"req_1"}`, "Retry-After", "7", "Location", "/"), nil
	}
}

func TestALogTellsNeitherIDsNorWhatDatasyncSaid(t *testing.T) {
	for _, op := range []string{"read partner canary", "read transaction canary", "list transactions"} {
		err := &datasync.Error{Op: op, Kind: datasync.Server, Status: 500, RequestID: "req_1", Message: "no canary here"}
		got := event.Unquoted(fmt.Errorf("enrich: %w", err))
		if strings.Contains(got, "canary") || !strings.Contains(got, "500") || !strings.Contains(got, "req_1") || !strings.Contains(got, strings.TrimSuffix(op, " canary")) {
			t.Errorf("%s is logged as %q", op, got)
		}
	}
}
