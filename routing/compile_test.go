package routing

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

// edited is a sound configuration with one rule, changed.
func edited(edit func(*Config)) Config {
	cfg := config(Rule{Name: "one", Match: Match{"type": "transaction.failed"}, Notify: []string{"slack"}})
	edit(&cfg)
	return cfg
}

func rule0(edit func(*Rule)) func(*Config) { return func(c *Config) { edit(&c.Rules[0]) } }

func onDefaults(edit func(*Defaults)) func(*Config) { return func(c *Config) { edit(&c.Defaults) } }

func matching(path string, v any) func(*Config) {
	return rule0(func(r *Rule) { r.Match = Match{path: v} })
}

func TestASoundConfigurationHasNoProblem(t *testing.T) {
	if p := problemsOf(edited(func(*Config) {})); len(p) > 0 {
		t.Errorf("%+v", p)
	}
}

func TestRouting9_AnUnquotedNumberWhereATextBelongsIsRefused(t *testing.T) {
	for _, tt := range []struct {
		path string
		v    any
		at   string
		text string
	}{
		{event.DocumentType, json.Number("856"), "", `quote it: "856"`},
		{event.PartnerID, json.Number("006922827"), "", `quote it: "006922827"`},
		{event.DocumentType, []any{"810", json.Number("856")}, "[1]", `quote it: "856"`},
		{event.DocumentType, map[string]any{"not": json.Number("856")}, ".not", `quote it: "856"`},
		{event.Currency, true, "", `quote it: "true"`},
	} {
		p := wantProblem(t, problemsOf(edited(matching(tt.path, tt.v))), "rules[0].match."+tt.path+tt.at, tt.text)
		if p.Warning {
			t.Errorf("%v is only a warning", tt.v)
		}
	}
	for path, v := range map[string]any{event.Amount: json.Number("856"), "data.code": json.Number("856"), event.AttemptFinal: true} {
		if p := problemsOf(edited(matching(path, v))); len(p) > 0 {
			t.Errorf("%s: %v is refused: %+v", path, v, p)
		}
	}
}

func TestRouting38_FaultsOfAMatch(t *testing.T) {
	for _, tt := range []struct {
		path string
		v    any
		at   string
		text string
	}{
		{"transaction.document_typ", "856", "", `no field named "transaction.document_typ"; did you mean "transaction.document_type"?`},
		{"datas.x", "1", "", "fields of the raw payload begin with data."},
		{"transaction", op("document_type", "856"), "", `is a group of fields; write a whole path, such as transaction.id`},
		{event.DocumentType, op("no", "856"), ".no", `no operator named "no"; did you mean "not"?`},
		{event.DocumentType, op("equals", "856"), ".equals", "use not, gte, gt, lte, lt, regex, exists"},
		{event.DocumentType, map[string]any{}, "", "has no operator"},
		{event.DocumentType, []any{}, "", "is an empty list"},
		{event.DocumentType, nil, "", "write {exists: false}"},
		{event.DocumentType, []any{[]any{"856"}}, "[0]", "a list in a list"},
		{event.DocumentType, []any{op("not", "856")}, "[0]", "a map"},
		{event.DocumentType, op("exists", "no"), ".exists", "must be true or false"},
		{event.DocumentType, op("regex", "("), ".regex", "missing closing )"},
		{event.DocumentType, op("regex", "a)|(b"), ".regex", "unexpected )"},
		{event.DocumentType, op("regex", json.Number("8")), ".regex", "must be a text"},
		{event.Amount, op("regex", "8.*"), ".regex", "transaction.amount is none"},
		{event.Amount, op("gte", "much"), ".gte", `must be a number (got "much")`},
		{event.Amount, "much", "", "must be a number"},
		{"data.n", json.Number("0x10"), "", "0x10 is no decimal number"},
		{event.Amount, op("lt", json.Number(".inf")), ".lt", "must be a number"},
		{event.SLADue, op("gte", json.Number("3")), ".gte", "use when"},
		{event.AttemptFinal, "true", "", "without quotes"},
		{event.AttemptFinal, json.Number("1"), "", "must be true or false"},
		{"severity", "eror", "", `no severity named "eror"; did you mean "error"?`},
		{"severity", op("gte", json.Number("3")), ".gte", "list the severities"},
		{"environment", "prod", "", "use production, sandbox"},
		{"class", "conectivity", "", `did you mean "connectivity"?`},
		{"origin", "reply", "", `did you mean "replay"?`},
	} {
		p := wantProblem(t, problemsOf(edited(matching(tt.path, tt.v))), "rules[0].match."+tt.path+tt.at, tt.text)
		if p.Warning {
			t.Errorf("%s: %v is only a warning", tt.path, tt.v)
		}
	}
}

