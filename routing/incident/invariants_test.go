package incident

import (
	"slices"
	"time"

	"datasync-bridge/event"
)

// may says which kinds a notifier of a sort may be sent.
var (
	pagerKinds = []DeliveryKind{Opening, Alarm, Reopening, Fallback, Resolve, Acknowledged}
	hookKinds  = []DeliveryKind{Opening, Alarm, Reopening, Fallback, Resolve, Noticed, ApprovalAsk, DigestTold}
)

// check holds a plan that was just applied against what is always true.
func (w *world) check(p Plan) {
	w.t.Helper()
	for _, d := range p.Deliveries {
		w.checkDelivery(d)
	}
	for _, one := range p.Incidents {
		w.checkIncident(w.incidents[one.ID])
		for name := range w.m.Notifiers {
			w.checkSequence(w.incidents[one.ID], name)
		}
	}
	w.checkPolling(p)
	w.checkMuted(p)
	keys := map[string]string{}
	for _, inc := range w.open() {
		key := string(inc.Environment) + inc.Key
		if keys[key] != "" {
			w.t.Fatalf("%s and %s are open with one key %q", keys[key], inc.ID, inc.Key)
		}
		keys[key] = inc.ID
	}
}

// checkPolling holds that no failure is told twice because it was found twice.
func (w *world) checkPolling(p Plan) {
	w.t.Helper()
	if d := p.Decision; d != nil && d.Outcome == Confirmed {
		told := slices.ContainsFunc(p.Deliveries, func(d Delivery) bool { return d.Incident != "" })
		if told || len(p.Members)+len(p.Runs)+len(p.Recoveries) > 0 || len(d.Notifiers) > 0 {
			w.t.Fatalf("%s is confirmed and changes more than a timeline: %+v", p.Event, p)
		}
	}
	if d := p.Decision; d != nil && d.Outcome == Refined && len(p.Runs) > 0 {
		w.t.Fatalf("%s refines and runs %+v", p.Event, p.Runs)
	}
	found := map[string]string{}
	for key, m := range w.members {
		if !m.Open || m.Origin != event.OriginReconcile || m.Transaction == "" {
			continue
		}
		id := string(w.incidents[m.Incident].Environment) + m.ID
		if found[id] != "" {
			w.t.Fatalf("%s and %s are one failure, found by polling", found[id], key)
		}
		found[id] = key
	}
}

func (w *world) checkDelivery(d Delivery) {
	w.t.Helper()
	n, known := w.m.Notifiers[d.Notifier]
	if !known {
		if d.Kind != Resolve {
			w.t.Fatalf("%s to %q, which is not configured", d.Kind, d.Notifier)
		}
		return
	}
	if n.Pager && !slices.Contains(pagerKinds, d.Kind) {
		w.t.Fatalf("pager %s is sent %q", d.Notifier, d.Kind)
	}
	if !n.Pager && !n.Edits && !slices.Contains(hookKinds, d.Kind) {
		w.t.Fatalf("incoming webhook %s is sent %q", d.Notifier, d.Kind)
	}
	shownAsOver := d.Kind == Update && d.Snapshot.State == Resolved
	if n.Retired && d.Kind != Resolve && !shownAsOver {
		w.t.Fatalf("retired %s is sent %q", d.Notifier, d.Kind)
	}
	if n.Pager && d.Snapshot.Environment == event.Sandbox {
		w.t.Fatalf("pager %s is sent %q of a sandbox", d.Notifier, d.Kind)
	}
	if d.Incident != "" && (d.Alarm < 1 || d.Snapshot.Incident != d.Incident || d.Snapshot.Severity == 0) {
		w.t.Fatalf("%s to %s has alarm %d, snapshot %+v", d.Kind, d.Notifier, d.Alarm, d.Snapshot)
	}
	if len(d.Snapshot.Notes) > maxNotes || len(d.Snapshot.Members) > maxMembers || len(d.Snapshot.Documents) > maxDocuments+1 {
		w.t.Fatalf("snapshot of %s is out of bounds: %+v", d.Incident, d.Snapshot)
	}
}

