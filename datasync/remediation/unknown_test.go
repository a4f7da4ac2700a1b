package remediation_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/datasync/remediation"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// afterActing are the ways in which a call fails though it may have acted.
var afterActing = map[string]error{
	"a 500":              &datasync.Error{Op: "run", Kind: datasync.Server, Status: 500, Sent: true},
	"a 409":              &datasync.Error{Op: "run", Kind: datasync.Unexpected, Status: 409, Sent: true},
	"a reset":            &datasync.Error{Op: "run", Kind: datasync.Network, Sent: true, Err: errors.New("connection reset")},
	"a timeout":          &datasync.Error{Op: "run", Kind: datasync.Network, Sent: true, Err: context.DeadlineExceeded},
	"a truncated answer": &datasync.Error{Op: "run", Kind: datasync.Unexpected, Status: 200, Sent: true},
	"an unknown error":   errors.New("?"),
}

func failing(err error) func() (datasync.RunAnswer, error) {
	return func() (datasync.RunAnswer, error) { return datasync.RunAnswer{}, err }
}

func deliver(r *remediation.Reading) { r.Status = "delivered" }

// An API that acts, fails afterwards and knows no keys: no workflow ever runs
// twice for a transaction, whatever its status says and whatever else asks.
func TestWhatMayHaveActedIsNeverRunTwice(t *testing.T) {
	for name, err := range afterActing {
		for _, acts := range []func(*remediation.Reading){nil, deliver} {
			on(t, func(s *stage) {
				s.far.acts, s.far.answer = acts, failing(err)
				auto := entry(remediation.ModeAuto)
				auto.Limit, auto.Cooldown = remediation.Limit{PerTransaction: "9/1h", PerPartner: "99/1h", Overall: "99/1h"}, time.Nanosecond
				id := s.propose(auto)
				s.work()
				s.want(id, incident.RunUnknown, 1)
				other := auto
				other.Name = "resend-status" // the same, and one for a person
				for range 3 {
					s.propose(other)
					asked := s.propose(approving())
					s.pass(2 * time.Minute)
					if run := s.run(asked); run.State == incident.RunAwaiting {
						if err := s.desk.Approve(s.Context(), []string{asked}, "ana", ""); err != nil {
							s.Fatal(err)
						}
					}
					// A restart in between changes nothing.
					s.halt()
					s.work()
				}
				s.pass(72 * time.Hour)
				if calls := s.far.calls(); len(calls) != 1 {
					s.Fatalf("%s: calls %v", name, calls)
				}
				want := incident.RunUnknown
				if acts != nil {
					want = incident.RunDone
				}
				s.want(id, want, 1)
			})
		}
	}
}

func TestUnknownRunIsCheckedFourTimesThenLeftToAPerson(t *testing.T) {
	on(t, func(s *stage) {
		s.far.answer = failing(afterActing["a 500"])
		id := s.propose(entry(remediation.ModeAuto))
		s.work()
		s.want(id, incident.RunUnknown, 1)
		reads := s.far.asked()
		for i, at := range []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute} {
			s.pass(at - time.Second)
			if got := s.far.asked() - reads; got != i {
				t.Fatalf("%d checks before check %d is due", got, i+1)
			}
			s.pass(time.Second)
			if got := s.far.asked() - reads; got != i+1 {
				t.Fatalf("%d checks when check %d is due", got, i+1)
			}
		}
		run := s.want(id, incident.RunUnknown, 1)
		if !run.NextAt.IsZero() || run.Checks != 4 || !contains(run.Why, "runs clear "+id) || !contains(run.Why, run.Key) {
			t.Errorf("run %+v", run)
		}
		// Told when it came to that, and at the end; not of each check.
		if lines := s.store.lines(incident.AuditEnded); len(lines) != 2 {
			t.Errorf("record %+v", lines)
		}
		s.pass(72 * time.Hour)
		if got := s.far.asked() - reads; got != 4 {
			t.Errorf("%d checks", got)
		}
		if err := s.desk.Clear(s.Context(), id, false, "ana", "it is not there"); err != nil {
			t.Fatal(err)
		}
		if run := s.want(id, incident.RunFailed, 1); !contains(run.Why, "cleared by ana: it is not there") {
			t.Errorf("why %q", run.Why)
		}
		if lines := s.store.lines(incident.AuditCleared); len(lines) != 1 || lines[0].Key != run.Key || lines[0].Result != "failed" {
			t.Errorf("record %+v", lines)
		}
	})
}

