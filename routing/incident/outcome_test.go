package incident

import (
	"testing"

	"datasync-bridge/event"
)

func TestRouting35_WhatAnAutomationTellsOfItsRun(t *testing.T) {
	const key = "resend_status:T1:1"
	for _, tt := range []struct {
		name  string
		from  RunState
		event happening
		want  RunState
		paged string
	}{
		{"an accepted run failed", RunDone, ended(typeRunFailed, key), RunFailed, "opening"},
		{"it failed before it was known to be accepted", RunStarted, ended(typeRunFailed, key), RunFailed, "opening"},
		{"it is unknown and failed: somebody must look", RunUnknown, ended(typeRunFailed, key), RunUnknown, "opening"},
		{"it is unknown and completed", RunUnknown, ended(typeRunCompleted, key), RunDone, "opening"},
		{"an accepted run completed", RunDone, ended(typeRunCompleted, key), RunDone, ""},
		{"another run failed", RunDone, ended(typeRunFailed, "resend_status:T1:2"), RunDone, ""},
		{"one without a key failed", RunDone, ended(typeRunFailed, ""), RunDone, ""},
		{"nobody signed it", RunDone, ended(typeRunFailed, key, but(func(ev *event.Event) { ev.Authentic = false })), RunDone, ""},
		{"it is a replay", RunDone, ended(typeRunFailed, key, but(func(ev *event.Event) { ev.Origin = event.OriginReplay })), RunDone, ""},
		{"it is of the sandbox", RunDone, ended(typeRunFailed, key, but(func(ev *event.Event) { ev.Environment = event.Sandbox })), RunDone, ""},
		{"it was refused", RunRefused, ended(typeRunFailed, key), RunRefused, "opening"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := holding(t)
			w.becomes("rn_0001", tt.from, func(r *Run) { r.Key, r.Environment = key, event.Production })
			w.event(tt.event)
			w.event(tt.event) // told twice
			run := w.run("rn_0001")
			if run.State != tt.want || run.FailedLater != (tt.want == RunFailed) {
				t.Errorf("the run is %s (failed later: %t), want %s", run.State, run.FailedLater, tt.want)
			}
			w.want("pager", tt.paged)
		})
	}
}

// ended is the event of an automation's end.
func ended(kind, key string, more ...func(*happening)) happening {
	effect := event.Open
	if kind == typeRunCompleted {
		effect = event.Settle
	}
	base := []func(*happening){about("T1"), partner("P1"), to("slack"), with(event.RunKey, key), with(event.RunID, "run_9")}
	return happens(kind, effect, event.AutomationFault, append(base, more...)...)
}
