package reconcile_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

func TestAbsentTwiceClears(t *testing.T) {
	play(t, func(w *world) {
		w.member("T1", "par_1", time.Hour)
		w.member("T1", "par_1", time.Hour, func(m *incident.Member) { m.Class = event.Storage }) // the same failure
		w.member("T2", "par_1", time.Hour)
		w.api.fails("T2", at(time.Now().Add(-time.Hour)))
		w.begin()
		missing := time.Now()
		w.want("")
		pass(6 * time.Minute)
		w.want("cleared T1")
		in := w.events()[0]
		if !strings.Contains(string(in.Body), `"created_at":"`+missing.UTC().Format(time.RFC3339Nano)+`"`) ||
			in.Origin != event.OriginReconcile || !in.Authentic || in.Source != "datasync" {
			t.Errorf("accepted %s as %+v, want the time of the first look, %v", in.Body, in, missing)
		}
		pass(time.Hour) // nobody plans it here, so the member stays open
		w.want("cleared T1")
		w.crash()
		pass(time.Hour)
		w.want("cleared T1")
		if w.store.repeats != 0 {
			t.Errorf("accepted again %d times", w.store.repeats)
		}
	})
}

func TestPresentInBetweenBeginsAnew(t *testing.T) {
	play(t, func(w *world) {
		w.api.fails("other", at(time.Now().Add(-time.Hour))) // shows that the listing works
		w.member("T1", "par_1", time.Hour)
		w.begin() // absent
		w.api.fails("T1", at(time.Now().Add(-time.Hour)))
		pass(6 * time.Minute) // present
		w.api.change(func() { w.api.items = w.api.items[:1] })
		pass(5 * time.Minute) // absent
		w.want("")
		pass(6 * time.Minute) // and again
		w.want("cleared T1")
	})
}

func TestAnIncompleteListingNeverClears(t *testing.T) {
	play(t, func(w *world) {
		w.api.cut = true
		w.api.fails("other", at(time.Now().Add(-time.Hour)))
		w.member("T1", "par_1", time.Hour)
		w.member("T2", "", time.Hour)
		w.begin()
		pass(2 * time.Hour)
		w.want("")
	})
}

func TestAFailedListingNeverClears(t *testing.T) {
	play(t, func(w *world) {
		w.member("T1", "par_1", time.Hour)
		w.begin() // absent once
		w.api.change(func() { w.api.down = errDown })
		pass(2 * time.Hour)
		w.want("")
	})
}

// A partner that Datasync knows under another id has an empty listing, which is
// complete.
func TestAListingThatKnowsNothingOfAPartnerIsNotBelieved(t *testing.T) {
	play(t, func(w *world) {
		w.api.strangers = map[string]bool{"AS2-ACME": true}
		w.api.fails("T1", of("AS2-ACME"), at(time.Now().Add(-time.Hour)))
		w.member("T1", "AS2-ACME", time.Hour)
		w.begin()
		pass(2 * time.Hour)
		w.want("")
		w.api.change(func() { w.api.items = nil })
		pass(11 * time.Minute)
		w.want("cleared T1") // gone from all that failed
	})
}

func TestOnlyOldMembersOfDeliveryClassesAreAskedAfter(t *testing.T) {
	play(t, func(w *world) {
		for _, class := range []event.Class{event.MDNTimeout, event.MDNNegative, event.FunctionalReject, event.AckOverdue, event.SLA, event.AutomationFault} {
			w.member(string(class), "par_1", time.Hour, func(m *incident.Member) { m.Class = class })
		}
		w.member("", "par_1", time.Hour)
		w.member("young", "par_1", 0)
		w.begin()
		pass(14 * time.Minute)
		for _, q := range w.api.queried() {
			if q.Since.IsZero() {
				t.Fatalf("asked %+v", q)
			}
		}
		pass(15 * time.Minute)
		w.want("cleared young")
	})
}

