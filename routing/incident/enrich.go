package incident

import (
	"maps"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

// maxPartnerID bounds the ids of partners that are asked for.
const maxPartnerID = 200

// partnerOf is the partner whose row may fill what the event leaves out, "" for
// an event that is told to nobody, and where none are kept.
func (m *Machine) partnerOf(ev event.Event) string {
	id := ev.Text(event.PartnerID)
	if !m.WantPartners || ev.Quarantine != "" || len(id) > maxPartnerID || !m.mayOpen(ev) && m.Effect(ev) != event.Note {
		return ""
	}
	return id
}

// enrich fills the copy of the event that people read; what rules and state
// moved by stays as it came.
func (d *draft) enrich() {
	d.shown = d.ev
	id := d.m.partnerOf(d.ev)
	p := d.in.View.Partner
	switch {
	case id == "":
	case p != nil && p.is(d.ev.Environment, id):
		d.shown.Fields, _ = p.fill(d.ev.Fields)
	case d.ev.Authentic: // a stranger's ids would make a row, and a call, each
		d.plan.Wanted = append(d.plan.Wanted, PartnerRef{Environment: d.ev.Environment, ID: id})
	}
}

func (p Partner) is(env event.Environment, id string) bool {
	return p.Environment == env && p.ID == id && id != ""
}

// fill returns the fields with what they lack of the partner, and whether a
// message shows any of that. A contact is one person or desk: it is completed
// only where it is the same, never mixed of two.
func (p Partner) fill(fields map[string]any) (filled map[string]any, shown bool) {
	filled = maps.Clone(fields)
	text := func(path string) string {
		s, _ := fields[path].(string)
		return s
	}
	put := func(path, value string) bool {
		if value == "" || fields[path] != nil {
			return false
		}
		if filled == nil {
			filled = map[string]any{}
		}
		filled[path] = cut(value, maxText)
		return true
	}
	same := func(path, value string) bool { return text(path) == "" || text(path) == value }
	shown = put(event.PartnerName, p.Name)
	if put(event.PartnerStatus, p.Status) && !strings.EqualFold(p.Status, "active") {
		shown = true
	}
	if same(event.ContactName, p.ContactName) && same(event.ContactEmail, p.ContactEmail) && same(event.ContactPhone, p.ContactPhone) {
		for path, value := range map[string]string{
			event.ContactName: p.ContactName, event.ContactEmail: p.ContactEmail,
			event.ContactPhone: p.ContactPhone, event.ContactHours: p.ContactHours,
		} {
			shown = put(path, value) || shown
		}
	}
	return filled, shown
}

// Enriched plans what an answer about a partner changes: the row itself, and
// the open incidents of v that were told without it. It edits what shows
// something new, and alarms nobody.
func (m *Machine) Enriched(v View, p Partner, now time.Time) Plan {
	plan := Plan{Partners: []Partner{p}}
	for _, inc := range v.Incidents {
		id, _ := inc.Lead.Fields[event.PartnerID].(string)
		if inc.State != Open || !p.is(inc.Environment, id) {
			continue
		}
		c := m.change(inc, now)
		fields, shown := p.fill(inc.Lead.Fields)
		changed := len(fields) != len(inc.Lead.Fields)
		c.inc.Lead.Fields = fields
		for _, member := range slices.Clone(c.inc.Listed) {
			if p.Name != "" && member.Partner == cut(p.ID, 200) && p.Name != p.ID {
				member.Partner = cut(p.Name, 200)
				c.store(member)
				changed, shown = true, true
			}
		}
		if !changed {
			continue
		}
		if shown {
			c.editAll()
		}
		c.commit(&plan)
	}
	return plan
}
