package receiver_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver"
)

// dial opens a raw connection and sends what it is given.
func (b *bridge) dial(text string) net.Conn {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	if b.pool != nil {
		conn = tls.Client(conn, &tls.Config{RootCAs: b.pool, ServerName: "127.0.0.1"})
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		b.t.Fatal(err)
	}
	return conn
}

// status reads one answer's status line and Connection header off a raw connection.
func (b *bridge) status(conn net.Conn) (status int, closes bool) {
	b.t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		b.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.t.Fatalf("no answer: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.ReadAll(res.Body); err != nil {
		b.t.Fatal(err)
	}
	return res.StatusCode, res.Close
}

const stalledHead = "POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nX-Datasync-Signature: %s\r\nContent-Length: %d\r\n\r\n"

// held is what this process holds of the system, clients included. It is the
// runtime's own figure, because the race detector's shadow is no memory of ours.
func held() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.Sys - m.HeapReleased)
}

func TestEncodedBodiesAre415(t *testing.T) {
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	if _, err := zip.Write(zeros); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	bomb.Write(bytes.Repeat(bomb.Bytes(), 199)) // members one after another are one gzip stream
	b := start(t, setup{})
	before := held()
	for _, encoding := range []string{"gzip", "br", "deflate", "identity, gzip", "GZIP"} {
		h := signature1(bomb.Bytes())
		h.Set("Content-Encoding", encoding)
		b.want(b.do(http.MethodPost, "/hooks/datasync", bytes.NewReader(bomb.Bytes()), h), 415, "unsupported_content_encoding")
	}
	if grown := held() - before; grown > 30<<20 {
		t.Errorf("memory grew by %d MiB: something was inflated", grown>>20)
	}
	h := signature1([]byte(failure))
	h.Set("Content-Encoding", "identity")
	b.want(b.do(http.MethodPost, "/hooks/datasync", strings.NewReader(failure), h), 202, "accepted")
}

// endless yields n bytes without holding them.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	e.left -= n
	return n, nil
}

func TestBodiesAboveTheLimitAre413HoweverSent(t *testing.T) { overBoth(t, bodiesAboveTheLimit) }

func bodiesAboveTheLimit(t *testing.T, s setup) {
	b := start(t, s)
	before := held()
	h := signature1([]byte("whatever"))
	declared, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.addr+"/hooks/datasync", &endless{64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	declared.Header, declared.ContentLength = h, 64<<20
	res, err := b.send(declared)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("64 MiB declared: %d, want 413", res.StatusCode)
	}
	b.want(b.do(http.MethodPost, "/hooks/datasync", &endless{64 << 20}, h), 413, "body_too_large")
	for _, tt := range []struct{ size, status int }{{1 << 20, 202}, {1<<20 + 1, 413}} {
		text := []byte(`{"type":"` + strings.Repeat("x", tt.size-11) + `"}`)
		for _, chunked := range []bool{true, false} {
			reader := io.Reader(bytes.NewReader(text))
			if chunked {
				reader = &onlyRead{bytes.NewReader(text)}
			}
			r := b.do(http.MethodPost, "/hooks/datasync", reader, signature1(text))
			if r.http != tt.status && r.Code != "duplicate" {
				t.Errorf("%d bytes, chunked %v: %d %s, want %d", tt.size, chunked, r.http, r.Code, tt.status)
			}
		}
	}
	if grown := held() - before; grown > 60<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
}

func TestStalledClientsHoldLittleAndHinderNobody(t *testing.T) {
	b := start(t, setup{cfg: receiver.Config{ReadTimeout: 3 * time.Second}})
	head := fmt.Sprintf(stalledHead, signed([]byte("x")), 1<<20)
	stalled := make([]net.Conn, 500)
	for i := range stalled {
		stalled[i] = b.dial(head + strings.Repeat("x", (i%3)*8<<10))
	}
	if held := held(); held > 100<<20 {
		t.Errorf("%d MiB held with 500 stalled clients, want under 100", held>>20)
	}
	b.want(b.post(failure), 202, "accepted")
	for _, conn := range stalled[:20] {
		if status, closes := b.status(conn); status != 408 || !closes {
			t.Errorf("a stalled client got %d (closes: %v), want 408 and the end", status, closes)
		}
	}
}

