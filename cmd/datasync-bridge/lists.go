package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/spf13/cobra"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
	"datasync-bridge/web/view"
)

// maxRows is what a store gives at once.
const maxRows = 1000

// listing is a command that lists one kind of row and shows one of them.
type listing[T, V any] struct {
	name, one, short string
	states           []string
	columns          []string
	row              func(T) []string
	of               func(T) V
	list             func(*sqlite.Store, context.Context, incident.Filter) ([]T, error)
	// show gathers all that is known of one, as the admin API does.
	show func(*sqlite.Store, context.Context, string) (any, error)
	// print writes what show gave for people.
	print func(io.Writer, any) error
}

// command builds `NAME list` and `NAME show ID`; NAME alone lists.
func (l listing[T, V]) command(c *cli) *cobra.Command {
	var filter incident.Filter
	var since string
	list := func(cmd *cobra.Command, _ []string) error {
		f := filter
		switch {
		case f.State != "" && !slices.Contains(l.states, f.State):
			return usagef("--state: %q is none of %s", f.State, strings.Join(l.states, ", "))
		case f.Limit < 1 || f.Limit > maxRows:
			return usagef("--limit: must be 1 to %d (got %d)", maxRows, f.Limit)
		}
		if since != "" {
			age, err := event.ParseDuration(since)
			if err != nil {
				return usagef("--since: %v", err)
			}
			f.Since = time.Now().Add(-age)
		}
		return c.withReader(cmd.Context(), func(s *sqlite.Store) error {
			items, err := l.list(s, cmd.Context(), f)
			if err != nil {
				return err
			}
			return l.write(c, items)
		})
	}
	parent := &cobra.Command{
		Use: l.name, Short: l.short, Args: cobra.NoArgs, RunE: list,
		Long:    l.short + ". Tables give times in this machine's zone,\n-o json in UTC. The store is read as it lies on disk, with or without a serve.",
		Example: fmt.Sprintf("  datasync-bridge %[1]s\n  datasync-bridge %[1]s list --since 24h -o json\n  datasync-bridge %[1]s show %[2]s", l.name, l.one),
	}
	parent.PersistentFlags().StringVarP(&c.output, "output", "o", "table", "table or json")
	listed := &cobra.Command{Use: "list", Short: "List them, newest first", Args: cobra.NoArgs, RunE: list, Example: "  datasync-bridge " + l.name + " list --limit 20"}
	for _, flags := range []*cobra.Command{parent, listed} {
		flags.Flags().StringVar(&since, "since", "", "only newer than this `duration`, such as 24h or 7d")
		flags.Flags().StringVar(&filter.State, "state", "", "only in this state: "+strings.Join(l.states, ", "))
		flags.Flags().StringVar(&filter.Before, "before", "", "continue after this `id`")
		flags.Flags().IntVar(&filter.Limit, "limit", 50, "at most so many")
	}
	shown := &cobra.Command{
		Use: "show ID", Short: "Show one with all that belongs to it", Args: cobra.ExactArgs(1),
		Example: "  datasync-bridge " + l.name + " show " + l.one,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withReader(cmd.Context(), func(s *sqlite.Store) error {
				found, err := l.show(s, cmd.Context(), args[0])
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				if c.output == "json" {
					return writeJSON(c.out, found)
				}
				return l.print(c.out, found)
			})
		},
	}
	parent.AddCommand(listed, shown)
	return parent
}

func (l listing[T, V]) write(c *cli, items []T) error {
	if c.output == "json" {
		return writeJSON(c.out, view.Each(items, l.of))
	}
	if len(items) == 0 {
		_, err := fmt.Fprintf(c.out, "no %s\n", l.name)
		return err
	}
	rows := make([][]string, 0, len(items))
	for _, item := range items {
		rows = append(rows, l.row(item))
	}
	return writeTable(c.out, l.columns, rows)
}

// writeJSON prints a value with all that could steer a terminal spelled out,
// which JSON reads the same: such characters stand in texts only.
func writeJSON(w io.Writer, v any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	var safe strings.Builder
	for _, r := range text.String() {
		if r == '\n' || !steers(r) {
			safe.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&safe, `\u%04x`, unit)
		}
	}
	_, err := io.WriteString(w, safe.String())
	return err
}

// clock prints a time in the operator's own zone, "" for none.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
