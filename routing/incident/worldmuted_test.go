package incident

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"datasync-bridge/event"
)

// hours is a calendar that is open every day from one full hour (UTC) to another.
type hours struct{ from, to int }

func (h hours) Open(at time.Time) bool {
	hour := at.UTC().Hour()
	return hour >= h.from && hour < h.to
}

func (h hours) Next(at time.Time) time.Time {
	if h.Open(at) || h.from >= h.to {
		return map[bool]time.Time{true: at}[h.Open(at)]
	}
	at = at.UTC()
	day := time.Date(at.Year(), at.Month(), at.Day(), h.from, 0, 0, 0, time.UTC)
	if day.Before(at) {
		day = day.AddDate(0, 0, 1)
	}
	return day
}

// dailyAt is a digest's schedule: every day at a full hour (UTC).
type dailyAt int

func (d dailyAt) Next(at time.Time) time.Time {
	at = at.UTC()
	day := time.Date(at.Year(), at.Month(), at.Day(), int(d), 0, 0, 0, time.UTC)
	if !day.After(at) {
		day = day.AddDate(0, 0, 1)
	}
	return day
}

// quiet are silences whose match is "what", and "is" its value.
type quiet struct{ list []Silence }

func (q *quiet) Silencing(ev event.Event, at time.Time) (Silence, bool) {
	var last Silence
	for _, s := range q.list {
		matches := true
		for path, want := range s.Match {
			got, _ := ev.Lookup(path)
			matches = matches && got == want
		}
		if matches && s.Expired == nil && !at.Before(s.From) && at.Before(s.Until) && s.Until.After(last.Until) {
			last = s
		}
	}
	return last, last.ID != ""
}

// silence asks for quiet from now on.
func (w *world) silence(id string, lasts time.Duration, path, is string) {
	w.quiet.list = append(w.quiet.list, Silence{
		ID: id, Match: map[string]any{path: is}, From: w.now, Until: w.now.Add(lasts), By: "ana", Why: "planned work",
	})
}

// unsilence ends one before its time, as a person does, and has everything
// looked at anew.
func (w *world) unsilence(id string) {
	for i := range w.quiet.list {
		if w.quiet.list[i].ID == id {
			w.quiet.list[i].Expired = &Mark{By: "ana", At: w.now}
		}
	}
	w.recheck()
}

func (w *world) recheck() {
	w.t.Helper()
	for _, inc := range w.open() {
		if p := w.m.Recheck(w.load(Query{Incidents: []string{inc.ID}}), inc.ID, w.now); len(p.Incidents) > 0 {
			w.apply(p)
			w.checkPaid(inc, p)
		} else if asText(p) != asText(Plan{}) {
			w.t.Fatalf("a recheck changes no incident, but %+v", p)
		}
	}
}

// checkPaid holds that whoever is not muted any more is told once what it was owed.
func (w *world) checkPaid(before Incident, p Plan) {
	w.t.Helper()
	now := w.incidents[before.ID]
	for _, t := range before.Told {
		if t.Held == nil {
			continue
		}
		alarms, edits := 0, 0
		for _, d := range p.Deliveries {
			if d.Notifier == t.Notifier && d.Kind.Alarms() {
				alarms++
			} else if d.Notifier == t.Notifier && d.Kind == Update {
				edits++
			}
		}
		pager := w.m.Notifiers[t.Notifier].Pager
		spared := pager && (now.Acknowledged != nil || !now.HoldUntil.IsZero())
		want := 0
		if now.Telling(t.Notifier).Held == nil && !spared && (t.Alarms == 0 || t.Held.Owes == Alarm && now.Acknowledged == nil) {
			want = 1
		}
		if alarms != want || edits > 1 {
			w.t.Fatalf("%s was held by %+v, is held by %+v, and gets %d alarms (want %d) and %d edits: %+v",
				t.Notifier, *t.Held, now.Telling(t.Notifier).Held, alarms, want, edits, p.Deliveries)
		}
	}
}

// calendars are open from 8 to 18 (business) and from 20 to 22 (night).
func calendars(s *Settings) {
	s.Calendars = map[string]Calendar{"business": hours{8, 18}, "night": hours{20, 22}}
	s.Digests = map[string]Schedule{"morning": dailyAt(8), "evening": dailyAt(19)}
}

