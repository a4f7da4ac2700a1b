package incident

import (
	"fmt"
	"slices"
)

// inHours refuses the runs that a maintenance window or the partner's hours
// forbid now. What is refused holds no pager back (routing rule 35).
func (d *draft) inHours(runs []Run) []Run {
	runs = slices.Clone(runs)
	for i := range runs {
		run := &runs[i]
		if run.State != RunQueued && run.State != RunProposed {
			continue
		}
		if why := d.outOfHours(*run); why != "" {
			run.State, run.Why, run.Hold = RunRefused, why, 0
		}
	}
	return runs
}

// outOfHours says why a run may not be proposed now, "" if it may. A calendar
// that a reload has removed forbids: nobody said that its hours are over.
func (d *draft) outOfHours(run Run) string {
	if d.m.Silences != nil {
		if s, silenced := d.m.Silences.Silencing(d.ev, d.in.Now); silenced {
			return fmt.Sprintf("silence %s holds until %s: %s", s.ID, clock(s.Until), cut(s.Why, 100))
		}
	}
	if run.OnlyDuring == "" {
		return ""
	}
	calendar, known := d.m.Calendars[run.OnlyDuring]
	if known && calendar.Open(d.in.Now) {
		return ""
	}
	text := fmt.Sprintf("it is outside calendar %s, to which its remediation keeps", run.OnlyDuring)
	if known {
		if next := calendar.Next(d.in.Now); !next.IsZero() {
			text += "; it opens at " + clock(next)
		}
	}
	return text
}
