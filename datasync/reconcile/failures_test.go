package reconcile_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

func TestLostWebhooksAreFoundOnce(t *testing.T) {
	play(t, func(w *world) {
		w.begin()
		pass(time.Minute)
		w.api.fails("T1", func(item *datasync.Transaction) {
			item.Raw = json.RawMessage(`{"transaction":{"id":"T1","status":"failed","references":{"po_number":"88214"}},"extra":{"n":12345678901234567890}}`)
			item.ErrorCategory = "connectivity"
		})
		failedAt := time.Now()
		pass(3 * time.Hour)
		w.want("failed T1")
		in := w.events()[0]
		if in.Origin != event.OriginReconcile || !in.Authentic || in.Source != "datasync" || in.Environment != event.Production ||
			in.ForeignID != "poll:T1" || in.Type != "transaction.failed" {
			t.Errorf("accepted as %+v", in)
		}
		for _, part := range []string{
			`"po_number":"88214"`, `"n":12345678901234567890`, `"category":"connectivity"`, `"document_type":"856"`,
			`"partner":{"id":"par_1"}`, `"created_at":"` + failedAt.UTC().Format(time.RFC3339Nano) + `"`, `"environment":"production"`,
		} {
			if !strings.Contains(string(in.Body), part) {
				t.Errorf("the body lacks %s: %s", part, in.Body)
			}
		}
		w.api.fails("T1") // once more, at another time
		pass(10 * time.Minute)
		w.want("failed T1, failed T1")
	})
}

func TestFlatItemsComeInTheFormOfAWebhook(t *testing.T) {
	play(t, func(w *world) {
		w.begin()
		w.api.fails("T1", func(item *datasync.Transaction) {
			item.Raw = json.RawMessage(`{"id":"T1","status":"failed","partner":"par_1","error":"no route","references":{"po_number":"1"}}`)
			item.Amount, item.Currency, item.PartnerName = "1250.5", "USD", "Acme"
		})
		pass(6 * time.Minute)
		var body struct{ Data map[string]any }
		if err := json.Unmarshal(w.events()[0].Body, &body); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(body.Data["transaction"], body.Data["partner"], body.Data["error"], body.Data["id"])
		want := "map[amount:map[currency:USD value:1250.5] document_type:856 id:T1 references:map[po_number:1] status:failed] map[id:par_1 name:Acme] map[message:no route] <nil>"
		if got != want {
			t.Errorf("data %s\nwant %s", got, want)
		}
	})
}

func TestFirstPollPagesNoHistory(t *testing.T) {
	for _, tt := range []struct{ start, want string }{
		{"", ""},
		{"now", ""},
		{"24h", "failed in the day"},
	} {
		t.Run("start "+tt.start, func(t *testing.T) {
			play(t, func(w *world) {
				w.cfg.Start = tt.start
				began := time.Now()
				w.api.fails("long ago", at(time.Now().Add(-25*time.Hour)))
				w.api.fails("in the day", at(time.Now().Add(-5*time.Minute)))
				w.begin()
				pass(time.Hour)
				w.want(tt.want)
				for _, q := range w.api.queried() {
					if tt.want == "" && q.Since.Before(began) {
						t.Errorf("asked for what failed since %v", q.Since)
					}
				}
			})
		})
	}
}

func TestAnAPIWithoutTimeRangesBringsNoHistory(t *testing.T) {
	play(t, func(w *world) {
		w.api.timeless = true
		w.api.fails("long ago", at(time.Now().Add(-time.Hour)))
		w.begin()
		pass(time.Minute)
		w.api.fails("new")
		pass(time.Hour)
		w.want("failed new")
		if w.skipped["history"] == 0 {
			t.Error("what failed before the first poll was not counted")
		}
	})
}

func TestAnAPIThatIgnoresTheStatusTellsNothingElse(t *testing.T) {
	play(t, func(w *world) {
		w.begin()
		pass(time.Minute)
		w.api.fails("T1", func(item *datasync.Transaction) { item.Status = "listed anyway" })
		pass(6 * time.Minute)
		w.want("")
		if w.skipped["status"] == 0 {
			t.Error("what does not say that it failed was not counted")
		}
	})
}

func TestALateItemIsFoundWithinTheOverlap(t *testing.T) {
	play(t, func(w *world) {
		w.begin()
		pass(time.Hour)
		w.api.fails("T1", at(time.Now().Add(-14*time.Minute)))
		pass(6 * time.Minute)
		w.want("failed T1")
	})
}