func (w *world) checkIncident(inc Incident) {
	w.t.Helper()
	var open [5]int
	rows := 0
	for _, m := range w.members {
		if m.Incident == inc.ID {
			rows++
		}
		if m.Incident == inc.ID && m.Open {
			open[m.Severity]++
			if inc.State == Resolved {
				w.t.Fatalf("%s is resolved with member %s open", inc.ID, m.ID)
			}
		}
		if len(m.Handles) > maxHandles+maxCauses {
			w.t.Fatalf("member %s has %d handles", m.ID, len(m.Handles))
		}
	}
	if open != inc.OpenBy {
		w.t.Fatalf("%s counts %v open, its members are %v", inc.ID, inc.OpenBy, open)
	}
	documents := 0
	for _, d := range inc.Documents {
		documents += d.Total
	}
	if p := inc.Polling; rows > inc.Total || documents != inc.Total || p.Found > inc.Total || p.Cleared > inc.Total-inc.OpenMembers() {
		w.t.Fatalf("%s counts %d members of %d rows, documents %+v, polling %+v", inc.ID, inc.Total, rows, inc.Documents, p)
	}
	row, scheduled := w.timers[string(IncidentTimer)+inc.ID]
	switch due := nextDue(&inc); {
	case scheduled == due.IsZero() || !row.DueAt.Equal(due):
		w.t.Fatalf("%s is due at %v, its timer is %v", inc.ID, due, row)
	case inc.State == Open && inc.OpenMembers() == 0 && inc.ResolveAt.IsZero():
		w.t.Fatalf("%s is open, has no open member and is not being resolved", inc.ID)
	case inc.State == Open && inc.OpenMembers() > 0 && !inc.ResolveAt.IsZero():
		w.t.Fatalf("%s is being resolved with %d open members", inc.ID, inc.OpenMembers())
	}
	told := map[string]bool{}
	for _, t := range inc.Told {
		if told[t.Notifier] {
			w.t.Fatalf("%s has two tellings of %s", inc.ID, t.Notifier)
		}
		told[t.Notifier] = true
		if inc.State == Resolved && !t.Over {
			w.t.Fatalf("%s is resolved and was not ended for %s", inc.ID, t.Notifier)
		}
		spared := w.m.Notifiers[t.Notifier].Pager && (!inc.HoldUntil.IsZero() || inc.Acknowledged != nil || w.unsigned[inc.ID])
		if inc.State == Open && inc.WaitUntil.IsZero() && !t.Over && t.Alarms == 0 && t.Held == nil && !spared {
			w.t.Fatalf("%s was told, but not to %s: %v", inc.ID, t.Notifier, w.timeline)
		}
	}
	if held := !inc.HoldUntil.IsZero(); held && (inc.State != Open || inc.Acknowledged != nil || inc.HoldFor == "" || inc.Environment == event.Sandbox) {
		w.t.Fatalf("pagers are held until %v of %+v", inc.HoldUntil, inc)
	}
	w.checkAwaiting(inc)
}

// checkAwaiting holds that the requests list what waits, all of it and no more.
func (w *world) checkAwaiting(inc Incident) {
	w.t.Helper()
	waits := map[string]int{}
	for _, r := range w.runs {
		if r.Incident == inc.ID && r.State == RunAwaiting && inc.State == Open {
			waits[r.Remediation]++
		}
	}
	for _, a := range inc.Awaiting {
		earliest := time.Time{}
		for i, id := range a.Runs {
			if r := w.run(id); r.State != RunAwaiting || r.Incident != inc.ID || r.Remediation != a.Remediation || !r.Approval.Expires.Equal(a.Until[i]) {
				w.t.Fatalf("%s lists %s as awaiting: %+v", inc.ID, id, r)
			}
			if sooner(a.Until[i], earliest) {
				earliest = a.Until[i]
			}
		}
		listed := len(a.Runs) + a.More
		if len(inc.Reopenings) > 0 { // what waited through a resolve is asked for anew, if at all
			listed = max(listed, waits[a.Remediation])
		}
		if listed != waits[a.Remediation] || len(a.Runs) > maxAwaited || len(a.Runs) != len(a.Until) || len(a.Runs) > 0 && a.More == 0 && !a.Expires.Equal(earliest) {
			w.t.Fatalf("%s: %d runs of %s wait, the request is %+v", inc.ID, waits[a.Remediation], a.Remediation, a)
		}
		delete(waits, a.Remediation)
	}
	for name, n := range waits {
		if len(inc.Reopenings) == 0 {
			w.t.Fatalf("%s: %d runs of %s wait and are on no request", inc.ID, n, name)
		}
	}
}

// checkSequence replays what a notifier was sent of an incident: no end before
// its beginning, no beginning that would be swallowed, nothing left open.
func (w *world) checkSequence(inc Incident, name string) {
	w.t.Helper()
	pager := w.m.Notifiers[name].Pager
	begun := map[int]bool{}
	openings, ends := 0, 0
	for _, d := range w.deliveries {
		if d.Incident != inc.ID || d.Notifier != name {
			continue
		}
		if d.Kind.Alarms() && d.Kind != Alarm {
			openings++
		}
		if d.Kind == Resolve {
			ends++
		}
		if !pager || d.State == Dropped {
			continue
		}
		switch {
		case d.Kind.Alarms() && begun[d.Alarm]:
			w.t.Fatalf("%s: %s to %s under alarm %d, which is open: it would not ring", inc.ID, d.Kind, name, d.Alarm)
		case d.Kind.Alarms():
			begun[d.Alarm] = true
		case d.Kind == Resolve && !begun[d.Alarm]:
			w.t.Fatalf("%s: %s is sent the end of alarm %d, which it never got", inc.ID, name, d.Alarm)
		case d.Kind == Resolve:
			delete(begun, d.Alarm)
		}
	}
	if ends > openings && !pager {
		w.t.Fatalf("%s: %s has %d ends for %d beginnings", inc.ID, name, ends, openings)
	}
	if pager && inc.State == Resolved && len(begun) > 0 {
		w.t.Fatalf("%s is resolved, but alarms %v of %s are open for ever", inc.ID, begun, name)
	}
}
