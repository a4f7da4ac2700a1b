package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"datasync-bridge/event"
	"datasync-bridge/routing"
	"datasync-bridge/routing/incident"
	"datasync-bridge/web/view"
)

// explanation is an account as programs read it.
type explanation struct {
	Verdict  string         `json:"verdict"`
	Event    *view.Event    `json:"event,omitempty"`
	Incident *view.Incident `json:"incident,omitempty"`
	// Config is where Rules come from, or why there are none: they are those of
	// the configuration under which the event was decided.
	Config string              `json:"rules_from"`
	Rules  []routing.RuleTrace `json:"rules,omitempty"`
	// Differs says where those rules, asked again, do not say what was recorded.
	Differs []string   `json:"differs,omitempty"`
	Held    []heldBack `json:"held,omitempty"`
	Next    []coming   `json:"next"`
	// Others are further events that were found, the nearest first.
	Others []view.Event `json:"others,omitempty"`
}

// heldBack is why a notifier was not told when the event was planned, or is not
// told now.
type heldBack struct {
	Notifier string `json:"notifier"`
	Kind     string `json:"kind"`
	By       string `json:"by"`
	Why      string `json:"why,omitempty"`
	Since    string `json:"since,omitempty"`
	Until    string `json:"until,omitempty"`
	Owes     string `json:"owes,omitempty"`
}

func heldOf(held []incident.HeldRouted) []heldBack {
	out := make([]heldBack, 0, len(held))
	for _, h := range held {
		out = append(out, heldBack{h.Notifier, string(h.Kind), h.By, h.Why, stamp(h.Since), stamp(h.Until), string(h.Owes)})
	}
	return out
}

func (a *account) json(others []event.Stored) explanation {
	e := explanation{Verdict: printable(a.verdict()), Config: a.traceFrom, Differs: a.differs, Next: append([]coming{}, a.next()...)}
	if a.event != nil {
		v := view.OfEventInFull(*a.event)
		e.Event = &v
	}
	if a.inc != nil {
		v := view.OfIncident(*a.inc)
		v.Members, v.Timeline = view.Each(a.members, view.OfMember), view.Each(a.timeline, view.OfEntry)
		v.Deliveries, v.Runs = view.Each(a.deliveries, view.OfDelivery), view.Each(a.runs, view.OfRun)
		e.Incident = &v
	}
	if a.trace != nil {
		e.Rules = a.trace.Rules
	}
	e.Held = heldOf(a.holds())
	for i := range e.Next {
		if !e.Next[i].At.IsZero() {
			e.Next[i].At = e.Next[i].At.UTC()
		}
	}
	for _, st := range others {
		e.Others = append(e.Others, view.OfEvent(st))
	}
	return e
}

// write prints an account for people: the verdict, then each step that led there.
func (a *account) write(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s\n", printable(a.verdict())); err != nil {
		return err
	}
	for _, part := range []func(io.Writer) error{
		a.writeEvent, a.writeDecision, a.writeRules, a.writeIncident, a.writeHeld, a.writeSent, a.writeRuns, a.writeTimeline, a.writeNext,
	} {
		if err := part(w); err != nil {
			return err
		}
	}
	return nil
}

func (a *account) writeEvent(w io.Writer) error {
	st := a.event
	if st == nil {
		return section(w, "Event", [][]string{{"gone", "the event that opened it is kept no longer"}})
	}
	signed := "signed"
	if !st.Authentic {
		signed = "not signed"
	}
	rows := [][]string{
		{"id", fmt.Sprintf("%s, from %s (%s), %s, by %s", st.ID, st.Source, st.Environment, signed, st.Origin)},
	}
	if what := a.sentAs(); what != "" {
		rows = append(rows, []string{"type", what})
	}
	if ev := a.normal; ev != nil {
		rows = append(rows, []string{"happened", a.face.full(ev.OccurredAt)})
		about := strings.Join(strings.Fields(strings.Join([]string{
			ev.Text(event.PartnerName), ev.Text(event.PartnerID), ev.Text(event.DocumentType), ev.Text(event.DocumentName), ev.Text(event.TransactionID),
			ev.Text(event.PONumber), ev.Text(event.InvoiceNumber), ev.Text(event.ShipmentID),
		}, " ")), " ")
		if about != "" {
			rows = append(rows, []string{"about", shorten(about, mostText)})
		}
		if said := strings.Trim(ev.Text(event.ErrorCode)+": "+ev.Text(event.ErrorMessage), ": "); said != "" {
			rows = append(rows, []string{"error", shorten(said, mostText)})
		}
	}
	rows = append(rows, []string{"arrived", a.face.full(st.ReceivedAt)})
	return section(w, "Event", rows)
}

