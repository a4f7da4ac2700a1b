package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// paging is one page, known by the event that it tells.
type paging struct {
	event, kind, severity, partner, notifier string
	at                                       time.Time
	rules                                    []string
}

// maxPagings bounds the pages that wait for their like on the other side; those
// beyond are counted and serve as no example.
const maxPagings = 2_000

// pagings are the pages that only one side has sent so far.
type pagings struct{ open map[string]*pagedOnce }

// pagedOnce is an event's pages under the new rules less those under the old.
type pagedOnce struct {
	paging
	more int
}

// take adds what one side has paged: +1 for the new one, -1 for the old.
func (p *pagings) take(list []paging, sign int) {
	if p.open == nil {
		p.open = map[string]*pagedOnce{}
	}
	for _, one := range list {
		entry := p.open[one.event]
		if entry == nil {
			if len(p.open) < maxPagings {
				p.open[one.event] = &pagedOnce{one, sign}
			}
			continue
		}
		if entry.more += sign; entry.more == 0 {
			delete(p.open, one.event)
		}
	}
}

// maxExamples is how many incidents are shown of those that page anew or no longer.
const maxExamples = 10

// examples are the first of both ways, half of each where there are enough.
func (p *pagings) examples(explain func(event string) string) []backtestExample {
	all := slices.SortedFunc(maps.Values(p.open), func(a, b *pagedOnce) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.event, b.event))
	})
	ways := map[bool][]backtestExample{}
	for _, one := range all {
		newly := one.more > 0
		ways[newly] = append(ways[newly], backtestExample{
			Newly: newly, Event: one.event, Type: one.kind, At: one.at.UTC(), Partner: one.partner, Severity: one.severity,
			Pager: one.notifier, Rules: one.rules, Explain: explain(one.event),
		})
	}
	anew, gone := ways[true], ways[false]
	half := maxExamples / 2
	n := min(len(anew), max(half, maxExamples-len(gone)))
	return slices.Concat(anew[:n], gone[:min(len(gone), maxExamples-n)])
}

// backtested is a backtest as programs read it. What stands under old is left
// out where nothing was compared with.
type backtested struct {
	Verdict string    `json:"verdict"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	First   time.Time `json:"first_event,omitzero"`
	Last    time.Time `json:"last_event,omitzero"`
	Events  int       `json:"events"`
	// Against and Config are the files.
	Against  string        `json:"against,omitempty"`
	Config   string        `json:"config"`
	Differs  bool          `json:"differs"`
	Total    change        `json:"total"`
	Rules    []namedChange `json:"rules"`
	Partners []namedChange `json:"partners"`
	// Notifiers counts messages and pages by notifier, Runs by remediation and
	// mode.
	Notifiers []countChange     `json:"notifiers"`
	Runs      []countChange     `json:"runs"`
	Examples  []backtestExample `json:"examples"`
	Notes     []string          `json:"notes"`

	alone bool
	store string // where the history was, "" for where the configuration says
	face  face
}

// change is an amount under the old rules and under the new ones. One side is
// nil where nothing was compared with, or where it has no such rule.
type change struct {
	Old *amounts `json:"old,omitempty"`
	New *amounts `json:"new,omitempty"`
}

type namedChange struct {
	Name string `json:"name"`
	// Called is a partner's name, where Name is its id.
	Called string `json:"called,omitempty"`
	change
}

type countChange struct {
	Name string `json:"name"`
	Old  int    `json:"old"`
	New  int    `json:"new"`
}

// backtestExample is an incident that newly pages, or no longer.
type backtestExample struct {
	Newly    bool      `json:"newly"`
	Event    string    `json:"event"`
	Type     string    `json:"type"`
	At       time.Time `json:"at"`
	Partner  string    `json:"partner"`
	Severity string    `json:"severity"`
	Pager    string    `json:"pager"`
	Rules    []string  `json:"rules"`
	// Explain is the command that says why.
	Explain string `json:"explain"`
}

func (c change) differs() bool {
	return c.Old != nil && c.New != nil && *c.Old != *c.New || (c.Old == nil) != (c.New == nil)
}

func (c change) sides() (old, new amounts) {
	if c.Old != nil {
		old = *c.Old
	}
	if c.New != nil {
		new = *c.New
	}
	return old, new
}

// weight is how much differs: pages before messages before the rest.
func (c change) weight() [5]int {
	old, new := c.sides()
	abs := func(n int) int { return max(n, -n) }
	return [5]int{abs(new.Pages - old.Pages), abs(new.Messages - old.Messages), abs(new.Runs - old.Runs),
		abs(new.Incidents - old.Incidents), abs(new.Events - old.Events)}
}

func heavier(a, b namedChange) int {
	x, y := a.weight(), b.weight()
	return cmp.Or(-slices.Compare(x[:], y[:]), cmp.Compare(a.Name, b.Name))
}

// compare makes the difference of what the sides came to.
func (r *replay) compare(store string) *backtested {
	was, is := r.sides[0], r.sides[len(r.sides)-1]
	b := &backtested{
		Since: r.since.UTC(), Until: r.until.UTC(), First: r.first.UTC(), Last: r.last.UTC(), Events: r.events,
		Config: is.file, alone: len(r.sides) == 1, store: store, face: r.face,
	}
	old := newLedger(was.cfg) // empty
	if b.alone {
		old.rules = nil
	} else {
		b.Against, old = was.file, was.ledger
		b.Total.Old = &was.ledger.total
	}
	b.Total.New = &is.ledger.total
	b.Rules = namedChanges(rulesInOrder(r.sides), old.rules, is.ledger.rules)
	names := maps.Clone(is.ledger.partners)
	maps.Copy(names, old.partners)
	b.Partners = namedChanges(slices.Sorted(maps.Keys(names)), old.partners, is.ledger.partners)
	for i := range b.Partners {
		p := &b.Partners[i]
		p.Called = is.ledger.names[p.Name]
		if !b.alone { // one that is counted by one side alone is known to both
			p.Old, p.New = cmp.Or(p.Old, &amounts{}), cmp.Or(p.New, &amounts{})
		}
	}
	b.Notifiers = countChanges(old.notifiers, is.ledger.notifiers)
	b.Runs = countChanges(old.runs, is.ledger.runs)
	b.Differs = !b.alone && (b.Total.differs() || len(r.pages.open) > 0 || slices.ContainsFunc(slices.Concat(b.Rules, b.Partners), namedChange.differs) ||
		slices.ContainsFunc(slices.Concat(b.Notifiers, b.Runs), func(c countChange) bool { return c.Old != c.New }))
	b.Examples = r.pages.examples(b.explain)
	b.Verdict = b.verdict()
	b.Notes = r.notes()
	return b
}

// explain is the command that explains one event under both.
func (b *backtested) explain(event string) string {
	text := fmt.Sprintf("datasync-bridge explain %s -c %s --with %s", event, shellWord(b.Against), shellWord(b.Config))
	if b.store != "" {
		text = "BRIDGE_STORE__SQLITE__PATH=" + shellWord(b.store) + " " + text
	}
	return text
}

// plainWord is a word that a shell leaves as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`)

