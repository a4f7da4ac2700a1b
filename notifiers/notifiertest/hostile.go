package notifiertest

import (
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Evil is text that tries to ping, to forge a link, to turn the line around and
// to hide: what a partner could be called.
const Evil = "<!channel> <https://evil.example|x> <@U1> & \u202Eesrever\u202C \u200B\u2066\uFEFF\x1b[31m\u0000\r\nRESOLVED https://evil.example"

// Hostile is a delivery with Evil, and then more of it than any limit, in every
// field that comes from outside.
func Hostile(kind incident.DeliveryKind, many bool) incident.Delivery {
	evil := Evil + strings.Repeat("&<>", 2_000)
	fields := map[string]any{}
	for _, f := range event.Schema {
		switch f.Kind {
		case event.KindTexts:
			fields[f.Path] = []string{evil, evil, evil}
		case event.KindTime:
			fields[f.Path] = time.Date(2026, 3, 10, 15, 0, 0, 0, time.UTC)
		case event.KindNumber:
			fields[f.Path] = 1e300
		case event.KindText:
			fields[f.Path] = evil
		}
	}
	for _, key := range []string{"<!here>", "a", "b", "c", "d"} {
		fields[event.ReferencePrefix+key] = evil
	}
	fields[event.LinkTransaction] = "https://console.datasync.example/<!channel>|" + evil
	at := time.Date(2026, 3, 10, 14, 46, 0, 0, time.UTC)
	s := incident.Snapshot{
		Incident: "in_0ktq3v9a1c2e4", Environment: event.Production, Source: evil, Class: event.Class(evil),
		Severity: event.Critical, State: incident.Open, OpenedAt: at, Due: at.Add(time.Hour),
		Acknowledged: &incident.Mark{By: evil, At: at, Why: evil},
		Lead:         incident.Lead{Event: "ev_1", Type: evil, Fields: fields, OccurredAt: at},
		Open:         1, Total: 1, Rules: []string{evil, evil}, Reopenings: 2,
	}
	s.HoldUntil, s.HoldFor, s.Held = at.Add(10*time.Minute), evil, []string{evil, evil}
	for range 10 {
		s.Awaiting = append(s.Awaiting, incident.AwaitedRuns{Workflow: evil, Runs: []string{evil, evil, evil, evil}, More: 9, Expires: at.Add(time.Hour)})
		s.Notes = append(s.Notes, evil)
	}
	if many {
		for range 600 {
			s.Open++
			s.Members = append(s.Members, incident.Member{
				ID: evil, Class: event.Class(evil), Open: true, Due: at, Transaction: evil, DocumentType: evil,
				DocumentName: evil, Reference: evil, Partner: evil,
			})
		}
		for range 20 {
			s.Documents = append(s.Documents, incident.DocumentCount{Type: evil, Name: evil, Open: 100, Total: 100})
		}
		s.Total = s.Open
	}
	if kind == incident.Resolve {
		s.State, s.Resolution, s.ResolvedAt = incident.Resolved, incident.Manual, at.Add(time.Hour)
	}
	d := Delivery(kind, s, at.Add(time.Minute), evil)
	d.Unclear = true
	return d
}

// Kinds are all kinds of deliveries.
var Kinds = []incident.DeliveryKind{
	incident.Opening, incident.Alarm, incident.Reopening, incident.Fallback, incident.Resolve, incident.Update,
	incident.Reminder, incident.Acknowledged, incident.Escalated, incident.RunResult, incident.Counted, incident.Noticed,
	incident.ApprovalAsk,
}

// Concealed returns the first rune of text that may change what is seen around
// it, apart from the line breaks of a layout, and whether there is one.
func Concealed(text string) (rune, bool) {
	for _, r := range text {
		switch {
		case r == '\n':
		case r < 0x20, r >= 0x7F && r < 0xA0, r >= 0x200B && r <= 0x200F, r >= 0x202A && r <= 0x202E,
			r >= 0x2060 && r <= 0x206F, r == 0xFEFF, r == 0xAD, r == 0x61C:
			return r, true
		}
	}
	return 0, false
}
