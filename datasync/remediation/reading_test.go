package remediation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"datasync-bridge/datasync"
	"datasync-bridge/datasync/remediation"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// api answers for the API client.
type api struct {
	one     bool
	items   []datasync.Transaction
	whole   bool
	err     error
	query   datasync.TransactionQuery
	asked   string
	handed  int
	sandbox bool
}

func (a *api) CanReadOne() bool { return a.one }

func (a *api) Environment() event.Environment {
	if a.sandbox {
		return event.Sandbox
	}
	return event.Production
}

func (a *api) Transaction(_ context.Context, id string) (datasync.Transaction, error) {
	a.asked = id
	if a.err != nil {
		return datasync.Transaction{}, a.err
	}
	return a.items[0], nil
}

func (a *api) Transactions(_ context.Context, q datasync.TransactionQuery, each func(datasync.Transaction) bool) (datasync.Listing, error) {
	a.query = q
	for _, t := range a.items {
		a.handed++
		if !each(t) {
			return datasync.Listing{}, nil
		}
	}
	return datasync.Listing{Complete: a.whole}, a.err
}

var read = incident.Run{
	Transaction: "txn_1", Partner: "par_1", Class: event.Connectivity, Does: remediation.Resend,
	Facts: incident.Facts{Partner: "par_1", Document: "214", OccurredAt: failureTime},
}

func TestTransactionIsLookedForInTheListOfThoseThatFailed(t *testing.T) {
	a := &api{items: []datasync.Transaction{
		{ID: "txn_0"}, {ID: "txn_1", PartnerID: "par_1", DocumentType: "214", DocumentName: "status", Amount: "5", Currency: "USD", Direction: "outbound", OccurredAt: failureTime}, {ID: "txn_2"},
	}}
	got, err := remediation.NewReader(a).Read(t.Context(), read)
	want := remediation.Reading{Found: true, Status: "failed", Name: "status", Environment: event.Production, Facts: incident.Facts{
		Partner: "par_1", Document: "214", Direction: "outbound", Amount: "5", Currency: "USD", OccurredAt: failureTime,
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v\n%s", err, diff)
	}
	if diff := cmp.Diff(datasync.TransactionQuery{Status: "failed", Partner: "par_1", DocumentType: "214", Since: failureTime.Add(-24 * time.Hour)}, a.query); diff != "" || a.handed != 2 {
		t.Errorf("%d items were looked at\n%s", a.handed, diff)
	}
}

func TestListThatSaysOtherwiseIsBelieved(t *testing.T) {
	a := &api{sandbox: true, items: []datasync.Transaction{{ID: "txn_1", Status: " Delivered ", Environment: event.Production}}}
	got, err := remediation.NewReader(a).Read(t.Context(), read)
	if err != nil || got.Status != "delivered" || got.Environment != event.Production {
		t.Errorf("%+v, %v", got, err)
	}
	a.items[0].Environment = ""
	if got, _ := remediation.NewReader(a).Read(t.Context(), read); got.Environment != event.Sandbox {
		t.Errorf("what a sandbox client reads is of %s", got.Environment)
	}
}

// Without an end that can be trusted, or after an error, nothing is known.
func TestAbsenceNeedsAWholeList(t *testing.T) {
	down := errors.New("down")
	for _, tt := range []struct {
		a    api
		want remediation.Reading
		err  error
	}{
		{api{whole: true}, remediation.Reading{Whole: true}, nil},
		{api{}, remediation.Reading{}, nil},
		{api{err: down, items: []datasync.Transaction{{ID: "txn_0"}}}, remediation.Reading{}, down},
		{api{one: true, err: &datasync.Error{Kind: datasync.NotFound, Status: 404}}, remediation.Reading{Whole: true}, nil},
		{api{one: true, err: down}, remediation.Reading{}, down},
	} {
		if got, err := remediation.NewReader(&tt.a).Read(t.Context(), read); !cmp.Equal(got, tt.want) || !errors.Is(err, tt.err) {
			t.Errorf("%+v: %+v, %v", tt.a, got, err)
		}
	}
}

func TestTransactionItselfIsReadWhereThatIsConfigured(t *testing.T) {
	a := &api{one: true, items: []datasync.Transaction{{ID: "txn_1", Status: "failed"}}}
	got, err := remediation.NewReader(a).Read(t.Context(), read)
	if err != nil || !got.Found || got.Status != "failed" || a.asked != "txn_1" {
		t.Errorf("%+v, %v", got, err)
	}
	a.items[0].Status = ""
	if got, _ := remediation.NewReader(a).Read(t.Context(), read); got.Status != "" {
		t.Errorf("a single transaction without a status is %q", got.Status)
	}
	a.items[0].ID = "txn_2"
	if got, err := remediation.NewReader(a).Read(t.Context(), read); err == nil || got.Found {
		t.Errorf("another transaction was taken for it: %+v", got)
	}
}

// What has not failed stands in no list of failures.
func TestOtherStatesAreLookedForAmongAll(t *testing.T) {
	for _, run := range []incident.Run{{Class: event.AckOverdue}, {Class: event.MDNTimeout}, {Does: remediation.Regenerate}} {
		a := &api{}
		if _, err := remediation.NewReader(a).Read(t.Context(), run); err != nil || a.query.Status != "" || !a.query.Since.IsZero() {
			t.Errorf("%+v: asked for %+v, %v", run, a.query, err)
		}
	}
}
