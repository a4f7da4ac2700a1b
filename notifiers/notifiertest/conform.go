package notifiertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

// Subject is a notifier that speaks HTTP, as the suite sees it.
type Subject struct {
	// New makes one whose calls go to base ("http://127.0.0.1:…").
	New func(base string, client *http.Client) notifiers.Notifier
	// Base is an address of the real form, for tests without a network.
	Base string
	// Secrets must never be seen.
	Secrets  []string
	Delivery incident.Delivery
	// Accepted is a good answer; Answers are the medium's own table.
	Accepted Answer
	Answers  []Answer
}

// Answer is what the far side says, and the verdict that it must lead to.
type Answer struct {
	Name   string
	Status int
	Header map[string]string
	Body   string
	Want   Verdict
}

// Says is one row of a table; an empty retryAfter sends no such header.
func Says(name string, status int, retryAfter, body string, want Verdict) Answer {
	a := Answer{Name: name, Status: status, Body: body, Want: want}
	if retryAfter != "" {
		a.Header = map[string]string{"Retry-After": retryAfter}
	}
	return a
}

// Verdict is what an error says to whoever sends.
type Verdict struct {
	Sent      bool
	Permanent bool
	Unclear   bool
	Paused    bool
	Wait      time.Duration
}

// Of reads the verdict off an error.
func Of(err error) Verdict {
	wait, paused := notifiers.RetryAfter(err)
	return Verdict{
		Sent: err == nil, Permanent: notifiers.IsPermanent(err), Unclear: notifiers.IsUnclear(err),
		Paused: paused, Wait: wait,
	}
}

// common is what every medium says by HTTP alone.
func common() []Answer {
	html := "<html><body>Bad Gateway</body></html>"
	return []Answer{
		{"429 names a time", 429, map[string]string{"Retry-After": "7"}, "", Verdict{Paused: true, Wait: 7 * time.Second}},
		{"429 without a time", 429, nil, "", Verdict{Paused: true}},
		{"429 with a time that makes no sense", 429, map[string]string{"Retry-After": "soon"}, "", Verdict{Paused: true}},
		{"408 is tried again", 408, nil, "", Verdict{}},
		{"500 may have acted", 500, nil, "oops", Verdict{Unclear: true}},
		{"502 may have acted", 502, nil, html, Verdict{Unclear: true}},
		{"504 may have acted", 504, nil, html, Verdict{Unclear: true}},
		{"HTML with 200 is no acceptance", 200, map[string]string{"Content-Type": "text/html"}, html, Verdict{Unclear: true}},
		{"an empty 200 is no acceptance", 200, nil, "", Verdict{Unclear: true}},
	}
}

// Conform holds a notifier to what dispatch relies on.
func Conform(t *testing.T, s Subject) {
	t.Run("the answer decides the verdict", func(t *testing.T) {
		for _, a := range append(append(common(), s.Accepted), s.Answers...) {
			t.Run(a.Name, func(t *testing.T) {
				_, err := s.New(s.Base, answering(a)).Send(t.Context(), s.Delivery)
				if got := Of(err); got != a.Want {
					t.Errorf("status %d %q: verdict %+v, want %+v (error: %v)", a.Status, a.Body, got, a.Want, err)
				}
				s.silent(t, err)
			})
		}
	})
	t.Run("a lost connection decides the verdict", s.broken)
	t.Run("a redirect is not followed", s.redirected)
	t.Run("an answer that shows the secret is redacted", func(t *testing.T) {
		for _, status := range []int{200, 400, 403, 429, 500} {
			_, err := s.New(s.Base, answering(Answer{Status: status, Body: "no: " + strings.Join(s.Secrets, " ")})).Send(t.Context(), s.Delivery)
			if err == nil {
				t.Fatalf("status %d with nonsense was taken for acceptance", status)
			}
			s.silent(t, err)
		}
	})
	t.Run("cancelling ends a send", s.cancelled)
	t.Run("a cancelled context sends nothing", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		asked := false
		client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			asked = true
			return nil, errors.New("unreachable")
		})}
		_, err := s.New(s.Base, client).Send(ctx, s.Delivery)
		if !errors.Is(err, context.Canceled) || asked || notifiers.IsUnclear(err) {
			t.Errorf("asked %t, error %v: want none asked, and context.Canceled that is not unclear", asked, err)
		}
	})
	t.Run("endless answers are cut", func(t *testing.T) {
		client := answering(Answer{Status: 500, Body: strings.Repeat("x", 1<<20)})
		if _, err := s.New(s.Base, client).Send(t.Context(), s.Delivery); err == nil || len(err.Error()) > 2000 {
			t.Errorf("error of %d bytes", len(fmt.Sprint(err)))
		}
	})
}

