package datasync_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
)

// everything calls each address of the API once, whatever comes back.
func everything(ctx context.Context, c *datasync.Client) {
	_, _ = c.Token(ctx)
	_, _ = c.Run(ctx, "w", nil, "k")
	_, _ = c.Subscribe(ctx, "n", "https://ops.example/h", []string{"*"})
	_, _ = c.Partner(ctx, "par_1")
	_, _ = c.CreatePartner(ctx, nil)
	_, _ = c.Transaction(ctx, "txn_1")
	_, _ = c.Transactions(ctx, datasync.TransactionQuery{Status: "failed"}, func(datasync.Transaction) bool { return true })
}

func TestClientStaysInItsEnvironment(t *testing.T) {
	const prod, below, host = "https://api.example/v1", "https://api.example/v1/sandbox", "https://sandbox.example/v1"
	for _, tt := range []struct {
		name          string
		environment   event.Environment
		base, sandbox string
		want          string // prefix of every call, "" where none may leave
	}{
		{"production", event.Production, prod, "", prod + "/"},
		{"production by default", "", prod, host, prod + "/"},
		{"a sandbox below", event.Sandbox, prod, "", below + "/"},
		{"a sandbox with a slash", event.Sandbox, prod + "/", below + "/", below + "/"},
		{"a sandbox of its own", event.Sandbox, prod, host, host + "/"},
		{"a sandbox that is production", event.Sandbox, prod, prod, ""},
		{"the same, spelled otherwise", event.Sandbox, prod, "https://API.example.:443/v1", ""},
		{"the same, escaped", event.Sandbox, prod, "https://api.example/%76%31", ""},
		{"a sandbox above production", event.Sandbox, "https://api.example/partners", "https://api.example", "https://api.example/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var left []string
			w := &wire{token: func(int) (int, string) { return 200, `{"access_token":"a"}` }}
			w.answer = func(int, *http.Request) (*http.Response, error) { return reply(404, `{}`), nil }
			c := datasync.New(datasync.Config{
				Environment: tt.environment, BaseURL: tt.base, SandboxURL: tt.sandbox, ClientID: "i", ClientSecret: "s",
				Transactions: datasync.Transactions{One: "/transactions/{id}"},
			}, &http.Client{Transport: spy{w, &left}}, datasync.Options{})
			everything(t.Context(), c)
			if (tt.want == "") != (len(left) == 0) {
				t.Errorf("%d calls left: %v", len(left), left)
			}
			for _, address := range left {
				if !strings.HasPrefix(address, tt.want) {
					t.Errorf("%s is not below %s", address, tt.want)
				}
				if tt.environment == event.Sandbox && tt.want != below+"/" && strings.HasPrefix(address+"/", tt.base+"/") {
					t.Errorf("%s is production", address)
				}
			}
		})
	}
}

// spy writes down where calls go.
type spy struct {
	next http.RoundTripper
	left *[]string
}

func (s spy) RoundTrip(r *http.Request) (*http.Response, error) {
	*s.left = append(*s.left, r.URL.String())
	return s.next.RoundTrip(r)
}

func TestIDsStayInTheirPlace(t *testing.T) {
	for _, tt := range []struct{ id, path string }{
		{"par_1", "/v1/partners/par_1"},
		{"a/b?c#d e", "/v1/partners/a%2Fb%3Fc%23d%20e"},
		{"%2e%2e", "/v1/partners/%252e%252e"},
		{"é", "/v1/partners/%C3%A9"},
		{"...", "/v1/partners/..."},
		{"", ""}, {".", ""}, {"..", ""}, {"../transactions", ""}, {"a/../b", ""}, {"a//b", ""}, {`..\x`, ""},
		{strings.Repeat("x", 201), ""}, {"a\nb", ""}, {"a\x00", ""}, {"\xff", ""}, {"a\u202eb", ""},
	} {
		var left string
		w := &wire{answer: func(_ int, r *http.Request) (*http.Response, error) {
			left = r.URL.EscapedPath()
			return reply(200, `{"id":"x"}`), nil
		}}
		c := w.client(datasync.Config{Transactions: datasync.Transactions{One: "/partners/{id}"}}, datasync.Options{})
		_, err := c.Partner(t.Context(), tt.id)
		if left != tt.path || (err == nil) != (tt.path != "") {
			t.Errorf("id %q went to %q, error %v, want %q", tt.id, left, err, tt.path)
		}
		if tt.path != "" {
			continue
		}
		if e := kindOf(t, err); e.Kind != datasync.Payload || e.Sent {
			t.Errorf("id %q: %+v, want an unsent one of kind payload", tt.id, e)
		}
		if _, err := c.Transaction(t.Context(), tt.id); err == nil || left != "" {
			t.Errorf("transaction %q went to %q", tt.id, left)
		}
	}
}

// Validate refuses such paths; a client that was made without it does, too.
func TestConfiguredPathLeadsToNoOtherHost(t *testing.T) {
	for _, one := range []string{".evil.example/{id}", "@evil.example/{id}", ":8443/{id}", "/../{id}"} {
		for _, base := range []string{"https://api.example", "https://api.example/v1"} {
			w := pages(t)
			_, err := w.client(datasync.Config{BaseURL: base, Transactions: datasync.Transactions{One: one}}, datasync.Options{}).Transaction(t.Context(), "txn_1")
			if e := kindOf(t, err); e.Kind != datasync.Payload || e.Sent || len(w.calls) != 0 {
				t.Errorf("%s%s: %+v after %d calls", base, one, e, len(w.calls))
			}
		}
	}
}

// A redirect could carry the client's secret or its token to another host,
// whatever the HTTP client that was handed in does with it.
func TestNoRedirectIsFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s followed a redirect", r.Method, r.URL)
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, tokenToo := range []bool{true, false} {
			home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/auth/token") && !tokenToo {
					_, _ = w.Write([]byte(`{"access_token":"a"}`))
					return
				}
				http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
			}))
			c := datasync.New(datasync.Config{BaseURL: home.URL + "/v1", ClientID: "i", ClientSecret: "s"}, &http.Client{}, datasync.Options{})
			_, err := c.Partner(t.Context(), "par_1")
			if e := kindOf(t, err); e.Kind != datasync.Unexpected || e.Status != status || !strings.Contains(e.Advice(), "redirect") {
				t.Errorf("%d: %+v, advice %q", status, e, e.Advice())
			}
			_, _ = c.Run(t.Context(), "w", nil, "k")
			home.Close()
		}
	}
}