func TestRouting38_AMisspelledTypeIsAWarning(t *testing.T) {
	for _, tt := range []struct{ typ, text string }{
		{"transaction.faild", `did you mean "transaction.failed"?`},
		{"sla.mised", `did you mean "sla.missed"?`},
		{"acknowledgment.rej*", `write its canonical name "transaction.rejected"`},
	} {
		if p := wantProblem(t, problemsOf(edited(matching("type", tt.typ))), "rules[0].match.type", tt.text); !p.Warning {
			t.Errorf("%s is a load error: platforms grow", tt.typ)
		}
	}
	if p := problemsOf(edited(matching("type", []any{"invoice.parked", "invoice.*"}))); len(p) > 0 {
		t.Errorf("a type unlike all known ones: %+v", p)
	}
}

func TestRouting38_FaultsOfARule(t *testing.T) {
	negative := new(-time.Second)
	for _, tt := range []struct {
		name string
		edit func(*Config)
		at   string
		text string
	}{
		{"2: empty notify", rule0(func(r *Rule) { r.Notify = []string{} }), "rules[0].notify", "is empty"},
		{"2: drop without why", rule0(func(r *Rule) { r.Drop, r.Notify = true, nil }), "rules[0].why", "is missing"},
		{"2: drop with notify", rule0(func(r *Rule) { r.Drop, r.Why = true, "x" }), "rules[0].notify", "remove notify or drop"},
		{"20: escalates to who is told", rule0(func(r *Rule) {
			r.Escalate = []Escalate{{After: time.Minute, Notify: []string{"slack"}}}
		}), "rules[0].escalate[0].notify[0]", `"slack" is already told by then`},
		{"20: escalates to a default that is told", rule0(func(r *Rule) {
			r.Notify = nil
			r.Escalate = []Escalate{{After: time.Minute, Notify: []string{"slack"}}}
		}), "rules[0].escalate[0].notify[0]", `"slack" is already told by then`},
		{"20: escalates twice to one", rule0(func(r *Rule) {
			r.Escalate = []Escalate{{After: 1, Notify: []string{"pager"}}, {After: 2, Notify: []string{"pager"}}}
		}), "rules[0].escalate[1].notify[0]", `"pager" is already told by then`},
		{"20: escalates at once", rule0(func(r *Rule) { r.Escalate = []Escalate{{Notify: []string{"pager"}}} }),
			"rules[0].escalate[0].after", "must be above zero (got 0s)"},
		{"20: escalates to nobody", rule0(func(r *Rule) { r.Escalate = []Escalate{{After: 1}} }),
			"rules[0].escalate[0].notify", "at least one"},
		{"20: unless", rule0(func(r *Rule) {
			r.Escalate = []Escalate{{After: 1, Unless: "acked", Notify: []string{"pager"}}}
		}), "rules[0].escalate[0].unless", "must be acknowledged"},
		{"22: a retired notifier", rule0(func(r *Rule) { r.Notify = []string{"old"} }), "rules[0].notify[0]", "is retired"},
		{"33: unknown remediation", rule0(func(r *Rule) { r.Remediate = "resend-statsu" }),
			"rules[0].remediate", `no remediation named "resend-statsu"; did you mean "resend-status"?`},
		{"38: no name", rule0(func(r *Rule) { r.Name = " " }), "rules[0].name", "is missing"},
		{"38: two of a name", func(c *Config) {
			c.Rules = append(c.Rules, Rule{Name: "one", Match: Match{"type": "mdn.timeout"}})
		}, "rules[1].name", `"one" is also the name of rules[0]`},
		{"38: unknown notifier", rule0(func(r *Rule) { r.Notify = []string{"slack", "pagr"} }),
			"rules[0].notify[1]", `no notifier named "pagr"; did you mean "pager"?`},
		{"38: unknown notifier of an escalation", rule0(func(r *Rule) {
			r.Escalate = []Escalate{{After: 1, Notify: []string{"nobody"}}}
		}), "rules[0].escalate[0].notify[0]", `no notifier named "nobody"; define it under notifiers`},
		{"38: negative wait", rule0(func(r *Rule) { r.Group.Wait = negative }), "rules[0].group.wait", "must not be negative"},
		{"38: negative resolve_wait", rule0(func(r *Rule) { r.Group.ResolveWait = negative }), "rules[0].group.resolve_wait", "must not be negative"},
		{"38: zero interval", rule0(func(r *Rule) { r.Group.Interval = new(time.Duration) }), "rules[0].group.interval", "must be above zero"},
		{"38: max_members 0", rule0(func(r *Rule) { r.Group.MaxMembers = new(0) }), "rules[0].group.max_members", "between 1 and 100 (got 0)"},
		{"38: max_members 101", rule0(func(r *Rule) { r.Group.MaxMembers = new(101) }), "rules[0].group.max_members", "between 1 and 100"},
		{"38: unknown path of group.by", rule0(func(r *Rule) { r.Group.By = []string{"class", "partner.ide"} }),
			"rules[0].group.by[1]", `did you mean "partner.id"?`},
		{"38: empty group.by", rule0(func(r *Rule) { r.Group.By = []string{} }), "rules[0].group.by", "is empty"},
		{"38: blank when", rule0(func(r *Rule) { r.When = "  " }), "rules[0].when", "is blank"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if p := wantProblem(t, problemsOf(edited(tt.edit)), tt.at, tt.text); p.Warning {
				t.Error("is only a warning")
			}
		})
	}
}

