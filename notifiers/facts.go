package notifiers

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// facts lists what an engineer asks next, the most useful first. What belongs
// to one document is left out once several are concerned: then the list of
// members says it for each.
func facts(s incident.Snapshot, f fields, style Style, now time.Time) []Fact {
	var list []Fact
	add := func(label, text string, long bool) {
		if text != "" {
			list = append(list, Fact{Label: label, Text: text, Long: long})
		}
	}
	alone := single(s)
	if s.Class == event.BridgeClass {
		add("About", f.text(event.BridgeSubject, 120), false)
	}
	if alone {
		if f.text(event.DocumentType, 20) != "" {
			add("Document", Document(f.text(event.DocumentType, 20), f.text(event.DocumentName, 40)), false)
		}
		add("References", Cut(strings.Join(f.references(), " · "), 200), false)
		add("Amount", join(" ", f.money(event.Amount), f.text(event.Currency, 10)), false)
	}
	if !s.OpenedAt.IsZero() {
		add("Since", style.When(s.OpenedAt, now), false)
	}
	if alone {
		add("Attempts", attempts(f, style, now), false)
	}
	add("SLA", f.text(event.SLAName, 120), false)
	if t := f.time(event.AckExpectedBy); !t.IsZero() {
		add("Expected by", style.When(t, now), false)
	}
	if t := f.time(event.WaitedSince); !t.IsZero() && s.State != incident.Resolved {
		add("MDN awaited since", style.When(t, now), false)
	}
	if t := f.time(event.CertificateExpiry); !t.IsZero() {
		add("Valid until", style.When(t, now), false)
	}
	if n, err := strconv.Atoi(f.number(event.QueuedBehind)); err == nil && n > 0 {
		add("Waiting behind it", amount(n, "document"), false)
	}
	add("Endpoint", join(" ", f.text(event.Protocol, 20), f.text(event.EndpointHost, 120)), false)
	if alone {
		add("Transaction", f.text(event.TransactionID, 80), false)
	}
	add("Run", f.text(event.RunID, 80), false)
	add("Certificate", join(" · ", f.text("certificate.subject", 120), f.text(event.CertificateID, 60)), true)
	switch {
	case s.Class == event.BridgeClass:
		add("Detail", failure(f), true)
	case alone:
		add("Error", failure(f), true)
	default:
		add("First error", failure(f), true)
	}
	add("Acknowledgment", Cut(strings.Join(f.texts("acknowledgment.errors", 120), "; "), 400), true)
	add("MDN", mdn(f), true)
	if status := f.text(event.PartnerStatus, 40); status != "" && !strings.EqualFold(status, "active") {
		text := spaced(status)
		if first := leadPartner(s); partner(s) != first {
			text = join(": ", first, text)
		}
		add("Partner status", text, false)
	}
	if s.State != incident.Resolved {
		contact := f.contact()
		if first := leadPartner(s); contact != "" && partner(s) != first {
			contact = join(": ", first, contact)
		}
		add("Contact", contact, true)
	}
	return list
}

func attempts(f fields, style Style, now time.Time) string {
	text := f.number(event.AttemptNumber)
	if text == "" {
		return ""
	}
	if most := f.number(event.AttemptMax); most != "" {
		text += " of " + most
	}
	if next := f.time(event.NextRetryAt); !next.IsZero() {
		text += ", next " + style.When(next, now)
	}
	return text
}

// failure is the far side's own account: message, code, category, and the
// request id that a ticket with Datasync must quote.
func failure(f fields) string {
	text := f.text(event.ErrorMessage, 500)
	text = join(" ", text, strings.TrimSpace(bracketed(join(", ", f.text(event.ErrorCode, 80), f.text(event.ErrorCategory, 40)))))
	if id := f.text(event.ErrorRequestID, 80); id != "" {
		text = join(" · ", text, "request id "+id)
	}
	return text
}

func mdn(f fields) string {
	_, modifier, found := strings.Cut(f.text(event.Disposition, 200), ";")
	if !found {
		modifier = f.text(event.Disposition, 200)
	}
	return join(" · ", strings.TrimSpace(modifier), f.text(event.MDNText, 400))
}

