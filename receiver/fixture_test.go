package receiver_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"datasync-bridge/certificate"
	"datasync-bridge/certificate/certificatetest"
	"datasync-bridge/event"
	"datasync-bridge/receiver"
	"datasync-bridge/receiver/mapping"
	"datasync-bridge/receiver/signature"
)

const secret = "canary-secret-of-32-bytes-length"

// memory is an inbox with the dedup promises of the store.
type memory struct {
	mu     sync.Mutex
	events []event.Received
	first  map[string]int // source and key → index of the first
	ids    map[string]int // the same and body hash → index
	err    error
	wait   chan struct{} // closed to let Accept go on; nil for no wait
	inside chan struct{} // told when Accept waits
}

func (m *memory) Accept(ctx context.Context, r event.Received) (event.Receipt, error) {
	if m.wait != nil {
		m.inside <- struct{}{}
		select {
		case <-m.wait:
		case <-ctx.Done():
			return event.Receipt{}, event.ErrUnavailable
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return event.Receipt{}, m.err
	}
	if m.first == nil {
		m.first, m.ids = map[string]int{}, map[string]int{}
	}
	key := r.Source + "\x00" + string(r.Key[:])
	full := key + string(r.BodyHash[:])
	if i, seen := m.ids[full]; seen {
		return event.Receipt{ID: eventID(i), Status: event.Duplicate}, nil
	}
	status := event.Accepted
	if _, seen := m.first[key]; seen {
		status = event.Conflict
	} else {
		m.first[key] = len(m.events)
	}
	m.ids[full] = len(m.events)
	r.Body = bytes.Clone(r.Body)
	m.events = append(m.events, r)
	return event.Receipt{ID: eventID(len(m.events) - 1), Status: status}, nil
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *memory) all() []event.Received {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]event.Received(nil), m.events...)
}

func eventID(i int) string { return fmt.Sprintf("ev_%013d", i) }

// lockedBuffer collects log lines of many goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// bridge is a running listener with what it was given.
type bridge struct {
	t      testing.TB
	addr   string
	inbox  *memory
	log    *lockedBuffer
	server *receiver.Server
	pool   *x509.CertPool // nil without TLS
	stop   context.CancelFunc
	ended  chan error
}

// source is the example configuration's: hex over the body.
func source(edit func(*receiver.Source)) receiver.Source {
	src := receiver.Source{
		Name: "datasync", Path: "/hooks/datasync",
		Verify: &signature.Config{
			Scheme:    "custom",
			Secrets:   []signature.Secret{{ID: "s1", Value: secret}},
			Signature: signature.Header{Header: new("X-Datasync-Signature"), Prefix: new("sha256=")},
		},
		Mapping: mapping.Config{},
	}
	if edit != nil {
		edit(&src)
	}
	return src
}

type setup struct {
	cfg     receiver.Config
	sources []receiver.Source
	inbox   *memory
	options receiver.Options
	secure  bool // speak TLS
}

// overBoth runs a test over TCP and over TLS.
func overBoth(t *testing.T, test func(t *testing.T, s setup)) {
	t.Run("plain", func(t *testing.T) { test(t, setup{}) })
	t.Run("TLS", func(t *testing.T) { test(t, setup{secure: true}) })
}

func start(t testing.TB, s setup) *bridge {
	t.Helper()
	if s.sources == nil {
		s.sources = []receiver.Source{source(nil)}
	}
	if s.inbox == nil {
		s.inbox = &memory{}
	}
	b := &bridge{t: t, inbox: s.inbox, log: &lockedBuffer{}, ended: make(chan error, 1)}
	if s.options.Log == nil {
		s.options.Log = slog.New(slog.NewTextHandler(b.log, nil))
	}
	if s.secure {
		var files certificate.Files
		files, b.pool = certificatetest.New(t, "public")
		s.cfg.TLS = &files
	}
	server, err := receiver.New(s.cfg, s.sources, s.inbox, s.options)
	if err != nil {
		t.Fatal(err)
	}
	b.server = server
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	go func() { b.ended <- server.Run(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err, open := <-b.ended; open && err != nil {
			t.Errorf("Run: %v", err)
		}
		for _, shown := range []string{secret, signed([]byte("x"))[7:23]} {
			if strings.Contains(b.log.String(), shown) {
				t.Errorf("the log shows a secret: %s", b.log)
			}
		}
	})
	return b
}

// reply is an answer, decoded.
type reply struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
	EventID   string `json:"event_id"`
	header    http.Header
	http      int
	raw       string
}

// client gives each request a connection of its own, so that a refusal that
// closes one cannot disturb the next.
var client = &http.Client{
	Transport: &http.Transport{DisableKeepAlives: true},
	Timeout:   20 * time.Second,
}

// send makes a request as the bridge's listener wants it.
func (b *bridge) send(r *http.Request) (*http.Response, error) {
	if b.pool == nil {
		return client.Do(r)
	}
	r.URL.Scheme = "https"
	return (&http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: b.pool}},
		Timeout:   client.Timeout,
	}).Do(r)
}

func (b *bridge) do(method, path string, body io.Reader, header http.Header) reply {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+b.addr+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := b.send(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	r := reply{header: res.Header, http: res.StatusCode, raw: string(raw)}
	if err := json.Unmarshal(raw, &r); err != nil && method != http.MethodHead {
		b.t.Errorf("%s %s: answer %q is not JSON: %v", method, path, raw, err)
	}
	if method != http.MethodHead && (r.Status != r.http || r.RequestID == "" || r.header.Get("X-Request-Id") != r.RequestID ||
		r.header.Get("Content-Type") != "application/json" || r.header.Get("X-Content-Type-Options") != "nosniff" ||
		r.header.Get("Cache-Control") != "no-store" || r.header.Get("Server") != "") {
		b.t.Errorf("%s %s: answer %d %q with headers %v lacks its parts", method, path, r.http, raw, r.header)
	}
	if strings.Contains(r.raw, secret) {
		b.t.Errorf("the answer shows the secret: %s", raw)
	}
	return r
}

// post signs a body and sends it to the example source.
func (b *bridge) post(body string) reply {
	b.t.Helper()
	return b.do(http.MethodPost, "/hooks/datasync", strings.NewReader(body), signature1([]byte(body)))
}

func signed(body []byte) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write(body)
	return "sha256=" + hex.EncodeToString(m.Sum(nil))
}

func signature1(body []byte) http.Header {
	return http.Header{"X-Datasync-Signature": {signed(body)}}
}

func (b *bridge) want(r reply, status int, code string) {
	b.t.Helper()
	if r.http != status || r.Code != code {
		b.t.Errorf("answer %d %q, want %d %q", r.http, r.Code, status, code)
	}
}