func TestRouting38_FaultsOfTheDefaults(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Defaults)
		at   string
		text string
	}{
		{"nobody", func(d *Defaults) { d.Notify = nil }, "defaults.notify", "at least one"},
		{"unknown", func(d *Defaults) { d.Notify = []string{"slak"} }, "defaults.notify[0]", `did you mean "slack"?`},
		{"repeat of an unknown severity", func(d *Defaults) { d.Repeat = Repeat{"critcal": event.Never} }, "defaults.repeat.critcal", `did you mean "critical"?`},
		{"repeat at once", func(d *Defaults) { d.Repeat = Repeat{"critical": 0} }, "defaults.repeat.critical", "above zero, or never"},
		{"negative stale_after", func(d *Defaults) { d.StaleAfter = -5 }, "defaults.stale_after", "above zero, or never"},
		{"negative close_after", func(d *Defaults) { d.CloseAfter = -5 }, "defaults.close_after", "above zero, or never"},
		{"negative reopen_within", func(d *Defaults) { d.ReopenWithin = -5 }, "defaults.reopen_within", "above zero"},
		{"negative attempts", func(d *Defaults) { d.RetryingAlert = &RetryingAlert{Attempts: -1} }, "defaults.retrying_alert.attempts", "above zero"},
		{"negative after", func(d *Defaults) { d.RetryingAlert = &RetryingAlert{After: -1} }, "defaults.retrying_alert.after", "above zero"},
		{"empty retrying_alert", func(d *Defaults) { d.RetryingAlert = &RetryingAlert{} }, "defaults.retrying_alert", "needs attempts, after or both"},
		{"no such zone", func(d *Defaults) { d.TimeZone = "America/Chicgo" }, "defaults.time_zone", `no time zone named "America/Chicgo"`},
		{"the machine's zone", func(d *Defaults) { d.TimeZone = "Local" }, "defaults.time_zone", "named zone"},
		{"a URL as host", func(d *Defaults) { d.LinkHosts = []string{"a.example", "https://b.example/x"} }, "defaults.link_hosts[1]", "host name alone"},
		{"a star as host", func(d *Defaults) { d.LinkHosts = []string{"*.example"} }, "defaults.link_hosts[0]", "host name alone"},
		{"no catch-all", func(d *Defaults) {
			d.Severity = []SeverityRule{{Match: Match{"type": "mdn.failed"}, Severity: event.Error}}
		}, "defaults.severity", "must end with a catch-all"},
		{"an empty list", func(d *Defaults) { d.Severity = []SeverityRule{} }, "defaults.severity", "must end with a catch-all"},
		{"a catch-all too early", func(d *Defaults) {
			d.Severity = []SeverityRule{{Severity: event.Error}, {Severity: event.Error}}
		}, "defaults.severity[0].match", "move it to the end"},
		{"no severity", func(d *Defaults) { d.Severity = []SeverityRule{{Match: Match{}}} }, "defaults.severity[0].severity", "is missing"},
		{"severity by severity", func(d *Defaults) {
			d.Severity = []SeverityRule{{Match: Match{"severity": "info"}, Severity: event.Error}, {Severity: event.Error}}
		}, "defaults.severity[0].match.severity", "this list decides"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if p := wantProblem(t, problemsOf(edited(onDefaults(tt.edit))), tt.at, tt.text); p.Warning {
				t.Error("is only a warning")
			}
		})
	}
}

