package main

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store"
	"datasync-bridge/store/sqlite"
)

// months makes the history of a bridge with many partners: documents that fail
// and heal, retries, late MDNs, rejects, certificates, outages. The same seed
// gives the same history. No document's story lasts longer than a day.
type months struct {
	dice     *rand.Rand
	partners int
	every    time.Duration // on average
	now      time.Time
	serial   int
	ahead    upcomings
}

// upcoming is an event of a story that has begun.
type upcoming struct {
	at          time.Time
	happened    time.Time // zero: when it comes
	serial      int
	kind        string
	partner     int
	transaction int
	more        map[string]any // of data
}

type upcomings []upcoming

func (c upcomings) Len() int { return len(c) }
func (c upcomings) Less(i, j int) bool {
	return c[i].at.Before(c[j].at) || c[i].at.Equal(c[j].at) && c[i].serial < c[j].serial
}
func (c upcomings) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *upcomings) Push(x any)   { *c = append(*c, x.(upcoming)) }
func (c *upcomings) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

func newMonths(seed uint64, start time.Time, partners int, every time.Duration) *months {
	return &months{dice: rand.New(rand.NewPCG(seed, 5)), partners: partners, every: every, now: start}
}

// next is the event that comes next.
func (m *months) next() event.Received {
	for {
		if len(m.ahead) > 0 && !m.ahead[0].at.After(m.now) {
			return m.received(heap.Pop(&m.ahead).(upcoming))
		}
		// A story has some two and a half events.
		next := m.now.Add(time.Duration(m.dice.ExpFloat64() * 2.5 * float64(m.every))).Truncate(time.Microsecond)
		for len(m.ahead) > 0 && m.ahead[0].at.Before(next) {
			m.now = m.ahead[0].at
			return m.received(heap.Pop(&m.ahead).(upcoming))
		}
		m.now = next
		m.begin()
	}
}

func (m *months) within(least, most time.Duration) time.Duration {
	return least + time.Duration(m.dice.Int64N(int64(most-least)))
}

func (m *months) add(after time.Duration, c upcoming) {
	m.serial++
	c.serial, c.at = m.serial, m.now.Add(after).Truncate(time.Microsecond)
	heap.Push(&m.ahead, c)
}

var categories = []string{"connectivity", "connectivity", "validation", "authentication", "mapping", "platform"}

// begin starts a story.
func (m *months) begin() {
	m.serial++
	one := upcoming{partner: m.dice.IntN(m.partners), transaction: m.serial}
	as := func(kind string, more map[string]any) upcoming { one.kind, one.more = kind, more; return one }
	heals := m.within(time.Minute, 9*time.Hour)
	attempt := func(n int, final bool) map[string]any {
		return map[string]any{"attempt": map[string]any{"number": n, "max": 4, "final": final},
			"error": map[string]any{"code": "E1", "category": categories[m.dice.IntN(len(categories))], "message": "no response within 60s"}}
	}
	switch n := m.dice.IntN(1000); {
	case n < 450:
		m.add(0, as("transaction.failed", attempt(4, true)))
		if m.dice.IntN(10) > 0 {
			m.add(heals, as("transaction.delivered", nil))
		}
		if m.dice.IntN(20) == 0 { // and fails again, or an old failure comes late
			late := as("transaction.failed", attempt(4, true))
			late.happened = m.now.Add(heals - 10*time.Second)
			m.add(heals+m.within(time.Second, 11*time.Hour), late)
		}
	case n < 600:
		for k := 1; k < 4; k++ {
			m.add(time.Duration(k)*10*time.Minute, as("transaction.retrying", attempt(k, false)))
		}
		if m.dice.IntN(3) > 0 {
			m.add(m.within(15*time.Minute, time.Hour), as("transaction.delivered", nil))
		} else {
			m.add(40*time.Minute, as("transaction.failed", attempt(4, true)))
			m.add(40*time.Minute+heals, as("transaction.delivered", nil))
		}
	case n < 700:
		m.add(0, as("mdn.timeout", nil))
		m.add(heals, as("mdn.received", nil))
	case n < 760:
		m.add(0, as("transaction.rejected", map[string]any{"error": map[string]any{"category": "validation"}}))
		m.add(heals, as("acknowledgment.received", nil))
	case n < 780:
		m.add(0, as("sla.warning", map[string]any{"sla": map[string]any{"due_at": m.now.Add(heals).UTC().Format(time.RFC3339)}}))
		m.add(heals, as("sla.violated", nil))
		m.add(heals+time.Minute, as("transaction.delivered", nil))
	case n < 990:
		m.add(0, as("transaction.delivered", nil))
	case n < 998:
		m.add(0, as(fmt.Sprint("partner.note_", m.dice.IntN(5)), nil))
	default:
		m.outage(one.partner)
	}
}

