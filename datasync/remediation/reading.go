package remediation

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// listedBefore is how long before its event a transaction is looked for: the
// listing goes by a time of Datasync's that nothing describes.
const listedBefore = 24 * time.Hour

// Reading is what Datasync says of a run's transaction now.
type Reading struct {
	// Found reports that Datasync told of it. Without it, Whole reports that
	// the whole list was read: it is not there.
	Found bool
	Whole bool
	// Status is in lower case, as Datasync has it.
	Status      string
	Name        string // of the document
	Environment event.Environment
	Facts       incident.Facts
}

// Reader reads a run's transaction anew. An error says that nothing is known.
type Reader interface {
	Read(ctx context.Context, run incident.Run) (Reading, error)
}

// Transactions is what reading needs of the API client.
type Transactions interface {
	Environment() event.Environment
	CanReadOne() bool
	Transaction(ctx context.Context, id string) (datasync.Transaction, error)
	Transactions(ctx context.Context, q datasync.TransactionQuery, each func(datasync.Transaction) bool) (datasync.Listing, error)
}

// APIReader reads by the API: the transaction itself where that is configured,
// else the documented list of those that failed.
type APIReader struct{ api Transactions }

// NewReader returns a Reader of an API client.
func NewReader(api Transactions) APIReader { return APIReader{api} }

// Read implements Reader.
func (r APIReader) Read(ctx context.Context, run incident.Run) (Reading, error) {
	if r.api.CanReadOne() {
		t, err := r.api.Transaction(ctx, run.Transaction)
		if e, typed := errors.AsType[*datasync.Error](err); typed && e.Kind == datasync.NotFound {
			return Reading{Whole: true}, nil
		}
		switch {
		case err != nil:
			return Reading{}, err
		case t.ID != run.Transaction:
			return Reading{}, fmt.Errorf("asked for transaction %s, Datasync answered with %.100q", run.Transaction, t.ID)
		}
		return r.reading(t, ""), nil
	}
	q := datasync.TransactionQuery{Partner: run.Partner, DocumentType: run.Facts.Document}
	if w := wantedOf(run); w.listed {
		q.Status = statusFailed
	}
	if !run.Facts.OccurredAt.IsZero() {
		q.Since = run.Facts.OccurredAt.Add(-listedBefore)
	}
	var found Reading
	list, err := r.api.Transactions(ctx, q, func(t datasync.Transaction) bool {
		if t.ID == run.Transaction {
			found = r.reading(t, q.Status)
		}
		return !found.Found
	})
	switch {
	case found.Found:
		return found, nil
	case err != nil:
		return Reading{}, err
	}
	return Reading{Whole: list.Complete}, nil
}

// reading takes what an item tells. What stands in a list of one status has
// that status unless it says another, and is of the environment that was asked.
func (r APIReader) reading(t datasync.Transaction, listed string) Reading {
	return Reading{
		Found:       true,
		Status:      strings.ToLower(strings.TrimSpace(cmp.Or(t.Status, listed))),
		Name:        t.DocumentName,
		Environment: cmp.Or(t.Environment, r.api.Environment()),
		Facts: incident.Facts{
			Partner: t.PartnerID, Document: t.DocumentType, Direction: t.Direction,
			Amount: t.Amount, Currency: t.Currency, OccurredAt: t.OccurredAt,
		},
	}
}

// statusFailed is the one status that is documented.
const statusFailed = "failed"

// wanted is the state in which a transaction must be for a run to make sense.
type wanted struct {
	statuses []string
	// listed reports that it must stand in the list of those that failed.
	listed bool
	words  string
}

// wantedOf knows the state by what the run does and what it is for. But for
// "failed" the words are assumed: a document whose answer is missing or
// negative was sent, and has not failed; and a receipt is made anew only for
// what was processed.
func wantedOf(run incident.Run) wanted {
	if run.Does == Regenerate {
		return wanted{statuses: []string{"processed", "delivered", "completed"}, words: "processed"}
	}
	switch run.Class {
	case event.AckOverdue, event.MDNTimeout, event.SLA:
		// What was rejected has its answer: sent again, it would be rejected again.
		return wanted{statuses: []string{statusFailed, "sent"}, words: "failed or without its answer"}
	case event.MDNNegative, event.FunctionalReject:
		return wanted{statuses: []string{statusFailed, "sent", "rejected"}, words: "failed or rejected"}
	}
	return wanted{statuses: []string{statusFailed}, listed: true, words: "failed"}
}

// stands reports whether the transaction is still in the state that the run is
// for.
func (r Reading) stands(run incident.Run) bool {
	return r.Found && slices.Contains(wantedOf(run).statuses, r.Status)
}

// agree says why what was read forbids a run, "" where it says the same as the
// event did.
func agree(run incident.Run, r Reading) string {
	w := wantedOf(run)
	switch {
	case !r.Found && r.Whole && w.listed:
		return "Datasync does not list the transaction as failed any more"
	case !r.Found && r.Whole:
		return "Datasync does not know the transaction"
	case !r.Found:
		return "the transaction was not in what could be read of Datasync's list"
	case !r.stands(run):
		return fmt.Sprintf("the transaction is %s in Datasync, not %s", cmp.Or(quoted(r.Status), "without a status"), w.words)
	}
	for _, f := range []struct {
		what        string
		event, read string
		must        bool
	}{
		{"environment", string(run.Environment), string(r.Environment), true},
		{"partner", strings.TrimSpace(run.Facts.Partner), strings.TrimSpace(r.Facts.Partner), true},
		{"document type", normal(run.Facts.Document), normal(r.Facts.Document), true},
		{"amount", canonical(run.Facts.Amount), canonical(r.Facts.Amount), run.Money},
		{"currency", normal(run.Facts.Currency), normal(r.Facts.Currency), false},
	} {
		if why := differ(f.what, f.event, f.read, f.must); why != "" {
			return why
		}
	}
	told, read := strings.ToLower(run.Facts.Direction), strings.ToLower(r.Facts.Direction)
	switch {
	case told != "" && read != "" && told != read, run.Does == Regenerate && read == "":
		return differ("direction", told, read, true)
	case Money(r.Facts.Document, r.Name) != run.Money:
		return "the document is named otherwise in Datasync than in the event: " + quoted(r.Name)
	}
	return ""
}

func differ(what, told, read string, must bool) string {
	switch {
	case told == read && (told != "" || !must):
		return ""
	case told == "" && read == "":
		return "neither the event nor Datasync tells its " + what
	case told == "":
		return "Datasync tells its " + what + ", the event did not"
	case read == "":
		return "the event told its " + what + ", Datasync does not"
	}
	return fmt.Sprintf("the event told %s %s, Datasync says %s", what, quoted(told), quoted(read))
}

// canonical compares amounts as decimals; what is none stands for itself, so
// that it differs from every amount.
func canonical(amount string) string {
	if d, ok := decimal(amount); ok {
		return d
	}
	return strings.TrimSpace(amount)
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("%.60q", s)
}

// bound is what an approval is for: the SHA-256, in hex, of the workflow, its
// parameters and the state that was read.
func bound(run incident.Run, r Reading) string {
	text, err := json.Marshal([]any{
		run.Workflow, run.Does, run.Params, run.Transaction, r.Status, r.Name, r.Environment,
		r.Facts.Partner, normal(r.Facts.Document), r.Facts.Direction, canonical(r.Facts.Amount), r.Facts.Currency,
		r.Facts.OccurredAt.UTC().Format(time.RFC3339Nano),
	})
	if err != nil {
		// Parameters came from YAML and leave as JSON; only what is neither
		// leads here, and it equals nothing.
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
