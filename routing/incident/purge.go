package incident

import "time"

// Purge asks to take away what is kept of one partner's events, or what would be.
type Purge struct {
	// Partner is its partner.id, as events spell it.
	Partner string `json:"partner"`
	// Before bounds the arrival of events and the opening of incidents.
	Before time.Time `json:"before"`
	// Why stands in the record of deeds.
	Why string `json:"why,omitempty"`
	// Apply does it; without it is only counted.
	Apply bool `json:"apply,omitempty"`
	// Next is where to go on: what the answer before said, "" at the beginning.
	Next string `json:"next,omitempty"`
}

// Purged is what one step of a purge came to.
type Purged struct {
	Events    int `json:"events"`
	Incidents int `json:"incidents"`
	Members   int `json:"members"`
	Messages  int `json:"messages"`
	Runs      int `json:"runs"`
	Partners  int `json:"partners"`
	// LeftEvents are not touched, because they wait to be planned, or something
	// open refers to them; LeftIncidents are open, or something of theirs is
	// under way. Open names some of these.
	LeftEvents    int      `json:"left_events"`
	LeftIncidents int      `json:"left_incidents"`
	Open          []string `json:"open,omitempty"`
	// Remains reports that the bytes may stand in the store's log until it
	// begins anew, because somebody reads.
	Remains bool `json:"remains,omitempty"`
	// Next is what to ask for next, "" at the end.
	Next string `json:"next,omitempty"`
}

// maxOpen bounds Purged.Open.
const maxOpen = 10

// Add adds what another step came to, and takes over where it stands.
func (p *Purged) Add(step Purged) {
	p.Events += step.Events
	p.Incidents += step.Incidents
	p.Members += step.Members
	p.Messages += step.Messages
	p.Runs += step.Runs
	p.Partners += step.Partners
	p.LeftEvents += step.LeftEvents
	p.LeftIncidents += step.LeftIncidents
	p.Open = append(p.Open, step.Open...)
	p.Open = p.Open[:min(len(p.Open), maxOpen)]
	p.Remains, p.Next = p.Remains || step.Remains, step.Next
}

// purgedNote is what an incident says of itself afterwards.
const purgedNote = "what it was about was purged"

// Forget blanks what an incident tells of a partner's business. What it was,
// when, who was told and how it ended stays.
func (i *Incident) Forget() {
	i.Key = "purged"
	i.Lead.Fields, i.Lead.Words = map[string]any{}, Words{}
	i.Notes, i.Settled, i.Symptoms = []string{purgedNote}, nil, nil
	if i.Acknowledged != nil {
		i.Acknowledged.Why = ""
	}
}

// Forget blanks what a decision tells of a partner's business. Rules, whom they
// named and the outcome stay.
func (d *Decision) Forget() {
	d.Key, d.Errors, d.Causes, d.CausedBy = "", nil, nil, nil
	d.Reasons = []string{"the event was purged"}
	for k := range d.Held {
		d.Held[k].Why = ""
	}
}
