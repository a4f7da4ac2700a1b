package datasync

import (
	"context"
	"encoding/json"
	"time"

	"datasync-bridge/event"
)

// TransactionQuery narrows a listing. Zero fields do not narrow.
type TransactionQuery struct {
	Status       string
	Partner      string
	DocumentType string
	Since, Until time.Time
	// MaxPages bounds the calls of one listing. Default 50.
	MaxPages int
}

// Transaction is one business document exchange as Datasync lists it. A field
// that the answer lacks is empty. Where each is looked for is assumed.
type Transaction struct {
	ID           string
	Status       string
	Direction    string
	DocumentType string
	DocumentName string
	PartnerID    string
	PartnerName  string
	// Amount is a plain decimal ("1250.5"), whether it came as text or number.
	Amount   string
	Currency string
	// Environment is "" where the answer does not tell it.
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
	Complete  bool
	Pages     int
	RequestID string // of the last page
}

// Transactions lists transactions page by page, until each returns false.
func (c *Client) Transactions(ctx context.Context, q TransactionQuery, each func(Transaction) bool) (Listing, error) {
	return Listing{}, &Error{Op: "list transactions", Kind: Unexpected}
}

// CanReadOne reports whether a single transaction can be read
// (datasync.transactions.one).
func (c *Client) CanReadOne() bool { return c.cfg.Transactions.One != "" }

// Transaction reads one transaction where CanReadOne.
func (c *Client) Transaction(ctx context.Context, id string) (Transaction, error) {
	return Transaction{}, &Error{Op: "read transaction " + id, Kind: Unexpected}
}
