package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/trial"
)

// side is one configuration of a backtest, with what its rules made of the
// history so far.
type side struct {
	file   string
	cfg    *config.Config
	mapper mapper
	bridge *trial.Bridge
	ledger *ledger
	// unplanned counts events that could not be planned; the first says why.
	unplanned int
	why       string
}

func newSide(file string, cfg *config.Config) (*side, error) {
	p, err := compile(cfg)
	if err != nil {
		return nil, err
	}
	s := &side{file: file, cfg: cfg, mapper: p.mapper, ledger: newLedger(cfg)}
	s.bridge = trial.New(trial.Parts{Mapper: p.mapper, Router: p.table, Planner: p.machine, Proposer: p.guard}, time.Time{}, s.ledger.observer())
	s.bridge.Forget(memoryOf(cfg))
	return s, nil
}

// read normalizes one event, whatever is in it.
func (s *side) read(st event.Stored) (r reading) {
	defer func() {
		if p := recover(); p != nil {
			r.err = fmt.Errorf("reading %s panicked: %v", st.ID, p)
		}
	}()
	r.event, r.err = s.mapper.Normalize(st)
	apart(&r.event)
	return r
}

// apart makes an event's texts ones of their own. They are parts of the body,
// which would be kept as long as any of them is.
func apart(ev *event.Event) {
	ev.Type, ev.SentType, ev.Class = strings.Clone(ev.Type), strings.Clone(ev.SentType), event.Class(strings.Clone(string(ev.Class)))
	for path, v := range ev.Fields {
		switch v := v.(type) {
		case string:
			ev.Fields[path] = strings.Clone(v)
		case []string:
			for i := range v {
				v[i] = strings.Clone(v[i])
			}
		}
	}
}

// play lets events arrive. One that makes the planner fail is left out, as the
// bridge would park it.
func (s *side) play(page []event.Stored, read []reading) error {
	for i := range page {
		err := read[i].err
		if err == nil {
			err = s.post(page[i], read[i].event)
		}
		if errors.Is(err, trial.ErrEndless) {
			return err
		}
		if err != nil {
			s.why = cmp.Or(s.why, err.Error())
			s.unplanned++
		}
	}
	return nil
}

func (s *side) post(st event.Stored, ev event.Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("planning %s panicked: %v", st.ID, p)
		}
	}()
	_, err = s.bridge.PostNormalized(st, ev)
	return err
}

// amounts are what is counted, in all and of each rule and partner.
type amounts struct {
	Events    int `json:"events"`
	Incidents int `json:"incidents"`
	Messages  int `json:"messages"`
	Pages     int `json:"pages"`
	Runs      int `json:"runs"`
}

func (a *amounts) add(b amounts) {
	a.Events, a.Incidents = a.Events+b.Events, a.Incidents+b.Incidents
	a.Messages, a.Pages, a.Runs = a.Messages+b.Messages, a.Pages+b.Pages, a.Runs+b.Runs
}

const (
	// byDefaults is the row of what no rule has named a notifier for.
	byDefaults = "defaults"
	// maxCounted bounds partners that are counted by themselves, and notices
	// whose rules are remembered: ids come from outside.
	maxCounted  = 50_000
	noPartner   = "(no partner)"
	morePartner = "(further partners)"
)

// ledger counts what one trial does.
type ledger struct {
	pagers     map[string]bool
	remediates map[string]string // by rule
	total      amounts
	rules      map[string]*amounts
	partners   map[string]*amounts
	names      map[string]string // of partners, by id
	notifiers  map[string]int    // messages and pages, by notifier
	runs       map[string]int    // by remediation and mode
	refused    int
	refusal    string // why the first was
	// live are the incidents that may be heard of again; notices are the rules
	// behind what is told of no incident.
	live    map[string]*origin
	notices map[string][]string
	// now is the event that is being planned.
	now struct {
		event    string
		partner  string
		decision incident.Decision
	}
	paged []paging // since the other side was looked at
}

// origin is where an incident's messages come from.
type origin struct {
	partner string
	rules   []string
	by      map[string][]string // rules by notifier
}

func newLedger(cfg *config.Config) *ledger {
	l := &ledger{
		pagers: map[string]bool{}, remediates: map[string]string{}, rules: map[string]*amounts{byDefaults: {}}, partners: map[string]*amounts{},
		names: map[string]string{}, notifiers: map[string]int{}, runs: map[string]int{}, live: map[string]*origin{}, notices: map[string][]string{},
	}
	for name, traits := range cfg.NotifierTraits() {
		l.pagers[name] = traits.Pager
	}
	for i := range cfg.Rules {
		l.remediates[cfg.Rules[i].Name] = cfg.Rules[i].Remediate
		l.rules[cfg.Rules[i].Name] = &amounts{}
	}
	return l
}

func (l *ledger) observer() trial.Observer {
	return trial.Observer{
		Decided: func(ev event.Event, d incident.Decision) {
			l.at(ev, d)
			if d.Effect == event.Open || d.Effect == event.Note {
				l.count(ruleNames(d), l.now.partner, amounts{Events: 1})
			} else { // rules do not choose for these
				l.countPartner(l.now.partner, amounts{Events: 1})
			}
			l.open(d)
		},
		Reconsidered: func(ev event.Event, d incident.Decision) {
			l.at(ev, d)
			l.open(d)
		},
		Sent:      l.sent,
		Ran:       l.ran,
		Forgotten: func(id string) { delete(l.live, id) },
	}
}

