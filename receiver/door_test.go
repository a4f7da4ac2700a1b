package receiver_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"datasync-bridge/receiver"
)

// crowded has as many connections as may be open, each at rest.
func crowded(t *testing.T, count int) (b *bridge, inside []net.Conn) {
	b = start(t, setup{cfg: receiver.Config{Concurrency: count}})
	for range count {
		conn := b.dial(health)
		if status, _ := b.status(conn); status != 200 {
			t.Fatalf("health: %d", status)
		}
		inside = append(inside, conn)
	}
	return b, inside
}

func TestAConnectionAboveTheLimitIsLetInWhenOneLeaves(t *testing.T) {
	b, inside := crowded(t, 2)
	first := b.dial(request(failure))
	second := b.dial(request(failure))
	for i, conn := range []net.Conn{first, second} {
		_ = inside[i].Close()
		if status, closes := b.status(conn); status/100 != 2 || closes {
			t.Errorf("number %d of who waited: %d (closes: %v)", i+1, status, closes)
		}
	}
}

func TestWhoWaitsInVainIsAnsweredEvenThoughItsRequestWasNotRead(t *testing.T) {
	b, _ := crowded(t, 1)
	began := time.Now()
	conn := b.dial(request(strings.Repeat("x", 20_000)))
	got, closes := b.answers(conn, 1)
	if took := time.Since(began); got[0] != 503 || !closes || took > 3*time.Second {
		t.Errorf("answers %v (closes: %v) after %v, want 503 and the end within 3 s", got, closes, took)
	}
	if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
		t.Errorf("then came %q, %v: want a clean end", rest, err)
	}
}

// lined fills the line before a door for one, and returns who stands first.
func (b *bridge) lined() (first net.Conn) {
	b.t.Helper()
	first = b.dial(request(failure)) // at its turn
	b.dial(request(failure))         // behind it
	deadline := time.Now().Add(5 * time.Second)
	for {
		began := time.Now()
		if status, closes := b.status(b.dial("")); status != 503 || !closes {
			b.t.Fatalf("%d (closes: %v), want 503 and the end", status, closes)
		}
		if time.Since(began) < 300*time.Millisecond {
			return first
		}
		if time.Now().After(deadline) {
			b.t.Fatal("nobody was refused at once")
		}
		first = b.dial(request(failure)) // whoever stood there had waited in vain by now
		b.dial(request(failure))
	}
}

func TestAboveWhatMayWaitIsRefusedAtOnce(t *testing.T) {
	b, _ := crowded(t, 1)
	b.lined()
}

func TestAShutdownRefusesWhoWaitsToBeLetIn(t *testing.T) {
	b, _ := crowded(t, 1)
	first := b.lined()
	b.stop()
	if got, closes := b.answers(first, 1); got[0] != 503 || !closes {
		t.Errorf("answers %v (closes: %v), want 503 and the end", got, closes)
	}
	if err := <-b.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	close(b.ended)
}
