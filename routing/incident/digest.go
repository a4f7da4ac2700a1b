package incident

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

// A calendar says when it is open, not until when: its end is looked for in
// steps of probeStep, no further than probeFor ahead.
const (
	probeStep = 5 * time.Minute
	probeFor  = 8 * 24 * time.Hour
)

// DigestKey names what one notifier is told by one digest.
func DigestKey(name, notifier string) string { return handle("digest", name, notifier) }

// scheduled reports whether a digest, or the calendar that stands for one, is
// configured.
func (m *Machine) scheduled(name string) bool {
	_, digest := m.Digests[name]
	_, calendar := m.Calendars[name]
	return digest || calendar
}

// nextDigest is when a digest is told next, zero for never. One that is named
// like a calendar, and not configured, is told whenever that opens.
func (m *Machine) nextDigest(name string, now time.Time) time.Time {
	if s, ok := m.Digests[name]; ok {
		return later(s.Next(now), now)
	}
	calendar, ok := m.Calendars[name]
	if !ok {
		return time.Time{}
	}
	t := now
	for ; calendar.Open(t); t = t.Add(probeStep) {
		if t.Sub(now) > probeFor {
			return time.Time{}
		}
	}
	return later(calendar.Next(t), now)
}

// later is t, zero where that is not after now.
func later(t, now time.Time) time.Time {
	if !t.After(now) {
		return time.Time{}
	}
	return t
}

// digestTimer is set for one time at which a digest is told.
func digestTimer(key string, at time.Time) Timer {
	return Timer{Kind: DigestTimer, Subject: key + " " + at.UTC().Format(time.RFC3339Nano), DueAt: at}
}

// digestOf reads the subject of a digest's timer.
func digestOf(t Timer) (key string, at time.Time) {
	i := strings.LastIndexByte(t.Subject, ' ')
	if i < 0 {
		return t.Subject, t.DueAt
	}
	at, err := time.Parse(time.RFC3339Nano, t.Subject[i+1:])
	if err != nil {
		return t.Subject, t.DueAt
	}
	return t.Subject[:i], at
}

// item is the row of an incident in the digest that a notifier is left to, nil
// where it is not.
func (i *Incident) item(t *Telling) *DigestItem {
	if i.State != Open || t == nil || t.Over || t.Held == nil || t.Held.Kind != HeldByDigest {
		return nil
	}
	partner := textOf(i.Lead.Fields, event.PartnerName)
	return &DigestItem{
		Digest: DigestKey(t.Held.By, t.Notifier), Name: t.Held.By, Notifier: t.Notifier,
		Incident: i.ID, Environment: i.Environment, OpenedAt: i.OpenedAt, Severity: i.Severity,
		Partner: cut(cmp.Or(partner, textOf(i.Lead.Fields, event.PartnerID)), 200), Line: cut(lineOf(*i), 300),
	}
}

// itemize keeps the rows of digests in step with the incident. What is told by
// itself leaves its digest; what ends without is counted there.
func (c *change) itemize(p *Plan) {
	for k := range c.inc.Told {
		t := &c.inc.Told[k]
		before := c.was.Telling(t.Notifier)
		old, item := c.was.item(before), c.inc.item(t)
		moved := old != nil && (item == nil || item.Digest != old.Digest)
		if moved && c.inc.State == Resolved && before.Alarms == 0 {
			old.Ended, old.Severity, old.Line = c.now, c.inc.Severity, cut(lineOf(c.inc), 300)
			p.Digests = append(p.Digests, *old)
		} else if moved {
			old.Gone = true
			p.Digests = append(p.Digests, *old)
		}
		if item == nil {
			continue
		}
		if old == nil || *old != *item {
			p.Digests = append(p.Digests, *item)
		}
		if (old == nil || moved || !before.Held.Until.Equal(t.Held.Until)) && t.Held.Until.After(c.now) {
			p.Timers = append(p.Timers, digestTimer(item.Digest, t.Held.Until))
		}
	}
}

// digest tells a notifier what was left to it. What is still open stays, and is
// told again next time.
func (m *Machine) digest(p *Plan, t Timer, v View, now time.Time) {
	p.Timers = append(p.Timers, Timer{Kind: t.Kind, Subject: t.Subject})
	key, at := digestOf(t)
	if v.Digest == nil || len(v.Digest.Items) == 0 && v.Digest.Ended == 0 && v.Digest.More == 0 {
		return
	}
	view := *v.Digest
	view.Items = view.Items[:min(len(view.Items), MaxDigest)]
	view.More += len(v.Digest.Items) - len(view.Items)
	name, notifier := m.digestNamed(key, view.Items)
	if notifier == "" { // what is left of it is only counted, and nobody knows for whom
		p.ToldDigests = append(p.ToldDigests, ToldDigest{Digest: key, At: now})
		return
	}
	next := m.nextDigest(name, now)
	if next.IsZero() && len(view.Items) > 0 {
		m.undigest(p, t, view, now)
		return
	}
	// A reload may have moved it: it is then told at its new time.
	told := m.nextDigest(name, at.Add(-1)).Equal(at) || m.wasOpening(name, at)
	if told {
		m.tellDigest(p, key, notifier, view, now)
	}
	if open := len(view.Items) + view.More; !next.IsZero() && (open > 0 || !told) {
		p.Timers = append(p.Timers, digestTimer(key, next))
	}
}