// count adds to all, to a partner, and to each rule: what several share counts
// for each of them.
func (l *ledger) count(rules []string, partner string, a amounts) {
	l.countPartner(partner, a)
	if len(rules) == 0 {
		l.rules[byDefaults].add(a)
	}
	for i, name := range rules {
		if row := l.rules[name]; row != nil && !slices.Contains(rules[:i], name) {
			row.add(a)
		}
	}
}

func (l *ledger) countPartner(partner string, a amounts) {
	l.total.add(a)
	if l.partners[partner] == nil && len(l.partners) >= maxCounted {
		partner = morePartner
	}
	of := l.partners[partner]
	if of == nil {
		of = &amounts{}
		l.partners[partner] = of
	}
	of.add(a)
}

func ruleNames(d incident.Decision) []string {
	names := make([]string, 0, len(d.Rules))
	for _, r := range d.Rules {
		names = append(names, r.Name)
	}
	return names
}

// at makes the event the one that is being planned.
func (l *ledger) at(ev event.Event, d incident.Decision) {
	l.now.event, l.now.decision = ev.ID, d
	name := ev.Text(event.PartnerName)
	l.now.partner = cmp.Or(ev.Text(event.PartnerID), name, noPartner)
	if name != "" && len(l.names) < maxCounted {
		l.names[l.now.partner] = name
	}
}

// open notes the incident that an event belongs to, and who is told of it by
// which rules.
func (l *ledger) open(d incident.Decision) {
	switch d.Outcome {
	case incident.Opened, incident.Joined, incident.Raised, incident.Reopened, incident.Refined:
	default:
		return
	}
	o := l.live[d.Incident]
	if o == nil {
		o = &origin{partner: l.now.partner, rules: ruleNames(d), by: map[string][]string{}}
		l.live[d.Incident] = o
	}
	if d.Outcome == incident.Opened {
		l.count(o.rules, o.partner, amounts{Incidents: 1})
	}
	for _, n := range d.Notifiers {
		for _, rule := range n.By {
			if !slices.Contains(o.by[n.Notifier], rule) {
				o.by[n.Notifier] = append(o.by[n.Notifier], rule)
			}
		}
	}
	for _, step := range d.Escalate {
		for _, name := range step.Notify {
			if len(o.by[name]) == 0 {
				o.by[name] = []string{step.Rule}
			}
		}
	}
}

// sent counts what a notifier got. Edits are no messages, and of what a pager
// gets only what rings is a page.
func (l *ledger) sent(d incident.Delivery) {
	pager := l.pagers[d.Notifier]
	switch {
	case d.Kind == incident.Update, pager && !d.Kind.Alarms():
		return
	}
	l.notifiers[d.Notifier]++
	rules, partner := l.behind(d)
	if !pager {
		l.count(rules, partner, amounts{Messages: 1})
		return
	}
	l.count(rules, partner, amounts{Pages: 1})
	l.paged = append(l.paged, paging{
		event: d.Snapshot.Lead.Event, kind: d.Snapshot.Lead.Type, severity: d.Snapshot.Severity.String(), at: d.SettledAt,
		partner: partner, rules: rules, notifier: d.Notifier,
	})
}

// behind finds the rules and the partner that a message goes back to.
func (l *ledger) behind(d incident.Delivery) (rules []string, partner string) {
	switch {
	case d.Snapshot.Digest != nil:
		for _, item := range d.Snapshot.Digest.Items {
			if o := l.live[item.Incident]; o != nil {
				rules = append(rules, o.by[d.Notifier]...)
			}
		}
		return rules, noPartner
	case d.Incident == "":
		return l.noticed(d)
	}
	o := l.live[d.Incident]
	if o == nil {
		return d.Snapshot.Rules, noPartner
	}
	if by := o.by[d.Notifier]; len(by) > 0 {
		return by, o.partner
	}
	return o.rules, o.partner
}

// noticed finds the rules behind a notice: the first tells of an event, those
// after it count.
func (l *ledger) noticed(d incident.Delivery) (rules []string, partner string) {
	key := d.Notifier + " " + d.Order
	if d.Snapshot.Lead.Event == "" || d.Snapshot.Lead.Event != l.now.event {
		return l.notices[key], noPartner
	}
	for _, n := range l.now.decision.Notifiers {
		if n.Notifier == d.Notifier {
			rules = n.By
		}
	}
	if len(l.notices) < maxCounted {
		l.notices[key] = rules
	}
	return rules, l.now.partner
}

// ran counts what would be run, or asked for; what a guard rail refuses is
// neither.
func (l *ledger) ran(r incident.Run) {
	if r.State == incident.RunRefused {
		l.refused++
		l.refusal = cmp.Or(l.refusal, r.Why)
		return
	}
	var rules []string
	for _, matched := range l.now.decision.Rules {
		if l.remediates[matched.Name] == r.Remediation {
			rules = append(rules, matched.Name)
		}
	}
	l.runs[r.Remediation+" ("+r.Mode+")"]++
	l.count(rules, l.now.partner, amounts{Runs: 1})
}
