package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/config"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store/sqlite"
)

// byWhat is what a stored event is found by.
type byWhat struct {
	transaction, po, invoice, partner string
	at                                string
}

func (b *byWhat) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&b.transaction, "transaction", "", "find an event by its transaction's `id`")
	f.StringVar(&b.po, "po", "", "find an event by a purchase order's `number`")
	f.StringVar(&b.invoice, "invoice", "", "find an event by an invoice's `number`")
	f.StringVar(&b.partner, "partner", "", "find an event by its partner's `id or name`")
	f.StringVar(&b.at, "at", "", "the one nearest to this `time`, such as \"2026-11-26 02:40\" (in defaults.time_zone)")
}

// one refuses what names nothing, or several things.
func (b *byWhat) one(args int) error {
	n := args
	for _, text := range []string{b.transaction, b.po, b.invoice, b.partner} {
		if text != "" {
			n++
		}
	}
	switch {
	case n == 0:
		return usagef("explain needs a file, an event's or incident's id, or one of --transaction, --po, --invoice, --partner")
	case n > 1:
		return usagef("explain takes one of a file, an id, --transaction, --po, --invoice, --partner")
	case args > 0 && b.at != "":
		return usagef("--at goes with --transaction, --po, --invoice or --partner")
	}
	return nil
}

func (b *byWhat) words() string {
	return cmp.Or(prefixed("transaction ", b.transaction), prefixed("purchase order ", b.po),
		prefixed("invoice ", b.invoice), prefixed("partner ", b.partner))
}

func prefixed(word, text string) string {
	if text == "" {
		return ""
	}
	return word + text
}

// explainFound explains the event that is nearest to the time asked for, and
// lists the others.
func (c *cli) explainFound(ctx context.Context, cfg *config.Config, s *sqlite.Store, by byWhat, with string) error {
	face := newFace(cfg, time.Now())
	near := face.now
	if by.at != "" {
		var err error
		if near, err = face.moment("--at", by.at); err != nil {
			return err
		}
	}
	m, err := newMapper(cfg.Mappings())
	if err != nil {
		return err
	}
	found, err := findEvents(ctx, s, m, by, near)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("no event is kept about %s; events are kept for store.retain.events, %s", by.words(), spoken(cfg.Store.Retain.Events))
	}
	nearest(found, near)
	return c.explainEvent(ctx, cfg, s, found[0].ID, with, found[1:])
}

// mostFound is how many events a search gathers to each side of its time.
const mostFound = 50

// library is where events are searched.
type library interface {
	Holding(ctx context.Context, q sqlite.Search, yield func(event.Stored) (more bool, err error)) error
	Partners(ctx context.Context, limit int) ([]incident.Partner, error)
}

// findEvents searches the bodies around a time, and takes those whose fields,
// as the mapping reads them, are what was asked for.
func findEvents(ctx context.Context, s library, m mapper, by byWhat, near time.Time) ([]event.Stored, error) {
	names := []string{cmp.Or(by.transaction, by.po, by.invoice, by.partner)}
	if by.partner != "" {
		known, err := s.Partners(ctx, maxRows)
		if err != nil {
			return nil, err
		}
		for _, p := range known { // a name that no webhook carries
			if strings.EqualFold(p.Name, by.partner) && !slices.Contains(names, p.ID) {
				names = append(names, p.ID)
			}
		}
	}
	var found []event.Stored
	for _, name := range names {
		text := searchable(name)
		if text == "" {
			return nil, usagef("%q has no letter or digit to search for", name)
		}
		for _, newer := range []bool{false, true} {
			n := 0
			err := s.Holding(ctx, sqlite.Search{Text: text, From: near, Newer: newer}, func(st event.Stored) (bool, error) {
				ev, err := m.Normalize(st)
				if err == nil && by.fits(ev, name) && !slices.ContainsFunc(found, func(o event.Stored) bool { return o.ID == st.ID }) {
					st.Body = nil // it is read again if it is the one
					found, n = append(found, st), n+1
				}
				return n < mostFound, nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// fits reports whether an event is about what was asked for; name is that, or
// the id of the partner of that name.
func (b *byWhat) fits(ev event.Event, name string) bool {
	switch {
	case b.transaction != "":
		return ev.Text(event.TransactionID) == name
	case b.po != "":
		return ev.Text(event.PONumber) == name
	case b.invoice != "":
		return ev.Text(event.InvoiceNumber) == name
	}
	return ev.Text(event.PartnerID) == name || strings.EqualFold(ev.Text(event.PartnerName), name)
}

// plainRun is text that JSON spells in one way only.
var plainRun = regexp.MustCompile(`[a-z0-9 ._-]+`)

// searchable is the longest part of a text that stands in a body as it is.
func searchable(text string) string {
	longest := ""
	for _, run := range plainRun.FindAllString(strings.ToLower(text), -1) {
		if len(run) > len(longest) {
			longest = run
		}
	}
	return longest
}

// nearest sorts events by how far from a time they arrived.
func nearest(found []event.Stored, near time.Time) {
	slices.SortStableFunc(found, func(x, y event.Stored) int {
		return cmp.Compare(x.ReceivedAt.Sub(near).Abs(), y.ReceivedAt.Sub(near).Abs())
	})
}

// listedOthers bounds the table of what else was found.
const listedOthers = 20

func (a *account) writeOthers(w io.Writer, others []event.Stored) error {
	rows := make([][]string, 0, len(others))
	for _, st := range others[:min(len(others), listedOthers)] {
		rows = append(rows, []string{a.face.line(st.ReceivedAt), st.ID, st.Type, strings.TrimSpace(string(st.State) + " " + st.Incident)})
	}
	title := "Also found; explain one by its id"
	if more := len(others) - len(rows); more > 0 {
		title = fmt.Sprintf("Also found, and %d more; explain one by its id, or name a time with --at", more)
	}
	return section(w, title, rows)
}