// outage is a partner who cannot be reached for an hour: fifty documents fail.
func (m *months) outage(partner int) {
	m.add(0, upcoming{kind: "partner.connection_failed", partner: partner})
	lasts := m.within(20*time.Minute, 2*time.Hour)
	for range 50 {
		m.serial++
		c := upcoming{kind: "transaction.failed", partner: partner, transaction: m.serial,
			more: map[string]any{"error": map[string]any{"category": "connectivity"}, "attempt": map[string]any{"number": 4, "final": true}}}
		m.add(m.within(time.Second, lasts), c)
		c.kind, c.more = "transaction.delivered", nil
		m.add(lasts+m.within(time.Second, time.Hour), c)
	}
	m.add(lasts, upcoming{kind: "partner.connection_restored", partner: partner})
}

func (m *months) received(c upcoming) event.Received {
	data := map[string]any{
		"partner":   map[string]any{"id": fmt.Sprintf("par_%03d", c.partner), "name": fmt.Sprintf("Partner %03d", c.partner)},
		"transport": map[string]any{"protocol": "AS2"},
		"remark":    filler[:200],
	}
	for k, v := range c.more {
		data[k] = v
	}
	if c.transaction > 0 {
		data["transaction"] = map[string]any{
			"id": fmt.Sprintf("txn_%d", c.transaction), "direction": "outbound", "standard": "X12",
			"document_type": []string{"856", "810", "850", "846"}[c.transaction%4], "amount": c.transaction % 10_000, "currency": "USD",
		}
	}
	if c.happened.IsZero() {
		c.happened = c.at
	}
	id := fmt.Sprintf("evt_%d", c.serial)
	body, err := json.Marshal(map[string]any{
		"id": id, "type": c.kind, "created_at": c.happened.UTC().Format(time.RFC3339Nano), "environment": "production", "data": data,
	})
	if err != nil {
		panic(err) // maps of texts and numbers always encode
	}
	return event.Received{
		Source: "datasync", Environment: event.Production, Key: sha256.Sum256([]byte(id)), BodyHash: sha256.Sum256(body),
		ForeignID: id, Type: c.kind, Origin: event.OriginWebhook, Authentic: true, ReceivedAt: c.at, Body: body,
	}
}

// keep writes so many events to the store at a path, as decided.
func (m *months) keep(t testing.TB, path string, events int) {
	t.Helper()
	ctx := context.Background()
	s, err := sqlite.Open(ctx, store.Config{SQLite: store.SQLite{Path: path}}, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ways := make(chan event.Received, 1000)
	var writers sync.WaitGroup
	for range 256 {
		writers.Go(func() {
			for in := range ways {
				receipt, err := s.Accept(ctx, in)
				if err == nil {
					err = s.Apply(ctx, incident.Plan{Event: receipt.ID, Decision: &incident.Decision{Outcome: incident.Ignored}})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range events {
		ways <- m.next()
	}
	close(ways)
	writers.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