func TestSilentAndDrippingClientsAreCut(t *testing.T) {
	b := start(t, setup{cfg: receiver.Config{ReadTimeout: 300 * time.Millisecond}})
	silent := b.dial("")
	dripping := b.dial(fmt.Sprintf(stalledHead, signed([]byte("x")), 100))
	headers := b.dial("POST /hooks/datasync HTTP/1.1\r\nX-Slow: ")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var drips sync.WaitGroup
	for _, conn := range []net.Conn{dripping, headers} {
		drips.Go(func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					if _, err := io.WriteString(conn, "x"); err != nil {
						return
					}
				}
			}
		})
	}
	b.want(b.post(failure), 202, "accepted")
	for name, conn := range map[string]net.Conn{"silent": silent, "dripping body": dripping, "dripping headers": headers} {
		if status, closes := b.status(conn); status != 408 || !closes {
			t.Errorf("%s: %d (closes: %v), want 408 and the end", name, status, closes)
		}
	}
	cancel()
	drips.Wait()
}

func TestConnectionsAboveTheLimitAre503UntilOneLeaves(t *testing.T) {
	overBoth(t, connectionsAboveTheLimit)
}

func connectionsAboveTheLimit(t *testing.T, s setup) {
	s.cfg = receiver.Config{Concurrency: 3, ReadTimeout: 5 * time.Second}
	b := start(t, s)
	held := make([]net.Conn, 3)
	for i := range held {
		held[i] = b.dial("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if status, _ := b.status(held[i]); status != 200 {
			t.Fatalf("connection %d: %d", i, status)
		}
	}
	refused := b.dial("")
	if status, closes := b.status(refused); status != 503 || !closes {
		t.Errorf("%d (closes: %v), want 503 and the end", status, closes)
	}
	// Also one that has sent more than anybody reads before it is answered.
	talking := b.dial(fmt.Sprintf(stalledHead, "none", 64<<10) + strings.Repeat("x", 64<<10))
	if status, closes := b.status(talking); status != 503 || !closes {
		t.Errorf("%d (closes: %v), want 503 and the end", status, closes)
	}
	_ = held[0].Close()
	deadline := time.Now().Add(5 * time.Second)
	for {
		conn := b.dial("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if status, _ := b.status(conn); status == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no connection was let in after one had left")
		}
	}
}

