package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// traffic makes signed events of twenty partners and remembers every answer.
type traffic struct {
	rng    *rand.Rand // of the test's goroutine
	client *http.Client

	mu         sync.Mutex
	dice       *rand.Rand
	serial     int
	failing    []int             // transactions that failed and were not delivered yet
	healing    bool              // nothing else fails before all of them are delivered
	accepted   map[string]string // event id → body, for every 2xx answer
	unanswered [][]byte
	silences   int // posts that got no answer, or a 5xx
}

func newTraffic(seed uint64) *traffic {
	return &traffic{
		rng: rand.New(rand.NewPCG(seed, 1)), dice: rand.New(rand.NewPCG(seed, 4)),
		client:   &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
		accepted: map[string]string{},
	}
}

// flow posts from several connections until it is stopped; stop waits for the
// answers in flight.
func (tr *traffic) flow(s *served, connections int) (stop func()) {
	var posters sync.WaitGroup
	done := make(chan struct{})
	for range connections {
		posters.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					tr.send(s.public, tr.next())
				}
			}
		})
	}
	return func() {
		close(done)
		posters.Wait()
		tr.client.CloseIdleConnections()
	}
}

// load posts for a while, then kills the process.
func (tr *traffic) load(s *served, lasting time.Duration) {
	stop := tr.flow(s, 8)
	<-time.After(lasting)
	s.kill()
	stop()
}

// known is what was answered 2xx so far.
func (tr *traffic) known() map[string]string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return maps.Clone(tr.accepted)
}

// repost sends what was never answered once more, as any sender would.
func (tr *traffic) repost(s *served) {
	tr.mu.Lock()
	again := tr.unanswered
	tr.unanswered = nil
	tr.mu.Unlock()
	for _, body := range again {
		tr.send(s.public, body)
	}
}

// heal lets what failed be delivered, until nothing is left that failed.
func (tr *traffic) heal() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.healing = true
}

// next makes one event: mostly a failure, sometimes the delivery of one that
// failed before. Documents alternate between one that pages and one that does not.
func (tr *traffic) next() []byte {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.serial++
	n := len(tr.failing)
	tr.healing = tr.healing && n > 0
	if n > 0 && (tr.healing || tr.dice.IntN(3) == 0) {
		k := tr.dice.IntN(n)
		txn := tr.failing[k]
		tr.failing = append(tr.failing[:k], tr.failing[k+1:]...)
		return eventBody(tr.serial, "transaction.delivered", txn)
	}
	tr.failing = append(tr.failing, tr.serial)
	return eventBody(tr.serial, "transaction.failed", tr.serial)
}

// send posts one event and keeps what became of it.
func (tr *traffic) send(public string, body []byte) {
	a, err := post(tr.client, public, body)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if err != nil || a.Status/100 != 2 {
		tr.silences++
		tr.unanswered = append(tr.unanswered, body)
		return
	}
	tr.accepted[a.EventID] = string(body)
}

// eventBody is one event of the load: ship notices and invoices of twenty partners.
func eventBody(serial int, kind string, txn int) []byte {
	return happening{
		id: serial, kind: kind, transaction: txn,
		document: []string{"856", "810"}[txn%2], partner: fmt.Sprintf("%02d", txn%20),
	}.body()
}

// happening is one event in words.
type happening struct {
	id          int
	kind        string
	transaction int
	document    string
	partner     string
}

// body is the happening in the assumed envelope, stamped with the time now.
func (h happening) body() []byte {
	body, err := json.Marshal(map[string]any{
		"id": fmt.Sprintf("evt_%d", h.id), "type": h.kind,
		"created_at": time.Now().UTC().Format(time.RFC3339Nano), "environment": "production",
		"data": map[string]any{
			"transaction": map[string]any{
				"id": fmt.Sprintf("txn_%d", h.transaction), "direction": "outbound", "standard": "X12",
				"document_type": h.document,
			},
			"partner":   map[string]any{"id": "par_" + h.partner, "name": "Partner " + h.partner},
			"transport": map[string]any{"protocol": "AS2"},
			"error":     map[string]any{"code": "CONNECTION_TIMEOUT", "category": "connectivity", "message": "no response within 60s"},
			"attempt":   map[string]any{"number": 4, "max": 4, "final": true},
		},
	})
	if err != nil {
		panic(err) // maps of texts and numbers always encode
	}
	return body
}
