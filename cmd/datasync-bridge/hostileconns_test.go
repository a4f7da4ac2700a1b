package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// patienceOfClients is longer than the bridge may keep anybody waiting here.
const patienceOfClients = 20 * time.Second

// connections are clients that send too much, too slowly, or nothing.
func connections() []hostility {
	stalledHead := "POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nX-Datasync-Signature: " + sign(nil) + "\r\nContent-Length: 1048576\r\n\r\n"
	return []hostility{
		{"1 MB of gzip that becomes 1 GB", flood(func() io.Reader { return bytes.NewReader(gzipBomb()) }, -1, "gzip"), "415 unsupported_content_encoding", 0},
		{"64 MiB, declared", flood(zeros64, 64<<20, ""), "413 body_too_large", 0},
		{"64 MiB, chunked", flood(zeros64, -1, ""), "413 body_too_large", 0},
		{"9 EB, declared", flood(zeros64, 1<<63-1, ""), "413 body_too_large", 0},
		{"a silent client", crowd(1, func(int) string { return "" }, nil), "408 request_timeout", 0},
		{"3,000 idle clients", crowd(3000, func(int) string { return "" }, nil), "408 request_timeout, 503 busy", 0},
		{"500 clients that stall in a body", crowd(500, func(i int) string { return stalledHead + strings.Repeat(" ", i%3*8<<10) }, nil), "408 request_timeout", 0},
		{"100 clients that stall at 900 KB", crowd(100, func(int) string { return stalledHead + strings.Repeat(" ", 900_000) }, nil), "408 request_timeout, 503 busy", 0},
		{"a body byte by byte", crowd(1, func(int) string { return stalledHead }, drip), "408 request_timeout", 0},
		{"100 clients with headers byte by byte", crowd(100, func(int) string { return "POST /hooks/datasync HTTP/1.1\r\nX-Slow: " }, drip), "408 request_timeout", 0},
		{"a request line byte by byte", crowd(1, func(int) string { return "GET /" }, drip), "408 request_timeout", 0},
		{"answers that nobody reads", deaf, "cut off", 0},
		{"1,000 requests in one go", said(strings.Repeat("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 1000)), "200 ok", 0},
		{"1,000 bodies in one go, unsigned", said(strings.Repeat("POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 1000)), "401 signature_missing, 429 too_many_failures", 0},
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func zeros64() io.Reader { return io.LimitReader(zeros{}, 64<<20) }

var gzipBomb = sync.OnceValue(func() []byte {
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err == nil {
		_, err = io.CopyN(zip, zeros{}, 32<<20)
	}
	if err = errors.Join(err, zip.Close()); err != nil {
		panic(err) // a buffer takes all
	}
	return bytes.Repeat(packed.Bytes(), 32) // members one after another are one stream
})

// flood posts a stream. A negative length is sent chunked.
func flood(body func() io.Reader, declared int64, encoding string) func(s *served) (answers, id string) {
	return func(s *served) (answers, id string) {
		s.t.Helper()
		request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.public+"/hooks/datasync", body())
		if err != nil {
			s.t.Fatal(err)
		}
		request.ContentLength = declared
		request.Header.Set("X-Datasync-Signature", sign(nil))
		if encoding != "" {
			request.Header.Set("Content-Encoding", encoding)
		}
		return s.exchange(request), ""
	}
}

// exchange sends a request on a connection of its own. The bridge may answer and
// hang up in the middle of the body, so the answer is read beside the writing.
func (s *served) exchange(request *http.Request) string {
	s.t.Helper()
	conn := s.dial("")
	var writing sync.WaitGroup
	writing.Go(func() { _ = request.Write(conn) }) // cut short by the answer
	heard := s.hear(conn, 1)
	_ = conn.Close()
	writing.Wait()
	return distinct(heard)
}

// said writes a text as it is, ends the sending side, and hears all answers.
func said(text string) func(s *served) (answers, id string) {
	return func(s *served) (answers, id string) {
		s.t.Helper()
		conn := s.dial("")
		var writing sync.WaitGroup
		writing.Go(func() {
			_, _ = io.WriteString(conn, text) // cut short by an answer
			_ = conn.(*net.TCPConn).CloseWrite()
		})
		heard := s.hear(conn, 10_000)
		_ = conn.Close()
		writing.Wait()
		if len(heard) == 0 {
			return "closed without an answer", ""
		}
		return distinct(heard), ""
	}
}

// crowd opens connections beside each other, says something on each, goes on
// with what more does, and hears each of them to its end.
func crowd(clients int, opening func(i int) string, more func(conn net.Conn)) func(s *served) (answers, id string) {
	return func(s *served) (answers, id string) {
		s.t.Helper()
		conns := make([]net.Conn, clients)
		var going sync.WaitGroup
		for i := range conns {
			conns[i] = s.dial("")
			going.Go(func() {
				if _, err := io.WriteString(conns[i], opening(i)); err == nil && more != nil {
					more(conns[i])
				}
			})
		}
		var heard []string
		for _, conn := range conns {
			heard = append(heard, s.hear(conn, 10)...)
			_ = conn.Close()
		}
		going.Wait()
		return distinct(heard), ""
	}
}

// hear reads at most so many answers, to the connection's end.
func (s *served) hear(conn net.Conn, most int) []string {
	s.t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patienceOfClients)); err != nil {
		s.t.Fatal(err)
	}
	var heard []string
	reader := bufio.NewReader(conn)
	for len(heard) < most {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				s.t.Errorf("still connected after %v, having heard %q", patienceOfClients, distinct(heard))
			}
			break
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		var a answer
		if err != nil || json.Unmarshal(text, &a) != nil {
			a.Code = fmt.Sprintf("%q", text)
		}
		heard = append(heard, fmt.Sprintf("%d %s", response.StatusCode, a.Code))
	}
	return heard
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

// drip sends a byte now and then until the other side has had enough.
func drip(conn net.Conn) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 300 {
		if _, err := io.WriteString(conn, "x"); err != nil {
			return
		}
		<-tick.C
	}
}

// deaf sends requests for as long as they are taken and reads no answer.
func deaf(s *served) (answers, id string) {
	s.t.Helper()
	conn := s.dial("")
	if err := conn.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
		s.t.Fatal(err)
	}
	many := strings.Repeat("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 1000)
	for {
		if _, err := io.WriteString(conn, many); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return "still connected after a minute", ""
			}
			return "cut off", ""
		}
	}
}
