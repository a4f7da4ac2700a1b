package certificate

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"
)

// greetingTime bounds a handshake, however it is drawn out: a request may take
// longer, but whoever sends one greets at once.
const greetingTime = 5 * time.Second

// Listen speaks TLS on what ln takes. Accept waits for nobody: a connection is
// greeted at its first Read or Write, within 5 s.
func (p *Pair) Listen(ln net.Listener) net.Listener { return listener{ln, p.Config()} }

type listener struct {
	net.Listener
	config *tls.Config
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	secure := tls.Server(c, l.config)
	return &conn{Conn: secure, tls: secure}, nil
}

// conn hides from the server that it speaks TLS. One that does not greet has
// ended before its first byte, which is neither answered nor counted as a
// request: every scanner does it.
type conn struct {
	net.Conn // the *tls.Conn, without its Handshake, which the server would call
	tls      *tls.Conn
	greeting sync.Once
	failed   bool
}

func (c *conn) Read(p []byte) (int, error) {
	if !c.greeted() {
		return 0, io.EOF
	}
	return c.Conn.Read(p)
}

func (c *conn) Write(p []byte) (int, error) {
	if !c.greeted() {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

// CloseWrite tells the other side that nothing more comes.
func (c *conn) CloseWrite() error { return c.tls.CloseWrite() }

func (c *conn) greeted() bool {
	c.greeting.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), greetingTime)
		defer cancel()
		c.failed = c.tls.HandshakeContext(ctx) != nil
	})
	return !c.failed
}