func TestAnItemThatIsWordedAnewMakesNoEvent(t *testing.T) {
	play(t, func(w *world) {
		w.begin()
		failed := time.Now()
		for n := range 3 {
			w.api.fails("T1", at(failed), func(item *datasync.Transaction) { item.ErrorMessage = fmt.Sprint("attempt ", n) })
			w.api.fails("T2", at(time.Time{}), func(item *datasync.Transaction) { item.ErrorMessage = fmt.Sprint("attempt ", n) })
			pass(5 * time.Minute)
			if n == 1 {
				w.crash()
			}
		}
		w.want("failed T1, failed T2")
		if strings.Contains(string(w.events()[1].Body), "created_at") {
			t.Errorf("an item without a time got one: %s", w.events()[1].Body)
		}
	})
}

func TestAnItemOfAnotherEnvironmentIsNobodys(t *testing.T) {
	play(t, func(w *world) {
		w.begin()
		w.api.fails("T1", func(item *datasync.Transaction) { item.Environment = event.Sandbox })
		w.api.fails("T2", func(item *datasync.Transaction) { item.Environment = event.Production })
		w.api.fails("")
		pass(6 * time.Minute)
		w.want("failed T2")
		if w.skipped["environment"] == 0 || w.skipped["id"] == 0 {
			t.Errorf("skipped %v", w.skipped)
		}
	})
}

func TestACrashBetweenFindingAndPositionFindsOnce(t *testing.T) {
	play(t, func(w *world) {
		w.begin()
		pass(time.Minute)
		w.api.fails("T1")
		before := w.store.position(t).Watermark
		w.set(func() { w.store.settle = incident.ErrLeaseLost })
		pass(5 * time.Minute)
		w.want("failed T1")
		w.set(func() { w.store.settle = nil })
		w.crash()
		if after := w.store.position(t).Watermark; !after.After(before) {
			t.Errorf("the watermark stayed at %v", after)
		}
		w.want("failed T1")
		if w.store.repeats != 1 {
			t.Errorf("%d repetitions, want the one of the window that was read again", w.store.repeats)
		}
	})
}

func TestTheWatermarkWaitsForWhatTheStoreRefuses(t *testing.T) {
	play(t, func(w *world) {
		w.begin()
		pass(time.Minute)
		before := w.store.position(t).Watermark
		w.api.fails("T1")
		w.set(func() { w.store.refused = 1 })
		for w.store.position(t).Failures == 0 {
			pass(time.Second)
		}
		if p := w.store.position(t); p.Failures != 1 || !p.Watermark.Equal(before) {
			t.Errorf("position %+v, want it to stay at %v", p, before)
		}
		pass(5 * time.Minute)
		w.want("failed T1")
	})
}

func TestAnOutageOfHoursIsCaughtUp(t *testing.T) {
	play(t, func(w *world) {
		w.begin()
		pass(time.Minute)
		asked := w.api.asked()
		w.api.change(func() { w.api.down = errDown })
		var want []string
		for n := range 12 { // three hours
			pass(15 * time.Minute)
			id := fmt.Sprintf("T%02d", n)
			w.api.fails(id)
			want = append(want, "failed "+id)
		}
		w.want("")
		if calls := w.api.asked() - asked; calls > 60 {
			t.Errorf("%d calls in three hours of outage", calls)
		}
		if n := strings.Count(w.log.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings, want one:\n%s", n, w.log)
		}
		w.api.change(func() { w.api.down = nil })
		pass(7 * time.Minute)
		w.want(strings.Join(want, ", "))
		if !strings.Contains(w.log.String(), "polling works again") {
			t.Errorf("the log does not say that it works again:\n%s", w.log)
		}
		if p := w.store.position(t); p.Failures != 0 || time.Since(p.Watermark) > 7*time.Minute {
			t.Errorf("position %+v", p)
		}
	})
}

func TestASliceWithTooManyPagesIsHalved(t *testing.T) {
	play(t, func(w *world) {
		w.cfg.Start = "1h"
		w.api.perPage = 1 // 50 items a listing
		for n := range 120 {
			w.api.fails(fmt.Sprintf("T%03d", n), at(time.Now().Add(-time.Hour+time.Duration(n)*30*time.Second)))
		}
		w.begin()
		if n := len(w.events()); n != 120 {
			t.Errorf("found %d of 120", n)
		}
		if calls := w.api.asked(); calls > 20 {
			t.Errorf("%d listings", calls)
		}
	})
}