// wasOpening reports whether a calendar that stands for a digest opened then.
func (m *Machine) wasOpening(name string, at time.Time) bool {
	if _, digest := m.Digests[name]; digest {
		return false
	}
	calendar, ok := m.Calendars[name]
	return ok && calendar.Open(at)
}

// digestNamed finds whose digest a key is, also where nothing of it is open.
func (m *Machine) digestNamed(key string, items []DigestItem) (name, notifier string) {
	if len(items) > 0 {
		return items[0].Name, items[0].Notifier
	}
	names := append(slices.Sorted(maps.Keys(m.Digests)), slices.Sorted(maps.Keys(m.Calendars))...)
	for _, notifier := range slices.Sorted(maps.Keys(m.Notifiers)) {
		for _, name := range names {
			if DigestKey(name, notifier) == key {
				return name, notifier
			}
		}
	}
	return "", ""
}

func (m *Machine) tellDigest(p *Plan, key, notifier string, view DigestView, now time.Time) {
	p.ToldDigests = append(p.ToldDigests, ToldDigest{Digest: key, At: now})
	to, ok := m.Notifiers[notifier]
	if !ok || to.Retired || to.Pager {
		for _, item := range view.Items {
			item.Gone = true
			p.Digests = append(p.Digests, item)
		}
		return
	}
	s := Snapshot{Digest: &view, Severity: event.Info}
	for i, item := range view.Items {
		s.Severity = max(s.Severity, item.Severity)
		if i == 0 {
			s.Environment = item.Environment
		} else if item.Environment != s.Environment {
			s.Environment = ""
		}
	}
	p.Deliveries = append(p.Deliveries, Delivery{
		Order: key, Notifier: notifier, Kind: DigestTold, Snapshot: s, Text: digestText(view),
		Destination: to.Destination, Fingerprint: to.Fingerprint,
		State: Waiting, QueuedAt: now, NextAt: now,
	})
}

func digestText(view DigestView) string {
	text := fmt.Sprintf("digest %s: %d open", cut(view.Name, 80), len(view.Items)+view.More)
	if view.Ended > 0 {
		text += fmt.Sprintf(", %d over before they were told", view.Ended)
	}
	return text
}

// undigest is for a digest that is configured no more: the incidents that were
// left to it are made due, and each is then told by itself.
func (m *Machine) undigest(p *Plan, t Timer, view DigestView, now time.Time) {
	key, _ := digestOf(t)
	p.ToldDigests = append(p.ToldDigests, ToldDigest{Digest: key, At: now})
	for _, item := range view.Items {
		p.Timers = append(p.Timers, Timer{Kind: IncidentTimer, Subject: item.Incident, DueAt: now})
	}
	if view.More > 0 {
		p.Timers = append(p.Timers, digestTimer(key, now.Add(time.Minute)))
	}
}

// lineOf says in one line what an incident is: "856 ship notice PO-88214,
// transaction failed: 3 of 5 open". Partner and severity stand beside it.
func lineOf(inc Incident) string {
	fields := inc.Lead.Fields
	name := strings.ReplaceAll(textOf(fields, event.DocumentName), "_", " ")
	what := []string{cut(textOf(fields, event.DocumentType), 40), cut(name, 80)}
	for _, path := range []string{event.PONumber, event.InvoiceNumber, event.ShipmentID, event.TransactionID,
		event.CertificateID, event.BridgeSubject} {
		if text := textOf(fields, path); text != "" {
			what = append(what, cut(text, 80))
			break
		}
	}
	what = slices.DeleteFunc(what, func(s string) bool { return s == "" })
	line := typeInWords(inc.Lead.Type)
	if len(what) > 0 {
		line = strings.Join(what, " ") + ", " + line
	}
	if inc.Total > 1 || inc.OpenMembers() != 1 {
		line += fmt.Sprintf(": %d of %d open", inc.OpenMembers(), inc.Total)
	}
	return line
}

// typeInWords is an event's type as people read it: "MDN timeout".
func typeInWords(kind string) string {
	words := strings.FieldsFunc(cut(kind, 100), func(r rune) bool { return r == '.' || r == '_' })
	for i, w := range words {
		switch w {
		case "mdn", "sla":
			words[i] = strings.ToUpper(w)
		}
	}
	return strings.Join(words, " ")
}

func textOf(fields map[string]any, path string) string {
	s, _ := fields[path].(string)
	return s
}
