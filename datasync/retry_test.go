package datasync_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/datasync"
)

var errReset = errors.New("connection reset by peer")

func TestReadIsRepeatedUntilItSucceeds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first func() (*http.Response, error)
		calls int
		kind  datasync.Kind // "" is success
	}{
		{"after a 500", func() (*http.Response, error) { return reply(500, `{}`), nil }, 2, ""},
		{"after a 503", func() (*http.Response, error) { return reply(503, `<html>`), nil }, 2, ""},
		{"after a 429", func() (*http.Response, error) { return reply(429, `{}`, "Retry-After", "2"), nil }, 2, ""},
		{"after a reset", func() (*http.Response, error) { return nil, errReset }, 2, ""},
		{"after half an answer", func() (*http.Response, error) { return reply(200, `{"id":"par_1","na`), nil }, 2, ""},
		{"after an answer that breaks off", func() (*http.Response, error) {
			r := reply(200, "")
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"id":`), broken{}))
			return r, nil
		}, 2, ""},
		{"after HTML", func() (*http.Response, error) { return reply(200, `<html>`), nil }, 2, ""},
		{"after nothing at all", func() (*http.Response, error) { return reply(204, ``), nil }, 2, ""},
		{"not after a 400", func() (*http.Response, error) { return reply(400, `{}`), nil }, 1, datasync.Payload},
		{"not after a 403", func() (*http.Response, error) { return reply(403, `{}`), nil }, 1, datasync.Scope},
		{"not after a 404", func() (*http.Response, error) { return reply(404, `{}`), nil }, 1, datasync.NotFound},
		{"not after a redirect", func() (*http.Response, error) { return reply(307, `{}`, "Location", "https://evil.example"), nil }, 1, datasync.Unexpected},
		{"not after too long an answer", func() (*http.Response, error) {
			return reply(200, `{"x":"`+strings.Repeat("x", 1<<20)+`"}`), nil
		}, 1, datasync.Unexpected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{answer: func(n int, _ *http.Request) (*http.Response, error) {
					if n == 1 {
						return tt.first()
					}
					return reply(200, `{"id":"par_1","name":"Acme"}`), nil
				}}
				p, err := w.client(datasync.Config{}, datasync.Options{}).Partner(t.Context(), "par_1")
				if len(w.calls) != tt.calls {
					t.Errorf("%d calls, want %d", len(w.calls), tt.calls)
				}
				if tt.kind != "" {
					if e := kindOf(t, err); e.Kind != tt.kind {
						t.Errorf("kind %q, want %q", e.Kind, tt.kind)
					}
				} else if err != nil || p.Name != "Acme" {
					t.Errorf("partner %+v, error %v", p, err)
				}
			})
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestTokenRequestIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := pages(t, `{"run_id":"run_1"}`)
		w.token = func(n int) (int, string) {
			return map[int]int{1: 503, 2: 429, 3: 200}[n], `{"access_token":"a"}`
		}
		if _, err := w.client(datasync.Config{}, datasync.Options{}).Run(t.Context(), "w", nil, "k"); err != nil || w.tokens != 3 {
			t.Errorf("error %v after %d token requests, want none after 3", err, w.tokens)
		}
	})
}

// What acts is sent once, whatever comes back: a second time could act twice.
func TestWhatActsIsNeverRepeated(t *testing.T) {
	acts := map[string]func(context.Context, *datasync.Client) error{
		"a run": func(ctx context.Context, c *datasync.Client) error { _, err := c.Run(ctx, "w", nil, "k"); return err },
		"a new partner": func(ctx context.Context, c *datasync.Client) error {
			_, err := c.CreatePartner(ctx, map[string]any{"name": "Acme"})
			return err
		},
		"a subscription": func(ctx context.Context, c *datasync.Client) error {
			_, err := c.Subscribe(ctx, "n", "https://ops.example/h", []string{"*"})
			return err
		},
	}
	faults := map[string]func() (*http.Response, error){
		"500":     func() (*http.Response, error) { return reply(500, `{}`), nil },
		"503":     func() (*http.Response, error) { return reply(503, `{}`, "Retry-After", "1"), nil },
		"429":     func() (*http.Response, error) { return reply(429, `{}`, "Retry-After", "1"), nil },
		"reset":   func() (*http.Response, error) { return nil, errReset },
		"timeout": func() (*http.Response, error) { return nil, context.DeadlineExceeded },
	}
	for act, call := range acts {
		for fault, answer := range faults {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{answer: func(int, *http.Request) (*http.Response, error) { return answer() }}
				err := call(t.Context(), w.client(datasync.Config{}, datasync.Options{}))
				if err == nil || len(w.calls) != 1 {
					t.Errorf("%s after %s: %d calls, error %v, want one call and an error", act, fault, len(w.calls), err)
				}
			})
		}
	}
}

func TestRepetitionsEndInTime(t *testing.T) {
	for _, tt := range []struct {
		name   string
		budget time.Duration
		caller time.Duration // deadline of ctx, 0 for none
		answer *http.Response
		most   time.Duration
		calls  int // at most
	}{
		{"within the default budget", 0, 0, reply(429, `{}`), datasync.DefaultBudget, 1000},
		{"within its budget", 3 * time.Second, 0, reply(429, `{}`), 3 * time.Second, 1000},
		{"within the caller's time", time.Minute, 2 * time.Second, reply(429, `{}`), 2 * time.Second, 1000},
		{"at once where the pause asked for is longer", 0, 0, reply(429, `{}`, "Retry-After", "3600"), 0, 1},
		{"at once where the caller cannot wait", 0, 5 * time.Second, reply(503, `{}`, "Retry-After", "6"), 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{answer: func(int, *http.Request) (*http.Response, error) {
					a := *tt.answer
					a.Body = io.NopCloser(strings.NewReader(`{}`))
					return &a, nil
				}}
				ctx := t.Context()
				if tt.caller > 0 {
					var stop context.CancelFunc
					ctx, stop = context.WithTimeout(ctx, tt.caller)
					defer stop()
				}
				begin := time.Now()
				_, err := w.client(datasync.Config{}, datasync.Options{Budget: tt.budget}).Partner(ctx, "par_1")
				if e := kindOf(t, err); e.Status != tt.answer.StatusCode {
					t.Errorf("error %+v, want the last answer's status", e)
				}
				if took := time.Since(begin); took > tt.most || len(w.calls) > tt.calls || (tt.calls > 1 && len(w.calls) < 3) {
					t.Errorf("%d calls in %v, want %v at most", len(w.calls), took, tt.most)
				}
			})
		})
	}
}

func TestPauseIsAsLongAsAskedFor(t *testing.T) {
	for _, ask := range []string{"7", ""} {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{answer: func(n int, _ *http.Request) (*http.Response, error) {
				if n == 1 {
					if ask == "" {
						return reply(429, `{}`), nil
					}
					return reply(429, `{}`, "Retry-After", ask), nil
				}
				return reply(200, `{}`), nil
			}}
			if _, err := w.client(datasync.Config{}, datasync.Options{}).Partner(t.Context(), "par_1"); err != nil {
				t.Fatal(err)
			}
			paused := w.at[1].Sub(w.at[0])
			if ask == "7" && paused < 7*time.Second {
				t.Errorf("paused %v, want 7s", paused)
			}
			if ask == "" && paused > time.Second {
				t.Errorf("paused %v, want less than a second the first time", paused)
			}
		})
	}
}

func TestCallerThatGivesUpEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: func(int, *http.Request) (*http.Response, error) { return reply(429, `{}`, "Retry-After", "10"), nil }}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		_, err := w.client(datasync.Config{}, datasync.Options{}).Partner(ctx, "par_1")
		if took := time.Since(begin); err == nil || took != time.Second || len(w.calls) != 1 {
			t.Errorf("error %v after %v and %d calls, want one after 1s and one call", err, took, len(w.calls))
		}
	})
}
