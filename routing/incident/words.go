package incident

import "maps"

// Bounds of the texts that rules give to messages, in runes.
const (
	maxTitle     = 150
	maxOwnText   = 3000
	maxOwnField  = 300
	maxOwnFields = 10
)

// lead is the event as one that an incident is told by, with the texts that its
// rules give it.
func (d *draft) lead() Lead {
	if d.told == nil {
		l := leadOf(d.shown, d.dec.Severity)
		l.Words = d.words()
		d.told = &l
	}
	l := *d.told
	l.Fields = maps.Clone(l.Fields)
	return l
}

// words renders what the rules say of the event. What fails costs no alert: the
// bridge's own words stand in, and the decision says why.
func (d *draft) words() Words {
	if d.m.Wording == nil {
		return Words{}
	}
	w, failures := d.m.Wording.Words(d.dec, d.shown)
	for _, failure := range failures[:min(len(failures), 2+maxOwnFields)] {
		d.because("the bridge's own words are used: " + cut(failure, 300))
	}
	return w.bounded()
}

func (w Words) bounded() Words {
	out := Words{Title: cut(w.Title, maxTitle), Text: cut(w.Text, maxOwnText)}
	for _, f := range w.Fields[:min(len(w.Fields), maxOwnFields)] {
		out.Fields = append(out.Fields, NamedText{Name: cut(f.Name, maxOwnField), Text: cut(f.Text, maxOwnField)})
	}
	return out
}

// silence returns the silence that holds for the draft's event as it would be told.
func (d *draft) silence() (Silence, bool) {
	if d.m.Silences == nil {
		return Silence{}, false
	}
	inc := Incident{Source: d.ev.Source, Environment: d.ev.Environment, LastOpening: d.at}
	return d.m.silencing(eventOf(inc, leadOf(d.shown, d.dec.Severity)), d.in.Now)
}

// lead makes the event the one that the incident is told by, if it is the first
// of the highest severity, or the first after a reopening. What nothing silences
// goes before what is silenced: an incident with anything in it that people
// should hear of is told.
func (c *change) lead(d *draft, back, anew bool) {
	first := c.inc.Lead.Event == "" || back
	takes := first || anew || d.dec.Severity > c.inc.Lead.Severity
	if !first && c.m.Silences != nil {
		_, was := c.m.silencing(eventOf(c.inc, c.inc.Lead), c.now)
		_, is := d.silence()
		switch {
		case was && !is:
			// What nobody signed does not ring for what is silenced.
			takes = takes || d.ev.Authentic || !c.m.paged(c.inc)
		case is && !was:
			takes = false
		}
	}
	if takes {
		c.inc.Lead = d.lead()
	}
}
