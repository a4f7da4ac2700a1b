package outbound_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"datasync-bridge/outbound"
)

func get(t *testing.T, client *http.Client, address string) (*http.Response, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func TestAllowed(t *testing.T) {
	for _, tt := range []struct {
		url string
		ok  bool
	}{
		{"https://api.datasync.com/v1", true},
		{"https://10.1.2.3/", true},
		{"http://127.0.0.1:8080/", true},
		{"http://127.9.9.9/", true},
		{"http://[::1]:8080/", true},
		{"http://localhost/", true},
		{"http://LOCALHOST/", true},
		{"http://api.datasync.com/v1", false},
		{"http://10.1.2.3/", false},
		{"http://localhost.example.com/", false},
		{"http://127.0.0.1.example.com/", false},
		{"https://169.254.169.254/latest/meta-data", false},
		{"https://[fe80::1%25eth0]/", false},
		{"https://[::ffff:169.254.169.254]/", false},
		{"https://[64:ff9b::a9fe:a9fe]/", false},
		{"https://[2002:a9fe:a9fe::1]/", false},
		{"https://[fd00:ec2::254]/", false},
		{"https://100.100.100.200/", false},
		{"https://168.63.129.16/", false},
		{"https://0.0.0.0/", false},
		{"https://224.0.0.1/", false},
		{"ftp://example.com/", false},
		{"file:///etc/passwd", false},
		{"https:///nohost", false},
	} {
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		err = outbound.Allowed(u)
		if (err == nil) != tt.ok {
			t.Errorf("%s: error %v, want allowed %v", tt.url, err, tt.ok)
		}
		if err != nil && !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("%s: %v is no ErrRefused", tt.url, err)
		}
	}
}

func TestClientRefusesBeforeItDials(t *testing.T) {
	client := outbound.New(outbound.Config{})
	for _, address := range []string{"http://example.com/", "https://169.254.169.254/"} {
		if _, _, err := get(t, client, address); !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", address, err)
		}
	}
}

func TestRefusedRequestClosesItsBody(t *testing.T) {
	body := &closing{Reader: strings.NewReader("x")}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://example.com/", body)
	if _, err := outbound.New(outbound.Config{}).Do(req); err == nil {
		t.Fatal("plain http was allowed")
	}
	if !body.closed.Load() {
		t.Error("the request's body was left open")
	}
}

type closing struct {
	io.Reader
	closed atomic.Bool
}

func (c *closing) Close() error { c.closed.Store(true); return nil }

func TestNoRedirectIsFollowed(t *testing.T) {
	var reached atomic.Bool
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			reached.Store(true)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer far.Close()
	resp, _, err := get(t, outbound.New(outbound.Config{}), far.URL)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusTemporaryRedirect || reached.Load() {
		t.Errorf("status %d, followed %v; want 307 as it came", resp.StatusCode, reached.Load())
	}
}

func TestAnswersAreBounded(t *testing.T) {
	for _, tt := range []struct {
		size int
		ok   bool
	}{{0, true}, {1023, true}, {1024, true}, {1025, false}, {1 << 20, false}} {
		t.Run(fmt.Sprintf("%d bytes of 1024", tt.size), func(t *testing.T) {
			far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(bytes.Repeat([]byte("a"), tt.size))
			}))
			defer far.Close()
			_, body, err := get(t, outbound.New(outbound.Config{MaxAnswer: 1024}), far.URL)
			if tt.ok && (err != nil || len(body) != tt.size) {
				t.Errorf("%d bytes, error %v", len(body), err)
			}
			if !tt.ok && (!errors.Is(err, outbound.ErrAnswerTooLong) || len(body) > 1024) {
				t.Errorf("%d bytes, error %v; want at most 1024 and ErrAnswerTooLong", len(body), err)
			}
		})
	}
}

func TestSilentServerEndsAtTheDeadline(t *testing.T) {
	hold := make(chan struct{})
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-hold // headers came, the body never does
	}))
	defer far.Close()
	defer close(hold)
	_, _, err := get(t, outbound.New(outbound.Config{Timeout: 50 * time.Millisecond}), far.URL)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want a deadline", err)
	}
}

func TestEnvironmentNamesNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer far.Close()
	if _, _, err := get(t, outbound.New(outbound.Config{}), far.URL); err != nil {
		t.Errorf("call through the environment's proxy? %v", err)
	}
}

func TestConfiguredProxyCarriesEverythingButLoopback(t *testing.T) {
	asked := make(chan string, 4)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	client := outbound.New(outbound.Config{Proxy: proxy.URL})
	if _, _, err := get(t, client, "https://api.datasync.example/v1"); err == nil {
		t.Error("the proxy's 403 passed for an answer")
	}
	if got := <-asked; got != "CONNECT api.datasync.example:443" {
		t.Errorf("proxy was asked %q", got)
	}
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer far.Close()
	if _, _, err := get(t, client, far.URL); err != nil {
		t.Error(err)
	}
	if len(asked) != 0 {
		t.Errorf("a call to loopback went through the proxy: %s", <-asked)
	}
}

func TestFaultyProxyNeverMeansDirect(t *testing.T) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer far.Close()
	_, _, err := get(t, outbound.New(outbound.Config{Proxy: "socks5://user:hunter2@h:1"}), far.URL)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v, want a refusal without the password", err)
	}
}

func TestValidateTellsAllFaults(t *testing.T) {
	var got []string
	report := func(path, problem string) { got = append(got, path+": "+problem) }
	outbound.Config{Timeout: -1, Proxy: "://secret@"}.WithDefaults().Validate(report)
	if len(got) != 2 || strings.Contains(strings.Join(got, " "), "secret") {
		t.Errorf("faults %q, want one for timeout and one for proxy, without its text", got)
	}
	got = nil
	outbound.Config{Proxy: "http://proxy.example.com:3128"}.WithDefaults().Validate(report)
	if len(got) != 0 {
		t.Errorf("faults %q in a good configuration", got)
	}
}
