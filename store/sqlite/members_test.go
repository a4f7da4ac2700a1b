package sqlite

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// However many members of others lie in between, a page looks at so many rows,
// and the next one goes on from there.
func TestAPageOfOpenMembersIsBoundedByWhatItLooksAt(t *testing.T) {
	ctx := context.Background()
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), func() time.Time { return upgradedAt })
	for k, environment := range []event.Environment{event.Sandbox, event.Production} {
		id := formatID(incidentID, int64(k+1))
		plan := incident.Plan{Incidents: []incident.Incident{{ID: id, Environment: environment, Source: "datasync", Key: id, State: incident.Open, OpenedAt: upgradedAt}}}
		for n := range []int{maxMembersScanned + 1, 1}[k] {
			name := strconv.Itoa(n)
			plan.Members = append(plan.Members, incident.MatchedMember{Incident: id, Member: incident.Member{
				ID: name, Open: true, OpenedAt: upgradedAt, Transaction: name, Event: formatID(eventID, int64(k+1))}})
		}
		if err := s.Apply(ctx, plan); err != nil {
			t.Fatal(err)
		}
	}
	got, next, err := s.OpenMembers(ctx, "datasync", event.Production, upgradedAt, 10, "")
	if err != nil || len(got) != 0 || next == "" {
		t.Fatalf("first page: %d members, then %q (%v), want none and a token", len(got), next, err)
	}
	got, next, err = s.OpenMembers(ctx, "datasync", event.Production, upgradedAt, 10, next)
	if err != nil || len(got) != 1 || next != "" {
		t.Errorf("second page: %d members, then %q (%v), want one and the end", len(got), next, err)
	}
}
