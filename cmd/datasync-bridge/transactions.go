package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
)

// Bounds on one listing: a table is held in memory to be aligned, the other
// forms are written as they come.
const (
	maxTable   = 10_000
	maxListing = 1_000_000
	manyPages  = maxListing
)

func (c *cli) transactionsCommand() *cobra.Command {
	var q datasync.TransactionQuery
	var since, until string
	var limit int
	cmd := &cobra.Command{
		Use:   "transactions",
		Short: "List transactions: as a table, JSON or CSV",
		Long: `List transactions (GET /transactions) as a table, JSON or CSV. Datasync documents
the filters status=failed, partner, document type and time range; the names of
the parameters and of the answer's fields are assumed (datasync.transactions).
Where a listing is not complete, a note on the error stream says so.`,
		Example: `  datasync-bridge datasync transactions --status failed --since 24h
  datasync-bridge datasync transactions --partner par_7h2k9 --document-type 856 -o csv > failed.csv`,
		Args:        cobra.NoArgs,
		Annotations: withCSV,
		RunE: func(cmd *cobra.Command, _ []string) error {
			now := time.Now()
			var err error
			if q.Since, err = moment("--since", since, now); err != nil {
				return err
			}
			if q.Until, err = moment("--until", until, now); err != nil {
				return err
			}
			most := maxListing
			if c.output == "table" {
				most = maxTable
			}
			if limit < 1 || limit > most {
				return usagef("--limit: must be 1 to %d for -o %s (got %d)", most, c.output, limit)
			}
			return c.transactions(cmd.Context(), q, limit)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.Status, "status", "", "only with this status, such as failed")
	flags.StringVar(&q.Partner, "partner", "", "only of this trading partner, by `id`")
	flags.StringVar(&q.DocumentType, "document-type", "", "only of this document type, such as 856")
	flags.StringVar(&since, "since", "", "only from this `time` on: 2026-11-30T22:00:00Z, or a duration back such as 24h")
	flags.StringVar(&until, "until", "", "only before this `time`")
	flags.IntVar(&limit, "limit", 1000, "at most so many")
	flags.StringVarP(&c.output, "output", "o", "table", "table, json or csv")
	return cmd
}

// moment reads a time, or a duration back from now.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	age, err := event.ParseDuration(text)
	if err != nil || age < 0 {
		return time.Time{}, usagef("%s: %q is neither a time such as 2026-11-30T22:00:00Z nor a duration such as 24h", flag, text)
	}
	return now.Add(-age), nil
}

func (c *cli) transactions(ctx context.Context, q datasync.TransactionQuery, limit int) error {
	client, _, err := c.api()
	if err != nil {
		return err
	}
	q.MaxPages = manyPages
	out := c.sink()
	watch := c.progress()
	n, cut := 0, false
	var broken error
	listing, err := client.Transactions(ctx, q, func(t datasync.Transaction) bool {
		if n == limit {
			cut = true
			return false
		}
		n++
		watch(n)
		broken = out.add(t)
		return broken == nil
	})
	watch(0)
	if broken != nil {
		return broken
	}
	if err != nil && n == 0 {
		return explained(err) // "no transactions" would not be true
	}
	// What came before a failure is worth having, and is marked as a part.
	if ended := out.end(); ended != nil {
		return ended
	}
	switch {
	case err != nil:
		fmt.Fprintf(c.err, "the listing broke off after %s\n", count(n, "transaction"))
		return explained(err)
	case cut:
		fmt.Fprintf(c.err, "cut at --limit %d: there are more; narrow the listing or raise the limit\n", limit)
	case !listing.Complete:
		fmt.Fprintf(c.err, "the listing may not be complete: no answer marked its end (%s, request %s)\n",
			count(listing.Pages, "page"), told(listing.RequestID))
	}
	return nil
}

// progress counts on a terminal's error stream what has been read, and wipes
// the line in the end (0).
func (c *cli) progress() func(n int) {
	if !isTerminal(c.err) {
		return func(int) {}
	}
	const step = 500
	shown := false
	return func(n int) {
		switch {
		case n == 0 && shown:
			fmt.Fprint(c.err, "\r\x1b[K")
		case n > 0 && n%step == 0:
			shown = true
			fmt.Fprintf(c.err, "\r%d transactions read", n)
		}
	}
}

func (c *cli) sink() sink[datasync.Transaction] {
	switch c.output {
	case "json":
		return &jsonSink[datasync.Transaction]{w: c.out, of: func(t datasync.Transaction) any { return viewOf(t) }}
	case "csv":
		return newCSVSink(c.out, transactionCells,
			"id", "status", "direction", "document_type", "document_name", "partner_id", "partner_name", "amount", "currency",
			"environment", "occurred_at", "error_category", "error_code", "error_message")
	}
	return &tableSink[datasync.Transaction]{
		w: c.out, none: "no transactions", row: transactionRow,
		columns: []string{"ID", "OCCURRED", "STATUS", "DOCUMENT", "PARTNER", "AMOUNT", "ERROR"},
	}
}

func transactionRow(t datasync.Transaction) []string {
	return []string{
		t.ID, clock(t.OccurredAt), t.Status, t.DocumentType, cmp.Or(t.PartnerName, t.PartnerID),
		strings.TrimSpace(t.Amount + " " + t.Currency), t.ErrorMessage,
	}
}

func transactionCells(t datasync.Transaction) []string {
	return []string{
		t.ID, t.Status, t.Direction, t.DocumentType, t.DocumentName, t.PartnerID, t.PartnerName, t.Amount,
		t.Currency, string(t.Environment), stamp(t.OccurredAt), t.ErrorCategory, t.ErrorCode, t.ErrorMessage,
	}
}

// transactionView is a transaction as printed with -o json: what the bridge
// understood of it, and all that came.
type transactionView struct {
	ID            string          `json:"id"`
	Status        string          `json:"status,omitempty"`
	Direction     string          `json:"direction,omitempty"`
	DocumentType  string          `json:"document_type,omitempty"`
	DocumentName  string          `json:"document_name,omitempty"`
	PartnerID     string          `json:"partner_id,omitempty"`
	PartnerName   string          `json:"partner_name,omitempty"`
	Amount        string          `json:"amount,omitempty"`
	Currency      string          `json:"currency,omitempty"`
	Environment   string          `json:"environment,omitempty"`
	OccurredAt    time.Time       `json:"occurred_at,omitzero"`
	ErrorCategory string          `json:"error_category,omitempty"`
	ErrorCode     string          `json:"error_code,omitempty"`
	ErrorMessage  string          `json:"error_message,omitempty"`
	Raw           json.RawMessage `json:"raw,omitempty"`
}

func viewOf(t datasync.Transaction) transactionView {
	return transactionView{
		t.ID, t.Status, t.Direction, t.DocumentType, t.DocumentName, t.PartnerID, t.PartnerName, t.Amount, t.Currency,
		string(t.Environment), t.OccurredAt.UTC(), t.ErrorCategory, t.ErrorCode, t.ErrorMessage, t.Raw,
	}
}
