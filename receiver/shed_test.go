package receiver_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/receiver"
)

// answers reads so many answers off one connection, in their order, and leaves
// nothing that came after them.
func (b *bridge) answers(conn net.Conn, count int) (statuses []int, closes bool) {
	b.t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		b.t.Fatal(err)
	}
	from := bufio.NewReader(conn)
	for range count {
		res, err := http.ReadResponse(from, nil)
		if err != nil {
			b.t.Fatalf("after the answers %v: %v", statuses, err)
		}
		if _, err := io.ReadAll(res.Body); err != nil {
			b.t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
			b.t.Error("503 without Retry-After")
		}
		statuses, closes = append(statuses, res.StatusCode), res.Close
	}
	if n := from.Buffered(); n > 0 {
		b.t.Errorf("%d bytes came that answer no request", n)
	}
	return statuses, closes
}

// request is a signed event as it goes over the wire.
func request(body string) string {
	return fmt.Sprintf(stalledHead, signed([]byte(body)), len(body)) + body
}

// chunked is the same event without a declared length.
func chunked(body string) string {
	return fmt.Sprintf("POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nX-Datasync-Signature: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
		signed([]byte(body)), len(body), body)
}

// health is the request that looks for the place where the next one begins: it
// is answered 200 there and nowhere else.
const health = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

// hidden is a body that is a request itself, were it read as one.
var hidden = "POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"

func TestABusyStoreKeepsTheConnectionAtItsNextRequest(t *testing.T) {
	for _, err := range []error{event.ErrBusy, event.ErrFull, event.ErrQuarantineFull, event.ErrUnavailable} {
		b := start(t, setup{})
		b.inbox.fail(err)
		conn := b.dial(request(failure) + chunked(failure) + request(hidden) + health)
		if got, closes := b.answers(conn, 4); fmt.Sprint(got) != "[503 503 503 200]" || closes {
			t.Errorf("%v: answers %v (closes: %v)", err, got, closes)
		}
		b.inbox.fail(nil)
		if _, err := io.WriteString(conn, request(failure)+health); err != nil {
			t.Fatal(err)
		}
		if got, closes := b.answers(conn, 2); fmt.Sprint(got) != "[202 200]" || closes {
			t.Errorf("%v, and over: answers %v (closes: %v)", err, got, closes)
		}
	}
}

// full holds all but a little of the bytes that may be in flight.
func full(t *testing.T) (b *bridge, holder net.Conn) {
	b = start(t, setup{cfg: receiver.Config{BodyLimit: 256 << 10, InFlight: 256 << 10, ReadTimeout: 5 * time.Second}})
	head := fmt.Sprintf(stalledHead, signed([]byte("x")), 256<<10)
	holder = b.dial(head + strings.Repeat("x", 200<<10)) // a buffer of 256 KiB by then
	deadline := time.Now().Add(5 * time.Second)
	for b.post(failure).http != http.StatusServiceUnavailable {
		if time.Now().After(deadline) {
			t.Fatal("a full budget never refused anything")
		}
	}
	return b, holder
}

func TestWithoutRoomForABodyAShortOneIsPassedOver(t *testing.T) {
	b, holder := full(t)
	for name, body := range map[string]string{"short": failure, "a request": hidden, "of 64 KiB": strings.Repeat("x", 64<<10), "64 KiB of requests": strings.Repeat(hidden, (64<<10)/len(hidden))} {
		conn := b.dial(request(body) + health)
		if got, closes := b.answers(conn, 2); fmt.Sprint(got) != "[503 200]" || closes {
			t.Errorf("%s: answers %v (closes: %v)", name, got, closes)
		}
	}
	long := strings.Repeat("x", 60<<10)
	parts := func() (conn net.Conn, rest string) { // the rest comes after the answer
		text := request(long)
		conn = b.dial(text[:30<<10])
		if got, closes := b.answers(conn, 1); got[0] != 503 || closes {
			t.Errorf("a body in pieces: answers %v (closes: %v)", got, closes)
		}
		return conn, text[30<<10:]
	}
	slow, rest := parts()
	stalled, _ := parts()
	_ = holder.Close()
	if _, err := io.WriteString(slow, rest+health); err != nil {
		t.Fatal(err)
	}
	if got, closes := b.answers(slow, 1); got[0] != 200 || closes {
		t.Errorf("after a body in pieces: answers %v (closes: %v)", got, closes)
	}
	if _, err := io.ReadAll(stalled); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a refused body that never ends is waited for beyond the time of a request")
	}
	deadline := time.Now().Add(5 * time.Second)
	for b.post(failure).http == http.StatusServiceUnavailable {
		if time.Now().After(deadline) {
			t.Fatal("the room was never given back")
		}
	}
}

func TestWithoutRoomForABodyALongOrEndlessOneIsTheEnd(t *testing.T) {
	b, _ := full(t)
	for name, text := range map[string]string{
		"64 KiB and one": request(strings.Repeat("x", 64<<10+1)),
		"chunked":        chunked(failure),
	} {
		conn := b.dial(text + health)
		if got, closes := b.answers(conn, 1); got[0] != 503 || !closes {
			t.Errorf("%s: answers %v (closes: %v), want 503 and the end", name, got, closes)
		}
		if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
			t.Errorf("%s: then came %q, %v", name, rest, err)
		}
	}
}