func amount(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// news words what a delivery adds to the incident as it stands. Its Text was
// written by the bridge, yet may quote the far side, so it is cleaned too.
func news(d incident.Delivery, style Style, now time.Time) string {
	s, text := d.Snapshot, Clean(d.Text, 900)
	if d.Kind == incident.ApprovalAsk {
		question, _, _ := strings.Cut(d.Text, "\n")
		return join(": ", "Approval needed", Clean(question, 500))
	}
	switch d.Kind {
	case incident.Alarm:
		return join(": ", "Alarm again", text)
	case incident.Reopening:
		return join(": ", "It is back", text)
	case incident.Fallback:
		if strings.HasPrefix(text, "NOT TOLD") { // it stands in for what is no pager
			return text
		}
		rest := strings.TrimLeft(strings.TrimPrefix(text, "NOT PAGED"), ": ")
		if rest == "" {
			rest = "the pager did not accept this alarm"
		}
		return "NOT PAGED: " + rest
	case incident.Reminder:
		return join(". ", "Still open after "+Span(now.Sub(s.OpenedAt))+", and nobody has acknowledged it", text)
	case incident.Acknowledged:
		if s.Acknowledged != nil {
			return acknowledged(*s.Acknowledged, style, now)
		}
		return join(": ", "Acknowledged", text)
	case incident.Escalated:
		return join(": ", "Escalated", strings.TrimPrefix(text, "Escalated: "))
	case incident.RunResult:
		return join(": ", "Automation", text)
	}
	return text
}

// status lists what is true of the incident as a whole, beyond its severity.
func status(d incident.Delivery, style Style, now time.Time) []string {
	s := d.Snapshot
	lines := append(asked(d, style, now), held(s, style, now)...)
	if s.State == incident.Resolved {
		lines = append(lines, ended(s, style, now))
	} else if s.Acknowledged != nil && d.Kind != incident.Acknowledged {
		lines = append(lines, acknowledged(*s.Acknowledged, style, now))
	}
	if s.State != incident.Resolved && s.Open == 0 && s.Total > 0 {
		lines = append(lines, "Nothing of it is open any more; it is held a while before it counts as over")
	}
	if s.Flapping {
		lines = append(lines, "Flapping: it keeps coming back, so changes are only counted")
	} else if s.Reopenings > 0 && d.Kind != incident.Reopening && s.State != incident.Resolved {
		lines = append(lines, "Reopened "+amount(s.Reopenings, "time"))
	}
	return lines
}

// asked says what waits for a person, until when, and by which command it is
// answered. The question itself has why and whose consent before that.
func asked(d incident.Delivery, style Style, now time.Time) []string {
	var lines []string
	ask := d.Kind == incident.ApprovalAsk
	if ask {
		for i, line := range strings.SplitN(d.Text, "\n", 4) {
			if i > 0 {
				lines = append(lines, Clean(line, 400))
			}
		}
	}
	if d.Snapshot.State == incident.Resolved {
		return lines
	}
	for _, a := range d.Snapshot.Awaiting[:min(len(d.Snapshot.Awaiting), 3)] {
		text := "⏳ Approval needed: " + Clean(a.Workflow, 60) + times(len(a.Runs)+a.More)
		if ask && len(d.Snapshot.Awaiting) == 1 {
			text = "⏳ To approve" + times(len(a.Runs)+a.More)
		}
		if a.Expires.After(now) {
			text += ", until " + style.When(a.Expires, now)
		}
		lines = append(lines, text+": "+approveCommand(a))
	}
	return lines
}

// approveCommand names each run by itself: nobody approves what they have not
// looked at.
func approveCommand(a incident.AwaitedRuns) string {
	ids := make([]string, 0, 3)
	for _, id := range a.Runs[:min(len(a.Runs), 3)] {
		ids = append(ids, Clean(id, 40))
	}
	switch more := len(a.Runs) + a.More - len(ids); {
	case len(ids) == 0:
		return "datasync-bridge runs list --state awaiting"
	case more > 0:
		return fmt.Sprintf("datasync-bridge runs approve %s, likewise %s and %d more", ids[0], strings.Join(ids[1:], ", "), more)
	case len(ids) > 1:
		return fmt.Sprintf("datasync-bridge runs approve %s, likewise %s", ids[0], strings.Join(ids[1:], ", "))
	}
	return "datasync-bridge runs approve " + ids[0]
}

// held says who is not paged yet, and why, while that is so.
func held(s incident.Snapshot, style Style, now time.Time) []string {
	if len(s.Held) == 0 || !s.HoldUntil.After(now) || s.State == incident.Resolved || s.Open == 0 {
		return nil
	}
	names := make([]string, 0, 5)
	for _, name := range s.Held[:min(len(s.Held), 5)] {
		names = append(names, Clean(name, 40))
	}
	is := "is"
	if len(names) > 1 {
		is = "are"
	}
	return []string{fmt.Sprintf("Not paged yet: %s is tried first; %s %s paged at %s if it does not help",
		Clean(s.HoldFor, 60), strings.Join(names, ", "), is, style.When(s.HoldUntil, now))}
}

func acknowledged(m incident.Mark, style Style, now time.Time) string {
	text := "Acknowledged by " + Clean(m.By, 80)
	if !m.At.IsZero() {
		text += " at " + style.When(m.At, now)
	}
	return join(": ", text, Clean(m.Why, 300))
}

// ended says how an incident ended and what it had been. The lead's words stand
// for the lead alone: by now nothing tells what was true of the others.
func ended(s incident.Snapshot, style Style, now time.Time) string {
	first := s
	first.State, first.Documents, first.Open, first.Total, first.Members = incident.Open, nil, 1, 1, nil
	was := "It was: " + Headline(first)
	if s.Total > 1 {
		was = "It began with: " + Headline(first)
	}
	at := ""
	if !s.ResolvedAt.IsZero() {
		at = " at " + style.When(s.ResolvedAt, now)
	}
	switch s.Resolution {
	case incident.Unconfirmed:
		return "Closed" + at + " as unconfirmed: no recovery seen, and nothing new was heard. " + was
	case incident.Manual:
		if n := len(s.Notes); n > 0 { // the newest says who did it, and why
			return "Closed" + at + ", " + Clean(s.Notes[n-1], 280) + ". " + was
		}
		return "Closed by hand" + at + ". " + was
	}
	switch cleared := s.Polling.Cleared; {
	case cleared == 0:
		return "Recovered" + at + ". " + was
	case cleared >= s.Total:
		return "Ended" + at + ": no longer listed as failed by Datasync, which does not say that it was delivered. " + was
	default:
		return fmt.Sprintf("Recovered%s; %d of %d are only no longer listed as failed by Datasync. %s", at, cleared, s.Total, was)
	}
}
