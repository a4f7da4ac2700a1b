package receiver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"datasync-bridge/event"
	"datasync-bridge/receiver"
)

// nothing is an inbox that keeps nothing.
type nothing struct{}

func (nothing) Accept(context.Context, event.Received) (event.Receipt, error) {
	return event.Receipt{ID: "ev_0000000000000", Status: event.Accepted}, nil
}

// BenchmarkReceive is read + verify + probe + answer over loopback, client
// included, with a 1 KB body and one connection per worker.
func BenchmarkReceive(b *testing.B) {
	server, err := receiver.New(receiver.Config{}, []receiver.Source{source(nil)}, nothing{}, receiver.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, ln) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	body := `{"id":"evt_1","type":"transaction.failed","data":{"x":"` + strings.Repeat("y", 950) + `"}}`
	request := fmt.Appendf(nil, "POST /hooks/datasync HTTP/1.1\r\nHost: x\r\nX-Datasync-Signature: %s\r\nContent-Length: %d\r\n\r\n%s",
		signed([]byte(body)), len(body), body)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		in := bufio.NewReader(conn)
		for pb.Next() {
			if _, err := conn.Write(request); err != nil {
				b.Error(err)
				return
			}
			res, err := http.ReadResponse(in, nil)
			if err != nil || res.StatusCode != http.StatusAccepted {
				b.Errorf("%v, %v", res, err)
				return
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
