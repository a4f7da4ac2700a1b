package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store"
)

func openAt(tb testing.TB, path string, now func() time.Time) *Store {
	tb.Helper()
	s, err := Open(context.Background(), store.Config{SQLite: store.SQLite{Path: path}}, Options{Now: now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// sample is an event of 1 KB with a random-looking key.
func sample(n int64) event.Received {
	body := make([]byte, 1024)
	for k := range body {
		body[k] = byte('a' + (int64(k)*7+n)%26)
	}
	binary.BigEndian.PutUint64(body, uint64(n))
	return event.Received{
		Source: "datasync", Environment: event.Production, Origin: event.OriginWebhook, Authentic: true,
		Key: sha256.Sum256(body[:8]), BodyHash: sha256.Sum256(body), ForeignID: "evt_" + strconv.FormatInt(n, 10),
		Type: "transaction.failed", ReceivedAt: time.Now(), Body: body,
	}
}

// together runs accept b.N times from so many goroutines.
func together(b *testing.B, callers int, accept func(event.Received) error) {
	b.Helper()
	var n atomic.Int64
	var wait sync.WaitGroup
	b.ResetTimer()
	for range callers {
		wait.Go(func() {
			for k := n.Add(1); k <= int64(b.N); k = n.Add(1) {
				if err := accept(sample(k)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkAccept(b *testing.B) {
	for _, callers := range []int{1, 32, 128, 512} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := openAt(b, filepath.Join(b.TempDir(), "bridge.db"), nil)
			before := written(b)
			together(b, callers, func(in event.Received) error {
				_, err := s.Accept(context.Background(), in)
				return err
			})
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(written(b)-before)/float64(b.N), "disk-B/event")
			b.ReportMetric(float64(size(s.cfg.SQLite.Path))/float64(b.N), "file-B/event")
		})
	}
}

// BenchmarkOneTransactionPerEvent is what group commit is measured against:
// the same rows, the same connection settings, one commit each.
func BenchmarkOneTransactionPerEvent(b *testing.B) {
	for _, callers := range []int{1, 32, 128} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "bridge.db")
			if err := openAt(b, path, nil).Close(); err != nil {
				b.Fatal(err)
			}
			db := open(path, false)
			defer db.Close() //nolint:errcheck // a benchmark
			var row int64
			var mu sync.Mutex
			together(b, callers, func(in event.Received) error {
				mu.Lock()
				defer mu.Unlock()
				row++
				t, err := db.BeginTx(context.Background(), nil)
				if err != nil {
					return err
				}
				defer t.Rollback() //nolint:errcheck // committed below
				return firstError(
					execute(t, `INSERT INTO events (id, source, received_at, key, body_hash, conflict, type, foreign_id, quarantine)
						VALUES (?, 1, ?, ?, ?, 0, ?, ?, '')`, row, in.ReceivedAt.UnixMicro(), in.Key[:], in.BodyHash[:], in.Type, in.ForeignID),
					execute(t, "INSERT INTO bodies (event, body) VALUES (?, ?)", row, in.Body),
					execute(t, "INSERT INTO pending (event) VALUES (?)", row),
					t.Commit(),
				)
			})
		})
	}
}

func execute(t *sql.Tx, query string, args ...any) error {
	_, err := t.Exec(query, args...)
	return err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// written is how many bytes this process has sent to the disk.
func written(tb testing.TB) int64 {
	tb.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		tb.Logf("bytes written are unknown: %v", err)
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
			return n
		}
	}
	return 0
}

// fill queues deliveries in slices of a plan.
func fill(tb testing.TB, s *Store, n int, next time.Time, order func(int) string) {
	tb.Helper()
	for from := 0; from < n; from += 1000 {
		var p incident.Plan
		for k := from; k < min(n, from+1000); k++ {
			p.Deliveries = append(p.Deliveries, incident.Delivery{
				Order: order(k), Notifier: "slack", Kind: incident.Opening, NextAt: next, Text: "partner unreachable",
			})
		}
		if err := s.Apply(context.Background(), p); err != nil {
			tb.Fatal(err)
		}
	}
}