// mostText bounds what of a payload stands in one line.
const mostText = 300

// sentAs is the type as it came, and how often it came.
func (a *account) sentAs() string {
	sent := a.event.Type
	if sent == "" && a.normal != nil {
		sent = a.normal.SentType
	}
	if a.normal != nil && a.normal.Type != sent && a.normal.Type != "" {
		sent += ", an alias of " + a.normal.Type
	}
	return strings.TrimPrefix(sent+again(*a.event), ", and ")
}

func (a *account) writeDecision(w io.Writer) error {
	d := a.decision
	if d.Outcome == "" {
		return nil
	}
	rows := [][]string{
		{"decided", a.face.full(d.At)},
		{"taken as", fmt.Sprintf("%s (%s), class %s", d.Type, d.Effect, d.Class)},
	}
	add := func(name, text string) {
		if text != "" {
			rows = append(rows, []string{name, text})
		}
	}
	if d.Severity != 0 {
		add("severity", fmt.Sprintf("%s, from %s", d.Severity, d.SeverityFrom))
	}
	for _, n := range d.Notifiers {
		add("tells", routed(n))
	}
	for _, s := range d.Escalate {
		add("escalates", fmt.Sprintf("after %s to %s, by %s", spoken(s.After), strings.Join(s.Notify, ", "), a.rule(s.Rule)))
	}
	add("repairs", strings.Join(d.Remediate, ", "))
	add("outcome", strings.TrimSpace(string(d.Outcome)+" "+d.Incident))
	if d.Key != "" {
		add("grouped", fmt.Sprintf("by %s: %s", strings.Join(d.GroupBy, ", "), d.Key))
		add("gathers", fmt.Sprintf("wait %s, alarms anew after %s of quiet", spoken(d.Group.Wait), spoken(d.Group.Interval)))
	}
	for _, from := range [][2]string{{"title", d.TitleFrom}, {"text", d.TextFrom}, {"fields", d.FieldsFrom}} {
		if from[1] != "" {
			add(from[0], "worded by "+a.rule(from[1]))
		}
	}
	for _, e := range d.Errors {
		add("failed", e)
	}
	for _, r := range d.Reasons {
		add("because", r)
	}
	return section(w, "Decision", rows)
}

// mostRules is how many rules are shown in full; of more, those that matched.
const mostRules = 200

func (a *account) writeRules(w io.Writer) error {
	if a.event == nil || a.decision.Outcome == "" {
		return nil
	}
	if a.trace == nil {
		rows := [][]string{{"", a.traceFrom}}
		for _, r := range a.decision.Rules {
			rows = append(rows, []string{"✓", fmt.Sprintf("%s (line %d)%s", r.Name, r.Line, flags(r))})
		}
		return section(w, "Rules that matched, as recorded", rows)
	}
	title := "Rules, in file order, under " + a.traceFrom
	if len(a.trace.Rules) == 0 {
		return section(w, title, [][]string{{"none is asked: the effect of " + a.decision.Type + " is " + string(a.decision.Effect)}})
	}
	if _, err := fmt.Fprintf(w, "\n%s\n", printable(title)); err != nil {
		return err
	}
	shown, more := *a.trace, 0
	if len(shown.Rules) > mostRules {
		shown.Rules = slices.DeleteFunc(slices.Clone(shown.Rules), func(r routing.RuleTrace) bool { return !r.Matched })
		more = len(a.trace.Rules) - len(shown.Rules)
	}
	if err := shown.WriteRules(w); err != nil {
		return err
	}
	if more > 0 {
		fmt.Fprintf(w, "  and %s that did not match; -o json has each of their keys\n", count(more, "rule"))
	}
	var rows [][]string
	for _, d := range a.differs {
		rows = append(rows, []string{d})
	}
	return section(w, "Asked again, these rules do not say what was recorded", rows)
}

