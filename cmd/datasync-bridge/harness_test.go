package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asBridge makes the test binary be the bridge itself, so that the processes
// under test are real ones and built with the race detector when the tests are.
const asBridge = "DATASYNC_BRIDGE_TEST_AS_BRIDGE"

func TestMain(m *testing.M) {
	if os.Getenv(asBridge) != "" {
		torment()
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
		stop()
		os.Exit(code)
	}
	var err error
	if scratch, err = os.MkdirTemp("", "datasync-bridge-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

const testSecret = "test-secret-of-more-than-16-bytes"

// served is a running `serve` process.
type served struct {
	t      *testing.T
	cmd    *exec.Cmd
	config string // the configuration's path
	public string // http://127.0.0.1:port
	admin  string
	ended  chan struct{}
	err    error

	mu   sync.Mutex
	logs bytes.Buffer
}

// bridgeCommand is one run of the program as a process.
func bridgeCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	// A program with the race detector lingers for a second at its end, to hear
	// of late races; there are many processes here.
	cmd.Env = append(os.Environ(), asBridge+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	return cmd
}

// startServe starts `serve` and returns when it is ready.
func startServe(t *testing.T, configPath string) *served {
	t.Helper()
	s := startProcess(t, bridgeCommand(context.Background(), "serve", "-c", configPath, "--log-format", "json"))
	s.config = configPath
	return s
}

// startProcess starts a `serve` that logs JSON, and returns when both listeners
// are known and /readyz answers 200.
func startProcess(t *testing.T, cmd *exec.Cmd) *served {
	t.Helper()
	return startWith(t, cmd, "http://", http.DefaultClient)
}

// startWith is startProcess for a public listener of that scheme.
func startWith(t *testing.T, cmd *exec.Cmd, scheme string, client *http.Client) *served {
	t.Helper()
	s := &served{t: t, cmd: cmd, ended: make(chan struct{})}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	addresses := make(chan [2]string, 1)
	go s.read(stderr, addresses)
	select {
	case found := <-addresses:
		s.public, s.admin = scheme+found[0], "http://"+found[1]
	case <-s.ended:
		t.Fatalf("serve ended before it listened: %v\n%s", s.err, s.log())
	case <-time.After(time.Minute):
		t.Fatalf("serve did not listen within a minute\n%s", s.log())
	}
	eventually(t, time.Minute, "serve is ready", func() bool {
		answer, err := client.Get(s.public + "/readyz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return s
}

// read keeps the log and finds the addresses in it.
func (s *served) read(stderr io.Reader, addresses chan<- [2]string) {
	var found [2]string
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s.mu.Lock()
		s.logs.Write(append(lines.Bytes(), '\n'))
		s.mu.Unlock()
		var line struct{ Msg, Listener, Address string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "listening" {
			continue
		}
		if line.Listener == "public" {
			found[0] = line.Address
		} else {
			found[1] = line.Address
		}
		if found[0] != "" && found[1] != "" {
			addresses <- found
		}
	}
	s.err = s.cmd.Wait()
	close(s.ended)
}

func (s *served) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logs.String()
}

// kill ends the process as a power cut would, and waits for it.
func (s *served) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// stop asks the process to end and returns its exit code.
func (s *served) stop() int {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		s.t.Fatalf("serve did not stop within 20 s\n%s", s.log())
	}
	return s.cmd.ProcessState.ExitCode()
}

// answer is the public listener's reply.
type answer struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	EventID string `json:"event_id"`
}

// post sends one signed event. An error means that no answer came.
func post(client *http.Client, public string, body []byte) (answer, error) {
	request, err := http.NewRequest(http.MethodPost, public+"/hooks/datasync", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("X-Datasync-Signature", sign(body))
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	var a answer
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		return answer{}, err
	}
	a.Status = response.StatusCode
	return a, nil
}

func sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte(testSecret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// configuration writes a configuration file whose notifiers are stand-ins at
// farURL, and returns its path. The rest is appended as it is.
func configuration(t *testing.T, farURL, rest string) string {
	t.Helper()
	dir := t.TempDir()
	return writeConfiguration(t, dir, filepath.Join(dir, "data", "bridge.db"), farURL, rest)
}

func writeConfiguration(t testing.TB, dir, store, farURL, rest string) string {
	t.Helper()
	text := fmt.Sprintf(`version: 1
server: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0"}
store: {sqlite: {path: %q}}
sources:
  - name: datasync
    path: /hooks/datasync
    verify:
      scheme: custom
      secrets: [{id: s1, value: %q}]
      signature: {header: X-Datasync-Signature, prefix: "sha256=", encoding: hex}
      signed: ["{body}"]
notifiers:
  - name: ops
    slack: {token: xoxb-test, channel: C0OPS, api_url: "%s/api/"}
    retry: {first: 200ms, max: 2s}
  - name: pager
    pagerduty: {routing_key: "0123456789abcdef0123456789abcdef", events_url: %q}
    retry: {first: 200ms, max: 2s}
`, store, testSecret, farURL, farURL) + rest
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventually polls until the claim holds or the time is up.
func eventually(t *testing.T, within time.Duration, claim string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, claim)
		}
		<-tick.C
	}
}
