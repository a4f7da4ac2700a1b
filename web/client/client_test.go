package client_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"datasync-bridge/routing/incident"
	"datasync-bridge/web/client"
	"datasync-bridge/web/view"
)

const token = "token-canary-0123456789"

// answering starts a server that notes the last request and answers the same.
func answering(t *testing.T, status int, kind, body string) (*client.Client, *http.Request, *string) {
	t.Helper()
	var last http.Request
	var sent string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		last, sent = *r, string(text)
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
		w.WriteHeader(status)
		if _, err := io.WriteString(w, body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL+"/", token, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, &last, &sent
}

func TestAListAsksForWhatTheFilterSays(t *testing.T) {
	c, last, _ := answering(t, 200, "application/json", `{"items":[{"id":"dl_1"}],"next":"dl_1"}`)
	page, err := c.Deliveries(t.Context(), incident.Filter{State: "dead", Notifier: "a&b", Limit: 1, Since: time.Unix(0, 0)})
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != "dl_1" || page.Next != "dl_1" {
		t.Errorf("got %+v, %v", page, err)
	}
	if want := "/api/v1/deliveries?limit=1&notifier=a%26b&since=1970-01-01T00%3A00%3A00Z&state=dead"; last.URL.String() != want {
		t.Errorf("asked %s, want %s", last.URL, want)
	}
	if got := last.Header.Get("Authorization"); got != "Bearer "+token {
		t.Errorf("Authorization is %q", got)
	}
}

func TestACommandIsPostedAsJSON(t *testing.T) {
	c, last, sent := answering(t, 200, "application/json", `{"status":200,"code":"resolved","request_id":"r"}`)
	if err := c.Resolve(t.Context(), "in_1/..", `it "works"`); err != nil {
		t.Fatal(err)
	}
	if last.Method != http.MethodPost || last.URL.EscapedPath() != "/api/v1/incidents/in_1%2F../resolve" {
		t.Errorf("called %s %s", last.Method, last.URL.EscapedPath())
	}
	if last.Header.Get("Content-Type") != "application/json" || *sent != `{"why":"it \"works\""}` {
		t.Errorf("sent %s as %s", *sent, last.Header.Get("Content-Type"))
	}
}

func TestARefusalComesBackInTheServersWords(t *testing.T) {
	c, _, _ := answering(t, 409, "application/json", `{"status":409,"code":"conflict","message":"it is resolved","request_id":"r9"}`)
	err := c.Acknowledge(t.Context(), "in_1", "")
	refusal, ok := errors.AsType[*view.Error](err)
	if !ok || refusal.Status != 409 || refusal.Code != "conflict" || refusal.RequestID != "r9" || err.Error() != "it is resolved" {
		t.Errorf("got %v (%+v)", err, refusal)
	}
}

func TestWhatIsNoAnswerIsAFailure(t *testing.T) {
	for _, tt := range []struct {
		name, kind, body string
		status           int
	}{
		{"another program's page", "text/html", "<html>", 200},
		{"a redirect", "application/json", `{}`, 307},
		{"broken JSON", "application/json", `{"version":`, 200},
		{"an error without words", "application/json", `{}`, 500},
	} {
		c, _, _ := answering(t, tt.status, tt.kind, tt.body)
		_, err := c.Status(t.Context())
		if err == nil {
			t.Errorf("%s: no error", tt.name)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error holds the token: %v", tt.name, err)
		}
	}
}

func TestAnAddressIsCheckedBeforeTheTokenIsSent(t *testing.T) {
	for _, base := range []string{"", "127.0.0.1:9090", "ftp://x", "http://", "%"} {
		if _, err := client.New(base, token, nil); err == nil {
			t.Errorf("New took %q", base)
		}
	}
}
