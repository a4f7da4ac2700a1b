package enrich_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync"
	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// created is when the nth event says that it happened.
func created(t *testing.T, w *world, n int) time.Time {
	t.Helper()
	var body struct {
		Created time.Time `json:"created_at"`
	}
	_, _, events := w.store.seen()
	if err := json.Unmarshal(events[n].Body, &body); err != nil {
		t.Fatal(err)
	}
	return body.Created
}

func TestAPartnerIsFetchedWhenWantedAndDaily(t *testing.T) {
	play(t, func(w *world) {
		w.api.knows(acme(300 * days))
		w.begin()
		w.want("par_1")
		p := w.store.partner("par_1")
		if p.Name != "Acme" || p.ContactEmail != "edi@acme.example" || p.Status != "active" || !p.FetchedAt.Equal(time.Now()) || len(p.Certificates) != 1 {
			t.Errorf("kept %+v", p)
		}
		pass(20 * time.Hour)
		if w.api.asked() != 1 {
			t.Errorf("%d calls in a day", w.api.asked())
		}
		pass(10 * days)
		if n := w.api.asked(); n < 10 || n > 13 {
			t.Errorf("%d calls in ten days and a bit", n)
		}
	})
}

func TestOpenIncidentsAreEditedWhereSomethingIsNew(t *testing.T) {
	play(t, func(w *world) {
		for n := range 120 {
			w.store.open = append(w.store.open, fmt.Sprint("in_", n))
		}
		w.store.conflicts = 2
		w.api.knows(acme(300 * days))
		w.begin()
		w.want("par_1")
		_, edited, _ := w.store.seen()
		slices.Sort(edited)
		if len(edited) != 120 || len(slices.Compact(edited)) != 120 {
			t.Errorf("edited %q, want each once", edited)
		}
		pass(3 * days)
		if _, edited, _ := w.store.seen(); len(edited) != 120 {
			t.Errorf("edited %d times, though nothing is new", len(edited))
		}
		w.api.knows(acme(300*days, func(p *datasync.Partner) { p.Contact.Phone = "+1 312 555 0100" }))
		pass(2 * days)
		if _, edited, _ := w.store.seen(); len(edited) != 240 {
			t.Errorf("edited %d times, want all once more", len(edited))
		}
	})
}

func TestIncidentsThatAlwaysChangeHoldNothingUp(t *testing.T) {
	play(t, func(w *world) {
		w.store.open, w.store.conflicts = []string{"in_1"}, 1000
		w.api.knows(acme(300 * days))
		w.begin()
		w.want("par_1")
		if p := w.store.partner("par_1"); p.Name != "Acme" || w.api.asked() != 1 || w.store.conflicts < 900 {
			t.Errorf("kept %+v after %d calls and %d conflicts", p, w.api.asked(), 1000-w.store.conflicts)
		}
	})
}

func TestAPartnerThatIsNotThereIsAskedForDaily(t *testing.T) {
	play(t, func(w *world) {
		w.begin()
		w.want("par_404")
		pass(10 * days)
		if n := w.api.asked(); n < 9 || n > 13 {
			t.Errorf("%d calls in ten days", n)
		}
		if p := w.store.partner("par_404"); !strings.Contains(p.Error, "404") || p.Failures == 0 || !p.FetchedAt.IsZero() {
			t.Errorf("kept %+v", p)
		}
		if strings.Contains(w.log.String(), "level=WARN") {
			t.Errorf("that one partner is not there is no fault of the API:\n%s", w.log)
		}
	})
}

func TestAnAPIThatIsDownIsLeftAlone(t *testing.T) {
	play(t, func(w *world) {
		w.api.knows(acme(300 * days))
		w.api.breaks(&datasync.Error{Kind: datasync.Network})
		w.begin()
		var ids []string
		for n := range 100 {
			ids = append(ids, fmt.Sprintf("par_%d", n))
			w.api.knows(datasync.Partner{ID: ids[n], Name: "Partner"})
		}
		w.want(ids...)
		for range 60 {
			pass(time.Minute)
			w.want("par_1") // events come in all the time
			w.store.poke()
		}
		if n := w.api.asked(); n < 5 || n > 25 {
			t.Errorf("%d calls in an hour of outage", n)
		}
		if looks, _, _ := w.store.seen(); looks > 200 {
			t.Errorf("%d looks at the store", looks)
		}
		if n := strings.Count(w.log.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, w.log)
		}
		w.api.breaks(nil)
		pass(2 * time.Hour)
		for _, id := range ids {
			if p := w.store.partner(id); p.Name == "" || p.Failures != 0 || p.Error != "" {
				t.Fatalf("%s is not caught up: %+v", id, p)
			}
		}
		if len(w.store.partners) != 100 || !strings.Contains(w.log.String(), "can be read again") {
			t.Errorf("%d rows:\n%s", len(w.store.partners), w.log)
		}
	})
}

