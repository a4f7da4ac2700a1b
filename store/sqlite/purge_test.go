package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// told accepts an event that names a partner and plans it; inc is its incident,
// nil for none.
func told(t *testing.T, s *Store, n int, partner string, inc *incident.Incident) string {
	t.Helper()
	body := fmt.Appendf(nil, `{"id":"evt_%d","partner":%q,"name":"canary of %s"}`, n, partner, partner)
	r, err := s.Accept(context.Background(), event.Received{
		Source: "datasync", Environment: event.Production, Origin: event.OriginWebhook, Authentic: true,
		Key: sha256.Sum256(body), BodyHash: sha256.Sum256(body), ForeignID: fmt.Sprintf("evt_%d", n), Type: "t", ReceivedAt: s.Now(), Body: body,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := incident.Plan{Event: r.ID, Decision: &incident.Decision{Outcome: incident.Opened, Key: "canary key of " + partner,
		Rules: []incident.MatchedRule{{Name: "r"}}, Reasons: []string{"canary reason of " + partner}}}
	if inc != nil {
		i := *inc
		i.ID = "in_" + strings.TrimPrefix(r.ID, "ev_")
		i.Key, i.Environment, i.OpenedAt = i.ID, event.Production, s.Now()
		i.Lead.Fields = map[string]any{event.PartnerID: partner, event.PartnerName: "canary of " + partner}
		p.Decision.Incident = i.ID
		p.Incidents = []incident.Incident{i}
	}
	if err := s.Apply(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	return r.ID
}

func isOf(partner string) func(event.Stored) bool {
	return func(st event.Stored) bool { return bytes.Contains(st.Body, []byte(`"partner":"`+partner+`"`)) }
}

// purged goes through all steps.
func purged(t *testing.T, s *Store, p incident.Purge) (all incident.Purged, steps int) {
	t.Helper()
	for p.Before.IsZero() || all.Next != "" || steps == 0 {
		if p.Before.IsZero() {
			p.Before = s.Now().Add(time.Second)
		}
		done, err := s.Purge(context.Background(), p, "ana", isOf(p.Partner))
		if err != nil {
			t.Fatal(err)
		}
		steps++
		all.Add(done)
		p.Next = all.Next
	}
	return all, steps
}

func TestAPurgeGoesStepByStepAndTouchesNobodyElse(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), nil)
	ctx := context.Background()
	over := &incident.Incident{State: incident.Resolved, ResolvedAt: time.Now(), MaxMembers: 3}
	const theirs, others = purgeBodies + 150, 30
	for n := range theirs {
		told(t, s, n, "par_1", nil)
	}
	withIncident := told(t, s, 5000, "par_1", over)
	open := told(t, s, 5001, "par_1", &incident.Incident{State: incident.Open, MaxMembers: 3})
	for n := range others {
		told(t, s, 6000+n, "par_10", nil) // its id begins like the other's
	}
	dry, _ := purged(t, s, incident.Purge{Partner: "par_1"})
	all, steps := purged(t, s, incident.Purge{Partner: "par_1", Apply: true, Why: "over"})
	if dry.Events != all.Events || all.Events != theirs+1 || all.Incidents != 1 || all.LeftEvents != 1 || all.LeftIncidents != 1 || len(all.Open) != 1 {
		t.Errorf("counted %+v, then done %+v", dry, all)
	}
	if steps < 5 {
		t.Errorf("only %d steps", steps)
	}
	for id, want := range map[string]event.State{withIncident: event.Purged, open: event.Planned} {
		st, err := s.Event(ctx, id)
		if err != nil || st.State != want || (len(st.Body) == 0) != (want == event.Purged) || st.BodyHash == [32]byte{} ||
			bytes.Contains(st.Decision, []byte("canary")) == (want == event.Purged) || !bytes.Contains(st.Decision, []byte(`"Name":"r"`)) {
			t.Errorf("%s is %s with %q, decided %s (%v); want %s", id, st.State, st.Body, st.Decision, err, want)
		}
	}
	if n, err := s.HistorySize(ctx, time.Time{}, time.Time{}); err != nil || n != others+1 {
		t.Errorf("history of %d events (%v), want the %d that still say something", n, err, others+1)
	}
	if page, err := s.History(ctx, time.Time{}, time.Time{}, "", 100); err != nil || len(page) != others+1 {
		t.Errorf("a page of %d events (%v)", len(page), err)
	}
	lines, err := s.Audit(ctx, incident.Filter{State: incident.AuditPurged})
	if err != nil || len(lines) == 0 || lines[0].Actor != "ana" || lines[0].Subject != "par_1" || lines[0].Why != "over" {
		t.Errorf("recorded: %+v (%v)", lines, err)
	}
	if _, err := s.VerifyAudit(ctx); err != nil {
		t.Error(err)
	}
	if again, _ := purged(t, s, incident.Purge{Partner: "par_1", Apply: true, Why: "over"}); again.Events != 0 || again.Incidents != 0 {
		t.Errorf("once more: %+v", again)
	}
}

func TestAPurgeTakesOnlyWhatCameBeforeItsTime(t *testing.T) {
	now := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), func() time.Time { return now })
	told(t, s, 1, "par_1", &incident.Incident{State: incident.Resolved, ResolvedAt: now, MaxMembers: 3})
	now = now.Add(time.Hour)
	late := told(t, s, 2, "par_1", &incident.Incident{State: incident.Resolved, ResolvedAt: now, MaxMembers: 3})
	if all, _ := purged(t, s, incident.Purge{Partner: "par_1", Apply: true, Before: now}); all.Events != 1 || all.Incidents != 1 {
		t.Errorf("done %+v, want the first alone", all)
	}
	if st, err := s.Event(context.Background(), late); err != nil || st.State != event.Planned {
		t.Errorf("the later one is %s (%v)", st.State, err)
	}
}

// A plan that was made of an incident before it was purged must not write back
// what was taken away.
func TestAPlanOfAPurgedIncidentIsMadeAgain(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), nil)
	ctx := context.Background()
	id := told(t, s, 1, "par_1", &incident.Incident{State: incident.Resolved, ResolvedAt: time.Now(), MaxMembers: 3})
	before, err := s.Incident(ctx, "in_"+strings.TrimPrefix(id, "ev_"))
	if err != nil {
		t.Fatal(err)
	}
	purged(t, s, incident.Purge{Partner: "par_1", Apply: true})
	if err := s.Apply(ctx, incident.Plan{Incidents: []incident.Incident{before}}); !errors.Is(err, incident.ErrConflict) {
		t.Errorf("apply: %v, want %v", err, incident.ErrConflict)
	}
	after, err := s.Incident(ctx, before.ID)
	if err != nil || len(after.Lead.Fields) != 0 || after.Key == before.Key || after.State != incident.Resolved {
		t.Errorf("it is %+v (%v)", after, err)
	}
}

func TestAPlaceThatNoPurgeNamedIsRefused(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), nil)
	for _, next := range []string{"x 1", "e x", "e -1"} {
		if _, err := s.Purge(context.Background(), incident.Purge{Partner: "p", Next: next}, "ana", isOf("p")); err == nil {
			t.Errorf("%q was taken", next)
		}
	}
}
