package script

import "fmt"

// wantGot is the difference of two texts.
func wantGot(want, got string) []Line { return []Line{{"-", want}, {"+", got}} }

// aligned is the difference of two lists, what both have side by side; nil
// where they are the same.
func aligned(want, got []string) []Line {
	same := make([][]int, len(want)+1) // the longest common sequence from i and j on
	for i := range same {
		same[i] = make([]int, len(got)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			if want[i] == got[j] {
				same[i][j] = same[i+1][j+1] + 1
			} else {
				same[i][j] = max(same[i+1][j], same[i][j+1])
			}
		}
	}
	if same[0][0] == len(want) && len(want) == len(got) {
		return nil
	}
	var diff []Line
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case i < len(want) && j < len(got) && want[i] == got[j]:
			diff = append(diff, Line{" ", want[i]})
			i, j = i+1, j+1
		case j == len(got) || i < len(want) && same[i+1][j] >= same[i][j+1]:
			diff = append(diff, Line{"-", want[i]})
			i++
		default:
			diff = append(diff, Line{"+", got[j]})
			j++
		}
	}
	if len(diff) == 0 {
		return nil
	}
	return short(nothing(diff, want, got))
}

// nothing says so where one side of a difference is empty.
func nothing(diff []Line, want, got []string) []Line {
	switch {
	case len(want) == 0:
		return append([]Line{{"-", "(none)"}}, diff...)
	case len(got) == 0:
		return append(diff, Line{"+", "(none)"})
	}
	return diff
}

// maxShown bounds what a difference lists.
const maxShown = 20

// short cuts a long difference, and says so.
func short(diff []Line) []Line {
	if len(diff) <= maxShown {
		return diff
	}
	return append(diff[:maxShown:maxShown], Line{" ", fmt.Sprintf("… and %d more", len(diff)-maxShown)})
}

// assigned gives each description one thing that fits it, and each thing to one
// description, in whatever order they come; nil where nothing is left over.
func assigned[W, G any](want []W, got []G, fits func(W, G) bool, sayWant func(W) string, sayGot func(G) string) []Line {
	owner := make([]int, len(got)) // which description has it, -1 for none
	for j := range owner {
		owner[j] = -1
	}
	var place func(i int, tried []bool) bool
	place = func(i int, tried []bool) bool {
		for j := range got {
			if tried[j] || !fits(want[i], got[j]) {
				continue
			}
			tried[j] = true
			if owner[j] < 0 || place(owner[j], tried) {
				owner[j] = i
				return true
			}
		}
		return false
	}
	var diff []Line
	missing := 0
	for i := range want {
		if !place(i, make([]bool, len(got))) {
			missing++
			diff = append(diff, Line{"-", sayWant(want[i])})
		}
	}
	for j := range got {
		if owner[j] < 0 {
			diff = append(diff, Line{"+", sayGot(got[j])})
		}
	}
	if len(diff) == 0 {
		return nil
	}
	for j := range got { // what is as it should be, so that one sees what is there
		if owner[j] >= 0 {
			diff = append(diff, Line{" ", sayGot(got[j])})
		}
	}
	switch {
	case len(want) == 0:
		diff = append([]Line{{"-", "(none)"}}, diff...)
	case len(got) == 0:
		diff = append(diff, Line{"+", "(none)"})
	}
	return short(diff)
}