func (a *account) writeIncident(w io.Writer) error {
	inc := a.inc
	if inc == nil {
		return nil
	}
	state := fmt.Sprintf("%s, %s: %d of %d open", inc.State, inc.Severity, inc.OpenMembers(), inc.Total)
	rows := [][]string{{"id", inc.ID + ", " + state}, {"opened", a.face.full(inc.OpenedAt)}}
	if m := inc.Acknowledged; m != nil {
		rows = append(rows, []string{"acknowledged", fmt.Sprintf("%s by %s: %s", a.face.full(m.At), m.By, m.Why)})
	}
	if inc.State == incident.Resolved {
		rows = append(rows, []string{"resolved", fmt.Sprintf("%s, %s, after %s", a.face.full(inc.ResolvedAt), inc.Resolution, spoken(inc.ResolvedAt.Sub(inc.OpenedAt)))})
	}
	for _, s := range inc.Symptoms {
		rows = append(rows, []string{"explains", s.Incident + " " + s.Class.Words() + ": " + s.Line})
	}
	if len(inc.Causes) > 0 {
		rows = append(rows, []string{"explained by", strings.Join(inc.Causes, ", ")})
	}
	for _, n := range inc.Notes {
		rows = append(rows, []string{"note", n})
	}
	if err := section(w, "Incident", rows); err != nil || !a.whole {
		return err
	}
	rows = nil
	for _, m := range a.members {
		state := "settled " + a.face.short(m.SettledAt, inc.OpenedAt)
		if m.Open {
			state = "open"
		}
		rows = append(rows, []string{m.ID, m.Class.Words(), m.Severity.String(), strings.TrimSpace(m.DocumentType + " " + m.Reference), state})
	}
	return section(w, "Members", rows)
}

func (a *account) writeHeld(w io.Writer) error {
	var rows [][]string
	for _, h := range a.holds() {
		until := ""
		if !h.Until.IsZero() {
			until = "until " + a.face.full(h.Until)
		}
		rows = append(rows, []string{h.Notifier, string(h.Kind) + " " + h.By, until})
		if h.Why != "" {
			rows = append(rows, []string{"", h.Why})
		}
	}
	return section(w, "Held back", rows)
}

// writeSent lists what was sent and answered, oldest first.
func (a *account) writeSent(w io.Writer) error {
	rows := make([][]string, 0, len(a.deliveries))
	for _, d := range a.deliveries {
		took := ""
		if d.State == incident.Sent && d.SettledAt.After(d.QueuedAt) {
			took = "in " + spoken(d.SettledAt.Sub(d.QueuedAt))
		}
		rows = append(rows, []string{a.face.line(d.QueuedAt), d.Notifier, string(d.Kind), string(d.State), took, shorten(lastWord(d), 48)})
	}
	return section(w, "Sent and answered", rows)
}

func (a *account) writeRuns(w io.Writer) error {
	rows := make([][]string, 0, len(a.runs))
	for _, r := range a.runs {
		rows = append(rows, []string{a.face.line(r.CreatedAt), r.Remediation, string(r.State), shorten(r.Why, 60)})
	}
	return section(w, "Runs", rows)
}

func (a *account) writeTimeline(w io.Writer) error {
	var rows [][]string
	for _, e := range a.timeline {
		mine := a.event != nil && e.Event == a.event.ID
		if !a.whole && !mine || e.Delivery != "" {
			continue // what was answered stands above
		}
		text := e.Text
		if e.By != "" && !strings.Contains(text, " by "+e.By) {
			text += " (by " + e.By + ")"
		}
		rows = append(rows, []string{a.face.line(e.At), e.Kind, text})
	}
	title := "What it changed"
	if a.whole {
		title = "Timeline"
	}
	return section(w, title, rows)
}

func (a *account) writeNext(w io.Writer) error {
	coming := a.next()
	rows := make([][]string, 0, len(coming))
	for _, n := range coming {
		when := ""
		if !n.At.IsZero() {
			when = a.face.line(n.At) + " (" + a.face.hint(n.At) + ")"
		}
		rows = append(rows, []string{when, n.What})
	}
	if len(rows) == 0 {
		rows = [][]string{{"nothing more happens by itself"}}
	}
	return section(w, "Next", rows)
}
