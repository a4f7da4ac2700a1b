package incident

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"datasync-bridge/event"
)

// story draws what happens next; world.check holds every plan against what is
// always true.
type story struct {
	*world
	r *rapid.T
}

func (s story) pick(label string, of ...string) string { return rapid.SampledFrom(of).Draw(s.r, label) }

func (s story) some(label string, of ...string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 1, len(of), rapid.ID[string]).Draw(s.r, label)
}

func (s story) minutes(label string, of ...int) time.Duration {
	return time.Duration(rapid.SampledFrom(of).Draw(s.r, label)) * time.Minute
}

func (s story) chance(label string) bool { return rapid.IntRange(0, 9).Draw(s.r, label) == 0 }

// any is an event of any kind about a few transactions of two partners.
func (s story) any() happening {
	types := map[string]struct {
		effect event.Effect
		class  event.Class
	}{
		"transaction.failed":           {event.Open, event.Connectivity},
		"transaction.rejected":         {event.Open, event.FunctionalReject},
		"mdn.timeout":                  {event.Open, event.MDNTimeout},
		"sla.violated":                 {event.Open, event.SLA},
		"partner.connection_failed":    {event.Open, event.Authentication},
		"partner.certificate_expiring": {event.Open, event.Certificate},
		"transaction.retrying":         {event.None, event.Connectivity},
		"transaction.delivered":        {event.Settle, event.UnknownClass},
		"mdn.received":                 {event.Settle, event.UnknownClass},
		"acknowledgment.received":      {event.Settle, event.UnknownClass},
		"partner.connection_restored":  {event.Settle, event.UnknownClass},
		"partner.certificate_updated":  {event.Settle, event.UnknownClass},
		"x.note":                       {event.Note, event.UnknownClass},
		"webhook.test":                 {event.None, event.UnknownClass},
		"transaction.cleared":          {event.Settle, event.UnknownClass},
		"bridge.webhooks_quiet":        {event.Open, event.BridgeClass},
		"bridge.webhooks_resumed":      {event.Settle, event.BridgeClass},
	}
	name := s.pick("type", "transaction.failed", "transaction.failed", "transaction.failed", "transaction.delivered",
		"transaction.delivered", "transaction.delivered", "transaction.rejected", "mdn.timeout", "sla.violated",
		"partner.connection_failed", "partner.certificate_expiring", "transaction.retrying", "mdn.received",
		"acknowledgment.received", "partner.connection_restored", "partner.certificate_updated", "x.note", "webhook.test",
		"transaction.cleared", "bridge.webhooks_quiet", "bridge.webhooks_resumed")
	h := happens(name, types[name].effect, types[name].class, partner(s.pick("partner", "P1", "P2")),
		to(s.some("notify", "slack", "hook", "pager", "lead")...),
		as(rapid.SampledFrom(event.Severities).Draw(s.r, "severity")),
		wait(s.minutes("wait", 0, 0, 5)), occurred(s.now.Add(-s.minutes("age", 0, 0, 3, 40, 1000))))
	for _, path := range []string{event.TransactionID, event.MessageID, event.Interchange, event.TransactionSet, event.CertificateID} {
		if v := s.pick(path, "", "A", "B"); v != "" {
			h.ev.Fields[path] = v
		}
	}
	h.ev.Fields[event.AttemptNumber] = float64(rapid.IntRange(1, 4).Draw(s.r, "attempt"))
	h.ev.Fields[event.ThresholdDays] = float64(rapid.IntRange(1, 3).Draw(s.r, "threshold"))
	if s.chance("due") {
		h.ev.Fields[event.SLADue] = s.now.Add(s.minutes("due in", -10, 8, 300))
	}
	h.d.Group.ResolveWait = s.minutes("resolve wait", 0, 0, 0, 10)
	h.d.Group.MaxMembers = rapid.IntRange(0, 3).Draw(s.r, "max members")
	if s.chance("escalates") {
		h.d.Escalate = []EscalateStep{step(s.minutes("after", 0, 15), s.some("escalate to", "lead", "other", "gone")...)}
	}
	if s.chance("one key for all") {
		h.d.Key = "shared"
	}
	h.ev.Conflict = s.chance("conflict")
	s.from(&h)
	h.ev.Authentic = !s.chance("unsigned")
	if s.chance("sandbox") {
		h.ev.Environment = event.Sandbox
	}
	if s.chance("quarantined") {
		h.ev.Quarantine = "not JSON"
	}
	for range rapid.IntRange(0, 2).Draw(s.r, "runs") {
		r := run(rapid.SampledFrom([]RunState{RunQueued, RunQueued, RunProposed, RunRefused, RunDry}).Draw(s.r, "proposal"))
		r.Remediation, r.Hold = s.pick("remediation", "a", "b"), s.minutes("hold", 0, 5, 5, 20, 100*60)
		h.runs = append(h.runs, r)
	}
	s.muting(&h)
	return h
}

