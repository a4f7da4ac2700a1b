package script

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// stands reports whether a text holds another, in which * is any text.
func stands(text, want string) bool {
	for part := range strings.SplitSeq(want, "*") {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

func (s *story) fitsMessage(m Message, d incident.Delivery) bool {
	if m.To != "" && m.To != d.Notifier || m.Kind != "" && m.Kind != string(d.Kind) {
		return false
	}
	if len(m.Text)+len(m.Without) == 0 {
		return true
	}
	said := s.file.world.Say(d)
	holds := func(want string) bool { return stands(said, want) }
	return !slices.ContainsFunc(m.Text, func(want string) bool { return !holds(want) }) && !slices.ContainsFunc(m.Without, holds)
}

func fitsIncident(want Incident, got *incident.Incident) bool {
	state := string(got.State)
	if got.State == incident.Open && got.Acknowledged != nil && want.State != state {
		state = acknowledged
	}
	partner, _ := got.Lead.Fields[event.PartnerID].(string)
	for _, pair := range [][2]string{
		{want.State, state}, {want.Class, string(got.Class)}, {want.Severity.String(), got.Severity.String()},
		{want.Partner, partner}, {want.Environment, string(got.Environment)}, {want.Resolution, string(got.Resolution)},
	} {
		if pair[0] != "" && pair[0] != pair[1] {
			return false
		}
	}
	for _, n := range []struct {
		want *int
		got  int
	}{{want.Members, got.OpenMembers()}, {want.Total, got.Total}, {want.Symptoms, len(got.Symptoms) + got.MoreSymptoms}} {
		if n.want != nil && *n.want != n.got {
			return false
		}
	}
	if want.Flapping != nil && *want.Flapping != got.Flapping {
		return false
	}
	if want.Held != nil && !maps.Equal(want.Held, heldOf(got)) {
		return false
	}
	return want.Note == "" || slices.ContainsFunc(got.Notes, func(n string) bool { return stands(n, want.Note) })
}

func heldOf(inc *incident.Incident) map[string]string {
	held := map[string]string{}
	for _, t := range inc.Told {
		if t.Held != nil {
			held[t.Notifier] = string(t.Held.Kind)
		}
	}
	return held
}

func fitsRun(want Run, got incident.Run) bool {
	return (want.Remediation == "" || want.Remediation == got.Remediation) &&
		(want.State == "" || want.State == string(got.State)) &&
		(want.Transaction == "" || want.Transaction == got.Transaction) &&
		(want.Why == "" || stands(got.Why, want.Why))
}

// words prints "key value" pairs, those without a value left out.
func words(pairs ...string) string {
	var parts []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			parts = append(parts, strings.TrimSpace(pairs[i]+" "+pairs[i+1]))
		}
	}
	if parts == nil {
		return "any"
	}
	return strings.Join(parts, ", ")
}

func (m Message) String() string {
	return words("to", m.To, "", m.Kind, "that says", m.Text.String(), "without", m.Without.String())
}

func (t Texts) String() string {
	quoted := make([]string, len(t))
	for i, text := range t {
		quoted[i] = quote(text)
	}
	return strings.Join(quoted, " and ")
}

func (i Incident) String() string {
	number := func(n *int) string {
		if n == nil {
			return ""
		}
		return strconv.Itoa(*n)
	}
	flapping := ""
	if i.Flapping != nil {
		flapping = strconv.FormatBool(*i.Flapping)
	}
	return words("", i.State, "", i.Class, "", i.Severity.String(), "partner", i.Partner, "", i.Environment, "", i.Resolution,
		"members", number(i.Members), "total", number(i.Total), "symptoms", number(i.Symptoms), "flapping", flapping,
		"held", strings.Join(pairs(i.Held), " "), "note", quote(i.Note))
}

func (r Run) String() string {
	return words("", r.Remediation, "", r.State, "for", r.Transaction, "because", quote(r.Why))
}

// shown is a message that came: to whom, of which kind, and its headline.
func (s *story) shown(d incident.Delivery) string {
	headline, _, _ := strings.Cut(s.file.world.Say(d), "\n")
	return words("to", d.Notifier, "", string(d.Kind), "", quote(headline))
}

func shownIncident(inc *incident.Incident) string {
	state := string(inc.State)
	if inc.State == incident.Open && inc.Acknowledged != nil {
		state = acknowledged
	}
	partner, _ := inc.Lead.Fields[event.PartnerID].(string)
	symptoms, flapping := "", ""
	if n := len(inc.Symptoms) + inc.MoreSymptoms; n > 0 {
		symptoms = strconv.Itoa(n)
	}
	if inc.Flapping {
		flapping = "true"
	}
	return words("", state, "", string(inc.Class), "", inc.Severity.String(), "partner", partner, "", string(inc.Environment),
		"", string(inc.Resolution), "members", strconv.Itoa(inc.OpenMembers()), "total", strconv.Itoa(inc.Total),
		"symptoms", symptoms, "flapping", flapping, "held", strings.Join(pairs(heldOf(inc)), " "),
		"notes", quote(strings.Join(inc.Notes, " · ")))
}

func shownRun(r incident.Run) string {
	return words("", r.Remediation, "", string(r.State), "for", r.Transaction, "because", quote(r.Why))
}

// summary is a decision in one line.
func summary(d incident.Decision) string {
	text := fmt.Sprintf("%s, %s, %s, %s", d.Outcome, d.Type, d.Class, d.Severity)
	if rules := matched(d); len(rules) > 0 {
		text += " · rules " + strings.Join(rules, ", ")
	}
	if names := notified(d); len(names) > 0 {
		text += " · tells " + strings.Join(names, ", ")
	}
	return text
}

func quote(text string) string {
	if text == "" {
		return ""
	}
	if r := []rune(text); len(r) > 160 {
		text = string(r[:160]) + "…"
	}
	return strconv.Quote(text)
}

func pairs(m map[string]string) []string {
	list := make([]string, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, key+": "+m[key])
	}
	return list
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

// idOf is the id that a body names, "" for none.
func idOf(body []byte) string {
	var envelope struct {
		ID any `json:"id"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return "" // what is no event has no id
	}
	id, _ := envelope.ID.(string)
	return id
}
