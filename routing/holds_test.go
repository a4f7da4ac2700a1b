package routing

import (
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/calendar"
	"datasync-bridge/routing/incident"
)

// hours gives a configuration the calendar business and the digest morning.
func hours(c *Config) {
	c.Calendars = []calendar.Config{{Name: "business", TZ: "America/Chicago", Hours: map[string]string{"mon-fri": "08:00-18:00"}}}
	c.Digests = []Digest{{Name: "morning", Calendar: "business", At: "08:00"}}
}

func withHours(rules ...Rule) Config {
	cfg := config(rules...)
	hours(&cfg)
	return cfg
}

func windowsOf(d incident.Decision, notifier string) []incident.Window {
	for _, r := range d.Notifiers {
		if r.Notifier == notifier {
			return r.Windows
		}
	}
	return nil
}

func TestRouting23AWindowHoldsOnlyItsRulesContribution(t *testing.T) {
	failed := Match{"type": "transaction.failed"}
	small := Rule{Name: "small", Match: failed, Notify: []string{"slack"}, OnlyDuring: "business"}
	large := Rule{Name: "large", Match: failed, Notify: []string{"slack"}}
	dropped := Rule{Name: "dropped", Match: failed, Notify: []string{"slack", "archive"}, OnlyDuring: "business", Outside: incident.Left}
	listed := Rule{Name: "listed", Match: failed, Notify: []string{"slack"}, Digest: "morning"}
	for _, tt := range []struct {
		name  string
		rules []Rule
		want  []incident.Window
	}{
		{"delay is the default", []Rule{small}, []incident.Window{{Rule: "small", Calendar: "business", Outside: incident.Delayed}}},
		{"a rule without a window opens it, after", []Rule{small, large}, nil},
		{"and before", []Rule{large, small}, nil},
		{"two windows", []Rule{small, dropped}, []incident.Window{
			{Rule: "small", Calendar: "business", Outside: incident.Delayed}, {Rule: "dropped", Calendar: "business", Outside: incident.Left}}},
		{"equal windows are one", []Rule{small, {Name: "twin", Match: failed, Notify: []string{"slack"}, OnlyDuring: "business"}},
			[]incident.Window{{Rule: "small", Calendar: "business", Outside: incident.Delayed}}},
		{"a digest without hours", []Rule{listed}, []incident.Window{{Rule: "listed", Outside: incident.Digested, Digest: "morning"}}},
		{"a copy and the defaults, which name it too", []Rule{{Name: "copy", Match: failed, Notify: []string{"slack"}, Copy: true, OnlyDuring: "business"}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := windowsOf(decideBy(t, table(t, withHours(tt.rules...)), failure()), "slack")
			if asJSON(t, got) != asJSON(t, tt.want) {
				t.Errorf("windows %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestRouting23WhoReplacesAPagerIsHeldAsThatIs(t *testing.T) {
	failed := Match{"type": "transaction.failed"}
	held := Rule{Name: "held", Match: failed, Notify: []string{"slack"}, OnlyDuring: "business"}
	page := Rule{Name: "page", Match: failed, Notify: []string{"pager"}}
	trial := func(e *event.Event) { e.Environment = event.Sandbox }
	d := decideBy(t, table(t, withHours(held, page)), failure(trial))
	if w := windowsOf(d, "slack"); w != nil {
		t.Errorf("slack stands in for a pager that may be told at any time, and is held by %+v", w)
	}
	page.OnlyDuring = "business"
	d = decideBy(t, table(t, withHours(page)), failure(trial))
	if len(d.Notifiers) != 1 || len(d.Notifiers[0].Windows) != 1 {
		t.Errorf("told are %+v", d.Notifiers)
	}
}

func TestRouting23EscalationsKeepTheirRulesWindow(t *testing.T) {
	d := decideBy(t, table(t, withHours(Rule{Name: "a", Match: Match{"type": "transaction.failed"}, Notify: []string{"slack"}, OnlyDuring: "business",
		Escalate: []Escalate{{After: time.Hour, Unless: "acknowledged", Notify: []string{"archive"}}}})), failure())
	if len(d.Escalate) != 1 || d.Escalate[0].Window == nil || d.Escalate[0].Window.Calendar != "business" {
		t.Errorf("escalations %+v", d.Escalate)
	}
}

func TestRouting38FaultsOfHours(t *testing.T) {
	for _, tt := range []struct {
		path, says string
		edit       func(*Config)
	}{
		{"rules[0].only_during", `did you mean "business"`, rule0(func(r *Rule) { r.OnlyDuring = "busine5s" })},
		{"rules[0].digest", `did you mean "morning"`, rule0(func(r *Rule) { r.Digest = "mornin" })},
		{"rules[0].outside", "which is missing", rule0(func(r *Rule) { r.Outside = incident.Left })},
		{"rules[0].outside", "which is missing", rule0(func(r *Rule) { r.Digest, r.Outside = "morning", incident.Digested })},
		{"rules[0].outside", "delay, digest or drop", rule0(func(r *Rule) { r.OnlyDuring, r.Outside = "business", "later" })},
		{"rules[0].digest", "write outside: digest", rule0(func(r *Rule) { r.OnlyDuring, r.Digest = "business", "morning" })},
		{"rules[0].notify[0]", "a digest pages nobody", rule0(func(r *Rule) { r.Notify, r.Digest = []string{"pager"}, "morning" })},
		{"rules[0].only_during", "tells nobody at any time", rule0(func(r *Rule) { r.Notify, r.Drop, r.Why, r.OnlyDuring = nil, true, "x", "business" })},
		{"rules[0].only_during", "holds nothing back", rule0(func(r *Rule) { r.Notify, r.OnlyDuring = nil, "business" })},
		{"rules[0].name", "defaults.notify", rule0(func(r *Rule) { r.Name = "defaults" })},
		{"calendars[0].hours.mon-fri", "no range of hours", func(c *Config) { c.Calendars[0].Hours["mon-fri"] = "8-18" }},
		{"calendars[1].name", "taken", func(c *Config) { c.Calendars = append(c.Calendars, c.Calendars[0]) }},
		{"calendars[0].name", "is missing", func(c *Config) { c.Calendars[0].Name = "" }},
		{"digests[0].at", "no time of day", func(c *Config) { c.Digests[0].At = "8 o'clock" }},
		{"digests[0].calendar", `no calendar named "nights"`, func(c *Config) { c.Digests[0].Calendar = "nights" }},
		{"digests[0].name", "a calendar too", func(c *Config) { c.Digests[0].Name = "business" }},
	} {
		wantProblem(t, problemsOf(edited(func(c *Config) { hours(c); tt.edit(c) })), tt.path, tt.says)
	}
}

func TestRouting24CausesAndWhatTheyMuteMeetAtOneHandle(t *testing.T) {
	cfg := config()
	cfg.Inhibit = []Inhibit{{By: Match{"class": "certificate"}, Mutes: Match{"class": "mdn_negative"}, Same: []string{event.PartnerID}}}
	tab := table(t, cfg)
	cause := decideBy(t, tab, failure(typed("partner.certificate_expired", event.Open, event.Certificate)))
	muted := decideBy(t, tab, failure(typed("mdn.failed", event.Open, event.MDNNegative)))
	if len(cause.Causes) != 1 || len(muted.CausedBy) != 1 || cause.Causes[0] != muted.CausedBy[0] || cause.CausedBy != nil || muted.Causes != nil {
		t.Fatalf("causes %q and %q", cause.Causes, muted.CausedBy)
	}
	for name, ev := range map[string]event.Event{
		"another partner": failure(typed("mdn.failed", event.Open, event.MDNNegative), with(event.PartnerID, "par_2")),
		"no partner":      failure(typed("mdn.failed", event.Open, event.MDNNegative), without(event.PartnerID)),
		"another class":   failure(typed("mdn.timeout", event.Open, event.MDNTimeout)),
		"a recovery":      failure(typed("mdn.received", event.Settle, event.MDNNegative)),
	} {
		if d := decideBy(t, tab, ev); len(d.CausedBy) > 0 && d.CausedBy[0] == cause.Causes[0] {
			t.Errorf("%s is muted", name)
		}
	}
	cfg.Rules = append(cfg.Rules, Rule{Name: "new", Match: Match{"type": "sla.warning"}, Notify: []string{"slack"}})
	if d := decideBy(t, table(t, cfg), failure(typed("mdn.failed", event.Open, event.MDNNegative))); d.CausedBy[0] != cause.Causes[0] {
		t.Error("an edit elsewhere in the file changes the handle, so that open causes are forgotten")
	}
}

func TestRouting24FaultsOfInhibit(t *testing.T) {
	for path, edit := range map[string]func(*Inhibit){
		"inhibit[0].by":                func(n *Inhibit) { n.By = nil },
		"inhibit[0].mutes":             func(n *Inhibit) { n.Mutes = nil },
		"inhibit[0].same":              func(n *Inhibit) { n.Same = nil },
		"inhibit[0].same[0]":           func(n *Inhibit) { n.Same = []string{"partner.idd"} },
		"inhibit[0].by.class":          func(n *Inhibit) { n.By = Match{"class": "certificat"} },
		"inhibit[0].mutes.partner.idd": func(n *Inhibit) { n.Mutes = Match{"partner.idd": "x"} },
	} {
		wantProblem(t, problemsOf(edited(func(c *Config) {
			n := Inhibit{By: Match{"class": "certificate"}, Mutes: Match{"class": "mdn_negative"}, Same: []string{event.PartnerID}}
			edit(&n)
			c.Inhibit = []Inhibit{n}
		})), path, "")
	}
}

var silenceStart = time.Date(2026, 11, 30, 22, 0, 0, 0, time.UTC)

func quietFor(id string, match Match, length time.Duration) Silence {
	return Silence{ID: id, Match: match, From: event.Moment{Time: silenceStart}, Until: event.Moment{Time: silenceStart.Add(length)}, By: "ana", Why: "a move"}
}

func TestRouting23ASilenceHoldsFromItsBeginningUntilItsEnd(t *testing.T) {
	cfg := config()
	cfg.Silences = []Silence{quietFor("short", Match{"type": "transaction.failed"}, time.Hour), quietFor("other", Match{event.PartnerID: "par_2"}, time.Hour)}
	tab := table(t, cfg)
	q := tab.Silences([]incident.Silence{
		{ID: "sl_1", Match: map[string]any{event.PartnerID: "par_7h2k9"}, From: silenceStart, Until: silenceStart.Add(2 * time.Hour), By: "ben"},
		{ID: "sl_2", Match: map[string]any{event.PartnerID: "par_7h2k9"}, From: silenceStart, Until: silenceStart.Add(9 * time.Hour), Expired: &incident.Mark{By: "ben"}},
		{ID: "sl_3", Match: map[string]any{"no.such": "field"}, From: silenceStart, Until: silenceStart.Add(9 * time.Hour)},
		{ID: "sl_4", From: silenceStart, Until: silenceStart.Add(9 * time.Hour)},
	})
	for _, tt := range []struct {
		after time.Duration
		want  string
	}{{-time.Second, ""}, {0, "sl_1"}, {time.Hour, "sl_1"}, {2 * time.Hour, ""}} {
		got, ok := q.Silencing(failure(), silenceStart.Add(tt.after))
		if got.ID != tt.want || ok != (tt.want != "") {
			t.Errorf("after %v: %q (%v), want %q", tt.after, got.ID, ok, tt.want)
		}
	}
	if got, _ := tab.Silences(nil).Silencing(failure(), silenceStart); got.ID != "short" || !got.FromFile {
		t.Errorf("of the file: %+v", got)
	}
}

func TestRouting38FaultsOfSilences(t *testing.T) {
	for _, tt := range []struct {
		path string
		edit func(*Silence)
	}{
		{"silences[1].id", func(s *Silence) { s.ID = "" }},
		{"silences[1].id", func(s *Silence) { s.ID = "first" }},
		{"silences[1].id", func(s *Silence) { s.ID = "sl_mine" }},
		{"silences[1].match", func(s *Silence) { s.Match = Match{} }},
		{"silences[1].match.data.x", func(s *Silence) { s.Match = Match{"data.x": "1"} }},
		{"silences[1].match.partner.idd", func(s *Silence) { s.Match = Match{"partner.idd": "1"} }},
		{"silences[1].until", func(s *Silence) { s.Until = s.From }},
		{"silences[1].until", func(s *Silence) { s.Until = event.Moment{} }},
		{"silences[1].by", func(s *Silence) { s.By = " " }},
		{"silences[1].why", func(s *Silence) { s.Why = "" }},
	} {
		wantProblem(t, problemsOf(edited(func(c *Config) {
			s := quietFor("second", Match{"type": "transaction.failed"}, time.Hour)
			tt.edit(&s)
			c.Silences = []Silence{quietFor("first", Match{event.PartnerID: "x"}, time.Hour), s}
		})), tt.path, "")
	}
}
