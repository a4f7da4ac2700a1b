package web_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"datasync-bridge/web"
)

func TestEveryAnswerTellsBrowsersToDoNothingWithIt(t *testing.T) {
	b := start(t, web.Config{Users: users()}, web.Options{})
	for _, tt := range []struct {
		name, request string
		status        int
	}{
		{"health", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
		{"metrics", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
		{"the API", "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + anaToken + "\r\n\r\n", 200},
		{"no token", "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n", 401},
		{"no such address", "GET /api/v2 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + anaToken + "\r\n\r\n", 404},
		{"another Host", "GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421},
		{"no such method", "BREW /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		{"huge headers", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Big: " + strings.Repeat("x", 20<<10) + "\r\n\r\n", 431},
		{"no HTTP", "nonsense\r\n\r\n", 400},
	} {
		res := exchange(t, b.addr, tt.request)
		if res.StatusCode != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, res.StatusCode, tt.status)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options":  "nosniff",
			"Cache-Control":           "no-store",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"X-Frame-Options":         "DENY",
			"Referrer-Policy":         "no-referrer",
			"Server":                  "",
		} {
			if got := strings.Join(res.Header.Values(name), ", "); got != want {
				t.Errorf("%s: %s is %q, want %q", tt.name, name, got, want)
			}
		}
	}
}

// exchange sends what it is given and reads one answer.
func exchange(t *testing.T, address, request string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.40q: no answer: %v", request, err)
	}
	_ = res.Body.Close()
	return res
}
