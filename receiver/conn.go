package receiver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// listener hands out connections that know two things which fasthttp does not
// tell: that the sender has ended, and that a request was refused before its end.
// Connections above the limit are answered here, in the words of the answer table.
type listener struct {
	net.Listener
	limit int64
	open  *atomic.Int64
	full  []byte
	tls   bool // ln speaks it
	// refusing holds a token for each that is being told so, refusals waits for all.
	refusing chan struct{}
	refusals *sync.WaitGroup
}

// maxRefusing is how many at a time are told, with patience, that there are too
// many.
const maxRefusing = 64

func newListener(ln net.Listener, limit int, tls bool) listener {
	const body = `{"status":503,"code":"busy","request_id":"none"}` + "\n"
	return listener{Listener: ln, limit: int64(limit), open: new(atomic.Int64), tls: tls,
		refusing: make(chan struct{}, maxRefusing), refusals: new(sync.WaitGroup), full: fmt.Appendf(nil,
			"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nX-Request-Id: none\r\nContent-Length: %d\r\n\r\n%s",
			len(body), body)}
}

func (l listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.limit {
			return &conn{Conn: c, left: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
		}
		l.open.Add(-1)
		l.refuse(c)
	}
}

// refuse keeps nobody waiting who comes after: the answer goes out beside the
// accept loop, because under TLS the other side must greet first, and because
// what it has sent must be read, lest closing destroy the answer. When too many
// are being told, the next gets what does without waiting.
func (l listener) refuse(c net.Conn) {
	select {
	case l.refusing <- struct{}{}:
		l.refusals.Go(func() {
			defer func() { <-l.refusing }()
			if c.SetDeadline(time.Now().Add(lingerTime)) == nil {
				l.tell(c)
			}
			_ = c.Close()
		})
	default:
		// So few bytes fit a fresh connection's buffer: this cannot block.
		if !l.tls && c.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
			_, _ = c.Write(l.full)
		}
		_ = c.Close()
	}
}

// tell answers, and reads on until the other side has ended.
func (l listener) tell(c net.Conn) {
	if _, err := c.Write(l.full); err != nil {
		return
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, c)
	}
}

type conn struct {
	net.Conn
	left   func()
	ended  atomic.Bool
	unread atomic.Bool
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		c.ended.Store(true)
	}
	return n, err
}

// ended reports whether the sender's end was reached. A chunked body that is
// cut between two chunks reads like a whole one; but reading a whole one stops
// at its last chunk and never gets to the connection's end.
func ended(c net.Conn) bool {
	known, ok := c.(*conn)
	return ok && known.ended.Load()
}

// lingerTime is how long a connection is read on after a refusal. One that is
// closed while bytes of a refused body still arrive is reset, and a reset can
// destroy the answer before the sender has read it; so it is half closed first.
const lingerTime = time.Second

// linger marks a connection whose request was refused before its end.
func linger(c net.Conn) {
	if known, ok := c.(*conn); ok {
		known.unread.Store(true)
	}
}

func (c *conn) Close() error {
	defer c.left()
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if ok && c.unread.Swap(false) && half.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.Copy(io.Discard, c.Conn) // the answer is out; what still comes is of no interest
	}
	return c.Conn.Close()
}
