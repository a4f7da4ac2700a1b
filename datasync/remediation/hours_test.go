package remediation

import (
	"strings"
	"testing"
)

func TestACalendarThatIsNotThereIsAFault(t *testing.T) {
	c := Config{Name: "r", Workflow: "w", OnlyDuring: "partner"}
	_, problems := Compile([]Config{c}, Options{Calendars: []string{"business"}})
	if len(problems) != 1 || problems[0].Path != "remediations[0].only_during" || !strings.Contains(problems[0].Text, `"partner"`) {
		t.Errorf("got %v", problems)
	}
	if _, problems = Compile([]Config{c}, Options{Calendars: []string{"partner"}}); len(problems) != 0 {
		t.Errorf("a calendar that is there: %v", problems)
	}
}
