package receiver_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"datasync-bridge/receiver"
)

func TestEveryAnswerTellsBrowsersToDoNothingWithIt(t *testing.T) {
	b := start(t, setup{cfg: receiver.Config{FailureLimit: 1}})
	signedHead := fmt.Sprintf(stalledHead, signed([]byte(failure)), len(failure))
	for _, tt := range []struct {
		name, request string
		status        int
	}{
		{"health", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"readiness", "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"accepted", signedHead + failure, 202},
		{"duplicate", signedHead + failure, 200},
		{"unsigned", "POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 401},
		{"unsigned too often", "POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 429},
		{"no such address", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404},
		{"another method", "GET /hooks/datasync HTTP/1.1\r\nHost: x\r\n\r\n", 405},
		{"no such method", "BREW /hooks/datasync HTTP/1.1\r\nHost: x\r\n\r\n", 405},
		{"huge headers", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("x", 20<<10) + "\r\n\r\n", 431},
		{"no HTTP", "nonsense\r\n\r\n", 400},
	} {
		b.hardened(tt.name, b.dial(tt.request), tt.status)
	}
	full := start(t, setup{cfg: receiver.Config{Concurrency: 1}})
	full.hardened("the only connection", full.dial("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), 200)
	full.hardened("one too many", full.dial(""), 503)
}

func (b *bridge) hardened(name string, conn net.Conn, status int) {
	b.t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		b.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.t.Fatalf("%s: no answer: %v", name, err)
	}
	_ = res.Body.Close()
	if res.StatusCode != status {
		b.t.Errorf("%s: %d, want %d", name, res.StatusCode, status)
	}
	for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Server": ""} {
		if got := strings.Join(res.Header.Values(header), ", "); got != want {
			b.t.Errorf("%s: %s is %q, want %q", name, header, got, want)
		}
	}
}