// An API whose next page is not found is read by shorter ranges.
func TestAListingThatShowsMoreIsHalved(t *testing.T) {
	play(t, func(w *world) {
		w.cfg.Start = "1h"
		w.api.perPage, w.api.first = 10, true
		for n := range 120 {
			w.api.fails(fmt.Sprintf("T%03d", n), at(time.Now().Add(-time.Hour+time.Duration(n)*30*time.Second)))
		}
		w.begin()
		if n := len(w.events()); n != 120 {
			t.Errorf("found %d of 120", n)
		}
	})
}

func TestAMinuteThatDoesNotFitIsPassedAndSaid(t *testing.T) {
	play(t, func(w *world) {
		w.cfg.Start = "1h"
		w.api.perPage = 1
		for n := range 80 {
			w.api.fails(fmt.Sprintf("T%03d", n), at(time.Now().Add(-30*time.Minute)))
		}
		w.api.fails("later", at(time.Now().Add(-time.Minute)))
		w.begin()
		if got := w.got(); !strings.HasSuffix(got, "failed later") || len(w.events()) != 51 {
			t.Errorf("found %d: %s", len(w.events()), got)
		}
		if !strings.Contains(w.log.String(), "more failed within a minute") {
			t.Errorf("nothing says so:\n%s", w.log)
		}
	})
}

func TestAFloodIsTakenInTurns(t *testing.T) {
	play(t, func(w *world) {
		w.cfg.Start = "4h"
		w.api.perPage = 7000
		for n := range 4 {
			for k := range 7000 {
				w.api.items = append(w.api.items, datasync.Transaction{
					ID: fmt.Sprint(n, "-", k), Status: "failed", OccurredAt: time.Now().Add(-4*time.Hour + time.Duration(n)*time.Hour + time.Minute),
				})
			}
		}
		w.store.accepted = func(event.Received) { w.store.events = w.store.events[:0] } // only counts
		total := 0
		w.o.Observer.Found = func(n int) {
			if total == 0 && n > 21000 {
				t.Errorf("one poll took %d", n)
			}
			total += n
		}
		w.begin()
		pass(time.Minute)
		if total != 28000 {
			t.Errorf("found %d of 28000", total)
		}
		if n := len(w.store.position(t).State); n > 200<<10 {
			t.Errorf("%d bytes are remembered", n)
		}
	})
}

// Each of its minutes fits into a listing, but neither an hour nor the overlap
// into a round.
func TestAFloodWithinTheOverlapIsGotPast(t *testing.T) {
	play(t, func(w *world) {
		w.begin()
		const each = 25
		for n := range 20 * 60 {
			for k := range each {
				w.api.items = append(w.api.items, datasync.Transaction{
					ID: fmt.Sprint(n, "-", k), Status: "failed", OccurredAt: time.Now().Add(time.Duration(n) * time.Second),
				})
			}
		}
		w.store.accepted = func(event.Received) { w.store.events = w.store.events[:0] } // only counts
		total := 0
		w.o.Observer.Found = func(n int) { total += n }
		w.stop()
		w.begin()
		pass(26 * time.Minute)
		if total != 20*60*each {
			t.Errorf("found %d of %d", total, 20*60*each)
		}
		if p := w.store.position(t); time.Since(p.Watermark) > 6*time.Minute {
			t.Errorf("the watermark is %v old", time.Since(p.Watermark))
		}
	})
}

func TestStoppingIsQuickAndKeepsThePosition(t *testing.T) {
	play(t, func(w *world) {
		w.begin()
		pass(time.Hour)
		before := w.store.position(t).Watermark
		began := time.Now()
		w.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("stopping took %v", took)
		}
		if p := w.store.position(t); p.Watermark.Before(before) || p.Lease.Until.After(time.Now()) {
			t.Errorf("position %+v", p)
		}
	})
}

func TestAWatermarkFromTheFutureDoesNotStopPolling(t *testing.T) {
	play(t, func(w *world) {
		w.store.polls["reconcile:production"] = &incident.Poll{
			Name: "reconcile:production", DueAt: time.Now(), Watermark: time.Now().Add(72 * time.Hour), State: []byte("{not json"),
		}
		w.begin()
		w.api.fails("T1")
		pass(6 * time.Minute)
		w.want("failed T1")
	})
}
