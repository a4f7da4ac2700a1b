package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxFaults bounds what one load lists: a file that is no configuration at all
// has a fault in every line.
const maxFaults = 200

// Fault is one thing that is wrong with a configuration, where it was typed.
type Fault struct {
	// File is the file's path as given, or the name of the environment variable
	// or flag that holds the value; those have no Line and Col.
	File string
	Line int
	Col  int
	// Path is the key as typed, such as "notifiers[0].fallback.after"; "" for
	// the file itself.
	Path string
	// Text says what is wrong and what to do next. It never holds a secret.
	Text string
	// Warning marks what is dubious but loads.
	Warning bool
	// Excerpt is the line of the file, with a caret below the column on a second
	// line, for what stands inside a condition or a template; "" for all else.
	Excerpt string
}

func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Col)
	}
	if f.Warning {
		b.WriteString(": warning")
	}
	if f.Path != "" {
		b.WriteString(": " + f.Path)
	}
	b.WriteString(": " + f.Text)
	return b.String()
}

// Faults are all faults of one load: those of the file by position, then those
// of variables and flags by name.
type Faults []Fault

// Error prints one fault a line, and below it where in a condition it is.
func (f Faults) Error() string {
	lines := make([]string, 0, len(f))
	for _, fault := range f {
		lines = append(lines, fault.String())
		if fault.Excerpt != "" {
			lines = append(lines, fault.Excerpt)
		}
	}
	return strings.Join(lines, "\n")
}

func (f Faults) sort() {
	slices.SortStableFunc(f, func(a, b Fault) int {
		positioned := func(x Fault) int {
			if x.Line > 0 {
				return 0
			}
			return 1
		}
		return cmp.Or(
			cmp.Compare(positioned(a), positioned(b)),
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Col, b.Col),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Text, b.Text),
		)
	})
}

// place is where a value was typed. Without a line, file is the name of a
// variable or flag.
type place struct {
	file string
	line int
	col  int
}

// typed reports whether the value stands in the file; variables and flags hold
// text only, so what they say is read as the kind that the key wants.
func (p place) typed() bool { return p.line > 0 }

// book knows where each key was typed and collects what is wrong with it.
type book struct {
	file string
	// dir is what names of secrets' files are relative to, "" for the folder
	// where the program runs.
	dir string
	// source is the file's text by line, lines how many there are.
	source [][]byte
	lines  int
	places map[string]place
	// texts is where the first character of a text stands.
	texts map[string]place
	// blocks are the texts that stand in lines of their own, indented alike.
	blocks map[string]bool
	faults Faults
	// more reports that there were too many to keep, fatal that one of all is
	// more than a warning.
	more  bool
	fatal bool
	// bad holds the paths whose value could not be used, so that a room does
	// not complain again about what it was never given.
	bad map[string]bool
}

func newBook(file string) *book {
	return &book{file: file, places: map[string]place{}, texts: map[string]place{}, blocks: map[string]bool{}, bad: map[string]bool{}}
}

// at finds the place of a path, or of the nearest thing around it: a missing
// key is reported where it is missed.
func (b *book) at(path string) place {
	for path != "" {
		if p, ok := b.places[path]; ok {
			return p
		}
		path = parent(path)
	}
	return place{b.file, 1, 1}
}

// parent cuts the last key or index from a path.
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// fault reports a value that cannot be used.
func (b *book) fault(path, format string, args ...any) {
	b.bad[path] = true
	b.add(Fault{Path: path, Text: fmt.Sprintf(format, args...)})
}

// problem reports what a room or a comparison found. What is wrong already, or
// lies inside what is wrong, is not reported a second time.
func (b *book) problem(path, text string, warning bool) {
	path = strings.TrimSuffix(path, ".") // a room's word on its section as a whole
	for p := path; p != ""; p = parent(p) {
		if b.bad[p] {
			return
		}
	}
	b.add(Fault{Path: path, Text: text, Warning: warning})
}

func (b *book) add(f Fault) {
	p := b.at(f.Path)
	f.File, f.Line, f.Col = p.file, p.line, p.col
	b.push(f)
}

// excerpt shows a place in the file's text: at most 100 characters of the line,
// and a caret.
func (b *book) excerpt(line, col int) string {
	if line < 1 || line > len(b.source) {
		return ""
	}
	text := []rune(strings.TrimRight(string(b.source[line-1]), "\r\n"))
	if col < 1 || col > len(text)+1 {
		return ""
	}
	indent := len(text) - len([]rune(strings.TrimLeft(string(text), " ")))
	from := max(min(indent, col-1), col-60)
	to := min(len(text), from+100)
	return "    " + string(text[from:to]) + "\n    " + strings.Repeat(" ", col-1-from) + "^"
}

// push keeps a fault, as far as anybody would read on.
func (b *book) push(f Fault) {
	b.fatal = b.fatal || !f.Warning
	switch {
	case slices.Contains(b.faults, f):
	case len(b.faults) < maxFaults:
		b.faults = append(b.faults, f)
	default:
		b.more = true
	}
}

// sorted is what was found, in order.
func (b *book) sorted() Faults {
	if b.more {
		b.faults = append(b.faults, Fault{File: b.file, Line: b.lines, Col: 1, Text: "there are more faults than are listed here"})
		b.more = false
	}
	b.faults.sort()
	return b.faults
}

// join puts a path below another.
func join(base, path string) string {
	if base == "" || path == "" || path[0] == '[' {
		return base + path
	}
	return base + "." + path
}

// Suggest ends a sentence about an unknown name as the faults of a load do: with
// the known name that is nearest to it, else with all that are known.
func Suggest(name string, known []string) string { return suggest(name, known) }

// suggest ends a sentence about an unknown name: with the known name that is
// nearest to it, else with all that are known.
func suggest(name string, known []string) string {
	best, distance := "", max(1, len(name)/3)+1
	for _, k := range known {
		if d := edits(strings.ToLower(name), k); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(known) > 0:
		return "; known here: " + strings.Join(known, ", ")
	}
	return ""
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
