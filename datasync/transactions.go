package datasync

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"datasync-bridge/event"
)

const defaultMaxPages = 50

// TransactionQuery narrows a listing. Zero fields do not narrow. How Datasync
// reads a filter is its own matter: whoever relies on one checks it again on
// what comes back.
type TransactionQuery struct {
	Status       string
	Partner      string
	DocumentType string
	// Since and Until are sent in whole seconds, rounded outward.
	Since, Until time.Time
	// MaxPages bounds the calls of one listing. Default 50.
	MaxPages int
}

// Transaction is one business document exchange as Datasync lists it. A field
// that the answer lacks is empty. Where each is looked for is assumed.
type Transaction struct {
	// ID is "" also where what stands there can be no id: longer than 200 bytes,
	// or with control characters.
	ID           string
	Status       string
	Direction    string
	DocumentType string
	DocumentName string
	PartnerID    string
	PartnerName  string
	// Amount is a plain decimal ("1250.5"; see Decimal), whether it came as text,
	// as a number or as {value, currency}; "" where it is none.
	Amount   string
	Currency string
	// Environment is "" where the answer does not tell it, and the answer's own
	// word where that is neither production nor sandbox.
	Environment   event.Environment
	OccurredAt    time.Time
	ErrorCategory string
	ErrorCode     string
	ErrorMessage  string
	// Raw is the whole item as it came, unknown fields included.
	Raw json.RawMessage
}

// Listing tells how a listing ended.
type Listing struct {
	// Complete reports that every page was read to an end that the answer
	// itself marks: what is not in the list is then not there.
	Complete bool
	// More reports that the answer said or showed that there is more, which was
	// not read: beyond MaxPages, or behind a cursor that is not found or came
	// before. A page that is full and marks no end shows it, too.
	More      bool
	Pages     int
	RequestID string // of the last page
}

// Transactions lists transactions page by page, until each returns false. One
// page is in memory at a time. An item can come twice where the list changes
// meanwhile. A listing that ends at MaxPages, at each, or at a cursor that came
// before is not Complete and no error; a page that repeats the one before is.
func (c *Client) Transactions(ctx context.Context, q TransactionQuery, each func(Transaction) bool) (Listing, error) {
	const op = "list transactions"
	var (
		l      Listing
		before []string
		read   int
	)
	query, cursors := q.params(c.cfg.Transactions), map[string]bool{}
	if q.MaxPages <= 0 {
		q.MaxPages = defaultMaxPages
	}
	for l.Pages < q.MaxPages {
		a, err := c.call(ctx, request{op: op, method: http.MethodGet, path: "/transactions", query: query, read: true})
		if err != nil {
			return l, err
		}
		l.Pages, l.RequestID = l.Pages+1, a.requestID
		unexpected := func(message string) error {
			return &Error{Op: op, Kind: Unexpected, Status: a.status, RequestID: a.requestID, Message: message, Sent: true}
		}
		p, err := readPage(a, c.cfg.Transactions.Params[byCursor])
		if err != nil {
			return l, unexpected(err.Error())
		}
		ids := p.ids()
		if len(ids) > 0 && slices.Equal(ids, before) {
			return l, unexpected("page " + strconv.Itoa(l.Pages) + " repeats the one before; " +
				"name the parameter that pages in datasync.transactions.params.cursor")
		}
		for _, t := range p.items {
			if !each(t) {
				return l, nil
			}
		}
		read += p.fresh(before)
		cursor, end := p.next(read, c.cfg.Transactions.PageSize)
		l.Complete = end
		if cursor == "" || cursors[cursor] {
			l.More = !end && p.shows(read, c.cfg.Transactions.PageSize)
			return l, nil
		}
		cursors[cursor], before = true, ids
		query.Set(c.cfg.Transactions.Params[byCursor], cursor)
	}
	l.More = true
	return l, nil
}

// params names what narrows as the configuration says.
func (q TransactionQuery) params(t Transactions) url.Values {
	values := url.Values{}
	set := func(meaning, value string) {
		if value != "" {
			values.Set(t.Params[meaning], value)
		}
	}
	set(byStatus, q.Status)
	set(byPartner, q.Partner)
	set(byDocument, q.DocumentType)
	if !q.Since.IsZero() {
		set(bySince, q.Since.UTC().Truncate(time.Second).Format(time.RFC3339))
	}
	if !q.Until.IsZero() {
		set(byUntil, q.Until.UTC().Add(time.Second-1).Truncate(time.Second).Format(time.RFC3339))
	}
	set(byLimit, strconv.Itoa(t.PageSize))
	return values
}

// CanReadOne reports whether a single transaction can be read
// (datasync.transactions.one).
func (c *Client) CanReadOne() bool { return c.cfg.Transactions.One != "" }

// Transaction reads one transaction where CanReadOne. An answer that is not
// about that transaction is an error.
func (c *Client) Transaction(ctx context.Context, id string) (Transaction, error) {
	op := readTransaction + clean(id, maxID)
	if !c.CanReadOne() {
		return Transaction{}, &Error{Op: op, Kind: Payload, Message: "where one is read is not configured; set datasync.transactions.one, such as /transactions/{id}"}
	}
	if err := checkID(id); err != nil {
		return Transaction{}, &Error{Op: op, Kind: Payload, Err: err}
	}
	path := strings.Replace(c.cfg.Transactions.One, "{id}", url.PathEscape(id), 1)
	a, err := c.call(ctx, request{op: op, method: http.MethodGet, path: path, read: true})
	if err != nil {
		return Transaction{}, err
	}
	raw, item := json.RawMessage(a.raw), a.body
	if inner := item.object("data"); inner != nil && item.object("transaction") == nil {
		raw, item = rawAt(raw, "data"), inner
	}
	t := readItem(item, raw)
	if t.ID != id {
		return Transaction{}, &Error{Op: op, Kind: Unexpected, Status: a.status, RequestID: a.requestID, Sent: true,
			Message: fmt.Sprintf("the answer is about %q; check datasync.transactions.one", t.ID)}
	}
	return t, nil
}
