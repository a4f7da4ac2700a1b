package routing

import (
	"fmt"
	"strings"
)

// Problem is one fault of the configuration.
type Problem struct {
	// Path is as in YAML: "rules[2].when". A match key stands whole, dots and
	// all: "rules[2].match.partner.id[1]".
	Path string
	// Line and Col, from 1, are the place inside the text of a when; 0 for all
	// other problems.
	Line, Col int
	// Text is a sentence without capital or full stop that says the next step.
	Text string
	// Warning reports that the configuration works all the same.
	Warning bool
}

// suggest ends a sentence about an unknown name, "" where no known name is near.
func suggest(got string, known []string) string {
	best, least := "", 1+max(1, min(3, len(got)/4))
	for _, name := range known {
		if d := distance(strings.ToLower(got), strings.ToLower(name), least); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// distance counts the letters to add, drop, change or swap with their
// neighbour, up to a limit.
func distance(a, b string, limit int) int {
	if diff := len(a) - len(b); diff >= limit || -diff >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(last[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
