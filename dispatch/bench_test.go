package dispatch_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"datasync-bridge/dispatch"
	"datasync-bridge/store"
	"datasync-bridge/store/sqlite"
)

// BenchmarkPlanning measures pending events planned and committed a second:
// 1,000 transactions, one opening each, then events that join.
func BenchmarkPlanning(b *testing.B) {
	s, err := sqlite.Open(b.Context(), store.Config{SQLite: store.SQLite{Path: filepath.Join(b.TempDir(), "bridge.db")}}, sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a temporary file
	var clients sync.WaitGroup
	for c := range 64 {
		clients.Go(func() {
			for n := c; n < b.N; n += 64 {
				if _, err := s.Accept(b.Context(), received(fmt.Sprintf("open txn_%d edi-slack", n%1000))); err != nil {
					b.Error(err)
				}
			}
		})
	}
	clients.Wait()

	left, done := b.N, make(chan struct{})
	var mu sync.Mutex
	d, err := dispatch.New(dispatch.Deps{
		Store: s, Rules: dispatch.Rules{Mapper: &mapper{}, Router: &router{}, Planner: machine()},
		Addressees: func(context.Context) ([]string, error) { return nil, nil },
		Observer: dispatch.Observer{Planned: func(dispatch.Planned) {
			mu.Lock()
			defer mu.Unlock()
			if left--; left == 0 {
				close(done)
			}
		}},
	}, dispatch.Config{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error)
	b.ResetTimer()
	go func() { ended <- d.Run(ctx) }()
	<-done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}