// muting gives the event windows, and what it explains or is explained by.
func (s story) muting(h *happening) {
	all := []Window{business, businessDigest, businessDrop, toMorning, businessMorning,
		{Rule: "night", Calendar: "night"}, {Rule: "gone", Calendar: "gone"}, {Rule: "nowhere", Outside: Digested, Digest: "gone"}}
	for i := range h.d.Notifiers {
		for range max(0, rapid.IntRange(-3, 2).Draw(s.r, "windows")) {
			w := rapid.SampledFrom(all).Draw(s.r, "window")
			w.Rule = s.pick("rule", "r1", "r2", "r3")
			h.d.Notifiers[i].Windows = append(h.d.Notifiers[i].Windows, w)
		}
	}
	for i := range h.d.Escalate {
		if s.chance("step has a window") {
			w := rapid.SampledFrom(all).Draw(s.r, "step's window")
			h.d.Escalate[i].Window = &w
		}
	}
	if rapid.IntRange(0, 3).Draw(s.r, "explains") == 0 {
		h.d.Causes = []string{"cause:" + s.pick("explains what", "a", "b", "c")}
	}
	if rapid.IntRange(0, 3).Draw(s.r, "is explained") == 0 {
		h.d.CausedBy = []string{"cause:" + s.pick("explained by", "a", "b", "c")}
	}
}

// hush adds a silence, or ends one, or has a reload take the calendars away.
func (s story) hush() {
	switch s.pick("hush", "silence", "silence", "expire", "recheck", "reload") {
	case "silence":
		path, is := event.PartnerID, s.pick("whom", "P1", "P2")
		if s.chance("by type") {
			path, is = "type", s.pick("which type", "transaction.failed", "mdn.timeout", "x.note")
		}
		s.silence("s"+pad(len(s.quiet.list)), s.minutes("silence for", 3, 90, 600, 100*60), path, is)
	case "expire":
		if n := len(s.quiet.list); n > 0 {
			s.unsilence(s.quiet.list[rapid.IntRange(0, n-1).Draw(s.r, "which silence")].ID)
		}
	case "recheck":
		s.recheck()
	case "reload":
		calendars(&s.m.Settings)
		switch s.pick("without", "", "", "business", "morning") {
		case "business":
			delete(s.m.Calendars, "business")
		case "morning":
			delete(s.m.Digests, "morning")
		}
		s.recheck()
	}
}

// settleHolds ends everything that mutes: nobody is owed anything then.
func (s story) settleHolds() {
	for i := range s.quiet.list {
		s.quiet.list[i].Expired = &Mark{By: "ana", At: s.now}
	}
	s.m.Calendars, s.m.Digests = nil, nil
	s.recheck()
	s.pass(causeEvery) // causes that are over
	for _, inc := range s.open() {
		for _, t := range inc.Told {
			if t.Held != nil && t.Held.Kind != HeldByCause {
				s.r.Fatalf("%s: nothing mutes %s, which waits for %+v", inc.ID, t.Notifier, *t.Held)
			}
		}
	}
}

// from says how the event came: a listing shows failures of one class or none.
func (s story) from(h *happening) {
	polls := h.ev.Type != typeRetrying && rapid.IntRange(0, 2).Draw(s.r, "polled") == 0
	switch {
	case strings.HasPrefix(h.ev.Type, "bridge."):
		h.ev.Origin = event.OriginBridge
	case polls || h.ev.Type == typeCleared:
		h.ev.Origin = event.OriginReconcile
	}
	if h.ev.Type == typeFailed {
		h.ev.Class = event.Class(s.pick("class", string(event.Connectivity), string(event.UnknownClass), string(event.Certificate)))
		h.ev.Fields[event.DocumentType] = s.pick("document", "856", "810", "")
	}
}

