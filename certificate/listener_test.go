package certificate_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/certificate"
	"datasync-bridge/certificate/certificatetest"
)

// one is a listener that has one connection to take.
type one struct {
	net.Listener
	c net.Conn
}

func (o one) Accept() (net.Conn, error) { return o.c, nil }

// accepted is the server's end of a connection over TLS, and the client's,
// which does not speak it yet.
func accepted(t *testing.T, pair *certificate.Pair) (c, client net.Conn) {
	t.Helper()
	there, here := net.Pipe()
	c, err := pair.Listen(one{c: there}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	return c, here
}

func TestAGreetingHasFiveSeconds(t *testing.T) {
	files, _ := certificatetest.New(t, "first")
	pair, err := certificate.Load(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for name, greet := range map[string]func(net.Conn){
		"silence": func(net.Conn) {},
		"a drip": func(c net.Conn) {
			_, err := c.Write([]byte{22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3}) // the head of a greeting of 256 bytes
			for ; err == nil; time.Sleep(time.Second) {
				_, err = c.Write([]byte{7})
			}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, client := accepted(t, pair)
			// What the server allows a whole request does not count.
			if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { defer close(ended); greet(client) }()
			began := time.Now()
			n, err := c.Read(make([]byte, 1))
			if took := time.Since(began); n != 0 || !errors.Is(err, io.EOF) || took != 5*time.Second {
				t.Errorf("%s: %d bytes and %v after %v, want the end after 5 s", name, n, err, took)
			}
			if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: it is answered (%v)", name, err)
			}
			<-ended
		})
	}
}

func TestWhoGreetsMayTakeItsTime(t *testing.T) {
	files, pool := certificatetest.New(t, "first")
	pair, err := certificate.Load(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c, there := accepted(t, pair)
	client := tls.Client(there, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
	go func() {
		_, _ = io.WriteString(client, "hello")
		_ = client.Close()
	}()
	if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
		t.Errorf("read %q, %v", got, err)
	}
}
