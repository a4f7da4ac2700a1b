package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// memoryLimit is what hostile clients may make the bridge hold at most.
const memoryLimit = 100 << 20

// TestHostileClientsCostLittleMemoryAndHinderNobody attacks the program as it is
// shipped, without the race detector, and reads from the kernel what it held.
func TestHostileClientsCostLittleMemoryAndHinderNobody(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	config := configuration(t, far.url, pageShipNotices)
	process := exec.CommandContext(context.Background(), staticBinary(t), "serve", "-c", config, "--log-format", "json")
	process.Env = append(os.Environ(), "BRIDGE_SERVER__READ_TIMEOUT=2s")
	s := startProcess(t, process)
	s.config = config
	serial := 0
	held := func(when string) {
		t.Helper()
		serial++
		s.accept(happening{id: serial, kind: "transaction.failed", transaction: serial, document: "850", partner: "01"}.body())
		most := memory(t, s, "VmHWM")
		t.Logf("%-32s %5.1f MB now, %5.1f MB at most", when, megabytes(memory(t, s, "VmRSS")), megabytes(most))
		if most > memoryLimit {
			t.Errorf("%s: %.1f MB were held, want under %.0f", when, megabytes(most), megabytes(memoryLimit))
		}
	}
	held("at rest")

	if status := s.attack(bytes.NewReader(bomb(t)), -1, "gzip"); status != http.StatusUnsupportedMediaType {
		t.Errorf("a gzip bomb was answered %d, want 415", status)
	}
	held("after a gzip bomb")
	for name, declared := range map[string]int64{"declared": 64 << 20, "chunked": -1} {
		if status := s.attack(io.LimitReader(zeros{}, 64<<20), declared, ""); status != http.StatusRequestEntityTooLarge {
			t.Errorf("64 MiB %s were answered %d, want 413", name, status)
		}
		held("after 64 MiB " + name)
	}

	var stalled [500]net.Conn
	for i := range stalled {
		// Some stop after the headers, some in the middle of the body.
		stalled[i] = s.dial(fmt.Sprintf("POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nX-Datasync-Signature: %s\r\nContent-Length: %d\r\n\r\n%s",
			sign(nil), 1<<20, strings.Repeat(" ", i%3*8<<10)))
	}
	held("with 500 stalled clients")

	silent := s.dial("")
	dripping := s.dial("POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
	var drip sync.WaitGroup
	drip.Go(func() { leak(dripping) })
	held("with a silent and a dripping one")
	for name, conn := range map[string]net.Conn{"a silent": silent, "a dripping": dripping, "a stalled": stalled[0]} {
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if said, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s client is still connected (it was told %q)", name, said)
		}
	}
	drip.Wait()
	held("after all of them")
	if code := s.stop(); code != exitOK {
		t.Errorf("serve ended with %d after SIGTERM\n%s", code, s.log())
	}
}

// bomb is about 1 MB of gzip that becomes 1 GB.
func bomb(t *testing.T) []byte {
	t.Helper()
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(zip, zeros{}, 32<<20); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.Repeat(packed.Bytes(), 32) // members one after another are one stream
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// attack posts a body and returns the answer's status. The bridge may answer
// and hang up in the middle of it, so the answer is read beside the writing. A
// negative length is sent chunked.
func (s *served) attack(body io.Reader, declared int64, encoding string) int {
	s.t.Helper()
	conn := s.dial("")
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.public+"/hooks/datasync", body)
	if err != nil {
		s.t.Fatal(err)
	}
	request.ContentLength = declared
	request.Header.Set("X-Datasync-Signature", sign(nil))
	if encoding != "" {
		request.Header.Set("Content-Encoding", encoding)
	}
	var writing sync.WaitGroup
	writing.Go(func() { _ = request.Write(conn) }) // cut short by the answer
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		s.t.Fatalf("no answer: %v", err)
	}
	_ = response.Body.Close()
	_ = conn.Close()
	writing.Wait()
	return response.StatusCode
}

// dial opens a raw connection to the public listener and says something.
func (s *served) dial(text string) net.Conn {
	s.t.Helper()
	conn, err := new(net.Dialer).DialContext(s.t.Context(), "tcp", strings.TrimPrefix(s.public, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// leak sends a byte now and then until the other side has had enough.
func leak(conn net.Conn) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 300 {
		if _, err := io.WriteString(conn, " "); err != nil {
			return
		}
		<-tick.C
	}
}

// memory reads one of the kernel's figures about a process, in bytes.
func memory(t *testing.T, s *served, figure string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, figure+":"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("the kernel does not tell %s", figure)
	return 0
}

func megabytes(n int) float64 { return float64(n) / 1e6 }
