package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// bombLimit bounds the process while bodies of 1 MiB, each of which is kept and
// planned, come one after another.
const bombLimit = 160 << 20

// hostileInput is one thing that a stranger, or a sender gone wrong, may send.
type hostileInput struct {
	name string
	// text is sent over a connection of its own, as often as times says (once
	// for 0), at the same time.
	text  string
	times int
	want  []string // what may be answered: a status with its code, or "closed"
}

// signedRequest is a valid request with some body.
func signedRequest(body string) string {
	return fmt.Sprintf("POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nX-Datasync-Signature: %s\r\nContent-Length: %d\r\n\r\n%s", sign([]byte(body)), len(body), body)
}

// unsigned is the same with another body's signature.
func unsigned(body string) string {
	return strings.Replace(signedRequest(body), sign([]byte(body)), sign([]byte("another")), 1)
}

// bombs are bodies within the limit of 1 MiB that cost whoever reads them badly.
func bombs() map[string]string {
	const most = 1<<20 - 200
	event := func(fields string) string { return `{"id":"evt_bomb","type":"transaction.failed",` + fields + `}` }
	repeat := func(piece string, n int) string {
		n = min(n, most/len(piece))
		return strings.TrimSuffix(strings.Repeat(piece, n), ",")
	}
	return map[string]string{
		"500,000 brackets":                strings.Repeat("[", 500_000),
		"300,000 objects in each other":   repeat(`{"a":`, 200_000),
		"60 levels, the last one wide":    event(`"x":` + strings.Repeat("[", 60) + repeat("0,", 400_000) + strings.Repeat("]", 60)),
		"150,000 keys":                    event(repeat(`"a":1,`, 150_000)),
		"type 60,000 times":               event(repeat(`"type":"a.b",`, 60_000)),
		"data 60,000 times":               event(repeat(`"data":{"a":1},`, 60_000)),
		"a number of 1,000,000 digits":    event(`"n":` + strings.Repeat("9", 1_000_000)),
		"an amount of 1,000,000 digits":   event(`"data":{"transaction":{"id":"t","amount":` + strings.Repeat("9", 900_000) + `}}`),
		"an exponent of 900,000 digits":   event(`"data":{"transaction":{"id":"t","amount":1e` + strings.Repeat("9", 900_000) + `}}`),
		"170,000 escapes":                 event(`"s":"` + repeat(`\u0000`, 170_000) + `"`),
		"an array of 300,000":             event(`"data":{"items":[` + repeat("null,", 200_000) + `]}`),
		"a key of 500,000 letters":        event(`"` + strings.Repeat("k", 500_000) + `":1`),
		"a transaction id of 900,000":     event(`"data":{"transaction":{"id":"` + strings.Repeat("t", 900_000) + `"}}`),
		"an error message of 900,000":     event(`"data":{"transaction":{"id":"t"},"error":{"message":"` + strings.Repeat("<!channel> ", 80_000) + `"}}`),
		"a partner name of right-to-left": event(`"data":{"transaction":{"id":"t"},"partner":{"id":"p","name":"` + strings.Repeat("\u202e", 300_000) + `"}}`),
	}
}