func TestCallsKeepTheirDistance(t *testing.T) {
	play(t, func(w *world) {
		var ids []string
		for n := range 50 {
			ids = append(ids, fmt.Sprint("par_", n))
			w.api.knows(datasync.Partner{ID: ids[n]})
		}
		w.begin()
		w.want(ids...)
		pass(time.Minute)
		if n := w.api.asked(); n != 50 {
			t.Errorf("%d calls", n)
		}
		for n := range w.api.times[1:] {
			if gap := w.api.times[n+1].Sub(w.api.times[n]); gap < 500*time.Millisecond {
				t.Fatalf("calls %v apart", gap)
			}
		}
	})
}

func TestRetryAfterIsKept(t *testing.T) {
	play(t, func(w *world) {
		w.api.breaks(&datasync.Error{Kind: datasync.RateLimit, Status: 429, RetryAfter: 40 * time.Minute})
		w.begin()
		w.want("par_1", "par_2")
		pass(35 * time.Minute)
		if n := w.api.asked(); n != 1 {
			t.Errorf("%d calls though 40 minutes were asked for", n)
		}
	})
}

func TestConfiguredPartnersAreWantedFromTheStart(t *testing.T) {
	play(t, func(w *world) {
		w.cfg.Partners = []string{"par_1"}
		w.api.knows(acme(300 * days))
		w.store.broken = event.ErrUnavailable
		w.begin()
		pass(time.Minute)
		w.store.mu.Lock()
		w.store.broken = nil
		w.store.mu.Unlock()
		pass(time.Minute)
		if p := w.store.partner("par_1"); p.Name != "Acme" {
			t.Errorf("kept %+v", p)
		}
		if n := strings.Count(w.log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d errors in the log:\n%s", n, w.log)
		}
		w.store.mu.Lock()
		delete(w.store.partners, "par_1") // retention forgot it
		w.store.mu.Unlock()
		pass(25 * time.Hour)
		if p := w.store.partner("par_1"); p.Name != "Acme" {
			t.Errorf("it is no longer watched: %+v", p)
		}
	})
}

func TestAPartnerOfAnotherEnvironmentIsNotAskedFor(t *testing.T) {
	play(t, func(w *world) {
		w.store.partners["par_s"] = incident.Partner{Environment: event.Sandbox, ID: "par_s"}
		w.begin()
		pass(time.Hour)
		if looks, _, _ := w.store.seen(); w.api.asked() != 0 || looks > 200 {
			t.Errorf("%d calls, %d looks", w.api.asked(), looks)
		}
	})
}

func TestWhatAPartnerSaysIsBounded(t *testing.T) {
	play(t, func(w *world) {
		w.api.knows(acme(300*days, func(p *datasync.Partner) {
			p.Name = "A\nB\xff" + strings.Repeat("é", 1000)
			for n := range 1000 {
				p.Certificates = append(p.Certificates, datasync.Certificate{ID: strconv.Itoa(n), Subject: strings.Repeat("x", 5000)})
			}
		}))
		w.begin()
		w.want("par_1")
		p := w.store.partner("par_1")
		if len([]rune(p.Name)) != 200 || !strings.HasPrefix(p.Name, "A B\uFFFDé") || !strings.HasSuffix(p.Name, "…") || len(p.Certificates) != 20 {
			t.Errorf("kept %q and %d certificates", p.Name, len(p.Certificates))
		}
		if text, _ := json.Marshal(p); len(text) > 16<<10 {
			t.Errorf("%d bytes are kept", len(text))
		}
	})
}

func TestStoppingIsQuick(t *testing.T) {
	play(t, func(w *world) {
		w.begin()
		w.want("par_1", "par_2", "par_3")
		began := time.Now()
		w.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