// broken tries what can happen instead of an answer.
func (s Subject) broken(t *testing.T) {
	at := func(op string, err error) error {
		return &url.Error{Op: "Post", URL: s.Base + "/" + strings.Join(s.Secrets, "/"), Err: &net.OpError{Op: op, Net: "tcp", Err: err}}
	}
	for _, tt := range []struct {
		name string
		err  error
		want Verdict
	}{
		{"no connection: nothing left", at("dial", syscall.ECONNREFUSED), Verdict{}},
		{"no such host: nothing left", at("dial", &net.DNSError{Err: "no such host", Name: "far.example"}), Verdict{}},
		{"reset while reading: it may have arrived", at("read", syscall.ECONNRESET), Verdict{Unclear: true}},
		{"closed without an answer: it may have arrived", io.ErrUnexpectedEOF, Verdict{Unclear: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, tt.err })}
			_, err := s.New(s.Base, client).Send(t.Context(), s.Delivery)
			if got := Of(err); got != tt.want {
				t.Errorf("verdict %+v, want %+v (error: %v)", got, tt.want, err)
			}
			s.silent(t, err)
		})
	}
	t.Run("an answer that breaks off is no answer", func(t *testing.T) {
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			body := io.MultiReader(strings.NewReader(s.Accepted.Body[:len(s.Accepted.Body)/2]), failing{})
			return &http.Response{StatusCode: s.Accepted.Status, Header: http.Header{}, Body: io.NopCloser(body), Request: r}, nil
		})}
		_, err := s.New(s.Base, client).Send(t.Context(), s.Delivery)
		if got := Of(err); got != (Verdict{Unclear: true}) {
			t.Errorf("verdict %+v, want unclear (error: %v)", got, err)
		}
	})
	t.Run("a refused port, over the network", func(t *testing.T) {
		gone := httptest.NewServer(http.NotFoundHandler())
		gone.Close()
		_, err := s.New(gone.URL, gone.Client()).Send(t.Context(), s.Delivery)
		if got := Of(err); got != (Verdict{}) {
			t.Errorf("verdict %+v, want plain transient (error: %v)", got, err)
		}
		s.silent(t, err)
	})
	t.Run("a certificate that is not trusted: nothing left, over the network", func(t *testing.T) {
		far := httptest.NewUnstartedServer(http.NotFoundHandler())
		far.Config.ErrorLog = log.New(io.Discard, "", 0)
		far.StartTLS()
		defer far.Close()
		_, err := s.New(far.URL, &http.Client{Transport: &http.Transport{}}).Send(t.Context(), s.Delivery)
		if got := Of(err); got != (Verdict{}) {
			t.Errorf("verdict %+v, want plain transient (error: %v)", got, err)
		}
		s.silent(t, err)
	})
	t.Run("a connection cut after the request, over the network", func(t *testing.T) {
		far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}))
		defer far.Close()
		_, err := s.New(far.URL, far.Client()).Send(t.Context(), s.Delivery)
		if got := Of(err); got != (Verdict{Unclear: true}) {
			t.Errorf("verdict %+v, want unclear (error: %v)", got, err)
		}
		s.silent(t, err)
	})
}

func (s Subject) redirected(t *testing.T) {
	asked := 0
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		asked++
		return page(r, Answer{Status: 307, Header: map[string]string{"Location": "https://evil.example/"}}), nil
	})}
	_, err := s.New(s.Base, client).Send(t.Context(), s.Delivery)
	if asked != 1 || err == nil || notifiers.IsPermanent(err) {
		t.Errorf("asked %d times, error %v: want one request and a transient error", asked, err)
	}
}

func (s Subject) cancelled(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-release
	}))
	defer far.Close()
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := s.New(far.URL, far.Client()).Send(ctx, s.Delivery)
	if !errors.Is(err, context.Canceled) || Of(err) != (Verdict{Unclear: true}) {
		t.Errorf("error %v, verdict %+v: want context.Canceled, unclear", err, Of(err))
	}
	s.silent(t, err)
}

// silent fails where an error shows a secret, whichever way it is looked at.
func (s Subject) silent(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		for _, secret := range s.Secrets {
			if text := fmt.Sprintf("%v %+v", cause, cause); strings.Contains(text, secret) {
				t.Errorf("the error shows a secret: %s", text)
			}
		}
	}
	var u *url.Error
	if errors.As(err, &u) {
		t.Errorf("the error wraps the address it called: %v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering is a client whose far side always says the same.
func answering(a Answer) *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		return page(r, a), nil
	})}
}

func page(r *http.Request, a Answer) *http.Response {
	header := http.Header{}
	for name, value := range a.Header {
		header.Set(name, value)
	}
	return &http.Response{StatusCode: a.Status, Header: header, Body: io.NopCloser(strings.NewReader(a.Body)), Request: r}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, syscall.ECONNRESET }
