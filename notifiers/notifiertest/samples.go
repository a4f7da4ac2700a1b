// Package notifiertest holds what the media's tests share: deliveries made from
// the sample events, hostile text, golden files, and the suite that every
// notifier must pass.
package notifiertest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

//go:embed testdata/sample_events.json
var sampleEvents []byte

// Chicago is the zone of the samples' operators.
var Chicago = func() *time.Location {
	zone, err := time.LoadLocation("America/Chicago")
	if err != nil {
		panic(err)
	}
	return zone
}()

// Style prints in Chicago's time and links to the samples' console.
var Style = notifiers.Style{Location: Chicago, LinkHosts: []string{"console.datasync.example"}}

// Delivery is a delivery of that kind about that incident, queued at that time.
func Delivery(kind incident.DeliveryKind, s incident.Snapshot, at time.Time, text string) incident.Delivery {
	return incident.Delivery{
		ID: "dl_0000000000001", Order: "key", Incident: s.Incident, Notifier: "edi", Kind: kind, Alarm: 1,
		Snapshot: s, Text: text, QueuedAt: at,
	}
}

// Sample is the incident that a sample event opens, 2 seconds after it happened.
func Sample(name string, class event.Class, severity event.Severity) (incident.Snapshot, time.Time) {
	lead := lead(name)
	lead.Severity = severity
	at := lead.OccurredAt.Add(2 * time.Second)
	s := incident.Snapshot{
		Incident: "in_0ktq3v9a1c2e4", Environment: event.Production, Source: "datasync",
		Class: class, Severity: severity, State: incident.Open, OpenedAt: at, Lead: lead, Open: 1, Total: 1,
		Rules: []string{"page-tenders-and-goods"},
	}
	if due, ok := lead.Fields[event.SLADue].(time.Time); ok {
		s.Due = due
	}
	if kind, _ := lead.Fields[event.DocumentType].(string); kind != "" {
		name, _ := lead.Fields[event.DocumentName].(string)
		s.Documents = []incident.DocumentCount{{Type: kind, Name: name, Open: 1, Total: 1}}
	}
	transaction, _ := lead.Fields[event.TransactionID].(string)
	s.Members = []incident.Member{{
		ID: "txn:1", Transaction: transaction, Class: class, Open: true, Severity: severity, OpenedAt: at, Due: s.Due, Event: lead.Event,
	}}
	return s, at
}

// Own is an incident of the bridge's own.
func Own(kind string) (incident.Snapshot, time.Time) {
	at := time.Date(2026, 3, 10, 14, 46, 11, 0, time.UTC)
	says := map[string]string{
		"webhooks_quiet":     "No webhook for 47 min, while polling found 3 failed transactions",
		"signatures_failing": "All of the last 20 deliveries failed verification: no secret matches",
	}
	first, _, _ := strings.Cut(kind, "_")
	subject := first + " of datasync"
	return incident.Snapshot{
		Incident: "in_0ktq3v9a1c2e5", Environment: event.Production, Source: "datasync",
		Class: event.BridgeClass, Severity: event.Error, State: incident.Open, OpenedAt: at, Open: 1, Total: 1,
		Lead: incident.Lead{
			Event: "ev_0ktq3v9a1c2e5", Type: "bridge." + kind, Severity: event.Error, OccurredAt: at,
			Fields: map[string]any{event.BridgeSubject: subject, event.ErrorMessage: says[kind]},
		},
		Documents: []incident.DocumentCount{{Open: 1, Total: 1}},
		Members: []incident.Member{{
			ID: "bridge:" + first + "|" + subject, Class: event.BridgeClass, Open: true, Severity: event.Error, OpenedAt: at,
		}},
	}, at
}

// Grouped turns an incident into one of many members, 856 and 810 by turns as
// the counts say.
func Grouped(s incident.Snapshot, documents map[string]int, order ...string) incident.Snapshot {
	s.Open, s.Documents, s.Members = 0, nil, nil
	for _, kind := range order {
		n := documents[kind]
		s.Documents = append(s.Documents, incident.DocumentCount{Type: kind, Open: n, Total: n})
		for range n {
			s.Open++
			if len(s.Members) == 20 {
				continue
			}
			m := incident.Member{
				ID: fmt.Sprintf("txn:txn_01JP4F7S%02d", s.Open), Class: s.Class, Open: true, Severity: s.Severity,
				Partner:     fmt.Sprint(s.Lead.Fields[event.PartnerName]),
				Transaction: fmt.Sprintf("txn_01JP4F7S%02d", s.Open), DocumentType: kind,
				Reference: fmt.Sprintf("PO-88%03d", 200+s.Open), OpenedAt: s.OpenedAt,
			}
			if s.Open == 1 {
				m.Due = s.Due
			}
			s.Members = append(s.Members, m)
		}
	}
	s.Total = s.Open
	return s
}

// Ended is how an incident looks once it has ended.
func Ended(s incident.Snapshot, how incident.Resolution, after time.Duration) (incident.Snapshot, time.Time) {
	s.State, s.Resolution, s.ResolvedAt = incident.Resolved, how, s.OpenedAt.Add(after)
	s.Open, s.Members, s.Due = 0, nil, time.Time{}
	s.Documents = append([]incident.DocumentCount(nil), s.Documents...)
	for i := range s.Documents {
		s.Documents[i].Open = 0
	}
	return s, s.ResolvedAt
}

// lead reads a sample as the default mapping would, as far as messages need it.
func lead(name string) incident.Lead {
	var file struct {
		Cases []struct {
			Case string
			Body struct {
				ID        string
				Type      string
				CreatedAt time.Time `json:"created_at"`
				Timestamp time.Time
				Data      map[string]any
			}
		}
	}
	if err := json.Unmarshal(sampleEvents, &file); err != nil {
		panic(err)
	}
	for _, c := range file.Cases {
		if c.Case != name {
			continue
		}
		at := c.Body.CreatedAt
		if at.IsZero() {
			at = c.Body.Timestamp
		}
		return incident.Lead{Event: "ev_0ktq3v9a1c2e4", Type: c.Body.Type, OccurredAt: at, Fields: normalize(c.Body.Data)}
	}
	panic("no sample " + name)
}

func normalize(data map[string]any) map[string]any {
	fields := map[string]any{}
	for _, f := range event.Schema {
		v, ok := event.Event{Data: data}.Lookup("data." + f.Path)
		if f.Own || !ok {
			continue
		}
		switch f.Kind {
		case event.KindTime:
			if t, err := time.Parse(time.RFC3339, fmt.Sprint(v)); err == nil {
				fields[f.Path] = t
			}
		case event.KindTexts:
			fields[f.Path] = texts(v)
		default:
			fields[f.Path] = v
		}
	}
	if amount, ok := fields[event.Amount].(map[string]any); ok {
		fields[event.Amount], _ = strconv.ParseFloat(amount["value"].(string), 64)
		fields[event.Currency] = amount["currency"]
	}
	return fields
}

func texts(v any) []string {
	items, _ := v.([]any)
	list := make([]string, 0, len(items))
	for _, item := range items {
		e, _ := item.(map[string]any)
		list = append(list, strings.TrimSpace(fmt.Sprintf("%v %v: %v", e["segment"], e["position"], e["text"])))
	}
	return list
}