func TestCheckFindsThatItWorked(t *testing.T) {
	for name, found := range map[string]func(*remediation.Reading){
		"delivered": deliver, "not listed any more": func(r *remediation.Reading) { *r = remediation.Reading{Whole: true} },
	} {
		on(t, func(s *stage) {
			s.far.answer = failing(afterActing["a timeout"])
			id := s.propose(entry(remediation.ModeAuto))
			s.work()
			s.far.told(found)
			s.pass(time.Minute)
			if run := s.want(id, incident.RunDone, 1); !contains(run.Why, "no longer failed") {
				s.Errorf("%s: %q", name, run.Why)
			}
		})
	}
	on(t, func(s *stage) { // a list without an end proves nothing
		s.far.answer = failing(afterActing["a timeout"])
		id := s.propose(entry(remediation.ModeAuto))
		s.work()
		s.far.told(func(r *remediation.Reading) { *r = remediation.Reading{} })
		s.pass(24 * time.Hour)
		s.want(id, incident.RunUnknown, 1)
	})
}

func TestCheckWaitsForDatasyncToComeBack(t *testing.T) {
	on(t, func(s *stage) {
		s.far.acts, s.far.answer = deliver, failing(afterActing["a reset"])
		id := s.propose(entry(remediation.ModeAuto))
		s.work()
		s.far.set(func(f *far) { f.down = &datasync.Error{Kind: datasync.Server, Status: 502} })
		writes := s.store.writes()
		s.pass(time.Hour)
		s.want(id, incident.RunUnknown, 1)
		if n := s.store.writes() - writes; n > 20 {
			t.Errorf("%d writes in an hour", n)
		}
		s.far.set(func(f *far) { f.down = nil })
		s.pass(16 * time.Minute)
		s.want(id, incident.RunDone, 1)
	})
	on(t, func(s *stage) {
		s.far.answer = failing(afterActing["a reset"])
		id := s.propose(entry(remediation.ModeAuto))
		s.work()
		s.far.set(func(f *far) { f.down = &datasync.Error{Kind: datasync.Server, Status: 502} })
		s.pass(30 * time.Hour)
		if run := s.want(id, incident.RunUnknown, 1); !run.NextAt.IsZero() || !contains(run.Why, "runs clear") {
			t.Errorf("run %+v", run)
		}
	})
}

// The process dies between the key and the answer.
func TestRunOfADeadProcessIsCheckedNotRepeated(t *testing.T) {
	for name, acted := range map[string]bool{"before the call": false, "after the call": true} {
		on(t, func(s *stage) {
			id := s.propose(approving())
			s.work()
			s.halt()
			if err := s.desk.Approve(s.Context(), []string{id}, "ana", ""); err != nil {
				s.Fatal(err)
			}
			claimed, _, err := s.store.ClaimRun(s.Context(), time.Minute)
			if err != nil || claimed == nil || claimed.Key == "" {
				s.Fatalf("claimed %+v, %v", claimed, err)
			}
			if acted {
				s.far.told(deliver)
			}
			s.work()
			s.want(id, incident.RunStarted, 0) // the lease of the dead still stands
			s.pass(100 * time.Second)
			if !acted {
				if run := s.want(id, incident.RunUnknown, 0); !contains(run.Why, claimed.Key) {
					s.Errorf("%s: %+v", name, run)
				}
			}
			s.pass(24 * time.Hour)
			want := incident.RunUnknown
			if acted {
				want = incident.RunDone
			}
			s.want(id, want, 0)
			if lines := s.store.lines(incident.AuditEnded); len(lines) != 2 {
				s.Errorf("%s: record %+v", name, lines)
			}
		})
	}
}

func TestConfirmedKeyIsSentAgainAFewTimesAlone(t *testing.T) {
	on(t, func(s *stage) {
		s.o.Idempotent = true
		s.far.answer = failing(afterActing["a 500"])
		id := s.propose(entry(remediation.ModeAuto))
		s.work()
		s.want(id, incident.RunUnknown, 1)
		s.pass(72 * time.Hour)
		run := s.want(id, incident.RunUnknown, 3)
		for _, key := range s.far.calls() {
			if key != run.Key {
				t.Errorf("keys %v", s.far.calls())
			}
		}
		if !run.NextAt.IsZero() || !contains(run.Why, "runs clear") {
			t.Errorf("run %+v", run)
		}
	})
	on(t, func(s *stage) {
		s.o.Idempotent = true
		s.far.answer = failing(afterActing["a 500"])
		id := s.propose(entry(remediation.ModeAuto))
		s.work()
		s.far.set(func(f *far) { f.answer = nil })
		s.pass(time.Minute)
		s.want(id, incident.RunDone, 2)
	})
}