func TestRouting38_RulesThatAreNeverReached(t *testing.T) {
	failed := Match{"type": "transaction.failed"}
	both := Match{"type": "transaction.failed", event.DocumentType: "856"}
	for _, tt := range []struct {
		name  string
		rules []Rule
		never []int
	}{
		{"after an unconditional stop", []Rule{{Stop: true}, {Match: failed}, {Match: both}}, []int{1, 2}},
		{"after an unconditional drop", []Rule{{Drop: true, Why: "x"}, {Match: failed}}, []int{1}},
		{"after a stop that asks for less", []Rule{{Match: failed, Stop: true}, {Match: both}}, []int{1}},
		{"after a stop that asks for the same", []Rule{{Match: both, Stop: true}, {Match: both}}, []int{1}},
		{"a stop with a condition", []Rule{{When: `type == "mdn.failed"`, Stop: true}, {Match: failed}}, nil},
		{"a stop that asks for more", []Rule{{Match: both, Stop: true}, {Match: failed}}, nil},
		{"a stop that asks for something else", []Rule{{Match: Match{"type": "mdn.failed"}, Stop: true}, {Match: both}}, nil},
		{"a catch-all stop at the end", []Rule{{Match: failed}, {Stop: true}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []int
			for _, p := range problemsOf(config(tt.rules...)) {
				if strings.Contains(p.Text, "is never reached") && !p.Warning {
					got = append(got, int(p.Path[len("rules[")]-'0'))
				}
			}
			if !slices.Equal(got, tt.never) {
				t.Errorf("never reached: %v, want %v", got, tt.never)
			}
		})
	}
}

func TestRouting4_AnEmptyMatchThatIsNotLastIsAWarning(t *testing.T) {
	catchAll, failed := Rule{Notify: []string{"slack"}}, Rule{Match: Match{"type": "transaction.failed"}}
	if p := wantProblem(t, problemsOf(config(catchAll, failed)), "rules[0].match", "matches every event"); !p.Warning {
		t.Error("is a load error")
	}
	for _, rules := range [][]Rule{{failed, catchAll}, {{When: "attempt.final"}, failed}} {
		if p := problemsOf(config(rules...)); len(p) > 0 {
			t.Errorf("%+v", p)
		}
	}
}

func TestACopyToNobodyIsAWarning(t *testing.T) {
	p := wantProblem(t, problemsOf(edited(rule0(func(r *Rule) { r.Copy, r.Notify = true, nil }))), "rules[0].copy", "copies to nobody")
	if !p.Warning {
		t.Error("is a load error")
	}
}

func TestRouting38_AllFaultsAtOnce(t *testing.T) {
	tab, problems := Compile(Config{
		Defaults: Defaults{Notify: []string{"nobody"}, TimeZone: "Nowhere", Severity: []SeverityRule{}},
		Rules: []Rule{
			{Name: "a", Match: Match{event.DocumentType: json.Number("856"), "tpye": "x"}, When: "foo ==", Notify: []string{"pagr"}},
			{Name: "a", Remediate: "nothing", Drop: true},
		},
	}, names())
	if tab != nil {
		t.Error("a table in spite of faults")
	}
	for path, part := range map[string]string{
		"defaults.notify[0]": "no notifier", "defaults.time_zone": "no time zone", "defaults.severity": "catch-all",
		"rules[0].match." + event.DocumentType: "quote it", "rules[0].match.tpye": `"type"`, "rules[0].when": "unexpected",
		"rules[0].notify[0]": `"pager"`, "rules[1].name": "also the name", "rules[1].remediate": "no remediation", "rules[1].why": "is missing",
	} {
		wantProblem(t, problems, path, part)
	}
}

func TestRouting20_RepeatIsOneValueOrAMap(t *testing.T) {
	var r Repeat
	if err := r.UnmarshalText([]byte("2h")); err != nil {
		t.Fatal(err)
	}
	for _, s := range event.Severities {
		if r[s.String()] != event.Span(2*time.Hour) {
			t.Errorf("%s: %v", s, r[s.String()])
		}
	}
	if err := r.UnmarshalText([]byte("5")); err == nil {
		t.Error("a bare 5 is accepted")
	}
	d := Config{Defaults: Defaults{Repeat: Repeat{"error": event.Never}}}.WithDefaults().Defaults.Repeat
	if d["error"] != event.Never || d["critical"] != event.Span(time.Hour) {
		t.Errorf("a map with gaps became %v", d)
	}
}

func TestWithDefaultsLeavesWhatItWasGiven(t *testing.T) {
	cfg := config(Rule{Escalate: []Escalate{{After: 1}}})
	cfg.Defaults.Repeat = Repeat{"error": event.Never}
	before := asJSON(t, cfg)
	cfg.WithDefaults()
	if after := asJSON(t, cfg); after != before {
		t.Errorf("%s\nbecame\n%s", before, after)
	}
}
