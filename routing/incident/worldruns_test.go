package incident

import (
	"fmt"
	"slices"
)

func (w *world) store(run Run) {
	for i := range w.runs {
		if w.runs[i].ID == run.ID && run.ID != "" {
			w.runs[i] = run
			return
		}
	}
	if run.ID == "" {
		run.ID = fmt.Sprintf("rn_%04d", len(w.runs)+1)
	}
	w.runs = append(w.runs, run)
}

func (w *world) run(id string) Run {
	for _, run := range w.runs {
		if run.ID == id {
			return run
		}
	}
	return Run{}
}

// becomes changes a run as the worker does.
func (w *world) becomes(id string, state RunState, with ...func(*Run)) {
	w.t.Helper()
	run := w.run(id)
	run.State = state
	for _, f := range with {
		f(&run)
	}
	w.apply(w.m.RunChanged(w.load(Query{Incidents: []string{run.Incident}}), run, w.now))
}

// deed changes a run as the desk does for a person.
func (w *world) deed(id string, state RunState, by, action, why string) {
	w.t.Helper()
	run := w.run(id)
	run.State = state
	if action == AuditApproved {
		run.Approval.Given = append(slices.Clone(run.Approval.Given), Mark{By: by, At: w.now, Why: why})
	}
	w.apply(w.m.RunDeed(w.load(Query{Incidents: []string{run.Incident}}), run, Audit{Actor: by, Action: action, Why: why}, w.now))
}
