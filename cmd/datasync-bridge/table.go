package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// gap separates the columns of a table.
const gap = 2

// narrowest is as narrow as fit makes a column of texts.
const narrowest = 10

// whole are the cells that say little when cut: the bridge's ids, times, and
// the types of events and deeds.
var whole = regexp.MustCompile(`^([a-z]{2}_[0-9a-v]{13}|[a-z]{1,16}\.[a-z_-]{1,24}|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)$`)

// writeTable aligns columns; what comes from outside has no control characters
// left, so that nobody can write on the operator's terminal. A table with
// headings is cut to the width of the terminal it is printed on: each row is
// one line. One without, which shows a single thing, is printed in full.
func writeTable(w io.Writer, columns []string, rows [][]string) error {
	if columns == nil {
		return layOut(w, rows, 0)
	}
	return layOut(w, append([][]string{columns}, rows...), terminalWidth(w))
}

// layOut writes aligned rows, cut to a width unless it is 0.
func layOut(w io.Writer, rows [][]string, width int) error {
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
		}
	}
	if width > 0 {
		rows = fit(rows, width)
	}
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 4, gap, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var out strings.Builder
	for line := range strings.Lines(text.String()) {
		line = strings.TrimRight(line, " \n")
		if width > 0 {
			line = shorten(line, width)
		}
		out.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// fit cuts the texts of the widest columns until a line of all columns fits.
func fit(rows [][]string, width int) [][]string {
	var widths, least []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths, least = append(widths, 0), append(least, narrowest)
			}
			n := utf8.RuneCountInString(cell)
			widths[i] = max(widths[i], n)
			if whole.MatchString(cell) {
				least[i] = max(least[i], n)
			}
		}
	}
	all := gap * (len(widths) - 1)
	for _, w := range widths {
		all += w
	}
	for ; all > width; all-- {
		widest := -1
		for i, w := range widths {
			if w > least[i] && (widest < 0 || w >= widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break // the rest is cut at the edge
		}
		widths[widest]--
	}
	out := make([][]string, len(rows))
	for i, row := range rows {
		for j, cell := range row {
			out[i] = append(out[i], shorten(cell, widths[j]))
		}
	}
	return out
}

// section prints rows under a title, nothing where there are none.
func section(w io.Writer, title string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for i := range rows {
		rows[i] = append([]string{""}, rows[i]...)
	}
	return writeTable(w, nil, rows)
}
