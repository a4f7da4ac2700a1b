package remediation_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/datasync/remediation"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

func TestApprovedRunIsSentOnceAndWrittenDown(t *testing.T) {
	on(t, func(s *stage) {
		id := s.propose(approving())
		s.want(id, incident.RunProposed, 0)
		s.work()
		run := s.want(id, incident.RunAwaiting, 0)
		if run.Approval.Bound == "" || run.Approval.Expires.Sub(run.Approval.AskedAt) != remediation.DefaultExpiry || !run.NextAt.Equal(run.Approval.Expires) {
			t.Errorf("request %+v, next at %v", run.Approval, run.NextAt)
		}
		if err := s.desk.Approve(t.Context(), []string{id}, "ana", "looked at it"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		run = s.want(id, incident.RunDone, 1)
		if lines := s.store.lines(incident.AuditApproved); len(lines) != 1 || lines[0].Actor != "ana" || lines[0].Why != "looked at it" || lines[0].Run != id || lines[0].Result != "enough" {
			t.Errorf("record %+v", lines)
		}
		for action, n := range map[string]int{incident.AuditAsked: 1, incident.AuditStarted: 1, incident.AuditEnded: 1} {
			if got := s.store.lines(action); len(got) != n {
				t.Errorf("%s stands there %d times: %+v", action, len(got), got)
			}
		}
		// It is used: nobody approves it again, and time brings nothing.
		s.refusedWith(s.desk.Approve(t.Context(), []string{id}, "ana", ""), "decided already")
		s.refusedWith(s.desk.Approve(t.Context(), []string{id}, "bo", ""), "decided already")
		s.pass(48 * time.Hour)
		s.want(id, incident.RunDone, 1)
		if run.Key != "resend_status:txn_1:1" || len(s.store.lines(incident.AuditNotApproved)) != 2 {
			t.Errorf("run %+v, refused approvals %+v", run, s.store.lines(incident.AuditNotApproved))
		}
	})
}

func TestManyApproveAtOnceAndOneCounts(t *testing.T) {
	on(t, func(s *stage) {
		id := s.propose(approving())
		s.work()
		const n = 20
		errs := make([]error, n)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { errs[i] = s.desk.Approve(t.Context(), []string{id}, []string{"ana", "bo"}[i%2], "") })
		}
		all.Wait()
		synctest.Wait()
		s.want(id, incident.RunDone, 1)
		counted := 0
		for _, err := range errs {
			if err == nil {
				counted++
			} else if !errors.Is(err, remediation.ErrRefused) {
				t.Errorf("a later approval: %v", err)
			}
		}
		approved, refused := s.store.lines(incident.AuditApproved), s.store.lines(incident.AuditNotApproved)
		if counted != 1 || len(approved) != 1 || len(refused) != n-1 {
			t.Errorf("%d counted, %d recorded as approved, %d as refused", counted, len(approved), len(refused))
		}
	})
}