func TestHugeHeadersAre431(t *testing.T) {
	b := start(t, setup{})
	conn := b.dial("POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("x", 20<<10) + "\r\n\r\n")
	if status, closes := b.status(conn); status != 431 || !closes {
		t.Errorf("%d (closes: %v), want 431 and the end", status, closes)
	}
}

func TestTornBodiesAreNotTaken(t *testing.T) { overBoth(t, tornBodies) }

func tornBodies(t *testing.T, s setup) {
	inbox := &memory{}
	open := source(func(s *receiver.Source) {
		s.Verify.Scheme, s.Verify.Unauthenticated, s.Verify.Secrets = "none", true, nil
	})
	s.inbox, s.sources = inbox, []receiver.Source{open}
	b := start(t, s)
	for _, text := range []string{
		fmt.Sprintf(stalledHead, "none", 20) + `{"type":"x"}`,
		"POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n" + `{"type":"x"}` + "\r\n",
	} {
		conn := b.dial(text)
		if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if status, closes := b.status(conn); status != 400 || !closes {
			t.Errorf("%q: %d (closes: %v), want 400 and the end", text, status, closes)
		}
	}
	if n := len(inbox.all()); n != 0 {
		t.Errorf("%d torn bodies were stored", n)
	}
}

func TestTooManyBytesInFlightAre503(t *testing.T) {
	b := start(t, setup{cfg: receiver.Config{BodyLimit: 32 << 10, InFlight: 32 << 10, ReadTimeout: 5 * time.Second}})
	fill := func() net.Conn {
		return b.dial(fmt.Sprintf(stalledHead, signed([]byte("x")), 32<<10) + strings.Repeat("x", 20<<10))
	}
	full := fill()
	deadline := time.Now().Add(20 * time.Second)
	for tries := 1; ; tries++ {
		if tries%20 == 0 { // it asked for the last of its room while a post had some, and was refused itself
			_ = full.Close()
			full = fill()
		}
		r := b.post(failure)
		if r.http == 503 {
			b.want(r, 503, "busy")
			if r.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a full budget never refused anything")
		}
	}
	_ = full.Close()
	for b.post(failure).http == 503 {
		if time.Now().After(deadline) {
			t.Fatal("the budget was never given back")
		}
	}
}

func TestFailuresAreLimitedByAddressAndNeverWhatVerifies(t *testing.T) {
	b := start(t, setup{cfg: receiver.Config{FailureLimit: 3, TrustedProxies: []string{"127.0.0.1"}}})
	from := func(hops string, signedHeader http.Header) reply {
		h := signedHeader.Clone()
		if h == nil {
			h = http.Header{}
		}
		h.Set("X-Forwarded-For", hops)
		return b.do(http.MethodPost, "/hooks/datasync", strings.NewReader(failure), h)
	}
	for range 3 {
		b.want(from("198.51.100.7", nil), 401, "signature_missing")
	}
	r := from("198.51.100.7", nil)
	b.want(r, 429, "too_many_failures")
	if r.header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	b.want(from("1.2.3.4, 198.51.100.7", nil), 429, "too_many_failures") // what stands left is the client's word
	b.want(from("198.51.100.8", nil), 401, "signature_missing")
	b.want(from("198.51.100.7", signature1([]byte(failure))), 202, "accepted")
	for range 3 {
		from("2001:db8:1:2::1", nil)
	}
	b.want(from("2001:db8:1:2:ffff::9", nil), 429, "too_many_failures")
	b.want(from("2001:db8:1:3::1", nil), 401, "signature_missing")
}

func TestShutdownAnswersWhatIsInHandAndTakesNothingMore(t *testing.T) { overBoth(t, shutdown) }

func shutdown(t *testing.T, s setup) {
	inbox := &memory{wait: make(chan struct{}), inside: make(chan struct{}, 1)}
	s.inbox = inbox
	b := start(t, s)
	answers := make(chan reply, 1)
	go func() { answers <- b.post(failure) }()
	<-inbox.inside
	kept := b.dial("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if status, _ := b.status(kept); status != 200 {
		t.Fatalf("health: %d", status)
	}
	b.stop()
	deadline := time.Now().Add(5 * time.Second)
	for { // the address is closed while the request is still in hand
		conn, err := net.Dial("tcp", b.addr)
		if err != nil {
			break
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("still listening")
		}
	}
	close(inbox.wait)
	b.want(<-answers, 202, "accepted")
	if err := <-b.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	close(b.ended)
}

func TestAShutdownBeforeServingIsNotForgotten(t *testing.T) {
	server, err := receiver.New(receiver.Config{}, []receiver.Source{source(nil)}, &memory{}, receiver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Run(ctx, ln); err != nil {
		t.Errorf("Run: %v", err)
	}
	if conn, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("the listener is still open")
	}
}

func TestAListenerThatFailsEndsRun(t *testing.T) {
	server, err := receiver.New(receiver.Config{}, []receiver.Source{source(nil)}, &memory{}, receiver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if err := server.Run(t.Context(), ln); err == nil {
		t.Error("Run returned no error")
	}
}

func TestASlowStoreIs503BeforeTheSenderGivesUp(t *testing.T) {
	inbox := &memory{wait: make(chan struct{}), inside: make(chan struct{}, 1)}
	b := start(t, setup{inbox: inbox})
	began := time.Now()
	r := b.post(failure)
	b.want(r, 503, "unavailable")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("answered after %v; the shortest patience of a sender is 5 s", took)
	}
	if errors.Is(inbox.err, event.ErrBusy) || len(inbox.all()) != 0 {
		t.Error("something was stored")
	}
}
