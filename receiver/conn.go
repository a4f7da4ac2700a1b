package receiver

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// conn knows two things which fasthttp does not tell: that the sender has
// ended, and that a request was refused before its end.
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
