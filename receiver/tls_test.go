package receiver_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"datasync-bridge/certificate"
	"datasync-bridge/receiver"
)

func TestWithACertificateOnlyTLSIsSpoken(t *testing.T) {
	var observed atomic.Int64
	b := start(t, setup{secure: true, options: receiver.Options{Observe: func(receiver.Answered) { observed.Add(1) }}})
	b.want(b.post(failure), 202, "accepted")
	if res, err := client.Get("http://" + b.addr + "/healthz"); err == nil {
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			t.Error("without TLS it answers")
		}
	}
	if log := b.log.String(); strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
		t.Errorf("a stranger's greeting is logged: %s", log)
	}
	if n := observed.Load(); n != 1 {
		t.Errorf("%d requests are counted, want 1: a greeting that fails is none", n)
	}
}

func TestACertificateThatCannotBeReadStopsTheStart(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.pem")
	cfg := receiver.Config{TLS: &certificate.Files{Cert: none, Key: none}}
	if _, err := receiver.New(cfg, []receiver.Source{source(nil)}, &memory{}, receiver.Options{}); err == nil || !strings.Contains(err.Error(), "server.tls: ") {
		t.Errorf("New says %v", err)
	}
}

func TestSilentGreetingsAreCutAndHinderNobody(t *testing.T) {
	b := start(t, setup{secure: true, cfg: receiver.Config{ReadTimeout: time.Minute, Concurrency: 60}})
	silent := make([]net.Conn, 60)
	for i := range silent {
		conn, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // read to its end
		silent[i] = conn
	}
	soon := time.Now().Add(20 * time.Second)
	for _, conn := range silent {
		if err := conn.SetReadDeadline(soon); err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset") || strings.Contains(string(text), "HTTP") {
			t.Errorf("a silent greeting got %q, %v, want the end", text, err)
		}
	}
	b.want(b.post(failure), 202, "accepted") // there is room again
}

// TestSilentGreetingsAboveTheLimitKeepNobodyWaiting: telling one that there are
// too many takes its greeting, or a second.
func TestSilentGreetingsAboveTheLimitKeepNobodyWaiting(t *testing.T) {
	b := start(t, setup{secure: true, cfg: receiver.Config{Concurrency: 1}})
	if status, _ := b.status(b.dial("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")); status != http.StatusOK {
		t.Fatalf("health: %d", status)
	}
	for range 20 {
		conn, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // it said nothing
	}
	began := time.Now()
	if status, closes := b.status(b.dial("")); status != http.StatusServiceUnavailable || !closes {
		t.Errorf("%d (closes: %v), want 503 and the end", status, closes)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the silent ones kept it waiting for %v", took)
	}
}

// TestAFloodAboveTheLimitIsEndedAtOnce: whoever does not end what was refused
// holds a place among those that are told, and nothing else.
func TestAFloodAboveTheLimitIsEndedAtOnce(t *testing.T) {
	b := start(t, setup{cfg: receiver.Config{Concurrency: 1}})
	held := b.dial("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if status, _ := b.status(held); status != http.StatusOK {
		t.Fatalf("health: %d", status)
	}
	began := time.Now()
	flood := make([]net.Conn, 300) // more than are told at one time
	for k := range flood {
		flood[k] = b.dial("")
	}
	for _, conn := range flood {
		if status, closes := b.status(conn); status != http.StatusServiceUnavailable || !closes {
			t.Fatalf("%d (closes: %v), want 503 and the end", status, closes)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("300 refusals took %v", took)
	}
}

// cut is a connection of which only the first bytes of what is written arrive.
type cut struct {
	net.Conn
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	if _, err := c.Conn.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// TestTLSThatIsCutInARecordIsATornBody: whoever cuts a connection under way can
// end it between two chunks, but cannot say that the sender has ended.
func TestTLSThatIsCutInARecordIsATornBody(t *testing.T) {
	open := source(func(s *receiver.Source) {
		s.Verify.Scheme, s.Verify.Unauthenticated, s.Verify.Secrets = "none", true, nil
	})
	inbox := &memory{}
	b := start(t, setup{secure: true, inbox: inbox, sources: []receiver.Source{open}})
	for _, left := range []int{0, 3, 7} {
		raw, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		c := &cut{raw, 1 << 20}
		conn := tls.Client(c, &tls.Config{RootCAs: b.pool, ServerName: "127.0.0.1"})
		if _, err := fmt.Fprint(conn, "POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n"+`{"type":"x"}`+"\r\n"); err != nil {
			t.Fatal(err)
		}
		c.left = left
		if _, err := fmt.Fprint(conn, "0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := raw.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if status, closes := b.status(conn); status != 400 || !closes {
			t.Errorf("cut after %d bytes of a record: %d (closes: %v), want 400 and the end", left, status, closes)
		}
		_ = raw.Close()
	}
	if n := len(inbox.all()); n != 0 {
		t.Errorf("%d torn bodies were stored", n)
	}
}
