package reconcile

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
)

// Types of what is accepted.
const (
	typeFailed    = "transaction.failed"
	typeCleared   = "transaction.cleared"
	typeDelivered = "transaction.delivered"
)

// An item larger or deeper than this is told by the fields that are known.
const (
	maxItem  = 64 << 10
	maxDepth = 40
)

// verdict is what a status says of a transaction. The words are assumed, but
// for "failed"; one that is not known says nothing.
type verdict uint8

const (
	unclear verdict = iota
	failing
	delivered
	cancelled
)

func verdictOf(status string) verdict {
	switch strings.ToLower(strings.TrimSpace(status)) {
	case "failed":
		return failing
	case "delivered", "completed", "processed", "acknowledged":
		return delivered
	case "cancelled", "canceled":
		return cancelled
	}
	return unclear
}

// finding makes the event that stands for a failed transaction. It is the same
// one for as long as the transaction failed at that time, and has not been told
// to fail no longer since over (zero for never): listed again, it fails again.
func finding(t datasync.Transaction, source string, env event.Environment, over time.Time) event.Made {
	occurred := ""
	if !t.OccurredAt.IsZero() {
		occurred = t.OccurredAt.UTC().Format(time.RFC3339Nano)
	}
	key := []string{"reconcile", t.ID, occurred, "failed"}
	if !over.IsZero() {
		key = append(key, over.UTC().Format(time.RFC3339Nano))
	}
	return event.Made{
		Source: source, Environment: env, Origin: event.OriginReconcile, Type: typeFailed,
		ForeignID: "poll:" + t.ID, Key: key,
		CreatedAt: t.OccurredAt, Data: data(t),
	}
}

// cleared makes the event that a transaction has failed no longer since a time.
// Failed is when it did.
func cleared(t datasync.Transaction, source string, env event.Environment, failed, since time.Time) event.Made {
	return event.Made{
		Source: source, Environment: env, Origin: event.OriginReconcile, Type: typeCleared,
		ForeignID: "poll-cleared:" + t.ID, Key: []string{"cleared", t.ID, failed.UTC().Format(time.RFC3339Nano), since.UTC().Format(time.RFC3339Nano)},
		CreatedAt: since, Data: data(t),
	}
}

// arrived makes the event that a transaction was delivered. Told once more after
// a crash, it settles nothing once more; so its key may hold the time.
func arrived(t datasync.Transaction, source string, env event.Environment, at time.Time) event.Made {
	return event.Made{
		Source: source, Environment: env, Origin: event.OriginReconcile, Type: typeDelivered,
		ForeignID: "poll-delivered:" + t.ID, Key: []string{"delivered", t.ID, at.UTC().Format(time.RFC3339Nano)},
		CreatedAt: at, Data: data(t),
	}
}

// data is the item in the form of a webhook's data, with all that Datasync told:
// rules may read any of it. What the client understood is put where the webhook
// has it, for items also come flat.
func data(t datasync.Transaction) map[string]any {
	out := object(t.Raw)
	if _, nested := out["transaction"].(map[string]any); !nested && t.ID != "" {
		delete(out, "id") // flat: it is the transaction's, and the envelope has its own
	}
	transaction := within(out, "transaction")
	fill(transaction, "id", t.ID)
	fill(transaction, "status", t.Status)
	fill(transaction, "direction", t.Direction)
	fill(transaction, "document_type", t.DocumentType)
	fill(transaction, "document_name", t.DocumentName)
	if _, told := transaction["amount"]; !told && t.Amount != "" {
		amount := map[string]any{"value": t.Amount}
		fill(amount, "currency", t.Currency)
		transaction["amount"] = amount
	}
	for _, name := range []string{"references", "control_numbers"} {
		if moved, flat := out[name].(map[string]any); flat && transaction[name] == nil {
			transaction[name] = moved
			delete(out, name)
		}
	}
	fill(within(out, "partner"), "id", t.PartnerID)
	fill(within(out, "partner"), "name", t.PartnerName)
	words, _ := out["error"].(string)
	fault := within(out, "error")
	fill(fault, "message", words)
	fill(fault, "category", t.ErrorCategory)
	fill(fault, "code", t.ErrorCode)
	fill(fault, "message", t.ErrorMessage)
	for _, name := range []string{"transaction", "partner", "error"} {
		if part, ok := out[name].(map[string]any); ok && len(part) == 0 {
			delete(out, name)
		}
	}
	return out
}

// object reads an item with its numbers as they were written. It is empty where
// the item is no object, too large or too deep for the mapping.
func object(raw json.RawMessage) map[string]any {
	out := map[string]any{}
	if len(raw) == 0 || len(raw) > maxItem {
		return out
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&out); err != nil || out == nil || deeper(out, maxDepth) {
		return map[string]any{}
	}
	return out
}

func deeper(v any, most int) bool {
	if most == 0 {
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		for _, child := range v {
			if deeper(child, most-1) {
				return true
			}
		}
	case []any:
		for _, child := range v {
			if deeper(child, most-1) {
				return true
			}
		}
	}
	return false
}

// within returns the object under a key, making one of what is none.
func within(m map[string]any, key string) map[string]any {
	child, ok := m[key].(map[string]any)
	if !ok {
		child = map[string]any{}
		m[key] = child
	}
	return child
}

// fill sets what was understood over what was sent, so that the event says what
// the poller judged by.
func fill(m map[string]any, key, text string) {
	if text != "" {
		m[key] = text
	}
}