// A run that may have acted stays unknown, whatever later keeps it from being
// sent again: "refused" or "failed" would say that nothing happened.
func TestWhatMayHaveActedIsNeverToldAsRefused(t *testing.T) {
	no := func(kind datasync.Kind, status int) func(*stage) {
		return func(s *stage) {
			s.far.set(func(f *far) { f.answer = failing(&datasync.Error{Kind: kind, Status: status, Sent: true}) })
		}
	}
	for name, then := range map[string]func(*stage){
		"stopped":           func(s *stage) { _ = s.desk.Stop(s.Context(), "", "ana", "") },
		"switched off":      func(s *stage) { s.mu.Lock(); s.env = "off"; s.mu.Unlock() },
		"no longer open":    func(s *stage) { s.store.mu.Lock(); s.store.open = map[string]bool{}; s.store.mu.Unlock() },
		"another answer":    no(datasync.Payload, 422),
		"a scope missing":   no(datasync.Scope, 403),
		"a rate limit":      no(datasync.RateLimit, 429),
		"another partner":   func(s *stage) { s.far.told(func(r *remediation.Reading) { r.Facts.Partner = "par_2" }) },
		"another config":    func(s *stage) { s.mu.Lock(); s.config = "hash 2"; s.mu.Unlock() },
		"an expired token":  no(datasync.Token, 401),
		"an outage of days": func(s *stage) { s.far.set(func(f *far) { f.down = errors.New("no route") }) },
	} {
		on(t, func(s *stage) {
			s.o.Idempotent = true
			s.far.answer = failing(afterActing["a timeout"])
			id := s.propose(entry(remediation.ModeAuto))
			s.work()
			s.want(id, incident.RunUnknown, 1)
			then(s)
			s.pass(72 * time.Hour)
			if run := s.run(id); run.State != incident.RunUnknown || !run.NextAt.IsZero() {
				s.Errorf("%s: the run is %s (%s), next at %v", name, run.State, run.Why, run.NextAt)
			}
			// Nothing else starts beside it.
			s.far.set(func(f *far) { f.down, f.answer = nil, nil })
			calls := len(s.far.calls())
			s.pass(time.Hour)
			s.propose(entry(remediation.ModeAuto))
			s.pass(time.Hour)
			if got := len(s.far.calls()); got != calls {
				s.Errorf("%s: another run started beside it", name)
			}
		})
	}
}

func TestReadingThatFailsBeforeTheCallIsTriedAgain(t *testing.T) {
	on(t, func(s *stage) {
		s.far.down = &datasync.Error{Kind: datasync.Server, Status: 503, Sent: true}
		id := s.propose(entry(remediation.ModeAuto))
		s.work()
		writes := s.store.writes()
		s.pass(30 * time.Minute)
		s.want(id, incident.RunQueued, 0)
		if n := s.store.writes() - writes; n > 80 {
			t.Errorf("%d writes in half an hour", n)
		}
		s.far.set(func(f *far) { f.down = nil })
		s.pass(2 * time.Minute)
		s.want(id, incident.RunDone, 1)
	})
	on(t, func(s *stage) {
		s.far.down = &datasync.Error{Kind: datasync.Server, Status: 503, Sent: true}
		id := s.propose(entry(remediation.ModeAuto))
		s.work()
		s.pass(2 * time.Hour)
		s.want(id, incident.RunRefused, 0)
	})
	on(t, func(s *stage) { // a missing scope does not go away by waiting
		s.far.down = &datasync.Error{Kind: datasync.Scope, Status: 403, Sent: true, Message: "transactions:read is missing"}
		id := s.propose(entry(remediation.ModeAuto))
		s.work()
		if run := s.want(id, incident.RunRefused, 0); !contains(run.Why, "transactions:read is missing") {
			t.Errorf("why %q", run.Why)
		}
	})
}

// What comes before the call must leave the lease long enough for it: another
// process may take the run for lapsed.
func TestCallIsNotBegunAtTheEndOfALease(t *testing.T) {
	on(t, func(s *stage) {
		s.far.reading = func() { time.Sleep(55 * time.Second) }
		id := s.propose(entry(remediation.ModeAuto))
		s.work()
		s.pass(55 * time.Second)
		s.want(id, incident.RunQueued, 0)
		s.far.set(func(f *far) { f.reading = nil })
		s.pass(time.Minute)
		s.want(id, incident.RunDone, 1)
	})
}

func TestShutdownCutsAReadingShortAndTheRunGoesOnLater(t *testing.T) {
	on(t, func(s *stage) {
		id := s.propose(entry(remediation.ModeAuto))
		r := blocked{make(chan struct{})}
		ctx, cancel := context.WithCancel(s.Context())
		ended := make(chan struct{})
		w := remediation.NewWorker(s.store, clerk{}, s.far, r, s.o)
		go func() { defer close(ended); _ = w.Run(ctx) }()
		<-r.begun
		cancel()
		<-ended
		s.want(id, incident.RunQueued, 0)
		s.pass(time.Minute)
		s.work()
		s.want(id, incident.RunDone, 1)
	})
}