func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// rulesInOrder are the new file's rules, then those that only the old one has,
// then the defaults.
func rulesInOrder(sides []*side) []string {
	var names []string
	for _, s := range slices.Backward(sides) {
		for i := range s.cfg.Rules {
			if name := s.cfg.Rules[i].Name; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return append(names, byDefaults)
}

func namedChanges(names []string, old, new map[string]*amounts) []namedChange {
	list := make([]namedChange, 0, len(names))
	for _, name := range names {
		list = append(list, namedChange{Name: name, change: change{Old: old[name], New: new[name]}})
	}
	return list
}

func countChanges(old, new map[string]int) []countChange {
	names := maps.Clone(new)
	maps.Copy(names, old)
	list := make([]countChange, 0, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		list = append(list, countChange{Name: name, Old: old[name], New: new[name]})
	}
	return list
}

// verdict says in one line what differs.
func (b *backtested) verdict() string {
	span := fmt.Sprintf("%s, %s", b.spans(), grouped(b.Events)+" "+plural(b.Events, "event"))
	old, new := b.Total.sides()
	list := func(a amounts) string {
		return fmt.Sprintf("%s, %s, %s, %s", tallied(a.Incidents, "incident"), tallied(a.Messages, "message"), tallied(a.Pages, "page"), tallied(a.Runs, "run"))
	}
	switch {
	case b.Events == 0:
		return b.spans() + ": no event is kept of that time"
	case b.alone:
		return span + ": " + list(new)
	case !b.Differs:
		return span + ": no difference; " + list(new)
	}
	var parts []string
	for _, one := range []struct {
		noun     string
		old, new int
	}{{"page", old.Pages, new.Pages}, {"message", old.Messages, new.Messages}, {"incident", old.Incidents, new.Incidents}, {"run", old.Runs, new.Runs}} {
		parts = append(parts, moved(one.noun, one.old, one.new))
	}
	return span + ": " + strings.Join(parts, ", ")
}

// spans is how long the history is that was played.
func (b *backtested) spans() string {
	from := b.Since
	if b.First.After(from) && b.First.Sub(from) > 12*time.Hour {
		from = b.First // it begins later
	}
	d := b.Until.Sub(from)
	if days := int(d.Hours()/24 + 0.5); days > 1 {
		return fmt.Sprintf("%d days", days)
	}
	return spoken(d)
}

// moved says how an amount changes: "12 fewer pages (48 → 36)".
func moved(noun string, old, new int) string {
	word, n := "more", new-old
	if n < 0 {
		word, n = "fewer", -n
	}
	if n == 0 {
		return plural(2, noun) + " unchanged"
	}
	return fmt.Sprintf("%s %s %s (%s → %s)", grouped(n), word, plural(n, noun), grouped(old), grouped(new))
}

func tallied(n int, noun string) string { return grouped(n) + " " + plural(n, noun) }

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// grouped writes a number with commas: 1,204,331.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// notes say what a backtest cannot know.
func (r *replay) notes() []string {
	notes := []string{
		"nobody acknowledges or resolves here: reminders and escalations go on until the end",
		"every delivery counts as accepted at once: fallbacks and what an outage of Slack or PagerDuty held up are not replayed",
		"silences made at run time are not replayed; those of each file are",
		"what enrichment would have filled in is not known; what polling found is replayed as it came",
		"runs are counted and never made: a page that a run would have spared counts",
		"what was open before the first event is not known",
		"rules share what several of them tell: their rows may add up to more than all",
	}
	for _, s := range r.sides {
		if s.unplanned > 0 {
			notes = append(notes, fmt.Sprintf("%s under %s could not be planned and are left out, the first because: %s",
				tallied(s.unplanned, "event"), s.file, printable(s.why)))
		}
		if s.ledger.refused > 0 {
			notes = append(notes, fmt.Sprintf("%s under %s would be refused by a guard rail and count as none, the first because: %s",
				tallied(s.ledger.refused, "run"), s.file, printable(s.ledger.refusal)))
		}
	}
	return notes
}
