package sandbox

import (
	"encoding/json"
	"maps"
	"time"
)

// Transaction is one business document exchange, as the sandbox keeps it.
type Transaction struct {
	ID            string            `json:"id"`
	Direction     string            `json:"direction"` // default outbound
	Standard      string            `json:"standard"`  // default X12
	DocumentType  string            `json:"document_type"`
	DocumentName  string            `json:"document_name"`
	Interchange   string            `json:"interchange"`
	Group         string            `json:"group"`
	Set           string            `json:"transaction_set"`
	References    map[string]string `json:"references"`
	Amount        string            `json:"amount"` // a decimal, with Currency
	Currency      string            `json:"currency"`
	Status        string            `json:"status"` // default sent
	OccurredAt    time.Time         `json:"occurred_at"`
	Partner       Partner           `json:"partner"`
	Protocol      string            `json:"protocol"` // default AS2
	EndpointHost  string            `json:"endpoint_host"`
	MessageID     string            `json:"message_id"`
	Deadline      time.Time         `json:"deadline"` // of its SLA; zero is none
	DeadlineName  string            `json:"deadline_name"`
	AwaitsReceipt string            `json:"awaits_receipt"` // the acknowledgment that is overdue: "997"
	Failure       Failure           `json:"failure"`        // the last one, listed while it fails

	place int // among all that were ever put, from 1
}

