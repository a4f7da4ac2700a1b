package standin_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/notifiers/standin"
)

func post(ctx context.Context, client *http.Client, address, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", form)
	return client.Do(r)
}

func TestFaultsComeOnDemand(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  standin.Fault
		status int // 0: no answer
		body   string
		acted  bool
	}{
		{"none", standin.Fault{}, 200, `"ok":true`, true},
		{"429", standin.Fault{Status: 429, RetryAfter: "3"}, 429, "", false},
		{"500", standin.Fault{Status: 500, Body: "oops"}, 500, "oops", false},
		{"500 although it acted", standin.Fault{Status: 500, Acted: true}, 500, "", true},
		{"a word", standin.Fault{Word: "fatal_error"}, 200, `"error":"fatal_error"`, false},
		{"reset", standin.Fault{Reset: true}, 0, "", false},
		{"reset after acting", standin.Fault{Reset: true, Acted: true}, 0, "", true},
		{"slow", standin.Fault{Delay: time.Millisecond}, 200, `"ok":true`, true},
	} {
		for _, way := range []string{"network", "memory"} {
			t.Run(tt.name+" by "+way, func(t *testing.T) {
				s := slack(func(n int, r *http.Request) standin.Fault {
					if n != 1 || r.URL.Path != "/api/chat.postMessage" {
						t.Errorf("asked for request %d %s", n, r.URL.Path)
					}
					return tt.fault
				})
				client, base := &http.Client{Transport: standin.Transport(s)}, "http://slack.example"
				if way == "network" {
					far := httptest.NewServer(s)
					defer far.Close()
					client, base = far.Client(), far.URL
				}
				resp, err := post(t.Context(), client, base+"/api/chat.postMessage", args("channel", "C1", "text", "x"))
				if tt.status == 0 {
					if err == nil || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
						t.Errorf("error %v, want a reset", err)
					}
				} else {
					if err != nil {
						t.Fatal(err)
					}
					body, _ := io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					if resp.StatusCode != tt.status || !strings.Contains(string(body), tt.body) || resp.Header.Get("Retry-After") != tt.fault.RetryAfter {
						t.Errorf("status %d, header %v, body %s", resp.StatusCode, resp.Header, body)
					}
				}
				if acted := len(s.Messages("C1")) == 1; acted != tt.acted {
					t.Errorf("acted %t, want %t", acted, tt.acted)
				}
				if got := s.Requests(); len(got) != 1 || got[0].Status != tt.status || got[0].N != 1 {
					t.Errorf("record %+v", got)
				}
			})
		}
	}
}

func TestASlowAnswerEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slack(func(int, *http.Request) standin.Fault { return standin.Fault{Delay: time.Hour} })
		client := &http.Client{Transport: standin.Transport(s), Timeout: 10 * time.Second}
		began := time.Now()
		_, err := post(t.Context(), client, "http://slack.example/api/chat.postMessage", args("channel", "C1", "text", "x"))
		if err == nil || time.Since(began) != 10*time.Second {
			t.Errorf("error %v after %v, want the caller's time limit", err, time.Since(began))
		}
		synctest.Wait()
		if n := len(s.Messages("C1")); n != 0 {
			t.Errorf("%d messages from a caller that gave up before the work", n)
		}
	})
}

// TestChangedLosesNothing posts from many at once; a reader that waits only on
// Changed sees them all.
func TestChangedLosesNothing(t *testing.T) {
	s := slack(nil)
	client := &http.Client{Transport: standin.Transport(s)}
	const posts = 64
	var all sync.WaitGroup
	for i := range posts {
		all.Go(func() {
			resp, err := post(t.Context(), client, "http://slack.example/api/chat.postMessage", args("channel", "C1", "text", strconv.Itoa(i)))
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
		})
	}
	deadline := time.After(10 * time.Second)
	for {
		changed := s.Changed()
		if len(s.Messages("C1")) == posts {
			break
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%d of %d messages, and nothing changes", len(s.Messages("C1")), posts)
		}
	}
	all.Wait()
	seen := map[string]bool{}
	for _, m := range s.Messages("C1") {
		seen[m.TS] = true
	}
	if len(seen) != posts {
		t.Errorf("%d different ts, want %d", len(seen), posts)
	}
}

func TestReadableShowsWhatAPersonSees(t *testing.T) {
	m := standin.SlackMessage{Text: "a &amp; b"}
	if got := m.Readable(); got != "a & b" {
		t.Errorf("text alone: %q", got)
	}
	m.Blocks = []byte(`[{"type":"header","text":{"type":"plain_text","text":"H &lt;1&gt;"}},{"type":"section","fields":[{"type":"mrkdwn","text":"*A*\n1"},{"type":"mrkdwn","text":"*B*\n2"}]},{"type":"context","elements":[{"type":"mrkdwn","text":"small"}]}]`)
	lines := strings.Split(m.Readable(), "\n")
	if len(lines) != 3 || lines[0] != "H <1>" || !strings.Contains(lines[1], "*B* 2") || lines[2] != "small" {
		t.Errorf("blocks: %q", lines)
	}
}

func TestACutAnswerEndsHalfWay(t *testing.T) {
	s := slack(func(int, *http.Request) standin.Fault {
		return standin.Fault{Status: 200, Body: `{"ok":true}`, Cut: true, Acted: true}
	})
	far := httptest.NewServer(s)
	defer far.Close()
	resp, err := post(t.Context(), far.Client(), far.URL+"/api/chat.postMessage", args("channel", "C1", "text", "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it is cut
	body, err := io.ReadAll(resp.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != `{"ok"` {
		t.Errorf("read %q, %v, want half of it", body, err)
	}
	if n := len(s.Messages("C1")); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}
