package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/receiver"
	"datasync-bridge/store/sqlite"
)

// BenchmarkAccept posts signed 1 KB events over loopback to the public
// listener, once with an inbox that keeps nothing and once with the real store
// (answered after the fsynced commit), at 32 and 128 connections. The load
// generator runs in the same process, so absolute figures are low; the ratio
// of the two rungs is what counts:
//
//	make bench
func BenchmarkAccept(b *testing.B) {
	perSecond := map[string]float64{}
	for _, conns := range []int{32, 128} {
		for _, rung := range []string{"without-store", "durable"} {
			b.Run(fmt.Sprintf("%s/%d-connections", rung, conns), func(b *testing.B) {
				address, stop := listenFor(b, rung)
				defer stop()
				rate := shoot(b, address, conns)
				perSecond[fmt.Sprint(rung, conns)] = rate
				if base := perSecond[fmt.Sprint("without-store", conns)]; rung == "durable" && base > 0 {
					b.ReportMetric(rate/base, "durable/without-store")
				}
			})
		}
	}
}

// forgetful answers as the store does, and keeps nothing.
type forgetful struct{ serial atomic.Int64 }

func (f *forgetful) Accept(context.Context, event.Received) (event.Receipt, error) {
	return event.Receipt{ID: fmt.Sprintf("ev_%013d", f.serial.Add(1)), Status: event.Accepted}, nil
}

// listenFor starts the public listener over one of the two inboxes.
func listenFor(b *testing.B, rung string) (address string, stop func()) {
	b.Helper()
	before := runtime.GOMAXPROCS(0)
	spareProcessor() // as serve does
	cfg, err := config.Load(benchConfiguration(b), config.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var inbox receiver.Inbox = &forgetful{}
	closeStore := func() error { return nil }
	if rung == "durable" {
		s, err := sqlite.Open(b.Context(), cfg.Store, sqlite.Options{})
		if err != nil {
			b.Fatal(err)
		}
		inbox, closeStore = s, s.Close
	}
	server, err := receiver.New(cfg.Server, cfg.Sources, inbox, receiver.Options{Ready: func() error { return nil }})
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
	return ln.Addr().String(), func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		if err := closeStore(); err != nil {
			b.Error(err)
		}
		runtime.GOMAXPROCS(before)
	}
}

// shoot posts b.N events from so many connections and returns events a second.
func shoot(b *testing.B, address string, conns int) float64 {
	b.Helper()
	client := &fasthttp.HostClient{Addr: address, MaxConns: conns, ReadTimeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	var serial, refused atomic.Int64
	took := make([][]time.Duration, conns)
	b.ResetTimer()
	began := time.Now()
	var shooters sync.WaitGroup
	for k := range conns {
		shooters.Go(func() {
			request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			request.Header.SetMethod(fasthttp.MethodPost)
			request.SetRequestURI("http://" + address + "/hooks/datasync")
			for {
				n := serial.Add(1)
				if n > int64(b.N) {
					return
				}
				body := benchBody(n)
				request.Header.Set("X-Datasync-Signature", sign(body))
				request.SetBodyRaw(body)
				start := time.Now()
				if err := client.Do(request, response); err != nil || response.StatusCode() != fasthttp.StatusAccepted {
					refused.Add(1)
				}
				took[k] = append(took[k], time.Since(start))
			}
		})
	}
	shooters.Wait()
	elapsed := time.Since(began)
	b.StopTimer()
	if n := refused.Load(); n > 0 {
		b.Errorf("%d of %d events were not answered 202", n, b.N)
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	rate := float64(len(all)) / elapsed.Seconds()
	b.ReportMetric(rate, "events/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
	return rate
}

// filler makes a body 1 KB long.
var filler = string(slices.Repeat([]byte("x"), 700))

func benchBody(n int64) []byte {
	return fmt.Appendf(nil, `{"id":"evt_%012d","type":"transaction.failed","created_at":"2026-03-10T14:46:09Z","environment":"production",`+
		`"data":{"transaction":{"id":"txn_%012d","document_type":"856"},"partner":{"id":"par_%03d"},"error":{"category":"connectivity"},"filler":"%s"}}`,
		n, n, n%1000, filler)
}

// benchConfiguration is like configuration's, on the disk that the data would be on.
func benchConfiguration(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	return writeConfiguration(b, dir, filepath.Join(dir, "data", "bridge.db"), "http://127.0.0.1:9", "\ndefaults: {notify: [ops]}\n")
}