// Failure is the error of an event.
type Failure struct {
	Code      string `json:"code"`
	Category  string `json:"category"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
}

// Statuses of a transaction.
const (
	sent      = "sent"
	retrying  = "retrying"
	failed    = "failed"
	delivered = "delivered"
)

// stamp is RFC 3339 with milliseconds, so that what happens within a second
// keeps its order.
const stamp = "2006-01-02T15:04:05.000Z07:00"

// Put adds a transaction, or replaces the one with its id, and returns the id;
// an empty one is filled in. The partner that it names is then known too. Nothing
// is told.
func (s *Sandbox) Put(t Transaction) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.ID == "" {
		t.ID = s.id("txn")
	}
	setText(&t.Direction, "outbound")
	setText(&t.Standard, "X12")
	setText(&t.Status, sent)
	setText(&t.Protocol, "AS2")
	if t.OccurredAt.IsZero() {
		t.OccurredAt = s.o.Clock()
	}
	t.References = maps.Clone(t.References)
	if before := s.transactions[t.ID]; before != nil {
		t.place = before.place
	} else {
		s.placed++
		t.place = s.placed
		s.order = append(s.order, t.ID)
		if len(s.order) > maxTransactions {
			delete(s.transactions, s.order[0])
			s.order = s.order[1:]
		}
	}
	s.transactions[t.ID] = &t
	s.mention(t.Partner)
	return t.ID
}

// Transaction returns one by id.
func (s *Sandbox) Transaction(id string) (Transaction, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.transactions[id]
	if !ok {
		return Transaction{}, false
	}
	return *t, true
}

// Emit tells subscribers of an event about a transaction ("" for none), with
// data laid over what the transaction gives, and returns the event's id.
func (s *Sandbox) Emit(eventType, transaction string, data map[string]any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.emit(eventType, transaction, data)
}

// EmitPartner tells of an event about a partner alone, such as
// partner.connection_failed.
func (s *Sandbox) EmitPartner(eventType string, p Partner, data map[string]any) string {
	return s.Emit(eventType, "", overlay(map[string]any{"partner": p.object()}, data))
}

// Tell changes a transaction's status as the type says, where it says so, and
// emits the event.
func (s *Sandbox) Tell(eventType, transaction string, data map[string]any) string {
	switch eventType {
	case "transaction.failed":
		return s.move(transaction, failed, eventType, data)
	case "transaction.retrying":
		return s.move(transaction, retrying, eventType, data)
	case "transaction.delivered":
		return s.move(transaction, delivered, eventType, data)
	}
	return s.Emit(eventType, transaction, data)
}

// Retry tells that attempt number of limit failed and that more are to come.
func (s *Sandbox) Retry(id string, f Failure, number, limit int, next time.Duration) string {
	return s.move(id, retrying, "transaction.retrying", map[string]any{
		"error":   f.object(),
		"attempt": map[string]any{"number": number, "max": limit, "final": false, "next_retry_at": s.o.Clock().Add(next).UTC().Format(stamp)},
	})
}

// Fail tells that delivery of a transaction was given up.
func (s *Sandbox) Fail(id string, f Failure) string {
	return s.move(id, failed, "transaction.failed", map[string]any{
		"error":   f.object(),
		"attempt": map[string]any{"number": 4, "max": 4, "final": true, "next_retry_at": nil},
	})
}

// Deliver tells that a transaction was delivered, after a failure or at first.
func (s *Sandbox) Deliver(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deliver(id)
}

// MDNTimeout tells that no MDN came in time: whether it was delivered is unknown.
func (s *Sandbox) MDNTimeout(id string, waited time.Duration) string {
	return s.move(id, sent, "mdn.timeout", map[string]any{"mdn": map[string]any{
		"expected": true, "mode": "async", "timeout_seconds": int(waited.Seconds()),
		"waited_since": s.o.Clock().Add(-waited).UTC().Format(stamp),
	}})
}

// MDNReceived tells of a positive MDN.
func (s *Sandbox) MDNReceived(id string, late bool) string {
	t, _ := s.Transaction(id)
	return s.move(id, delivered, "mdn.received", map[string]any{"mdn": map[string]any{
		"original_message_id": t.MessageID, "mode": "async", "late": late, "mic_verified": true,
		"disposition": "automatic-action/MDN-sent-automatically; processed",
	}})
}

// AcknowledgmentOverdue tells that a delivered transaction still lacks its
// acknowledgment ("997").
func (s *Sandbox) AcknowledgmentOverdue(id, kind string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.transactions[id]; t != nil {
		t.Status, t.AwaitsReceipt = delivered, kind
	}
	return s.emit("acknowledgment.overdue", id, map[string]any{"acknowledgment": map[string]any{
		"kind": kind, "status": "overdue", "expected_by": s.o.Clock().UTC().Format(stamp),
	}})
}

// move changes a transaction's status and tells of it.
func (s *Sandbox) move(id, status, eventType string, data map[string]any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.transactions[id]; t != nil {
		t.Status, t.OccurredAt = status, s.o.Clock()
		if object, has := data["error"].(map[string]any); has {
			t.Failure = failureOf(object)
		}
	}
	return s.emit(eventType, id, data)
}

func (s *Sandbox) deliver(id string) string {
	data := map[string]any{"mdn": map[string]any{
		"disposition": "automatic-action/MDN-sent-automatically; processed", "mic_verified": true,
	}}
	if t := s.transactions[id]; t != nil {
		data["recovered"] = t.Status == failed || t.Status == retrying
		t.Status, t.OccurredAt = delivered, s.o.Clock()
	}
	return s.emit("transaction.delivered", id, data)
}

func (s *Sandbox) acknowledge(id string) string {
	kind := "997"
	if t := s.transactions[id]; t != nil {
		setText(&t.AwaitsReceipt, kind)
		kind, t.AwaitsReceipt = t.AwaitsReceipt, ""
	}
	return s.emit("acknowledgment.received", id, map[string]any{
		"acknowledgment": map[string]any{"kind": kind, "status": "accepted"},
	})
}

// emit shapes an event, keeps it and queues its deliveries; s.mu is held.
func (s *Sandbox) emit(eventType, transaction string, data map[string]any) string {
	all := map[string]any{}
	if t := s.transactions[transaction]; t != nil {
		all = t.data()
	}
	id := s.id("evt")
	body, err := json.MarshalIndent(map[string]any{
		"id": id, "type": eventType, "created_at": s.o.Clock().UTC().Format(stamp),
		"environment": s.o.Environment, "data": overlay(all, data),
	}, "", " ")
	if err != nil {
		// Only data that no JSON can hold leads here: a fault of the story.
		s.o.Log.Error("event cannot be written as JSON", "type", eventType, "err", err)
		return ""
	}
	s.dispatch(emitted{id: id, kind: eventType, body: body})
	return id
}

// data is what every event of a transaction tells of it.
func (t *Transaction) data() map[string]any {
	transaction := map[string]any{
		"id": t.ID, "direction": t.Direction, "standard": t.Standard, "status": t.Status,
		"document_type": t.DocumentType, "document_name": t.DocumentName,
		"occurred_at": t.OccurredAt.UTC().Format(stamp),
		"control_numbers": filled(map[string]any{
			"interchange": t.Interchange, "group": t.Group, "transaction_set": t.Set,
		}),
	}
	if len(t.References) > 0 {
		transaction["references"] = t.References
	}
	if t.Amount != "" {
		transaction["amount"] = map[string]any{"value": t.Amount, "currency": t.Currency}
	}
	data := map[string]any{"transaction": filled(transaction)}
	if t.Partner.ID != "" {
		data["partner"] = t.Partner.object()
	}
	data["transport"] = filled(map[string]any{
		"protocol": t.Protocol, "endpoint_host": t.EndpointHost, "message_id": t.MessageID,
	})
	if !t.Deadline.IsZero() {
		data["sla"] = filled(map[string]any{"name": t.DeadlineName, "due_at": t.Deadline.UTC().Format(stamp)})
	}
	data["links"] = map[string]any{"transaction": "https://console.datasync.example/transactions/" + t.ID}
	return data
}

func (f Failure) object() map[string]any {
	return filled(map[string]any{"code": f.Code, "category": f.Category, "message": f.Message, "retryable": f.Retryable})
}

// failureOf reads what object writes, and what a person told by hand.
func failureOf(object map[string]any) Failure {
	text := func(key string) string { t, _ := object[key].(string); return t }
	f := Failure{Code: text("code"), Category: text("category"), Message: text("message")}
	f.Retryable, _ = object["retryable"].(bool)
	return f
}

// filled drops what is empty: Datasync leaves out what it does not know.
func filled(m map[string]any) map[string]any {
	maps.DeleteFunc(m, func(_ string, v any) bool {
		inner, object := v.(map[string]any)
		return v == "" || (object && len(inner) == 0)
	})
	return m
}

// overlay lays over on top of base, object by object.
func overlay(base, over map[string]any) map[string]any {
	for key, v := range over {
		inner, object := v.(map[string]any)
		under, both := base[key].(map[string]any)
		if object && both {
			v = overlay(under, inner)
		}
		base[key] = v
	}
	return base
}
