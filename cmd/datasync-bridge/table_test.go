package main

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestATableOnATerminalHasOneLineForEachRow(t *testing.T) {
	long := strings.Repeat("a second invoice means double payment ", 4)
	rows := func() [][]string {
		return [][]string{
			{"ID", "CREATED", "STATE", "PARTNER", "WHY"},
			{"rn_000000000000a", "2026-11-25 23:36:01", "refused", "Äcme with a rather long name Incorporated", long},
			{"rn_0000000000008", "2026-11-25 23:36:01", "done", "", ""},
		}
	}
	for _, width := range []int{20, 80, 100, 120} {
		var out strings.Builder
		if err := layOut(&out, rows(), width); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 3 {
			t.Fatalf("at %d columns: %d lines for three rows:\n%s", width, len(lines), out.String())
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n > width || strings.HasSuffix(line, " ") {
				t.Errorf("at %d columns a line has %d, or ends in blanks: %q", width, n, line)
			}
		}
		if !strings.HasSuffix(lines[1], "…") {
			t.Errorf("at %d columns nothing says that text was cut: %q", width, lines[1])
		}
		if width >= 80 && !strings.Contains(lines[1], "Äcme") {
			t.Errorf("at %d columns a wide text hides the column before it: %q", width, lines[1])
		}
		if width >= 80 && !strings.HasPrefix(lines[1], "rn_000000000000a  2026-11-25 23:36:01  refused  ") {
			t.Errorf("at %d columns an id, a time or a state was cut: %q", width, lines[1])
		}
	}
	var out strings.Builder
	if err := layOut(&out, rows(), 0); err != nil || !strings.Contains(out.String(), strings.TrimSpace(long)) {
		t.Errorf("where there is no terminal the text is cut (%v):\n%s", err, out.String())
	}
}

func TestFieldsGiveTimesInTheOperatorsZone(t *testing.T) {
	var out strings.Builder
	if err := printFields(&out, struct {
		At  string `json:"created_at"`
		Why string `json:"why"`
	}{"2026-11-25T23:36:01.581633563Z", "since 2026-11-25T23:36:01Z"}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Contains(got, "01.58") || !strings.Contains(got, "since 2026-11-25T23:36:01Z") {
		t.Errorf("printed\n%s", got)
	}
}
