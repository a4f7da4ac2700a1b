package incident

import (
	"slices"
	"strings"
	"testing"
)

func TestRouting33_NoNoteSaysWhatIsGoingToHappenOnceItHasHappened(t *testing.T) {
	w := newWorld(t)
	auto := Run{Remediation: "resend-status", Workflow: "resend_status", State: RunQueued, Transaction: "T1"}
	id := w.event(failed("T1", proposing(auto, proposedRun("T1")))).Incident
	if notes := w.incidents[id].Notes; len(notes) != 2 {
		t.Fatalf("notes %q, want what will be run and what needs a person", notes)
	}
	w.becomes("rn_0002", RunAwaiting, w.asked(1))
	w.becomes("rn_0001", RunDone, func(r *Run) { r.Why = "asked for T1" })
	want := []string{"resend_status was accepted by Datasync: asked for T1"}
	if notes := w.incidents[id].Notes; !slices.Equal(notes, want) {
		t.Errorf("notes %q, want %q", notes, want)
	}
}

func TestRouting35_TheSameWordsStandInANoteOnce(t *testing.T) {
	w, id := waiting(t, 3)
	for _, run := range []string{"rn_0001", "rn_0002", "rn_0003"} {
		w.becomes(run, RunRefused, func(r *Run) { r.Why = "the transaction is no longer open" })
	}
	notes := strings.Join(w.incidents[id].Notes, "\n")
	if n := strings.Count(notes, "no longer open"); n != 1 {
		t.Errorf("the same note stands there %d times:\n%s", n, notes)
	}
}
