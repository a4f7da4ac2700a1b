package receiver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// doorTime is how long a connection above the limit waits for another to
	// leave. Every sender known waits at least three seconds for an answer.
	doorTime = time.Second
	// crampedTime is a pause when the system has no descriptors left: connections
	// that end give some back.
	crampedTime = 50 * time.Millisecond
	// maxRefusing is how many at a time are told, with patience, that there are
	// too many.
	maxRefusing = 64
)

// door is the listener that fasthttp serves. It lets in so many connections at
// one time; as many again wait before it, in the order in which they came and
// holding nothing but a descriptor. Whoever has waited in vain, or finds that
// full too, is answered in the words of the answer table, and closed.
//
// A sender that is refused at once connects anew at once, which costs the
// bridge more than a request does; having waited, it comes back once a second.
type door struct {
	net.Listener
	tls     bool // Listener speaks it
	full    []byte
	refused func() // told of each that is not let in
	places  chan struct{}
	waiting chan caller
	// refusing holds a token for each that is being told that it is refused.
	refusing chan struct{}
	entered  chan entry
	gone     chan struct{}
	leave    func()
	running  sync.WaitGroup
}

// caller is a connection that is not let in yet.
type caller struct {
	conn net.Conn
	came time.Time
}

// entry is what Accept returns.
type entry struct {
	conn net.Conn
	err  error
}

// openDoor begins to accept. Close it with end, once nobody calls Accept.
func openDoor(ln net.Listener, limit int, tls bool, refused func()) *door {
	const body = `{"status":503,"code":"busy","request_id":"none"}` + "\n"
	d := &door{
		Listener: ln, tls: tls, refused: refused,
		full: fmt.Appendf(nil,
			"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nX-Request-Id: none\r\nContent-Length: %d\r\n\r\n%s",
			len(body), body),
		places: make(chan struct{}, limit), waiting: make(chan caller, limit), refusing: make(chan struct{}, maxRefusing),
		entered: make(chan entry), gone: make(chan struct{}),
	}
	d.leave = sync.OnceFunc(func() { close(d.gone) })
	d.running.Go(d.accept)
	d.running.Go(d.usher)
	return d
}

// Accept returns the next connection that is let in.
func (d *door) Accept() (net.Conn, error) {
	e := <-d.entered
	return e.conn, e.err
}

// end closes the listener and refuses who still waits.
func (d *door) end() {
	d.leave()
	_ = d.Close()
	d.running.Wait()
}

// accept lets in who comes while there is room, and lines up the others.
func (d *door) accept() {
	for {
		c, err := d.Listener.Accept()
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			select {
			case <-time.After(crampedTime):
				continue
			case <-d.gone:
			}
		}
		if err != nil {
			select {
			case d.entered <- entry{err: err}: // ends serving
			case <-d.gone:
			}
			return
		}
		select {
		case d.places <- struct{}{}:
			d.admit(c)
			continue
		default:
		}
		select {
		case d.waiting <- caller{c, time.Now()}:
		default:
			d.refuse(c)
		}
	}
}

// usher gives places that become free to who waits, in turn.
func (d *door) usher() {
	for {
		select {
		case next := <-d.waiting:
			d.attend(next)
		case <-d.gone:
			for {
				select {
				case next := <-d.waiting:
					d.refuse(next.conn)
				default:
					return
				}
			}
		}
	}
}

func (d *door) attend(next caller) {
	patience := time.NewTimer(time.Until(next.came.Add(doorTime)))
	defer patience.Stop()
	select {
	case d.places <- struct{}{}:
		d.admit(next.conn)
	case <-patience.C:
		d.refuse(next.conn)
	case <-d.gone:
		d.refuse(next.conn)
	}
}

// admit hands out a connection that has a place.
func (d *door) admit(c net.Conn) {
	admitted := &conn{Conn: c, left: sync.OnceFunc(func() { <-d.places })}
	select {
	case d.entered <- entry{conn: admitted}:
	case <-d.gone:
		_ = admitted.Close()
	}
}

// refuse keeps nobody waiting who comes after: the answer goes out beside the
// others, because under TLS the other side must greet first, and because what it
// has sent must be read, lest closing destroy the answer. When too many are being
// told, the next gets what does without waiting.
func (d *door) refuse(c net.Conn) {
	d.refused()
	select {
	case d.refusing <- struct{}{}:
		d.running.Go(func() {
			defer func() { <-d.refusing }()
			if c.SetDeadline(time.Now().Add(lingerTime)) == nil {
				d.tell(c)
			}
			_ = c.Close()
		})
	default:
		// So few bytes fit a fresh connection's buffer: this cannot block.
		if !d.tls && c.SetWriteDeadline(time.Now().Add(time.Second)) == nil {
			skipArrived(c)
			_, _ = c.Write(d.full)
		}
		_ = c.Close()
	}
}

// tell answers, and reads on until the other side has ended.
func (d *door) tell(c net.Conn) {
	if _, err := c.Write(d.full); err != nil {
		return
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, c)
	}
}

// skipArrived passes over what a connection has brought so far, because closing
// one with bytes that nobody has read resets it, and a reset can destroy the
// answer. It waits for nothing.
func skipArrived(c net.Conn) {
	known, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := known.SyscallConn()
	if err != nil {
		return
	}
	var passed [4 << 10]byte
	for range worthReading / len(passed) {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = syscall.Read(int(fd), passed[:])
			return true // never wait for more
		})
		if err != nil || n < len(passed) {
			return
		}
	}
}
