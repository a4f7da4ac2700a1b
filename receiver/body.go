package receiver

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
)

// Why a body could not be read.
var (
	errTooLarge   = errors.New("body above the limit")
	errNoRoom     = errors.New("too many bytes in flight")
	errIncomplete = errors.New("body ended early")
	errSlow       = errors.New("body too slow")
)

// bodies lends buffers that grow with the bytes that came, never with the
// bytes that were promised, out of one budget for all requests.
type bodies struct {
	limit  int
	budget int64
	used   atomic.Int64
	pool   sync.Pool // of *[]byte, at most keepBuffer long
}

const (
	firstBuffer = 2 << 10
	keepBuffer  = 64 << 10
)

// body is one request's bytes. Release it once nobody uses them.
type body struct {
	bytes []byte
	from  *bodies
	room  int64 // what it holds of the budget
}

// read takes a stream to its end. declared is its Content-Length, negative for
// a chunked one.
func (b *bodies) read(stream io.Reader, declared int) (*body, error) {
	out := &body{from: b}
	if stream == nil || declared == 0 {
		return out, nil
	}
	most := b.limit
	if declared > 0 && declared < most {
		most = declared
	}
	if err := out.start(); err != nil {
		return nil, err
	}
	for len(out.bytes) < most {
		if len(out.bytes) == cap(out.bytes) {
			if err := out.grow(min(2*cap(out.bytes), most)); err != nil {
				out.release()
				return nil, err
			}
		}
		n, err := stream.Read(out.bytes[len(out.bytes):min(cap(out.bytes), most)])
		out.bytes = out.bytes[:len(out.bytes)+n]
		if done, err := b.ended(err, len(out.bytes), declared); done {
			if err != nil {
				out.release()
				return nil, err
			}
			return out, nil
		}
	}
	if err := b.overflow(out, stream, declared); err != nil {
		out.release()
		return nil, err
	}
	return out, nil
}

// overflow looks for a byte past the limit.
func (b *bodies) overflow(out *body, stream io.Reader, declared int) error {
	var one [1]byte
	n, err := stream.Read(one[:])
	if n > 0 {
		return errTooLarge
	}
	_, err = b.ended(err, len(out.bytes), declared)
	return err
}

// ended classifies what a Read returned. A connection that closes before the
// declared length reads like an end, so the bytes are counted.
func (b *bodies) ended(err error, got, declared int) (done bool, fault error) {
	var timeout net.Error
	switch {
	case err == nil:
		return declared >= 0 && got >= declared, nil
	case errors.Is(err, io.EOF) && (declared < 0 || got >= declared):
		return true, nil
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return true, errSlow
	}
	return true, errIncomplete
}

func (o *body) start() error {
	if pooled, ok := o.from.pool.Get().(*[]byte); ok {
		o.bytes = (*pooled)[:0]
		if o.reserve(int64(cap(o.bytes))) == nil {
			return nil
		}
		o.from.pool.Put(pooled)
		return errNoRoom
	}
	if err := o.reserve(firstBuffer); err != nil {
		return err
	}
	o.bytes = make([]byte, 0, firstBuffer)
	return nil
}

func (o *body) grow(size int) error {
	if err := o.reserve(int64(size - cap(o.bytes))); err != nil {
		return err
	}
	o.bytes = append(make([]byte, 0, size), o.bytes...)
	return nil
}

func (o *body) reserve(n int64) error {
	if o.from.used.Add(n) > o.from.budget {
		o.from.used.Add(-n)
		return errNoRoom
	}
	o.room += n
	return nil
}

func (o *body) release() {
	o.from.used.Add(-o.room)
	o.room = 0
	if c := cap(o.bytes); c >= firstBuffer && c <= keepBuffer {
		kept := o.bytes[:0]
		o.from.pool.Put(&kept)
	}
	o.bytes = nil
}