// blocked reads until it is cut short.
type blocked struct{ begun chan struct{} }

func (b blocked) Read(ctx context.Context, _ incident.Run) (remediation.Reading, error) {
	close(b.begun)
	<-ctx.Done()
	return remediation.Reading{}, ctx.Err()
}

func TestAwaitedAcknowledgmentNeedsNoFailure(t *testing.T) {
	for status, want := range map[string]incident.RunState{
		"sent": incident.RunDone, "failed": incident.RunDone, "delivered": incident.RunRefused, "acknowledged": incident.RunRefused, "": incident.RunRefused,
		"rejected": incident.RunRefused,
	} {
		on(t, func(s *stage) {
			s.far.acts = deliver
			id := s.propose(approving(), func(ev *event.Event) { ev.Class = event.AckOverdue })
			s.far.told(func(r *remediation.Reading) { r.Status = status })
			s.work()
			if s.run(id).State == incident.RunAwaiting {
				if err := s.desk.Approve(s.Context(), []string{id}, "ana", ""); err != nil {
					s.Fatal(err)
				}
				s.pass(time.Second)
			}
			if run := s.run(id); run.State != want {
				s.Errorf("%q: %s (%s), want %s", status, run.State, run.Why, want)
			}
		})
	}
}

func TestReceiptIsMadeAnewOnlyForWhatWasProcessed(t *testing.T) {
	for status, want := range map[string]incident.RunState{
		"processed": incident.RunDone, "completed": incident.RunDone, "failed": incident.RunRefused, "received": incident.RunRefused, "": incident.RunRefused,
	} {
		on(t, func(s *stage) {
			c := entry(remediation.ModeAuto)
			c.Does = remediation.Regenerate
			id := s.propose(c, field(event.Direction, "inbound"), func(ev *event.Event) { ev.Class = event.MDNTimeout })
			s.far.told(func(r *remediation.Reading) { r.Status = status })
			s.work()
			if run := s.run(id); run.State != want {
				s.Errorf("%q: %s (%s), want %s", status, run.State, run.Why, want)
			}
		})
	}
}

// A message's state says nothing of its receipt.
func TestCheckOfAReceiptIsLeftToAPerson(t *testing.T) {
	on(t, func(s *stage) {
		c := entry(remediation.ModeAuto)
		c.Does = remediation.Regenerate
		id := s.propose(c, field(event.Direction, "inbound"), func(ev *event.Event) { ev.Class = event.MDNTimeout })
		s.far.told(func(r *remediation.Reading) { r.Status = "processed" })
		s.far.answer = failing(afterActing["a 500"])
		s.work()
		s.want(id, incident.RunUnknown, 1)
		s.far.told(func(r *remediation.Reading) { r.Status = "archived" })
		s.pass(24 * time.Hour)
		s.want(id, incident.RunUnknown, 1)
	})
}

// Whoever changed a run while the worker looked at it had the right to; the
// worker goes on at once.
func TestDenialWhileItIsReadCounts(t *testing.T) {
	on(t, func(s *stage) {
		id := s.propose(approving())
		s.far.reading = func() {
			if err := s.desk.Deny(s.Context(), id, "ana", "no"); err != nil {
				s.Error(err)
			}
			s.far.set(func(f *far) { f.reading = nil })
		}
		next := s.propose(entry(remediation.ModeAuto), field(event.TransactionID, "txn_2"))
		s.work()
		if run := s.want(id, incident.RunRefused, 1); !contains(run.Why, "denied by ana") {
			t.Errorf("why %q", run.Why)
		}
		s.want(next, incident.RunDone, 1)
	})
}

func TestRunOfAnotherEnvironmentIsNotSent(t *testing.T) {
	on(t, func(s *stage) {
		id := s.propose(entry(remediation.ModeAuto))
		s.o.Environment = event.Sandbox
		s.work()
		if run := s.want(id, incident.RunRefused, 0); !contains(run.Why, "the client calls sandbox") {
			t.Errorf("why %q", run.Why)
		}
	})
}

// A person's stop and the worker's claim cannot both be.
func TestStoppedOrSentNeverBoth(t *testing.T) {
	for range 50 {
		on(t, func(s *stage) {
			id := s.propose(entry(remediation.ModeAuto))
			stopped := make(chan error, 1)
			go func() { stopped <- s.desk.StopRun(s.Context(), id, "ana", "") }()
			s.work()
			err := <-stopped
			synctest.Wait()
			run := s.run(id)
			sent := len(s.far.calls()) == 1
			if (err == nil) == sent || (err == nil) != (run.State == incident.RunRefused) {
				s.Errorf("stop: %v, sent %v, run %s", err, sent, run.State)
			}
		})
	}
}
