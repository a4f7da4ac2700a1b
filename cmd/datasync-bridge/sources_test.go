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
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/web/client"
)

// secondSecret is of a source beside the one that every test has.
const secondSecret = "second-secret-of-more-than-16-bytes"

// sourceNow is one source as some configuration has it.
type sourceNow struct {
	path, secret string
	environment  event.Environment
	means        string // the canonical type of doc.broke
}

// moving is a bridge whose sources change while events are posted to them.
type moving struct {
	t      *testing.T
	s      *served
	remote *client.Client
	text   string // of the configuration, with SOURCES where they belong

	mu     sync.RWMutex // held for reading while a post is under way to what moves
	now    atomic.Pointer[phase]
	phases map[string]int // by the configuration's hash, in order
	means  []map[string]string

	serial  atomic.Int64
	answers atomic.Int64
	kept    sync.Map // event id → keptEvent
}

// phase is one configuration's sources, by name, and its place among all.
type phase struct {
	n       int
	sources map[string]sourceNow
}

// keptEvent is what is known of an event that was answered 2xx.
type keptEvent struct {
	source      string
	environment event.Environment
	phase       int // at least
}

// TestSourcesChangeUnderLoad changes mappings, adds a source, moves its path,
// makes a sandbox of it and takes it away, in the real process while events are
// posted. None is refused at an address that is configured, and each is mapped by
// the configuration that planned it, which is never older than its request.
func TestSourcesChangeUnderLoad(t *testing.T) {
	t.Parallel()
	m := startMoving(t)
	first := sourceNow{"/hooks/datasync", testSecret, event.Production, "mdn.timeout"}
	second := sourceNow{"/hooks/second", secondSecret, event.Production, "sla.violated"}
	var posters sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		posters.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					m.postToAll()
				}
			}
		})
	}
	for _, first.means = range []string{"mdn.timeout", "transaction.failed", "transaction.rejected", "sla.violated"} {
		m.more(50)
		m.reload(map[string]sourceNow{"datasync": first})
	}
	m.more(50)
	m.wants(second, http.StatusNotFound)
	knocked := m.knock("second", second, len(m.means))
	m.reload(map[string]sourceNow{"datasync": first, "second": second})
	knocked()
	m.more(100)

	// A request that has begun ends at the address that it was sent to.
	rest := m.begin(second)
	was := second
	second.path = "/hooks/moved"
	m.wants(second, http.StatusNotFound)
	m.reload(map[string]sourceNow{"datasync": first, "second": second})
	if status := rest(); status != http.StatusAccepted {
		t.Errorf("a request that had begun when its address moved was answered %d", status)
	}
	m.wants(was, http.StatusNotFound)
	m.more(100)

	second.environment, second.means = event.Sandbox, "transaction.failed"
	m.reload(map[string]sourceNow{"datasync": first, "second": second})
	m.more(100)
	m.reload(map[string]sourceNow{"datasync": first})
	m.wants(second, http.StatusNotFound)
	m.more(50)
	close(done)
	posters.Wait()

	store := openStore(t, m.s.config)
	eventually(t, time.Minute, "every event is planned", func() bool {
		stats, err := store.Stats(context.Background())
		return err == nil && stats.Pending == 0 && stats.Parked == 0
	})
	m.check(store)
	if strings.Contains(m.s.log(), "needs a restart") {
		t.Errorf("a restart is asked for\n%s", m.s.log())
	}
}

func startMoving(t *testing.T) *moving {
	t.Helper()
	path := configuration(t, newFarSide(t).url, "defaults: {notify: [ops]}\n")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), "sources:\n")
	_, after, _ := strings.Cut(rest, "notifiers:\n")
	m := &moving{t: t, s: startServe(t, path), phases: map[string]int{}, text: before + "SOURCESnotifiers:\n" + after}
	m.remote = adminOf(t, m.s)
	m.reload(map[string]sourceNow{"datasync": {"/hooks/datasync", testSecret, event.Production, "transaction.failed"}})
	return m
}

// reload puts sources in force. Where one moves, the posts to it wait meanwhile,
// as a sender's do that is told of it.
func (m *moving) reload(sources map[string]sourceNow) {
	m.t.Helper()
	var list strings.Builder
	means := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		s := sources[name]
		means[name] = s.means
		fmt.Fprintf(&list, `  - name: %s
    path: %s
    environment: %s
    verify: {scheme: custom, secrets: [{id: s1, value: %q}], signed: ["{body}"],
      signature: {header: X-Datasync-Signature, prefix: "sha256=", encoding: hex}}
    mapping: {aliases: {doc.broke: %s}}
`, name, s.path, s.environment, s.secret, s.means)
	}
	text := fmt.Sprintf("%s# phase %d\n", strings.Replace(m.text, "SOURCES", "sources:\n"+list.String(), 1), len(m.means))
	if now := m.now.Load(); now != nil {
		for name, s := range now.sources {
			if next := sources[name]; next.path != s.path || next.environment != s.environment {
				m.mu.Lock()
				defer m.mu.Unlock()
				break
			}
		}
	}
	sum := sha256.Sum256([]byte(text))
	m.phases[hex.EncodeToString(sum[:])] = len(m.means)
	m.means = append(m.means, means)
	replaceFile(m.t, m.s.config, text)
	done, err := m.remote.Reload(m.t.Context())
	if err != nil || len(done.Restart) > 0 {
		m.t.Fatalf("reload: %v, a restart is needed for %q", err, done.Restart)
	}
	m.now.Store(&phase{len(m.means) - 1, sources})
}