func hostileInputs() []hostileInput {
	var all []hostileInput
	kept := []string{"202 accepted", "202 quarantined", "202 conflict", "200 duplicate"}
	forged := []string{"401 signature_mismatch"}
	bodies := bombs()
	for _, name := range sortedKeys(bodies) {
		all = append(all, hostileInput{"signed: " + name, signedRequest(bodies[name]), 1, kept},
			hostileInput{"forged: " + name, unsigned(bodies[name]), 1, forged})
	}
	head := "POST /hooks/datasync HTTP/1.1\r\nHost: x\r\n"
	good := signedRequest(`{"id":"evt_hidden","type":"transaction.failed"}`)
	refused := []string{"400 malformed_request", "400 body_incomplete", "401 signature_missing", "closed"}
	return append(all, []hostileInput{
		{"3,000 idle connections", "", 3000, []string{"408 request_timeout", "503 busy", "closed"}},
		{"500 stalled bodies", head + "X-Datasync-Signature: " + sign(nil) + "\r\nContent-Length: 1048576\r\n\r\n        ", 500, []string{"408 request_timeout", "closed"}},
		{"headers that never end", head + "X-Slow: ", 100, []string{"408 request_timeout", "closed", "400 malformed_request"}},
		{"1,000 requests in one go", strings.Repeat(unsigned("{}"), 1000), 1, []string{"401 signature_mismatch"}},
		{"a header of 64 KB", head + "X-Big: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 1, []string{"431 headers_too_large"}},
		{"10,000 headers", head + strings.Repeat("X: y\r\n", 10_000) + "\r\n", 1, []string{"431 headers_too_large"}},
		{"a path of 16 KB", "POST /" + strings.Repeat("p", 16<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", 1, []string{"431 headers_too_large", "404 not_found"}},
		{"NUL bytes in the path", "POST /hooks/\x00datasync HTTP/1.1\r\nHost: x\r\n\r\n", 1, []string{"404 not_found", "400 malformed_request"}},
		{"another method", "BREW /hooks/datasync HTTP/1.1\r\nHost: x\r\n\r\n", 1, []string{"405 method_not_allowed"}},
		{"an absolute address", strings.Replace(unsigned("{}"), "/hooks", "http://other.example/hooks", 1), 1, []string{"401 signature_mismatch", "404 not_found"}},
		{"a TLS hello on a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 500), 1, []string{"400 malformed_request", "408 request_timeout", "closed"}},
		{"HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 1, []string{"400 malformed_request", "405 method_not_allowed", "404 not_found", "closed"}},
		{"both Content-Length and chunked", head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + good, 1, refused},
		{"two Content-Lengths", head + "Content-Length: 4\r\nContent-Length: 200\r\n\r\n{}\r\n" + good, 1, refused},
		{"a negative Content-Length", head + "Content-Length: -1\r\n\r\n" + good, 1, refused},
		{"a Content-Length with a plus", head + "Content-Length: +4\r\n\r\nabcd" + good, 1, refused},
		{"chunked, spelt with a tab", head + "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", 1, refused},
		{"a transfer encoding that is unknown", head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + good, 1, refused},
		{"a folded header", head + "X-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", 1, refused},
		{"bare line feeds", "POST /hooks/datasync HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}", 1, append([]string{"408 request_timeout"}, refused...)},
		{"a chunk extension of 60 KB", head + "X-Datasync-Signature: " + sign([]byte("{}")) + "\r\nTransfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("e", 60<<10) + "\r\n{}\r\n0\r\n\r\n", 1,
			append([]string{"202 quarantined"}, refused...)},
		{"a chunk of a size beyond counting", head + "X-Datasync-Signature: " + sign(nil) + "\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 1, append([]string{"413 body_too_large"}, refused...)},
	}...)
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// TestHostileInputs sends each input to the program as it is shipped, and then a
// good event, which must be kept. BRIDGE_HOSTILE_TABLE prints what was answered,
// how long it took, and what it made the process hold.
func TestHostileInputs(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	config := configuration(t, far.url, pageShipNotices)
	process := exec.CommandContext(context.Background(), staticBinary(t), "serve", "-c", config, "--log-format", "json")
	process.Env = append(os.Environ(), "BRIDGE_SERVER__READ_TIMEOUT=2s", "BRIDGE_SERVER__FAILURE_LIMIT=100000")
	s := startProcess(t, process)
	s.config = config
	var table bytes.Buffer
	rows := tabwriter.NewWriter(&table, 0, 4, 2, ' ', 0)
	fmt.Fprintln(rows, "input\tanswer\ttime\tpeak MB")
	for n, in := range hostileInputs() {
		forgetPeak(t, s)
		began := time.Now()
		answers := s.suffer(in)
		took := time.Since(began)
		s.accept(happening{id: 1e6 + n, kind: "transaction.failed", transaction: 1e6 + n, document: "850", partner: "01"}.body())
		peak := memory(t, s, "VmHWM")
		for _, a := range answers {
			if !slices.Contains(in.want, a) {
				t.Errorf("%s: answered %s, want one of %q", in.name, a, in.want)
			}
		}
		if peak > bombLimit {
			t.Errorf("%s: %.1f MB were held, want under %.0f", in.name, megabytes(peak), megabytes(bombLimit))
		}
		fmt.Fprintf(rows, "%s\t%s\t%v\t%.1f\n", in.name, strings.Join(answers, ", "), took.Round(100*time.Microsecond), megabytes(peak))
	}
	eventually(t, time.Minute, "everything that was kept is planned", func() bool {
		return strings.Contains(s.metrics(), "\nbridge_events_pending 0\n")
	})
	if !strings.Contains(s.metrics(), "\nbridge_events_parked 0\n") {
		t.Errorf("an event could not be planned\n%s", s.works("events", "list", "--state", "parked"))
	}
	if all := s.works("events", "list", "--limit", "500", "-o", "json"); strings.Contains(all, "evt_hidden") || !strings.Contains(all, "evt_bomb") {
		t.Error("a request that was hidden in another one was taken")
	}
	_ = rows.Flush()
	if os.Getenv("BRIDGE_HOSTILE_TABLE") != "" {
		fmt.Print(table.String())
	}
}

// forgetPeak makes the kernel measure the process's peak anew.
func forgetPeak(t *testing.T, s *served) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.cmd.Process.Pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// suffer sends an input and returns the different answers, sorted.
func (s *served) suffer(in hostileInput) []string {
	s.t.Helper()
	conns := make([]net.Conn, max(in.times, 1))
	for k := range conns {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.public, "http://"))
		if err != nil {
			s.t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		go func() { _, _ = io.WriteString(conn, in.text) }() // cut short by the answer
		conns[k] = conn
	}
	var answers []string
	for _, conn := range conns {
		said := heard(conn)
		_ = conn.Close()
		if !slices.Contains(answers, said) {
			answers = append(answers, said)
		}
	}
	slices.Sort(answers)
	return answers
}

// heard reads one answer in short.
func heard(conn net.Conn) string {
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			return "nothing in 30 s"
		}
		return "closed"
	}
	defer func() { _ = response.Body.Close() }()
	var a answer
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		return response.Status
	}
	return fmt.Sprintf("%d %s", response.StatusCode, a.Code)
}
