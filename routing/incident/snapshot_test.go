package incident

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
)

func TestAMemberThatFailsAgainIsCountedOnce(t *testing.T) {
	w := newWorld(t)
	doc := with(event.DocumentType, "856")
	id := w.event(failed("T1", doc)).Incident
	w.event(failed("T2", doc))
	w.event(delivered("T1"))
	w.event(failed("T1", doc))
	check := func(when string, open int) {
		t.Helper()
		inc := w.incidents[id]
		if d := inc.Documents[0]; inc.Total != 2 || inc.OpenMembers() != open || d.Total != 2 || d.Open != open {
			t.Errorf("%s: total %d, open %d, documents %+v", when, inc.Total, inc.OpenMembers(), inc.Documents)
		}
	}
	check("failed again", 2)
	w.event(delivered("T1"))
	w.event(delivered("T2"))
	check("resolved", 0)
	outcome(t, w.event(failed("T2", doc)), Reopened)
	check("reopened", 1)
	p, err := w.m.Resolve(w.load(Query{Incidents: []string{id}}), id, Mark{At: w.now})
	if err != nil {
		t.Fatal(err)
	}
	w.apply(p)
	outcome(t, w.event(failed("T2", doc)), Reopened)
	check("reopened after a resolve by hand", 1)
}

func TestDocumentsBeyondTwentyTypesAreOther(t *testing.T) {
	w := newWorld(t)
	for i := range 25 {
		w.event(failed("T"+strconv.Itoa(i), with(event.DocumentType, strconv.Itoa(800+i)), with(event.DocumentName, "x")))
	}
	docs := w.last("slack").Snapshot.Documents
	if last := docs[len(docs)-1]; len(docs) != 21 || last.Type != "other" || last.Open != 5 || last.Name != "" {
		t.Fatalf("documents %+v", docs)
	}
	w.event(delivered("T24"))
	docs = w.last("slack").Snapshot.Documents
	if last := docs[len(docs)-1]; last.Open != 4 || last.Total != 5 {
		t.Errorf("documents %+v", docs)
	}
}

func TestLeadIsBounded(t *testing.T) {
	w := newWorld(t)
	h := failed("T1", with(event.ErrorMessage, strings.Repeat("ü", 5000)), with("not.in.the.schema", "x"),
		with("acknowledgment.errors", []string{strings.Repeat("y", 5000), "short"}), with(event.Amount, 12.5),
		with(event.SLADue, start.Add(time.Hour)), with("recovered", true), with(event.PONumber, 17))
	for i := range 100 {
		h.ev.Fields[fmt.Sprintf("%sr%03d", event.ReferencePrefix, i)] = "v"
	}
	w.event(h)
	f := w.last("slack").Snapshot.Lead.Fields
	message, _ := f[event.ErrorMessage].(string)
	texts, _ := f["acknowledgment.errors"].([]string)
	if n := len([]rune(message)); n != maxText || !strings.HasSuffix(message, "ü…") {
		t.Errorf("message has %d runes and ends with %q", n, message[len(message)-5:])
	}
	if len(texts) != 2 || len([]rune(texts[0])) != maxText || texts[1] != "short" {
		t.Errorf("errors %q", texts)
	}
	references := 0
	for path := range f {
		if strings.HasPrefix(path, event.ReferencePrefix) {
			references++
		}
	}
	if references > maxReferences || f["not.in.the.schema"] != nil || f[event.PONumber] != nil ||
		f[event.Amount] != 12.5 || f["recovered"] != true || f[event.SLADue] != start.Add(time.Hour) {
		t.Errorf("%d references, fields %v", references, f)
	}
	if r := w.last("slack").Snapshot.Members[0].Reference; r != "v" {
		t.Errorf("reference %q, want the first that the event has", r)
	}
}

func TestLeadIsTheFirstOfTheHighestSeverity(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		txn      string
		severity event.Severity
		want     string
	}{
		{"T1", event.Warning, "T1"}, {"T2", event.Warning, "T1"}, {"T3", event.Critical, "T3"},
		{"T4", event.Critical, "T3"}, {"T5", event.Info, "T3"},
	} {
		w.event(failed(tt.txn, as(tt.severity)))
		if got := w.last("slack").Snapshot.Lead.Fields[event.TransactionID]; got != tt.want {
			t.Errorf("after %s the lead is %v, want %s", tt.txn, got, tt.want)
		}
	}
}

func TestEscalationCountsFromTheTelling(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", wait(10*time.Minute), escalating(step(15*time.Minute, "lead"))))
	w.pass(20 * time.Minute)
	w.want("slack", "opening")
	w.pass(4 * time.Minute)
	w.want("lead", "")
	w.pass(time.Minute)
	w.want("lead", "opening")

	early := newWorld(t)
	early.event(failed("T1", wait(10*time.Minute), escalating(step(15*time.Minute, "lead"))))
	early.pass(5 * time.Minute)
	early.event(failed("T2"))
	early.pass(15 * time.Minute)
	early.want("lead", "opening")

	late := newWorld(t)
	late.event(failed("T1", wait(10*time.Minute), escalating(step(15*time.Minute, "lead"))))
	late.now = late.now.Add(time.Hour) // the bridge was down
	late.pass(0)
	late.want("slack", "opening")
	late.want("lead", "")
	late.pass(15 * time.Minute)
	late.want("lead", "opening")
}

func TestPlannedDaysLateIsToldAndNotClosedAtOnce(t *testing.T) {
	m := &Machine{settings()}
	h := failed("T1", occurred(start))
	h.ev.ID, h.ev.ReceivedAt = "ev_1", start
	now := start.Add(100 * time.Hour)
	p := m.Event(Input{Event: h.ev, Decision: h.d, Now: now})
	if inc := p.Incidents[0]; len(p.Deliveries) != 1 || !inc.CloseAt.Equal(now.Add(72*time.Hour)) {
		t.Errorf("deliveries %+v, closes at %v", p.Deliveries, inc.CloseAt)
	}
}

func TestNobodyLeftAfterTheWaitThenTheDefaultsHear(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("hook"), wait(time.Minute)))
	delete(w.m.Notifiers, "hook")
	w.pass(time.Minute)
	w.want("slack", "opening")
}

func TestFallbackThatCannotBeIsSaidOnTheTimeline(t *testing.T) {
	w := newWorld(t)
	w.event(failed("T1", to("pager")))
	delete(w.m.Notifiers, "slack")
	w.pass(3 * time.Minute)
	if last := w.timeline[len(w.timeline)-1]; !strings.Contains(last.Text, "there is no fallback") {
		t.Errorf("timeline ends with %+v", last)
	}
}

func TestRankSendsOpeningsFirstAndEditsLast(t *testing.T) {
	order := [][]DeliveryKind{{Opening, Alarm, Reopening, Fallback}, {Resolve, ApprovalAsk}, {Reminder, Acknowledged, Escalated, RunResult, Counted, Noticed}, {Update}}
	for want, kinds := range order {
		for _, k := range kinds {
			if k.Rank() != want {
				t.Errorf("%s has rank %d, want %d", k, k.Rank(), want)
			}
		}
	}
}