// postToAll posts an event to every source that is configured, and wants it kept.
func (m *moving) postToAll() {
	m.mu.RLock()
	defer m.mu.RUnlock()
	now := m.now.Load()
	for name, s := range now.sources {
		a := m.post(s)
		m.answers.Add(1)
		if a.Status != http.StatusAccepted || a.Code != "accepted" {
			m.t.Errorf("an event to source %s at %s was answered %d %s", name, s.path, a.Status, a.Code)
			continue
		}
		m.kept.Store(a.EventID, keptEvent{name, s.environment, now.n})
	}
}

func (m *moving) body() []byte {
	n := int(m.serial.Add(1))
	return eventBody(n, "doc.broke", n)
}

func signedWith(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// post sends one event to where a source is, or was, or will be.
func (m *moving) post(s sourceNow) (a answer) {
	body := m.body()
	request, err := http.NewRequest(http.MethodPost, m.s.public+s.path, bytes.NewReader(body))
	if err != nil {
		return answer{Code: err.Error()}
	}
	request.Header.Set("X-Datasync-Signature", signedWith(s.secret, body))
	response, err := hurried.Do(request)
	if err != nil {
		return answer{Code: err.Error()}
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		return answer{Code: err.Error()}
	}
	return a
}

// begin sends a request but for its last byte, and returns what sends that and
// reads the answer. The body is long, because a short one is read before its
// source is looked up.
func (m *moving) begin(s sourceNow) (rest func() (status int)) {
	m.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(m.s.public, "http://"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = c.Close() })
	body := append(m.body(), bytes.Repeat([]byte(" "), 64<<10)...)
	_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: b\r\nX-Datasync-Signature: %s\r\nContent-Length: %d\r\n\r\n%s",
		s.path, signedWith(s.secret, body), len(body), body[:len(body)-1])
	if err != nil {
		m.t.Fatal(err)
	}
	m.more(20) // so that it is read before what comes next
	return func() int {
		if _, err := c.Write(body[len(body)-1:]); err != nil {
			m.t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			m.t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode
	}
}

// knock posts to a source that is not there yet until it is, and wants the first
// events of it decided by a configuration that has it.
func (m *moving) knock(name string, s sourceNow, phase int) (wait func()) {
	var knocking sync.WaitGroup
	for range 4 {
		knocking.Go(func() {
			for until := time.Now().Add(time.Minute); time.Now().Before(until); {
				if a := m.post(s); a.Status == http.StatusAccepted {
					m.kept.Store(a.EventID, keptEvent{name, s.environment, phase})
					return
				}
			}
			m.t.Errorf("nobody answers at %s", s.path)
		})
	}
	return knocking.Wait
}

func (m *moving) wants(s sourceNow, status int) {
	m.t.Helper()
	if a := m.post(s); a.Status != status {
		m.t.Errorf("%s answers %d %s, want %d", s.path, a.Status, a.Code, status)
	}
}

// more waits until n more posts were answered.
func (m *moving) more(n int64) {
	m.t.Helper()
	until := m.answers.Load() + n
	eventually(m.t, time.Minute, "posts are answered", func() bool { return m.answers.Load() >= until })
}

// check holds every event that was kept against the configuration that decided.
func (m *moving) check(store *sqlite.Store) {
	counted := map[string]int{}
	m.kept.Range(func(id, of any) bool {
		want := of.(keptEvent)
		st, err := store.Event(context.Background(), id.(string))
		if err != nil {
			m.t.Errorf("event %s was answered 2xx and is lost: %v", id, err)
			return true
		}
		var d incident.Decision
		if err := json.Unmarshal(st.Decision, &d); err != nil {
			m.t.Errorf("the decision of %s: %v", id, err)
			return true
		}
		phase, known := m.phases[d.Config]
		means := ""
		for n := phase; n >= 0 && means == ""; n-- { // a source that is gone is read by its last mapping
			means = m.means[n][want.source]
		}
		switch {
		case !known || phase < want.phase:
			m.t.Errorf("event %s came in phase %d and was decided in phase %d (%v)", id, want.phase, phase, known)
		case d.Type != means:
			m.t.Errorf("event %s of %s is a %s, want %s as in phase %d", id, want.source, d.Type, means, phase)
		case st.Source != want.source || st.Environment != want.environment:
			m.t.Errorf("event %s is of %s (%s), want %+v", id, st.Source, st.Environment, want)
		}
		counted[want.source+" "+d.Type]++
		return true
	})
	m.t.Logf("%d posts over %d configurations: %v", m.answers.Load(), len(m.means), counted)
	if len(counted) < 6 {
		m.t.Error("some mapping read no event")
	}
}