// answer is what Datasync says of a partner.
func (s story) answer() {
	p := Partner{
		Environment: event.Production, ID: s.pick("answered", "P1", "P2"), FetchedAt: s.now,
		Name: s.pick("name", "", "Harrowgate"), Status: s.pick("status", "active", "suspended"),
	}
	q := Query{}
	for _, inc := range s.open() {
		q.Incidents = append(q.Incidents, inc.ID)
	}
	plan := s.m.Enriched(s.load(q), p, s.now)
	for _, d := range plan.Deliveries {
		if d.Kind != Update {
			s.r.Fatalf("an answer about a partner sends %s to %s", d.Kind, d.Notifier)
		}
	}
	s.apply(plan)
}

func (s story) anIncident() string {
	ids := []string{"in_none"}
	for id := range s.counter {
		if name := "in_" + pad(id); s.incidents[name].ID != "" {
			ids = append(ids, name)
		}
	}
	return s.pick("incident", ids...)
}

func pad(n int) string {
	const digits = "0123456789"
	return string([]byte{digits[n/1000%10], digits[n/100%10], digits[n/10%10], digits[n%10]})
}

// deliver lets one notifier's oldest delivery have some fate.
func (s story) deliver() {
	name := s.pick("notifier", "slack", "hook", "pager", "lead", "other")
	for i := range s.deliveries {
		d := &s.deliveries[i]
		if d.Notifier != name || d.State != Waiting {
			continue
		}
		d.Attempts++
		switch s.pick("fate", "sent", "sent", "sent", "unclear", "dead") {
		case "sent":
			d.State = Sent
		case "unclear":
			d.Unclear = true
			return
		case "dead":
			d.State = Dead
			if t, ok := s.timers[string(FallbackTimer)+d.ID]; ok {
				t.DueAt = s.now
				s.timers[string(FallbackTimer)+d.ID] = t
			}
		}
		if s.chance("pause") {
			return
		}
	}
}

func (s story) command(do func(View, string, Mark) (Plan, error)) {
	id := s.anIncident()
	if p, err := do(s.load(Query{Incidents: []string{id}}), id, Mark{By: "ana", At: s.now}); err == nil {
		s.apply(p)
	}
}

// advance lets one run go a step of its way, by the worker or a person.
func (s story) advance() {
	if len(s.runs) == 0 {
		return
	}
	r := s.runs[rapid.IntRange(0, len(s.runs)-1).Draw(s.r, "which run")]
	switch r.State {
	case RunProposed:
		s.becomes(r.ID, rapid.SampledFrom([]RunState{RunAwaiting, RunAwaiting, RunRefused}).Draw(s.r, "read"), func(r *Run) {
			r.Approval = Approval{By: []string{"ana", "ben"}, Needed: 1, AskedAt: s.now, Expires: s.now.Add(s.minutes("expires in", 10, 240))}
		})
	case RunAwaiting:
		switch s.pick("answer", "approved", "denied", "expired", "looked at") {
		case "approved":
			s.deed(r.ID, RunQueued, "ana", AuditApproved, "")
		case "denied":
			s.deed(r.ID, RunRefused, "ana", AuditDenied, "no")
		case "expired":
			s.becomes(r.ID, RunRefused)
		case "looked at":
			s.becomes(r.ID, RunAwaiting)
		}
	case RunQueued:
		s.becomes(r.ID, rapid.SampledFrom([]RunState{RunDone, RunFailed, RunUnknown, RunRefused, RunQueued}).Draw(s.r, "end"))
	case RunUnknown:
		s.deed(r.ID, RunDone, "ben", AuditCleared, "seen there")
	case RunStarted, RunDone, RunFailed, RunRefused, RunDry:
	}
}

