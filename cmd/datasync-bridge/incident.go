package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web/view"
)

// printIncident shows one incident for people: the facts, then everything that
// belongs to it in order of time. -o json has every field.
func printIncident(w io.Writer, found any) error {
	v, ok := found.(view.Incident)
	if !ok {
		return fmt.Errorf("an incident cannot be shown as %T", found)
	}
	if err := writeTable(w, nil, incidentFacts(v)); err != nil {
		return err
	}
	var rows [][]string
	for _, m := range v.Members {
		state := "settled " + clock(m.SettledAt)
		if m.Open {
			state = "open"
		}
		rows = append(rows, []string{m.ID, m.Class, m.Severity, m.DocumentType, m.Reference, state})
	}
	if err := section(w, "Members", rows); err != nil {
		return err
	}
	rows = nil
	for _, e := range v.Timeline {
		text := e.Text
		if e.By != "" && !strings.Contains(text, " by "+e.By) {
			text += " (by " + e.By + ")"
		}
		rows = append(rows, []string{clock(e.At), e.Kind, text})
	}
	if err := section(w, "Timeline", rows); err != nil {
		return err
	}
	rows = nil
	for i := len(v.Deliveries) - 1; i >= 0; i-- { // they come newest first
		d := v.Deliveries[i]
		next := ""
		if !d.NextAt.IsZero() {
			next = "next try " + clock(d.NextAt)
		}
		rows = append(rows, []string{d.ID, clock(d.QueuedAt), d.Notifier, d.Kind, d.State, d.Answer + d.Error, next})
	}
	if err := section(w, "Notifications", rows); err != nil {
		return err
	}
	rows = nil
	for _, r := range v.Runs {
		rows = append(rows, []string{r.ID, r.Remediation, r.State, r.Why})
	}
	return section(w, "Runs", rows)
}

// incidentFacts are the rows above the lists; what is not known has none.
func incidentFacts(v view.Incident) [][]string {
	var rows [][]string
	fact := func(name, text string) {
		if text != "" {
			rows = append(rows, []string{name, text})
		}
	}
	at := func(name string, t time.Time) { fact(name, clock(t)) }
	field := func(path string) string { s, _ := v.Lead.Fields[path].(string); return s }

	fact("incident", v.ID+", "+v.Environment+", source "+v.Source)
	fact("about", event.Class(v.Class).Words()+", first told by "+v.Lead.Type+" "+v.Lead.Event)
	fact("partner", strings.TrimSpace(field(event.PartnerName)+" "+field(event.PartnerID)))
	fact("error", field(event.ErrorMessage))
	for _, d := range v.Documents {
		fact("documents", fmt.Sprintf("%s: %d of %d open", strings.TrimSpace(d.Type+" "+d.Name), d.Open, d.Total))
	}
	at("opened", v.OpenedAt)
	at("resolved", v.ResolvedAt)
	if m := v.Acknowledged; m != nil {
		fact("acknowledged", fmt.Sprintf("by %s at %s: %s", m.By, clock(m.At), m.Why))
	}
	for _, t := range v.Told {
		state := "told at " + clock(t.At)
		last, _ := lastAlarm(v.Deliveries, t.Notifier)
		switch sent := incident.DeliveryState(last.State); {
		case sent == incident.Dead:
			state = "NOT told, given up: " + last.Error
		case sent == incident.Waiting || sent == incident.Sending:
			state = strings.TrimSuffix("not told yet: "+last.Error, ": ")
		case t.Over:
			state += ", and of the end"
		case t.At.IsZero():
			state = "will be told"
		}
		fact("told", fmt.Sprintf("%s (%s): %s", t.Notifier, t.Destination, state))
	}
	fact("because of", strings.Join(v.Rules, ", "))
	for _, n := range v.Notes {
		fact("note", n)
	}
	fact("grouped by", v.Key)
	at("opening is due", v.WaitUntil)
	at("next reminder", v.RepeatAt)
	at("resolve is due", v.ResolveAt)
	at("closes unconfirmed", v.CloseAt)
	return rows
}
