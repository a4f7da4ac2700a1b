package script

import (
	"slices"
	"strings"
	"testing"
)

func drawn(diff []Line) string {
	var b strings.Builder
	for _, l := range diff {
		b.WriteString(l.Mark + l.Text + "\n")
	}
	return b.String()
}

func TestAListIsComparedLineByLine(t *testing.T) {
	for _, tt := range []struct {
		name      string
		want, got []string
		diff      string
	}{
		{"the same", []string{"a", "b"}, []string{"a", "b"}, ""},
		{"none wanted, none there", []string{}, nil, ""},
		{"one is missing", []string{"a", "b", "c"}, []string{"a", "c"}, " a\n-b\n c\n"},
		{"one too many", []string{"a", "c"}, []string{"a", "b", "c"}, " a\n+b\n c\n"},
		{"in another order", []string{"a", "b"}, []string{"b", "a"}, "-a\n b\n+a\n"},
		{"nothing came", []string{"a"}, nil, "-a\n+(none)\n"},
		{"nothing was wanted", []string{}, []string{"a"}, "-(none)\n+a\n"},
	} {
		if got := drawn(aligned(tt.want, tt.got)); got != tt.diff {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.diff)
		}
	}
}

func TestDescriptionsAreGivenToWhatFitsThemInAnyOrder(t *testing.T) {
	fits := func(want, got string) bool { return strings.HasPrefix(got, want) }
	same := func(s string) string { return s }
	for _, tt := range []struct {
		name      string
		want, got []string
		diff      string
	}{
		{"the vaguer one gives way", []string{"a", "ab"}, []string{"ab", "ac"}, ""},
		{"one is not there", []string{"a", "x"}, []string{"ab"}, "-x\n ab\n"},
		{"one came twice", []string{"a"}, []string{"ab", "ab"}, "+ab\n ab\n"},
		{"none may come", nil, []string{"ab"}, "-(none)\n+ab\n"},
	} {
		if got := drawn(assigned(tt.want, tt.got, fits, same, same)); got != tt.diff {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.diff)
		}
	}
	many := slices.Repeat([]string{"ab"}, 200)
	if diff := assigned(nil, many, fits, same, same); len(diff) != maxShown+1 {
		t.Errorf("%d lines are shown", len(diff))
	}
}

func TestTextStandsInAMessageInThatOrder(t *testing.T) {
	for want, holds := range map[string]bool{"PAGED": true, "*NOT PAGED*": true, "NOT*later": true, "later*NOT": false, "paged": false} {
		if stands("NOT PAGED: told later", want) != holds {
			t.Errorf("%q stands there: %v", want, !holds)
		}
	}
}
