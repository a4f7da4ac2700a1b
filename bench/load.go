package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// load is one measurement: so many connections for so long.
type load struct {
	address     string
	connections int
	lasting     time.Duration
	// rate is in requests a second for an open loop, in which latency counts
	// from when a request was due, not from when it could be sent; 0 for a
	// closed loop, in which each connection sends as soon as it was answered.
	rate float64
	// served counts latency of an open loop from when a request was sent: how
	// long a server takes, whatever queue there is before it.
	served bool
	// request builds the n-th request, whole.
	request func(into []byte, n int64) []byte
	// serial numbers requests across measurements, so that no event repeats.
	serial *atomic.Int64
}

// shot is what came of one load.
type shot struct {
	PerSecond float64       `json:"per_second"` // answered 2xx before the end
	Sent      float64       `json:"sent_per_second"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
	P999      time.Duration `json:"p999_ns"`
	Accepted  int64         `json:"accepted"`
	Shed      int64         `json:"shed"`              // answered 503
	Failed    int64         `json:"failed"`            // answered otherwise, or not at all
	Redials   int64         `json:"redials,omitempty"` // connections opened anew, since a server closed the one before
	Why       string        `json:"why,omitempty"`
	Retry     bool          `json:"-"` // every 503 said Retry-After
	cpu       time.Duration // of the generator
	elapsed   time.Duration
}

// gun is one connection of a load.
type gun struct {
	load    *load
	conn    net.Conn
	until   time.Time // deadline of the connection
	out, in []byte
	tally
}

// tally is what one connection saw in one shot.
type tally struct {
	took      []time.Duration
	punctual  int64 // of these, before the shot's end
	shed, bad int64
	redials   int64
	silent    int64 // 503 without Retry-After
	why       string
}

// battery is the connections of a load. They stay open from one shot to the next.
type battery []*gun

// dialTime bounds opening the connections of one load.
const dialTime = 30 * time.Second

// open connects, so that no shot has to.
func (l *load) open() (battery, error) {
	var b battery
	deadline := time.Now().Add(dialTime)
	for range l.connections {
		g := &gun{load: l, in: make([]byte, 4096)}
		if err := g.dial(deadline); err != nil {
			b.close()
			return nil, err
		}
		b = append(b, g)
	}
	return b, nil
}

func (b battery) close() {
	for _, g := range b {
		if g.conn != nil {
			_ = g.conn.Close()
		}
	}
}

// fire runs a load. Its CPU is this process's, which does nothing else then.
func (l *load) fire(ctx context.Context, guns battery) (shot, error) {
	for _, g := range guns {
		g.load, g.tally = l, tally{}
	}
	before := ownCPU()
	began := time.Now()
	end := began.Add(l.lasting)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	var next atomic.Int64
	var wait sync.WaitGroup
	for _, g := range guns {
		wait.Go(func() { g.run(ctx, began, end, &next) })
	}
	wait.Wait()
	s := shot{elapsed: time.Since(began), cpu: ownCPU() - before, Retry: true}
	var all []time.Duration
	var punctual int64
	for _, g := range guns {
		all, punctual = append(all, g.took...), punctual+g.punctual
		s.Shed, s.Failed = s.Shed+g.shed, s.Failed+g.bad
		s.Redials += g.redials
		s.Retry = s.Retry && g.silent == 0
		if s.Why == "" {
			s.Why = g.why
		}
	}
	if len(all) == 0 {
		return s, fmt.Errorf("nothing was answered 2xx: %s", s.Why)
	}
	slices.Sort(all)
	s.Accepted = int64(len(all))
	s.PerSecond = float64(punctual) / l.lasting.Seconds()
	s.Sent = float64(s.Accepted+s.Shed+s.Failed) / l.lasting.Seconds()
	s.P50, s.P99, s.P999 = all[len(all)/2], all[len(all)*99/100], all[len(all)*999/1000]
	return s, nil
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// run sends until the end. A connection that a server closed is opened anew.
func (g *gun) run(ctx context.Context, began, end time.Time, next *atomic.Int64) {
	for {
		due := time.Now()
		if g.load.rate > 0 {
			due = began.Add(time.Duration(float64(next.Add(1)) / g.load.rate * float64(time.Second)))
			if due.After(end) || !until(ctx, due) {
				return
			}
		}
		if !due.Before(end) || ctx.Err() != nil {
			return
		}
		if g.load.served {
			due = time.Now()
		}
		status, retry, err := g.exchange(end.Add(10 * time.Second))
		switch {
		case err != nil:
			g.fail(err.Error())
		case status/100 == 2:
			now := time.Now()
			g.took = append(g.took, now.Sub(due))
			if now.Before(end) {
				g.punctual++
			}
		case status == 503:
			g.shed++
			if !retry {
				g.silent++
			}
		default:
			g.fail("answered " + strconv.Itoa(status))
		}
	}
}

func until(ctx context.Context, due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return true
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}

func (g *gun) fail(why string) {
	g.bad++
	if g.why == "" {
		g.why = why
	}
	if g.conn != nil {
		_ = g.conn.Close()
		g.conn = nil
	}
}

func (g *gun) dial(deadline time.Time) (err error) {
	g.conn, err = (&net.Dialer{Deadline: deadline}).Dial("tcp", g.load.address)
	g.until = time.Time{}
	return err
}

// exchange is one request and its answer.
func (g *gun) exchange(deadline time.Time) (status int, retryAfter bool, err error) {
	if g.conn == nil {
		g.redials++
		if err := g.dial(deadline); err != nil {
			return 0, false, err
		}
	}
	if g.until != deadline {
		if err := g.conn.SetDeadline(deadline); err != nil {
			return 0, false, err
		}
		g.until = deadline
	}
	g.out = g.load.request(g.out[:0], g.load.serial.Add(1))
	if _, err := g.conn.Write(g.out); err != nil && !refusedEarly(err) {
		return 0, false, err
	}
	return g.answer()
}

// refusedEarly: a server that is full answers and closes before it has read,
// and what was written then comes back as a reset; the answer may be there.
func refusedEarly(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

var (
	headEnd     = []byte("\r\n\r\n")
	lengthName  = []byte("\r\ncontent-length:")
	retryName   = []byte("\r\nretry-after:")
	closingName = []byte("\r\nconnection: close")
)

// answer reads one response. It knows as much of HTTP as the servers here send.
func (g *gun) answer() (status int, retryAfter bool, err error) {
	got := 0
	for {
		n, err := g.conn.Read(g.in[got:])
		got += n
		at := bytes.Index(g.in[:got], headEnd)
		if at < 0 {
			if err != nil {
				return 0, false, err
			}
			if got == len(g.in) {
				return 0, false, errors.New("headers are longer than 4 KB")
			}
			continue
		}
		head := bytes.ToLower(g.in[:at+2])
		if len(head) < len("http/1.1 200") {
			return 0, false, errors.New("no status line")
		}
		if status, err = strconv.Atoi(string(head[9:12])); err != nil {
			return 0, false, err
		}
		if err := g.rest(head, got-at-len(headEnd)); err != nil {
			return 0, false, err
		}
		if bytes.Contains(head, closingName) {
			_ = g.conn.Close()
			g.conn = nil
		}
		return status, bytes.Contains(head, retryName), nil
	}
}

// rest reads what is missing of the body.
func (g *gun) rest(head []byte, got int) error {
	at := bytes.Index(head, lengthName)
	if at < 0 {
		return nil
	}
	text, _, _ := bytes.Cut(head[at+len(lengthName):], []byte("\r"))
	length, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		return err
	}
	for got < length {
		n, err := g.conn.Read(g.in)
		if err != nil {
			return err
		}
		got += n
	}
	return nil
}
