package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// sink takes a long listing item by item, in one of the forms of -o.
type sink[T any] interface {
	add(item T) error
	end() error
}

// tableSink gathers, because a table is aligned as a whole.
type tableSink[T any] struct {
	w       io.Writer
	columns []string
	row     func(T) []string
	none    string // what to say of an empty listing
	rows    [][]string
}

func (s *tableSink[T]) add(item T) error {
	s.rows = append(s.rows, s.row(item))
	return nil
}

func (s *tableSink[T]) end() error {
	if len(s.rows) == 0 {
		_, err := fmt.Fprintln(s.w, s.none)
		return err
	}
	return writeTable(s.w, s.columns, s.rows)
}

// jsonSink writes one array, item by item.
type jsonSink[T any] struct {
	w  io.Writer
	of func(T) any
	n  int
}

func (s *jsonSink[T]) add(item T) error {
	before := ","
	if s.n == 0 {
		before = "["
	}
	s.n++
	if _, err := fmt.Fprintln(s.w, before); err != nil {
		return err
	}
	return writeJSON(s.w, s.of(item))
}

func (s *jsonSink[T]) end() error {
	text := "]"
	if s.n == 0 {
		text = "[]"
	}
	_, err := fmt.Fprintln(s.w, text)
	return err
}

// csvSink writes a header, then a row for each.
type csvSink[T any] struct {
	w     *csv.Writer
	cells func(T) []string
}

func newCSVSink[T any](w io.Writer, cells func(T) []string, header ...string) *csvSink[T] {
	s := &csvSink[T]{csv.NewWriter(w), cells}
	_ = s.w.Write(header) // an error stays in the writer, for end
	return s
}

func (s *csvSink[T]) add(item T) error { return s.w.Write(harmless(s.cells(item))) }

func (s *csvSink[T]) end() error {
	s.w.Flush()
	return s.w.Error()
}

// decimal is a number, which a credit's amount may be, below zero.
var decimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

// harmless makes texts from outside safe to open in a spreadsheet, which would
// run one that begins like a formula.
func harmless(cells []string) []string {
	for i, text := range cells {
		text = printable(text)
		bare := strings.TrimLeft(text, " ")
		if bare != "" && strings.ContainsRune("=+-@", rune(bare[0])) && !decimal.MatchString(text) {
			text = "'" + text
		}
		cells[i] = text
	}
	return cells
}

// stamp prints a time for programs, "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