func TestAStatusOfItsOwnDecides(t *testing.T) {
	for _, tt := range []struct{ status, want string }{
		{"failed", ""},
		{"retrying", ""},
		{"in some limbo", ""},
		{"", ""},
		{"delivered", "delivered T1"},
		{"Completed", "delivered T1"},
		{"processed", "delivered T1"},
		{"cancelled", "cleared T1"},
		{"not there", ""},
	} {
		t.Run("reads "+tt.status, func(t *testing.T) {
			play(t, func(w *world) {
				w.api.one = true
				w.member("T1", "par_1", time.Hour)
				if tt.status != "not there" {
					w.api.fails("T1", at(time.Now().Add(-2*time.Hour)))
					w.api.becomes("T1", tt.status)
				}
				w.begin()
				w.want("") // no time of its own says that this is newer than the failure
				pass(time.Hour)
				w.want(tt.want)
			})
		})
	}
}

func TestADeliveryWithATimeOfItsOwnSettlesAtOnce(t *testing.T) {
	play(t, func(w *world) {
		w.api.one = true
		w.member("T1", "par_1", time.Hour)
		then := time.Now().Add(-time.Minute)
		w.api.fails("T1", at(then))
		w.api.becomes("T1", "delivered")
		w.begin()
		w.want("delivered T1")
		if body := w.events()[0].Body; !strings.Contains(string(body), `"created_at":"`+then.UTC().Format(time.RFC3339Nano)) {
			t.Errorf("accepted %s", body)
		}
		pass(time.Hour)
		w.want("delivered T1")
	})
}

func TestRoundsAreBoundedAndReachEverybody(t *testing.T) {
	for _, one := range []bool{false, true} {
		t.Run(fmt.Sprint("reads one by one ", one), func(t *testing.T) {
			play(t, func(w *world) {
				w.api.one = one
				for n := range 700 {
					id := fmt.Sprintf("T%03d", n)
					partner := fmt.Sprintf("par_%02d", n%50)
					w.member(id, partner, time.Hour)
					w.api.items = append(w.api.items, datasync.Transaction{ID: id, Status: "failed", PartnerID: partner, OccurredAt: time.Now().Add(-time.Hour)})
				}
				w.begin()
				most := 21 // twenty partners and everybody
				if one {
					most = 100
				}
				for range 12 {
					before := w.api.asked()
					pass(5 * time.Minute)
					if calls := w.api.asked() - before; calls > 2*(most+1) {
						t.Fatalf("%d calls", calls)
					}
				}
				w.want("")
				w.api.change(func() {
					if one {
						for i := range w.api.items {
							w.api.items[i].Status = "delivered"
						}
					} else {
						w.api.items = nil
					}
				})
				for range 16 {
					pass(5 * time.Minute)
				}
				cleared := map[string]bool{}
				for _, in := range w.events() {
					cleared[in.ForeignID] = true
				}
				if len(cleared) != 700 || len(w.events()) != 700 {
					t.Errorf("settled %d of 700, with %d events", len(cleared), len(w.events()))
				}
				if n := len(w.store.position(t).State); n > 200<<10 {
					t.Errorf("%d bytes are remembered", n)
				}
			})
		})
	}
}

// A partner whose listing always fails must not starve those behind it.
func TestOneThatCannotBeAskedKeepsNobodyBack(t *testing.T) {
	play(t, func(w *world) {
		w.api.broken = "par_1"
		w.member("T1", "par_1", time.Hour)
		w.member("T2", "par_2", time.Hour)
		w.begin()
		pass(11 * time.Minute)
		w.want("cleared T2")
	})
}

func TestWhatIsRememberedSurvivesARestart(t *testing.T) {
	play(t, func(w *world) {
		w.member("T1", "par_1", time.Hour)
		w.begin() // absent once
		w.crash()
		pass(6 * time.Minute)
		w.want("cleared T1")
		if state := w.store.position(t).State; !bytes.Contains(state, []byte(`"told":true`)) {
			t.Errorf("state %s", state)
		}
	})
}

func TestATwinInAnotherEnvironmentEndsNothing(t *testing.T) {
	play(t, func(w *world) {
		w.api.one = true
		w.member("T1", "par_1", time.Hour)
		w.api.fails("T1", func(item *datasync.Transaction) { item.Environment, item.Status = event.Sandbox, "delivered" })
		w.begin()
		pass(time.Hour)
		w.want("")
	})
}