func TestApprovalThatDoesNotCountIsRefusedAndRecorded(t *testing.T) {
	for _, tt := range []struct {
		name  string
		by    string
		first func(s *stage, id string)
		part  string
		state incident.RunState
	}{
		{"by somebody who is not listed", "eve", func(*stage, string) {}, "eve may not approve it", incident.RunAwaiting},
		{"by a name in other letters", "Ana", func(*stage, string) {}, "may not approve", incident.RunAwaiting},
		{"after a denial", "ana", func(s *stage, id string) {
			if err := s.desk.Deny(s.Context(), id, "eve", "it came by fax"); err != nil {
				s.Fatal(err)
			}
		}, "denied by eve: it came by fax", incident.RunRefused},
		{"after it was stopped", "ana", func(s *stage, id string) {
			if err := s.desk.StopRun(s.Context(), id, "eve", "not now"); err != nil {
				s.Fatal(err)
			}
		}, "stopped by eve: not now", incident.RunRefused},
		{"after expiry", "ana", func(s *stage, _ string) { s.pass(remediation.DefaultExpiry) }, "nobody approved it by", incident.RunRefused},
		{"after expiry, before anybody noticed", "ana", func(s *stage, _ string) {
			s.halt()
			s.pass(remediation.DefaultExpiry)
		}, "expired at", incident.RunAwaiting},
		{"after a reload", "ana", func(s *stage, _ string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.config = "hash 2"
		}, "the configuration changed", incident.RunRefused}, // by the worker, once it looks
	} {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(s *stage) {
				id := s.propose(approving())
				s.work()
				s.want(id, incident.RunAwaiting, 0)
				tt.first(s, id)
				s.refusedWith(s.desk.Approve(s.Context(), []string{id}, tt.by, "why not"), tt.part)
				synctest.Wait()
				s.want(id, tt.state, 0)
				lines := s.store.lines(incident.AuditNotApproved)
				if len(lines) != 1 || lines[0].Actor != tt.by || !contains(lines[0].Result, tt.part) || lines[0].Why != "why not" {
					s.Errorf("record %+v", lines)
				}
			})
		})
	}
	on(t, func(s *stage) { // before it is asked for
		id := s.propose(approving())
		s.refusedWith(s.desk.Approve(s.Context(), []string{id}, "ana", ""), "yet to be read")
		s.refusedWith(s.desk.Approve(s.Context(), []string{id}, " ", ""), "nobody is named")
		if err := s.desk.Approve(s.Context(), []string{"rn_gone"}, "ana", ""); !errors.Is(err, event.ErrNotFound) {
			s.Errorf("a run that is not there: %v", err)
		}
	})
}