func tell(r *rapid.T) {
	s := story{r: r, world: newWorld(r, alertAfter(3, 20*time.Minute), calendars)}
	r.Repeat(map[string]func(*rapid.T){
		"event":       func(*rapid.T) { s.event(s.any()) },
		"more events": func(*rapid.T) { s.event(s.any()); s.event(s.any()) },
		"time":        func(*rapid.T) { s.pass(s.minutes("pass", 1, 6, 31, 70, 300)) },
		"deliver":     func(*rapid.T) { s.deliver() },
		"enrich":      func(*rapid.T) { s.answer() },
		"acknowledge": func(*rapid.T) { s.command(s.m.Acknowledge) },
		"resolve":     func(*rapid.T) { s.command(s.m.Resolve) },
		"run":         func(*rapid.T) { s.advance() },
		"hush":        func(*rapid.T) { s.hush() },
	})
	s.send()
	if s.chance("all holds end") {
		s.settleHolds()
	}
	s.pass(500 * time.Hour) // a hold that outlasts close_after starts that anew
	s.wantOpen(0)
	if len(s.timers) != 0 {
		r.Fatalf("everything is over, but timers are left: %v", s.timers)
	}
	for key, item := range s.digests {
		if item.Ended.IsZero() {
			r.Fatalf("everything is over, but %s is open in a digest: %+v", key, item)
		}
	}
}

func TestWhateverHappensThePromisesHold(t *testing.T) { rapid.Check(t, tell) }

func FuzzStory(f *testing.F) { f.Fuzz(rapid.MakeFuzz(tell)) }

// TestNoInputPanics feeds the machine what no store would give it.
func TestNoInputPanics(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := story{r: r, world: newWorld(r, calendars)}
		s.silence("s", time.Hour, event.PartnerID, s.pick("silenced", "P1", "P2"))
		h := s.any()
		h.ev.ID = s.pick("id", "", "ev_1", "x")
		h.ev.Fields[event.PartnerID] = rapid.String().Draw(r, "partner")
		h.d.Severity = event.Severity(rapid.Uint8().Draw(r, "severity"))
		if s.chance("no decision") {
			h.d = Decision{}
		}
		v := s.garbage(h)
		m := s.m
		if s.chance("nothing is configured") {
			m = &Machine{}
		}
		in := Input{Event: h.ev, Decision: h.d, View: v, Runs: h.runs, Now: s.now}
		if s.chance("retrying timer") {
			in.Consumed = &Timer{Kind: RetryingTimer, Subject: h.ev.ID}
		}
		m.Query(h.ev, h.d)
		first, again := m.Event(in), m.Event(in)
		if a, b := asText(first), asText(again); a != b {
			r.Fatalf("one input, two plans:\n%s\n%s", a, b)
		}
		for _, kind := range []TimerKind{IncidentTimer, FallbackTimer, NoticeTimer, RetryingTimer, DigestTimer, CauseTimer, "?"} {
			timer := Timer{Kind: kind, Subject: s.pick("subject", "in_1", "in_2", "", "in_1 in_2", "x 2026-03-10T14:00:00Z")}
			m.TimerQuery(timer)
			m.Timer(timer, v, s.now)
		}
		for _, do := range []func(View, string, Mark) (Plan, error){m.Acknowledge, m.Resolve} {
			if p, err := do(v, "in_1", Mark{}); err == nil && len(p.Incidents) == 0 {
				r.Fatalf("no error and no change")
			}
		}
		changed := Run{ID: s.pick("run", "rn_1", "rn_2", ""), Incident: "in_1", Remediation: s.pick("remediation", "a", "b"), Hold: time.Minute}
		for _, state := range []RunState{RunProposed, RunAwaiting, RunQueued, RunStarted, RunDone, RunFailed, RunUnknown, RunRefused, RunDry, "?"} {
			changed.State = state
			m.RunChanged(v, changed, s.now)
			m.RunDeed(v, changed, Audit{}, s.now)
		}
		m.Enriched(v, Partner{Environment: h.ev.Environment, ID: h.ev.Text(event.PartnerID), Name: "x"}, s.now)
		m.Park(event.Stored{}, "", v, s.now)
		m.Recheck(v, "in_1", s.now)
	})
}

