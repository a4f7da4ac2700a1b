package script

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Colours paint a report; the zero value leaves it plain.
type Colours struct{ Bad, Good, Dim, Off string }

// ForTerminals are the colours of a terminal.
var ForTerminals = Colours{Bad: "\x1b[31m", Good: "\x1b[32m", Dim: "\x1b[2m", Off: "\x1b[0m"}

// Write prints what failed and why, then one line on all. With all, it also
// prints what happened in each test.
func Write(w io.Writer, results []Result, c Colours, all bool) error {
	var b strings.Builder
	failed, files := 0, []string{}
	var took time.Duration
	for _, r := range results {
		took += r.Took
		if !slices.Contains(files, r.File) {
			files = append(files, r.File)
		}
		if len(r.Failures) > 0 {
			failed++
		}
		r.write(&b, c, all)
	}
	paint, verdict := c.Good, fmt.Sprintf("%d passed", len(results)-failed)
	if failed > 0 {
		paint = c.Bad
		verdict = fmt.Sprintf("%d FAILED, %s", failed, verdict)
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%s%s%s · %s in %s, %s\n", paint, verdict, c.Off,
		plural(len(results), "test"), plural(len(files), "file"), took.Round(time.Millisecond))
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Result) write(b *strings.Builder, c Colours, all bool) {
	bad := len(r.Failures) > 0
	switch {
	case bad:
		fmt.Fprintf(b, "%sFAIL%s  %s (%s:%d)\n", c.Bad, c.Off, printable(r.Name), r.File, r.Line)
	case all:
		fmt.Fprintf(b, "%sok%s    %s (%s:%d)\n", c.Good, c.Off, printable(r.Name), r.File, r.Line)
	default:
		return
	}
	if all {
		for _, line := range r.Told {
			fmt.Fprintf(b, "  %s%s%s\n", c.Dim, printable(line), c.Off)
		}
	}
	step := ""
	for _, f := range r.Failures {
		if f.Step != step {
			step = f.Step
			fmt.Fprintf(b, "  %s\n", printable(step))
		}
		f.write(b, c)
	}
}

func (f Failure) write(b *strings.Builder, c Colours) {
	fmt.Fprintf(b, "    %s: %s\n", f.Place, printable(f.What))
	for _, line := range f.Diff {
		label, paint := "     ", c.Dim
		switch line.Mark {
		case "-":
			label, paint = "want ", c.Good
		case "+":
			label, paint = "got  ", c.Bad
		}
		fmt.Fprintf(b, "      %s%s %s%s%s\n", paint, line.Mark, label, printable(line.Text), c.Off)
	}
	for i, note := range f.Notes {
		word := "why: "
		if i > 0 {
			word = "     "
		}
		fmt.Fprintf(b, "      %s%s\n", word, strings.ReplaceAll(printable(note), "\n", "\n           "))
	}
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// printable keeps what a file holds from steering a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, text)
}
