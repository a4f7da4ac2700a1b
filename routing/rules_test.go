package routing

import (
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

func TestRouting1_EveryMatchingRuleCountsInFileOrder(t *testing.T) {
	d := decide(t, failure(),
		Rule{Match: Match{"type": "transaction.failed"}, Notify: []string{"pager"}},
		Rule{Match: Match{"type": "mdn.timeout"}, Notify: []string{"archive"}},
		Rule{Match: Match{event.DocumentType: "856"}, Notify: []string{"slack"}},
	)
	wantMatched(t, d, "a c")
	wantTold(t, d, "pager slack")
}

func TestRouting1_StopEndsTheSearchOnlyWhereItMatches(t *testing.T) {
	rules := func(doc string) []Rule {
		return []Rule{
			{Match: Match{event.DocumentType: doc}, Notify: []string{"pager"}, Stop: true},
			{Match: Match{"type": "transaction.failed"}, Notify: []string{"slack"}},
		}
	}
	wantTold(t, decide(t, failure(), rules("856")...), "pager")
	wantTold(t, decide(t, failure(), rules("810")...), "slack")
}

func TestRouting2_DefaultsHearOfWhatNoRuleHandles(t *testing.T) {
	fits, other := Match{"type": "transaction.failed"}, Match{"type": "mdn.timeout"}
	for _, tt := range []struct {
		name  string
		rules []Rule
		want  string
	}{
		{"no rule at all", nil, "slack"},
		{"no rule matches", []Rule{{Match: other, Notify: []string{"pager"}}}, "slack"},
		{"only copies match", []Rule{{Match: fits, Copy: true, Notify: []string{"archive"}}}, "archive slack"},
		{"a copy beside a rule that handles it", []Rule{
			{Match: fits, Copy: true, Notify: []string{"archive"}}, {Match: fits, Notify: []string{"pager"}},
		}, "archive pager"},
		{"only rules without notify match", []Rule{{Match: fits, Severity: event.Critical}}, "slack"},
		{"a copy beside a rule without notify", []Rule{
			{Match: fits, Copy: true, Notify: []string{"archive"}}, {Match: fits, Severity: event.Critical},
		}, "archive slack"},
		{"a rule without notify beside one that handles it", []Rule{
			{Match: fits, Severity: event.Critical}, {Match: fits, Notify: []string{"pager"}},
		}, "pager"},
	} {
		t.Run(tt.name, func(t *testing.T) { wantTold(t, decide(t, failure(), tt.rules...), tt.want) })
	}
}

func TestRouting2_DropTellsNobodyAndTheHistorySaysWhichRule(t *testing.T) {
	d := decide(t, failure(),
		Rule{Match: Match{event.DocumentType: "856"}, Drop: true, Why: "test partner"},
		Rule{Match: Match{"type": "transaction.failed"}, Notify: []string{"pager"}},
	)
	wantTold(t, d, "")
	wantMatched(t, d, "a")
	if d.DroppedBy != "a" {
		t.Errorf("dropped by %q, want a", d.DroppedBy)
	}
	wantReason(t, d, `rule "a" (line 10) drops it: test partner`)
}

func TestRouting2_DropAfterANotifierOnlyStops(t *testing.T) {
	d := decide(t, failure(),
		Rule{Match: Match{"type": "transaction.failed"}, Notify: []string{"archive"}, Copy: true},
		Rule{Match: Match{event.DocumentType: "856"}, Drop: true, Why: "noise"},
		Rule{Match: Match{event.PartnerID: "par_7h2k9"}, Notify: []string{"pager"}},
	)
	wantTold(t, d, "archive")
	if d.DroppedBy != "" {
		t.Errorf("dropped by %q although a rule named a notifier", d.DroppedBy)
	}
	wantReason(t, d, `rule "b" (line 20) does not drop it, because rule "a" already named archive`)
}

func TestRouting2_DropNeverHidesAConditionThatFailed(t *testing.T) {
	d := decide(t, failure(without(event.Amount)),
		Rule{When: "transaction.amount > 10", Notify: []string{"pager"}},
		Rule{Match: Match{"type": "transaction.failed"}, Drop: true, Why: "noise"},
	)
	wantTold(t, d, "slack")
	if d.DroppedBy != "" {
		t.Errorf("dropped by %q although a condition failed", d.DroppedBy)
	}
}

func TestRouting3_NotifiersAreTheUnionInOrderOfFirstMention(t *testing.T) {
	d := decide(t, failure(),
		Rule{Match: Match{"type": "transaction.failed"}, Notify: []string{"slack", "pager"}},
		Rule{Match: Match{event.DocumentType: "856"}, Notify: []string{"archive", "slack"}},
	)
	wantTold(t, d, "slack pager archive")
	if got := asJSON(t, d.Notifiers[0].By); got != `["a","b"]` {
		t.Errorf("slack is told by %s, want both rules", got)
	}
}

func TestRouting3_SeverityIsTheHighestThatRulesSet(t *testing.T) {
	fits := Match{"type": "transaction.failed"}
	for _, tt := range []struct {
		name string
		sets []event.Severity
		want event.Severity
		from string
	}{
		{"none set: the default list", []event.Severity{0}, event.Error, "defaults.severity[5] (built in)"},
		{"lower than the default", []event.Severity{event.Warning}, event.Warning, `rule "a" (line 10)`},
		{"highest of two", []event.Severity{event.Warning, event.Critical}, event.Critical, `rule "b" (line 20)`},
		{"first of equals", []event.Severity{event.Critical, event.Critical}, event.Critical, `rule "a" (line 10)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules := make([]Rule, len(tt.sets))
			for i, s := range tt.sets {
				rules[i] = Rule{Match: fits, Severity: s}
			}
			d := decide(t, failure(), rules...)
			if d.Severity != tt.want || d.SeverityFrom != tt.from {
				t.Errorf("severity %s from %q, want %s from %q", d.Severity, d.SeverityFrom, tt.want, tt.from)
			}
		})
	}
}

func TestRouting3_TheBuiltInSeveritiesAreTheCatalogues(t *testing.T) {
	tab := table(t, config())
	for _, tt := range []struct {
		typ  string
		days any
		want event.Severity
	}{
		{"transaction.retrying", nil, event.Info},
		{"transaction.failed", nil, event.Error},
		{"transaction.rejected", nil, event.Error},
		{"acknowledgment.overdue", nil, event.Warning},
		{"mdn.timeout", nil, event.Warning},
		{"mdn.failed", nil, event.Error},
		{"sla.warning", nil, event.Error},
		{"sla.violated", nil, event.Critical},
		{"partner.certificate_expiring", nil, event.Info},
		{"partner.certificate_expiring", 15.0, event.Info},
		{"partner.certificate_expiring", 14.0, event.Warning},
		{"partner.certificate_expiring", 4.0, event.Warning},
		{"partner.certificate_expiring", 3.0, event.Error},
		{"partner.certificate_expired", nil, event.Critical},
		{"partner.connection_failed", nil, event.Error},
		{"automation.failed", nil, event.Warning},
		{"bridge.webhooks_quiet", nil, event.Error},
		{"bridge.signatures_failing", nil, event.Warning},
		{"bridge.delivery_dead", nil, event.Error},
		{"bridge.queue_old", nil, event.Warning},
		{"bridge.config_rejected", nil, event.Warning},
		{"transaction.cleared", nil, event.Info},
		{"something.new", nil, event.Error},
	} {
		ev := failure(typed(tt.typ, event.Open, event.UnknownClass))
		if tt.days != nil {
			ev.Fields[event.DaysRemaining] = tt.days
		}
		if d := decideBy(t, tab, ev); d.Severity != tt.want {
			t.Errorf("%s with %v days: %s (%s), want %s", tt.typ, tt.days, d.Severity, d.SeverityFrom, tt.want)
		}
	}
}

func TestRouting3_AListInTheFileReplacesTheBuiltInOneWhole(t *testing.T) {
	cfg := config()
	cfg.Defaults.Severity = []SeverityRule{
		{Match: Match{event.DocumentType: "856"}, Severity: event.Critical, Line: 44},
		{Match: Match{}, Severity: event.Info, Line: 45},
	}
	tab := table(t, cfg)
	if d := decideBy(t, tab, failure()); d.Severity != event.Critical || d.SeverityFrom != "defaults.severity[0] (line 44)" {
		t.Errorf("856: %s from %q", d.Severity, d.SeverityFrom)
	}
	d := decideBy(t, tab, failure(typed("sla.violated", event.Open, event.SLA), with(event.DocumentType, "810")))
	if d.Severity != event.Info || d.SeverityFrom != "defaults.severity[1] (line 45)" {
		t.Errorf("sla.violated: %s from %q, want the file's catch-all", d.Severity, d.SeverityFrom)
	}
}

func TestRouting3_SeverityInMatchIsTheDefaultOne(t *testing.T) {
	d := decide(t, failure(),
		Rule{Match: Match{"type": "transaction.failed"}, Severity: event.Critical},
		Rule{Match: Match{"severity": "critical"}, Notify: []string{"pager"}},
		Rule{Match: Match{"severity": "error"}, Notify: []string{"archive"}},
	)
	wantTold(t, d, "archive")
}

func TestRouting3_EachKeyOfGroupIsTheFirstRulesThatSetsIt(t *testing.T) {
	fits := Match{"type": "transaction.failed"}
	minutes := func(n int) *time.Duration { return new(time.Duration(n) * time.Minute) }
	cfg := config(
		Rule{Match: fits, Group: Group{Wait: minutes(1)}},
		Rule{Match: fits, Group: Group{Wait: minutes(2), Interval: minutes(3), By: []string{event.PartnerID}}},
		Rule{Match: Match{"type": "mdn.timeout"}, Group: Group{MaxMembers: new(7)}},
	)
	cfg.Defaults.Group = Group{Interval: minutes(9), ResolveWait: minutes(4)}
	d := decideBy(t, table(t, cfg), failure())
	want := incident.Group{Wait: time.Minute, Interval: 3 * time.Minute, ResolveWait: 4 * time.Minute, MaxMembers: 20}
	if d.Group != want {
		t.Errorf("group %+v, want %+v", d.Group, want)
	}
	if got := asJSON(t, d.GroupBy); got != `["partner.id"]` {
		t.Errorf("group by %s", got)
	}
}

func TestRouting3_EscalationsAndRepairsOfAllRulesCount(t *testing.T) {
	fits := Match{"type": "transaction.failed"}
	d := decide(t, failure(),
		Rule{Match: fits, Notify: []string{"slack"}, Remediate: "resend-status",
			Escalate: []Escalate{{After: 15 * time.Minute, Notify: []string{"pager"}}}},
		Rule{Match: fits, Remediate: "regenerate-mdn", Escalate: []Escalate{{After: time.Hour, Notify: []string{"lead"}}}},
		Rule{Match: fits, Remediate: "resend-status"},
	)
	if got := asJSON(t, d.Remediate); got != `["resend-status","regenerate-mdn"]` {
		t.Errorf("remediate %s", got)
	}
	if len(d.Escalate) != 2 || d.Escalate[0].Rule != "a" || d.Escalate[1].After != time.Hour {
		t.Errorf("escalate %+v", d.Escalate)
	}
}

func TestRouting10_SettleAndNoneTellNobody(t *testing.T) {
	tab := table(t, config(Rule{Match: Match{}, Notify: []string{"pager"}, Remediate: "resend-status"}))
	for _, effect := range []event.Effect{event.Settle, event.None} {
		d := decideBy(t, tab, failure(typed("transaction.delivered", effect, event.UnknownClass)))
		if len(d.Notifiers)+len(d.Remediate)+len(d.Rules) != 0 || d.Effect != effect || len(d.Reasons) == 0 {
			t.Errorf("%s: %+v", effect, d)
		}
	}
}

func TestRouting10_NoNoteReachesAPager(t *testing.T) {
	d := decide(t, failure(typed("something.new", event.Note, event.UnknownClass)),
		Rule{Match: Match{"type": "something.*"}, Notify: []string{"lead", "archive"}, Remediate: "resend-status",
			Escalate: []Escalate{{After: time.Minute, Notify: []string{"pager"}}}})
	wantTold(t, d, "slack archive")
	if r := d.Notifiers[0]; r.Instead != "lead" || r.Why != "a note never pages" {
		t.Errorf("slack stands in for %q because %q", r.Instead, r.Why)
	}
	if len(d.Escalate)+len(d.Remediate) != 0 {
		t.Errorf("a note escalates %v, remediates %v", d.Escalate, d.Remediate)
	}
}

func TestRouting10_ARetryIsToldByRetryingAlertOnly(t *testing.T) {
	retry := func(n float64) event.Event {
		return failure(typed("transaction.retrying", event.None, event.Connectivity),
			with(event.AttemptFinal, false), with(event.AttemptNumber, n))
	}
	notFinal := failure(with(event.AttemptFinal, false), with(event.AttemptNumber, 2.0))
	for _, tt := range []struct {
		name   string
		alert  *RetryingAlert
		ev     event.Event
		effect event.Effect
		told   string
	}{
		{"not set", nil, retry(9), event.None, ""},
		{"not set, failed but not final", nil, notFinal, event.None, ""},
		{"too few attempts", &RetryingAlert{Attempts: 3}, retry(2), event.None, ""},
		{"enough attempts", &RetryingAlert{Attempts: 3}, retry(3), event.Open, "slack"},
		{"failed but not final, enough", &RetryingAlert{Attempts: 2}, notFinal, event.Open, "slack"},
		{"a time may make it one later", &RetryingAlert{After: time.Hour}, retry(1), event.None, "slack"},
		{"final", nil, failure(), event.Open, "slack"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config()
			cfg.Defaults.RetryingAlert = tt.alert
			d := decideBy(t, table(t, cfg), tt.ev)
			if d.Effect != tt.effect {
				t.Errorf("effect %s, want %s", d.Effect, tt.effect)
			}
			wantTold(t, d, tt.told)
		})
	}
}

func TestRouting26_SandboxAndUnauthenticatedEventsNeverPage(t *testing.T) {
	sandbox := func(ev *event.Event) { ev.Environment = event.Sandbox }
	unsigned := func(ev *event.Event) { ev.Authentic = false }
	for _, tt := range []struct {
		name    string
		edit    func(*event.Event)
		notify  []string
		want    string
		instead string
		reason  string
	}{
		{"production pages", func(*event.Event) {}, []string{"pager"}, "pager", "", ""},
		{"the fallback takes its place", sandbox, []string{"pager"}, "slack", "pager", ""},
		{"unauthenticated", unsigned, []string{"pager"}, "slack", "pager", ""},
		{"no fallback: the defaults that do not page", sandbox, []string{"lead"}, "slack", "lead", ""},
		{"a fallback that pages does not count", sandbox, []string{"chain"}, "slack", "chain", ""},
		{"who is told anyway is told once", sandbox, []string{"pager", "slack"}, "slack", "", `pager "pager" is left out, and "slack" is told anyway`},
		{"two pagers, one message", sandbox, []string{"pager", "lead"}, "slack", "pager", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := decide(t, failure(tt.edit), Rule{Match: Match{"type": "transaction.failed"}, Notify: tt.notify})
			wantTold(t, d, tt.want)
			if got := d.Notifiers[0].Instead; got != tt.instead {
				t.Errorf("instead of %q, want %q", got, tt.instead)
			}
			if (tt.instead != "") != (d.Notifiers[0].Why != "") {
				t.Errorf("why %q", d.Notifiers[0].Why)
			}
			wantReason(t, d, tt.reason)
		})
	}
}

func TestRouting26_EscalationsOfASandboxEventDoNotPageEither(t *testing.T) {
	d := decide(t, failure(func(ev *event.Event) { ev.Environment = event.Sandbox }),
		Rule{Match: Match{"type": "transaction.failed"}, Notify: []string{"archive"}, Escalate: []Escalate{
			{After: time.Minute, Notify: []string{"pager"}}, {After: time.Hour, Notify: []string{"lead"}},
		}})
	if len(d.Escalate) != 1 || asJSON(t, d.Escalate[0].Notify) != `["slack"]` {
		t.Errorf("escalate %+v, want slack once", d.Escalate)
	}
}

func TestRouting26_NobodyLeftToTellIsExplained(t *testing.T) {
	cfg := config(Rule{Match: Match{}, Notify: []string{"lead"}})
	cfg.Defaults.Notify = []string{"lead"}
	tab, problems := Compile(cfg, names())
	wantProblem(t, problems, "defaults.notify", "names pagers only")
	d := decideBy(t, tab, failure(func(ev *event.Event) { ev.Authentic = false }))
	wantTold(t, d, "")
	wantReason(t, d, "there is nobody to tell instead")
}

func TestRouting39_TheDecisionHoldsTheConfigurationsHash(t *testing.T) {
	if d := decide(t, failure()); d.Config != "hash-1" {
		t.Errorf("config %q", d.Config)
	}
}