// garbage is a view that contradicts itself.
func (s story) garbage(h happening) View {
	severity := func() event.Severity { return event.Severity(rapid.Uint8().Draw(s.r, "stored severity")) }
	when := func() time.Time {
		return rapid.SampledFrom([]time.Time{{}, s.now, s.now.Add(-100 * time.Hour), s.now.Add(time.Hour)}).Draw(s.r, "when")
	}
	inc := func(id string) Incident {
		return Incident{
			ID: id, Key: s.pick("key", "", keyOf(h.ev, h.d)), Environment: h.ev.Environment,
			State: State(s.pick("state", "open", "resolved", "?")), Severity: severity(),
			WaitUntil: when(), RepeatAt: when(), CloseAt: when(), ResolveAt: when(), CountAt: when(), LastOpening: when(),
			Told: []Telling{{Notifier: s.pick("told", "slack", "pager", "gone"), Alarms: rapid.IntRange(-1, 3).Draw(s.r, "alarms"), Over: s.chance("over"),
				Windows: []Window{rapid.SampledFrom([]Window{{}, business, businessDigest, businessDrop, toMorning, {Calendar: "gone", Outside: "?"}}).Draw(s.r, "stored window")},
				Held:    rapid.SampledFrom([]*Held{nil, {}, {Kind: HeldByDigest, By: "morning"}, {Kind: HeldByWindow, By: "x", Until: when(), Owes: Alarm}, {Kind: "?", Owes: Reopening}}).Draw(s.r, "stored hold")}},
			Causes: rapid.SampledFrom([][]string{nil, {"in_1"}, {"in_2", "in_gone"}}).Draw(s.r, "stored causes"), Symptoms: []Symptom{{Incident: "in_2"}},
			Escalation: []Escalation{{At: when(), Notify: []string{"lead", "gone"}}},
			OpenBy:     [5]int{0, rapid.IntRange(-1, 2).Draw(s.r, "open"), 0, 1, 0}, Version: int64(rapid.IntRange(0, 2).Draw(s.r, "version")),
			Listed: []Member{{ID: "txn:A", Open: true, Severity: severity()}}, Flapping: s.chance("flapping"),
			HoldUntil: when(), Awaiting: []AwaitedRuns{{Remediation: "a", Runs: []string{"rn_1"}, More: rapid.IntRange(-1, 1).Draw(s.r, "more")}},
			Queue:      []Queued{{ID: "dl_1", Notifier: "slack", Kind: Opening, Alarm: rapid.IntRange(-1, 2).Draw(s.r, "queued"), State: Waiting}},
			MaxMembers: rapid.IntRange(-1, 2).Draw(s.r, "max"),
		}
	}
	v := View{
		Incidents: []Incident{inc("in_1"), inc("in_2")},
		Recoveries: []Recovery{{Environment: h.ev.Environment, Handle: "txn:A", Type: s.pick("seen", markRetrying, markFailed, markPolled, "transaction.delivered", typeCleared, "?"), OccurredAt: when(),
			Incident: s.pick("where", "", "in_1", "in_gone")}},
	}
	for _, id := range []string{"in_1", "in_2", "in_gone"} {
		v.Matched = append(v.Matched, MatchedMember{Incident: id, Member: Member{
			ID: s.pick("member", "txn:A", "txn:B", ""), Class: h.ev.Class, Open: s.chance("closed"), Severity: severity(), Handles: []string{"txn:A", "msg:A"},
			Origin: event.Origin(s.pick("stored origin", "", string(event.OriginReconcile))), Unsigned: s.chance("unsigned member"),
		}})
	}
	if n, ok := s.m.noticeOf(h.ev, h.d); ok && s.chance("no notice") {
		v.Notice = &Notice{Key: n.key, Since: when(), Count: -1}
	}
	if s.chance("partner is known") {
		v.Partner = &Partner{Environment: h.ev.Environment, ID: s.pick("which partner", "", "P1", h.ev.Text(event.PartnerID)), Name: "x"}
	}
	if s.chance("no digest") {
		v.Digest = &DigestView{Name: "morning", Items: []DigestItem{{Name: s.pick("digest", "morning", "gone", ""), Notifier: s.pick("digest of", "slack", "pager", "gone")}}, More: rapid.IntRange(-1, 3).Draw(s.r, "more items")}
	}
	v.Delivery = &Queued{Incident: "in_1", Notifier: s.pick("whose", "pager", "slack", "gone"), Kind: Opening, State: Waiting}
	return v
}