var (
	business        = Window{Rule: "small", Calendar: "business", Outside: Delayed}
	businessDigest  = Window{Rule: "small", Calendar: "business", Outside: Digested}
	businessDrop    = Window{Rule: "small", Calendar: "business", Outside: Left}
	toMorning       = Window{Rule: "certs", Outside: Digested, Digest: "morning"}
	businessMorning = Window{Rule: "small", Calendar: "business", Outside: Digested, Digest: "morning"}
)

// digest is what the store would load.
func (w *world) digest(key string) *DigestView {
	v := DigestView{Since: w.told[key]}
	any := false
	for _, k := range slices.Sorted(maps.Keys(w.digests)) {
		item := w.digests[k]
		if item.Digest != key || key == "" {
			continue
		}
		any, v.Name = true, item.Name
		if item.Ended.IsZero() {
			v.Items = append(v.Items, item)
		} else {
			v.Ended++
		}
	}
	if !any {
		return nil
	}
	slices.SortStableFunc(v.Items, func(a, b DigestItem) int {
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), a.OpenedAt.Compare(b.OpenedAt))
	})
	v.More = max(0, len(v.Items)-MaxDigest)
	v.Items = v.Items[:min(len(v.Items), MaxDigest)]
	return &v
}

func (w *world) applyDigests(p Plan) {
	for _, told := range p.ToldDigests {
		w.told[told.Digest] = told.At
		maps.DeleteFunc(w.digests, func(_ string, item DigestItem) bool {
			return item.Digest == told.Digest && !item.Ended.IsZero()
		})
	}
	for _, item := range p.Digests {
		if key := item.Digest + "/" + item.Incident; item.Gone {
			delete(w.digests, key)
		} else {
			w.digests[key] = item
		}
	}
}

// checkMuted holds that nobody is told while muted, that whoever is not told has
// a reason, and that digests list what is left to them and nothing else.
func (w *world) checkMuted(p Plan) {
	w.t.Helper()
	for _, d := range p.Deliveries {
		if d.Incident == "" || d.Kind == Resolve || d.Snapshot.State == Resolved {
			continue
		}
		inc := w.incidents[d.Incident]
		n := w.m.Notifiers[d.Notifier]
		if n.Pager && d.Kind == Acknowledged {
			continue // that quiets it
		}
		c := w.m.change(inc, w.now)
		h := c.muted(inc.Telling(d.Notifier))
		if d.Kind == Fallback {
			h = c.quieted()
		}
		if h != nil {
			w.t.Fatalf("%s is sent %s of %s, and is muted by %+v", d.Notifier, d.Kind, d.Incident, *h)
		}
	}
	left := map[string]bool{}
	for _, inc := range w.incidents {
		for k := range inc.Told {
			t := &inc.Told[k]
			h := t.Held
			if h != nil && (t.Over || inc.State != Open || h.Why == "" || h.Owes == "") {
				w.t.Fatalf("%s: %s is held: %+v", inc.ID, t.Notifier, *h)
			}
			if item := inc.item(t); item != nil {
				left[item.Digest+"/"+inc.ID] = true
				if row := w.digests[item.Digest+"/"+inc.ID]; row != *item {
					w.t.Fatalf("digest has %+v of %+v", row, *item)
				}
			}
		}
		if len(inc.Symptoms) > MaxSymptoms || len(inc.Causes) > maxCauses || inc.State != Open && len(inc.Causes) > 0 {
			w.t.Fatalf("%s has causes %v and %d symptoms", inc.ID, inc.Causes, len(inc.Symptoms))
		}
		for _, cause := range inc.Causes {
			if _, looks := w.timers[string(CauseTimer)+causeSubject(inc.ID, cause)]; !looks {
				w.t.Fatalf("nothing looks whether %s, the cause of %s, is open", cause, inc.ID)
			}
			if slices.Contains(w.incidents[cause].Causes, inc.ID) {
				w.t.Fatalf("%s and %s mute each other", inc.ID, cause)
			}
		}
	}
	for key, item := range w.digests {
		if item.Ended.IsZero() && !left[key] {
			w.t.Fatalf("digest lists %+v, which is not left to it", item)
		}
	}
}
