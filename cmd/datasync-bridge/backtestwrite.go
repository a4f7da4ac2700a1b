package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	// shownRules and shownPartners bound the tables; -o json has all.
	shownRules    = 60
	shownPartners = 20
)

// write prints a backtest for people.
func (b *backtested) write(w io.Writer) error {
	fmt.Fprintln(w, printable(b.Verdict))
	if b.Events > 0 {
		if err := b.writeTables(w); err != nil {
			return err
		}
	}
	fmt.Fprintln(w, "\nWhat a backtest cannot know")
	for _, note := range b.Notes {
		if _, err := fmt.Fprintln(w, "  "+note); err != nil {
			return err
		}
	}
	return nil
}

func (b *backtested) writeTables(w io.Writer) error {
	if b.alone {
		fmt.Fprintf(w, "Under %s; --against OLD.yaml compares it with other rules.\n", printable(b.Config))
	} else {
		fmt.Fprintf(w, "%s → %s\n", printable(b.Against), printable(b.Config))
	}
	rules, more := b.shown(b.Rules, shownRules, "further rules")
	if err := b.table(w, "RULE", rules, more); err != nil {
		return err
	}
	partners := slices.Clone(b.Partners)
	if b.Differs {
		partners = slices.DeleteFunc(partners, func(c namedChange) bool { return !c.differs() })
	}
	if b.Differs || b.alone {
		slices.SortFunc(partners, heavier)
		title := "further partners"
		shown, more := b.shown(partners, shownPartners, title)
		if b.Differs {
			more = append(more, b.alike(len(b.Partners)-len(partners))...)
		}
		if err := b.table(w, "PARTNER", shown, more); err != nil {
			return err
		}
	}
	if err := section(w, "Messages and pages by notifier", b.countRows(b.Notifiers)); err != nil {
		return err
	}
	if err := section(w, "Runs by remediation", b.countRows(b.Runs)); err != nil {
		return err
	}
	return b.writeExamples(w)
}

// shown are the first rows, and one that sums up the rest.
func (b *backtested) shown(list []namedChange, most int, rest string) (first []namedChange, more [][]string) {
	if len(list) <= most {
		return list, nil
	}
	// The rest keeps to what differs least, but the order stays.
	ranked := slices.SortedFunc(slices.Values(list), heavier)
	least := map[string]bool{}
	var old, new amounts
	for _, c := range ranked[most:] {
		least[c.Name] = true
		a, z := c.sides()
		old.add(a)
		new.add(z)
	}
	for _, c := range list {
		if !least[c.Name] {
			first = append(first, c)
		}
	}
	sum := change{New: &new}
	if !b.alone {
		sum.Old = &old
	}
	return first, [][]string{append([]string{fmt.Sprintf("%d %s", len(least), rest)}, b.cells(sum)...)}
}

// alike says how many partners are not listed because nothing differs.
func (b *backtested) alike(n int) [][]string {
	if n == 0 {
		return nil
	}
	return [][]string{{fmt.Sprintf("%s alike", tallied(n, "partner"))}}
}

func (b *backtested) table(w io.Writer, title string, list []namedChange, more [][]string) error {
	fmt.Fprintln(w)
	rows := make([][]string, 0, len(list)+len(more))
	for _, c := range list {
		name := c.Name
		if c.Called != "" && c.Called != c.Name {
			name = shorten(c.Called, 30) + " (" + c.Name + ")"
		}
		rows = append(rows, append([]string{name}, b.cells(c.change)...))
	}
	return writeTable(w, []string{title, "EVENTS", "INCIDENTS", "MESSAGES", "PAGES", "RUNS"}, append(rows, more...))
}

// cells are the amounts; "48 → 36" where they differ, "–" on the side that has
// no such rule.
func (b *backtested) cells(c change) []string {
	old, new := c.sides()
	cell := func(old, new int) string {
		switch {
		case b.alone:
			return grouped(new)
		case c.Old == nil:
			return "– → " + grouped(new)
		case c.New == nil:
			return grouped(old) + " → –"
		case old == new:
			return grouped(new)
		}
		return grouped(old) + " → " + grouped(new)
	}
	return []string{
		cell(old.Events, new.Events), cell(old.Incidents, new.Incidents), cell(old.Messages, new.Messages),
		cell(old.Pages, new.Pages), cell(old.Runs, new.Runs),
	}
}

func (b *backtested) countRows(list []countChange) [][]string {
	rows := make([][]string, 0, len(list))
	for _, c := range list {
		text := grouped(c.New)
		if !b.alone && c.Old != c.New {
			text = grouped(c.Old) + " → " + grouped(c.New)
		}
		rows = append(rows, []string{c.Name, text})
	}
	return rows
}

func (b *backtested) writeExamples(w io.Writer) error {
	for _, way := range []struct {
		title string
		newly bool
	}{{"Would newly page", true}, {"Would no longer page", false}} {
		var rows [][]string
		for _, e := range b.Examples {
			if e.Newly == way.newly {
				rows = append(rows, []string{
					b.face.line(e.At), e.Type, e.Severity, e.Partner, e.Pager, strings.Join(e.Rules, ", "), e.Event,
				})
			}
		}
		if err := section(w, way.title, rows); err != nil {
			return err
		}
	}
	if len(b.Examples) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nWhy: %s\n", printable(b.Examples[0].Explain))
	return err
}