func TestTwoApproversAreTwoPeople(t *testing.T) {
	on(t, func(s *stage) {
		c := approving(func(c *remediation.Config) { c.Approve.TwoAbove = "100" })
		id := s.propose(c, field(event.DocumentType, "810"), field(event.Amount, 250.5), field(event.Currency, "USD"))
		s.work()
		if run := s.want(id, incident.RunAwaiting, 0); run.Approval.Needed != 2 || !contains(run.Why, "double payment") {
			t.Errorf("the request says %q", run.Why)
		}
		if err := s.desk.Approve(s.Context(), []string{id}, "ana", ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.want(id, incident.RunAwaiting, 0)
		s.refusedWith(s.desk.Approve(s.Context(), []string{id}, "ana", ""), "somebody else")
		synctest.Wait()
		s.want(id, incident.RunAwaiting, 0)
		if err := s.desk.Approve(s.Context(), []string{id}, "bo", ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.want(id, incident.RunDone, 1)
		if lines := s.store.lines(incident.AuditApproved); len(lines) != 2 || lines[0].Result != "1 of 2" || lines[1].Result != "enough" {
			t.Errorf("record %+v", lines)
		}
	})
}

// Whatever stands in the store: marks of one person, or of somebody who is not
// listed, are no two approvals.
func TestForgedMarksDoNotStartARun(t *testing.T) {
	for name, given := range map[string][]incident.Mark{
		"one twice": {{By: "ana"}, {By: "ana"}}, "a stranger": {{By: "ana"}, {By: "eve"}}, "none": nil,
	} {
		on(t, func(s *stage) {
			id := s.propose(approving(func(c *remediation.Config) { c.Approve.TwoAbove = "1" }), field(event.DocumentType, "810"), field(event.Amount, 5.0))
			s.work()
			run := s.want(id, incident.RunAwaiting, 0)
			for i := range given {
				given[i].At = time.Now()
			}
			run.State, run.Approval.Given, run.NextAt = incident.RunQueued, given, time.Now()
			if err := s.store.Apply(s.Context(), incident.Plan{Runs: []incident.Run{run}}); err != nil {
				s.Fatal(err)
			}
			synctest.Wait()
			if run := s.want(id, incident.RunRefused, 0); !contains(run.Why, "of 2 approvals") {
				s.Errorf("%s: %q", name, run.Why)
			}
		})
	}
}

func TestMoneyIsNotApprovedInAList(t *testing.T) {
	on(t, func(s *stage) {
		status := s.propose(approving(), field(event.TransactionID, "txn_1"))
		other := s.propose(approving(), field(event.TransactionID, "txn_2"))
		invoice := s.propose(approving(), field(event.TransactionID, "txn_3"), field(event.DocumentType, "810"), field(event.Amount, 5.0))
		s.work()
		s.refusedWith(s.desk.Approve(s.Context(), []string{status, invoice}, "ana", ""), "one by one")
		if lines := s.store.lines(incident.AuditNotApproved); len(lines) != 2 {
			t.Errorf("record %+v", lines)
		}
		s.want(status, incident.RunAwaiting, 0)
		s.want(invoice, incident.RunAwaiting, 0)
		if err := s.desk.Approve(s.Context(), []string{status, other, status}, "ana", ""); err != nil {
			t.Errorf("a list without money: %v", err)
		}
		synctest.Wait()
		s.want(other, incident.RunDone, 2)
		if err := s.desk.Approve(s.Context(), []string{invoice}, "ana", ""); err != nil {
			t.Errorf("an invoice by itself: %v", err)
		}
		synctest.Wait()
		s.want(invoice, incident.RunDone, 3)

		many := make([]string, remediation.MaxApprovals+1)
		for i := range many {
			many[i] = fmt.Sprintf("rn_%d", i)
		}
		s.refusedWith(s.desk.Approve(s.Context(), many, "ana", ""), "at most 50")
		s.refusedWith(s.desk.Approve(s.Context(), nil, "ana", ""), "no run is named")
	})
}

// What is not as it was when it was approved is not sent.
func TestApprovalHoldsForTheStateThatWasReadAlone(t *testing.T) {
	for name, change := range map[string]func(*remediation.Reading){
		"delivered":        func(r *remediation.Reading) { r.Status = "delivered" },
		"cancelled":        func(r *remediation.Reading) { r.Status = "cancelled" },
		"acknowledged":     func(r *remediation.Reading) { r.Status = "acknowledged" },
		"retried by hand":  func(r *remediation.Reading) { r.Status = "retrying" },
		"gone":             func(r *remediation.Reading) { *r = remediation.Reading{Whole: true} },
		"not in the pages": func(r *remediation.Reading) { *r = remediation.Reading{} },
		"failed anew":      func(r *remediation.Reading) { r.Facts.OccurredAt = r.Facts.OccurredAt.Add(time.Minute) },
		"another name":     func(r *remediation.Reading) { r.Name = "status, corrected" },
		"another amount":   func(r *remediation.Reading) { r.Facts.Amount = "1" },
	} {
		on(t, func(s *stage) {
			id := s.propose(approving())
			s.work()
			s.want(id, incident.RunAwaiting, 0)
			s.far.told(change)
			if err := s.desk.Approve(s.Context(), []string{id}, "ana", ""); err != nil {
				s.Fatal(err)
			}
			synctest.Wait()
			if run := s.want(id, incident.RunRefused, 0); run.Why == "" {
				s.Errorf("%s: refused without a reason", name)
			}
			if lines := s.store.lines(incident.AuditRefused); len(lines) != 1 {
				s.Errorf("%s: record %+v", name, lines)
			}
		})
	}
}

// What an event claims of a document must be what Datasync says of it.
func TestEventThatLiesStartsNothing(t *testing.T) {
	for name, lie := range map[string]func(*remediation.Reading){
		"document type":        func(r *remediation.Reading) { r.Facts.Document = "810" },
		"no document type":     func(r *remediation.Reading) { r.Facts.Document = "" },
		"partner":              func(r *remediation.Reading) { r.Facts.Partner = "par_2" },
		"no partner":           func(r *remediation.Reading) { r.Facts.Partner = "" },
		"amount":               func(r *remediation.Reading) { r.Facts.Amount = "1250.51" },
		"no amount":            func(r *remediation.Reading) { r.Facts.Amount = "" },
		"an amount of no kind": func(r *remediation.Reading) { r.Facts.Amount = "1.2505e3" },
		"currency":             func(r *remediation.Reading) { r.Facts.Currency = "EUR" },
		"no currency":          func(r *remediation.Reading) { r.Facts.Currency = "" },
		"environment":          func(r *remediation.Reading) { r.Environment = event.Sandbox },
		"direction":            func(r *remediation.Reading) { r.Facts.Direction = "inbound" },
		"a credit by name":     func(r *remediation.Reading) { r.Name = "credit_note" },
	} {
		for _, mode := range []string{remediation.ModeAuto, remediation.ModeApprove} {
			on(t, func(s *stage) {
				c := approving()
				c.Mode = mode
				// The event's facts are a 214's; what Datasync holds is otherwise.
				id := s.propose(c, field(event.Amount, 1250.5), field(event.Currency, "USD"))
				s.far.told(lie)
				s.work()
				s.pass(24 * time.Hour)
				if run := s.want(id, incident.RunRefused, 0); run.Why == "" {
					s.Errorf("%s, %s: no reason", name, mode)
				}
			})
		}
	}
	on(t, func(s *stage) { // spelled otherwise, and the same
		c := entry(remediation.ModeAuto)
		id := s.propose(c, field(event.Amount, 1250.5), field(event.Currency, "usd"))
		s.far.told(func(r *remediation.Reading) {
			r.Facts.Amount, r.Facts.Currency, r.Facts.Document = "+01250.500", "USD", " 214"
		})
		s.work()
		s.want(id, incident.RunDone, 1)
	})
	on(t, func(s *stage) { // money of unknown amount on both sides
		id := s.propose(approving(), field(event.DocumentType, "810"))
		s.work()
		s.want(id, incident.RunRefused, 0)
	})
}

func TestRequestWaitsForDatasyncAndGivesUpAfterAnHour(t *testing.T) {
	on(t, func(s *stage) {
		s.far.down = &datasync.Error{Op: "list", Kind: datasync.Server, Status: 503}
		id := s.propose(approving())
		before := s.store.writes()
		s.work()
		s.pass(50 * time.Minute)
		s.want(id, incident.RunProposed, 0)
		if n := s.store.writes() - before; n > 60 {
			t.Errorf("%d writes while Datasync is down", n)
		}
		s.far.set(func(f *far) { f.down = nil })
		s.pass(6 * time.Minute)
		s.want(id, incident.RunAwaiting, 0)
	})
	on(t, func(s *stage) {
		s.far.down = &datasync.Error{Op: "list", Kind: datasync.Network, Err: errors.New("no route")}
		id := s.propose(approving())
		s.work()
		s.pass(70 * time.Minute)
		if run := s.want(id, incident.RunRefused, 0); !contains(run.Why, "could not be read: no route") {
			t.Errorf("why %q", run.Why)
		}
	})
}

func TestReloadVoidsWhatHasNotStarted(t *testing.T) {
	on(t, func(s *stage) {
		awaiting := s.propose(approving(), field(event.TransactionID, "txn_1"))
		s.work()
		s.want(awaiting, incident.RunAwaiting, 0)
		s.halt()
		proposed := s.propose(approving(), field(event.TransactionID, "txn_2"))
		queued := s.propose(entry(remediation.ModeAuto), field(event.TransactionID, "txn_3"))
		if err := s.desk.Approve(s.Context(), []string{awaiting}, "ana", ""); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		s.config = "hash 2"
		s.mu.Unlock()
		fresh := s.propose(approving(), field(event.TransactionID, "txn_4"))
		s.work()
		for _, id := range []string{awaiting, proposed, queued} {
			if run := s.want(id, incident.RunRefused, 0); !contains(run.Why, "void: the configuration changed") {
				t.Errorf("why %q", run.Why)
			}
		}
		s.want(fresh, incident.RunAwaiting, 0)
		// And while it runs, at its next look.
		s.mu.Lock()
		s.config = "hash 3"
		s.mu.Unlock()
		s.pass(31 * time.Second)
		s.want(fresh, incident.RunRefused, 0)
	})
}

func TestStopBetweenApprovalAndSendHolds(t *testing.T) {
	stops := map[string]func(s *stage){
		"all runs": func(s *stage) {
			if err := s.desk.Stop(s.Context(), "", "eve", "outage"); err != nil {
				s.Error(err)
			}
		},
		"this remediation": func(s *stage) {
			if err := s.desk.Stop(s.Context(), "resend-status", "eve", "outage"); err != nil {
				s.Error(err)
			}
		},
		"the variable": func(s *stage) { s.mu.Lock(); s.env = "off"; s.mu.Unlock() },
		"a reload":     func(s *stage) { s.mu.Lock(); s.config = "hash 2"; s.mu.Unlock() },
	}
	for name, stop := range stops {
		on(t, func(s *stage) {
			id := s.propose(approving())
			s.work()
			s.want(id, incident.RunAwaiting, 0)
			// The stop comes while the transaction is read for the last time.
			s.far.set(func(f *far) { f.reading = func() { stop(s) } })
			if err := s.desk.Approve(s.Context(), []string{id}, "ana", ""); err != nil {
				s.Fatal(err)
			}
			synctest.Wait()
			if run := s.want(id, incident.RunRefused, 0); !contains(run.Why, "stopped by eve: outage") && !contains(run.Why, remediation.KillSwitch) && !contains(run.Why, "void") {
				s.Errorf("%s: %q", name, run.Why)
			}
		})
	}
}

func TestStopHoldsUntilResumed(t *testing.T) {
	on(t, func(s *stage) {
		s.refusedWith(s.desk.Stop(s.Context(), "resend-statsu", "ana", ""), "no remediation named")
		s.refusedWith(s.desk.Resume(s.Context(), "", "ana", ""), "not stopped")
		if err := s.desk.Stop(s.Context(), "", "ana", "outage"); err != nil {
			t.Fatal(err)
		}
		first := s.propose(entry(remediation.ModeAuto), field(event.TransactionID, "txn_1"))
		asked := s.propose(approving(), field(event.TransactionID, "txn_2"))
		s.work()
		s.want(first, incident.RunRefused, 0)
		s.want(asked, incident.RunRefused, 0)
		if err := s.desk.Resume(s.Context(), "", "bo", "over"); err != nil {
			t.Fatal(err)
		}
		s.want(s.propose(entry(remediation.ModeAuto), field(event.TransactionID, "txn_3")), incident.RunDone, 1)
		if stopped, resumed := s.store.lines(incident.AuditStopped), s.store.lines(incident.AuditResumed); len(stopped) != 1 || stopped[0].Subject != "all" || stopped[0].Why != "outage" || len(resumed) != 1 || resumed[0].Actor != "bo" {
			t.Errorf("record %+v %+v", stopped, resumed)
		}
	})
}

func TestDeskRefusesWhatIsOver(t *testing.T) {
	on(t, func(s *stage) {
		id := s.propose(entry(remediation.ModeAuto))
		s.refusedWith(s.desk.Deny(s.Context(), id, "ana", ""), "queued already")
		s.refusedWith(s.desk.Clear(s.Context(), id, true, "ana", ""), "not unknown")
		s.work()
		s.want(id, incident.RunDone, 1)
		s.refusedWith(s.desk.Deny(s.Context(), id, "ana", ""), "done already")
		s.refusedWith(s.desk.StopRun(s.Context(), id, "ana", ""), "done already")
		s.refusedWith(s.desk.Record(s.Context(), incident.Audit{Action: incident.AuditExported}), "who and what")
		if err := s.desk.Record(s.Context(), incident.Audit{Actor: "ana", Action: incident.AuditExported, Subject: "events"}); err != nil || len(s.store.lines(incident.AuditExported)) != 1 {
			t.Errorf("error %v, record %+v", err, s.store.lines(incident.AuditExported))
		}
	})
}