func BenchmarkClaimAmong100kWaiting(b *testing.B) {
	for _, c := range []struct {
		name  string
		order func(int) string
	}{
		{"of as many orders", strconv.Itoa},
		{"of one order", func(int) string { return "one" }},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := openAt(b, filepath.Join(b.TempDir(), "bridge.db"), nil)
			fill(b, s, 100_000, time.Time{}, c.order)
			b.ResetTimer()
			for range b.N {
				d, _, err := s.Claim(context.Background(), "slack", time.Minute)
				if err != nil || d == nil {
					b.Fatal(d, err)
				}
				g := incident.Settlement{Delivery: d.ID, Lease: d.Lease, State: incident.Waiting, NextAt: s.Now(), Uncounted: true}
				if err := s.Settle(context.Background(), g); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkApplyAnOpening is a plan that opens an incident with one member: all
// that is indexed for people to search by is paid here.
func BenchmarkApplyAnOpening(b *testing.B) {
	s := openAt(b, filepath.Join(b.TempDir(), "bridge.db"), nil)
	var plans []incident.Plan
	for k := range b.N {
		r, err := s.Accept(context.Background(), sample(int64(k)))
		if err != nil {
			b.Fatal(err)
		}
		id, transaction := "in_"+r.ID[3:], "txn_"+strconv.Itoa(k)
		plans = append(plans, incident.Plan{
			Event: r.ID, Decision: &incident.Decision{Outcome: incident.Opened, Incident: id},
			Incidents: []incident.Incident{{ID: id, Key: r.ID, Environment: event.Production, State: incident.Open, OpenedAt: time.Now()}},
			Members: []incident.MatchedMember{{Incident: id, Member: incident.Member{
				ID: "txn:" + transaction, Class: event.Connectivity, Open: true, OpenedAt: time.Now(), Event: r.ID, Transaction: transaction,
				Handles: []string{"txn:" + transaction, "msg:" + transaction}, Reference: "PO-" + strconv.Itoa(k*7919%1_000_000), PartnerID: "par_1",
			}}},
		})
	}
	before := written(b)
	b.ResetTimer()
	var wait sync.WaitGroup
	var n atomic.Int64
	for range 32 {
		wait.Go(func() {
			for k := n.Add(1) - 1; k < int64(b.N); k = n.Add(1) - 1 {
				if err := s.Apply(context.Background(), plans[k]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wait.Wait()
	b.ReportMetric(float64(written(b)-before)/float64(b.N), "disk-B/plan")
}

// BenchmarkLoad reads what a plan must know of an incident with more members
// than it lists, one of a thousand such.
func BenchmarkLoad(b *testing.B) {
	s := openAt(b, filepath.Join(b.TempDir(), "bridge.db"), nil)
	const incidents, members = 1000, 70
	for k := range int64(members) { // by turns, as an outage of many partners brings them
		var plan incident.Plan
		for n := range int64(incidents) {
			id := formatID(incidentID, n+1)
			if k == 0 {
				plan.Incidents = append(plan.Incidents, incident.Incident{
					ID: id, Key: id, Environment: event.Production, State: incident.Open, OpenedAt: time.Now(), MaxMembers: 20,
				})
			}
			transaction := fmt.Sprintf("txn_%d_%d", n, k)
			plan.Members = append(plan.Members, incident.MatchedMember{Incident: id, Member: incident.Member{
				ID: "txn:" + transaction, Class: event.Connectivity, Open: true, OpenedAt: time.Now(), OccurredAt: time.Now(),
				Event: formatID(eventID, k*incidents+n+1), Transaction: transaction, DocumentType: "856", DocumentName: "ship notice",
				Handles: []string{"txn:" + transaction}, Reference: "PO-88214", PartnerID: "par_1", Partner: "ACME", Origin: event.OriginWebhook,
			}})
		}
		if err := s.Apply(context.Background(), plan); err != nil {
			b.Fatal(err)
		}
	}
	n := int64(0)
	for b.Loop() {
		n++
		v, err := s.Load(context.Background(), incident.Query{
			Environment: event.Production, Key: formatID(incidentID, n*7919%incidents+1), Handles: []string{fmt.Sprint("txn:txn_new_", n)},
		})
		if err != nil || len(v.Incidents) != 1 || len(v.Incidents[0].Listed) != 20+listedBeside {
			b.Fatal(len(v.Incidents), err)
		}
	}
}
