package enrich_test

import (
	"testing"
	"time"

	"datasync-bridge/datasync"
)

func TestEachThresholdIsToldOnce(t *testing.T) {
	for _, tt := range []struct {
		name    string
		maxAge  time.Duration
		restart bool
		down    bool
	}{
		{"while all goes well", 0, false, false},
		{"with a process that begins anew each day", 0, true, false},
		{"from a cache that is old", 365 * days, false, false},
		{"while the API is down", 0, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			play(t, func(w *world) {
				w.cfg.MaxAge, w.poll = tt.maxAge, time.Hour
				w.api.knows(acme(70 * days))
				w.begin()
				w.want("par_1")
				if tt.down {
					w.api.breaks(&datasync.Error{Kind: datasync.Server, Status: 503})
				}
				for range 75 {
					pass(24 * time.Hour)
					if tt.restart {
						w.restart()
					}
				}
				w.wantTold("expiring crt_1 60/60, expiring crt_1 30/30, expiring crt_1 14/14, expiring crt_1 7/7, expiring crt_1 1/1, expired crt_1")
				if tt.maxAge > 0 && w.api.asked() != 1 {
					t.Errorf("%d calls, want the cache to do", w.api.asked())
				}
			})
		})
	}
}

func TestTheLowestThresholdIsToldFirst(t *testing.T) {
	play(t, func(w *world) {
		w.cfg.Remind = []int{7, 90, 30}
		w.api.knows(acme(5*days + time.Hour))
		w.begin()
		w.want("par_1")
		w.wantTold("expiring crt_1 7/5")
		pass(3 * days)
		w.wantTold("expiring crt_1 7/5")
		pass(3 * days)
		w.wantTold("expiring crt_1 7/5, expired crt_1")
	})
}

func TestTheEndIsToldWhenItComes(t *testing.T) {
	play(t, func(w *world) {
		w.api.knows(acme(36*time.Hour + 17*time.Minute))
		w.begin()
		w.want("par_1")
		pass(36*time.Hour + 16*time.Minute)
		w.wantTold("expiring crt_1 1/1")
		pass(2 * time.Minute)
		w.wantTold("expiring crt_1 1/1, expired crt_1")
	})
}

func TestWhatEndedLongAgoIsOldNews(t *testing.T) {
	play(t, func(w *world) {
		w.api.knows(acme(-400 * days))
		ended := w.api.known["par_1"].Certificates[0].NotAfter
		w.begin()
		w.want("par_1")
		w.wantTold("expired crt_1")
		if got := created(t, w, 0); !got.Equal(ended) {
			t.Errorf("it happened %v, want when it ended, %v", got, ended)
		}
	})
}

func TestAnEndThatWasAwaitedIsNeverOldNews(t *testing.T) {
	play(t, func(w *world) {
		w.api.knows(acme(12 * time.Hour))
		w.begin()
		w.want("par_1")
		w.stop()
		pass(3 * days)
		w.begin()
		w.wantTold("expiring crt_1 1/0, expired crt_1")
		if age := time.Since(created(t, w, 1)); age > 6*time.Hour {
			t.Errorf("it happened %v ago", age)
		}
	})
}

func TestReplacedCertificatesAreUpdated(t *testing.T) {
	told := "expiring crt_1 30/20"
	for _, tt := range []struct {
		name string
		then func(*datasync.Partner)
		want string
	}{
		{"a later end under the same id", func(p *datasync.Partner) { p.Certificates[0].NotAfter = time.Now().Add(365 * days) }, told + ", updated crt_1"},
		{"a later end that is near, too", func(p *datasync.Partner) { p.Certificates[0].NotAfter = time.Now().Add(29*days + time.Hour) },
			told + ", updated crt_1, expiring crt_1 30/28"},
		{"another in its place", func(p *datasync.Partner) {
			p.Certificates[0].ID, p.Certificates[0].NotAfter = "crt_2", time.Now().Add(365*days)
		}, told + ", updated crt_1"},
		{"another beside it", func(p *datasync.Partner) {
			p.Certificates = append(p.Certificates, datasync.Certificate{ID: "crt_2", Role: "signing", NotAfter: time.Now().Add(365 * days)})
		}, told},
		{"an answer without certificates", func(p *datasync.Partner) { p.Certificates = nil }, told},
		{"nothing new", func(*datasync.Partner) {}, told},
	} {
		t.Run(tt.name, func(t *testing.T) {
			play(t, func(w *world) {
				first := acme(20*days + time.Hour)
				w.api.knows(first)
				w.begin()
				w.want("par_1")
				w.wantTold(told)
				tt.then(&first)
				w.api.knows(first)
				pass(30 * time.Hour)
				w.restart()
				pass(30 * time.Hour)
				w.wantTold(tt.want)
				if _, _, events := w.store.seen(); len(events) > 2 && created(t, w, 2).Before(created(t, w, 1)) {
					t.Error("what ends next is older than the recovery before it, and would open nothing")
				}
			})
		})
	}
}

func TestACertificateThatWasNotToldOfIsReplacedInSilence(t *testing.T) {
	play(t, func(w *world) {
		w.api.knows(acme(300 * days))
		w.begin()
		w.want("par_1")
		w.api.knows(acme(600 * days))
		pass(60 * time.Hour)
		w.wantTold("")
	})
}

func TestOneCertificateForTwoRolesIsToldOnce(t *testing.T) {
	play(t, func(w *world) {
		w.api.knows(acme(5*days, func(p *datasync.Partner) {
			c := p.Certificates[0]
			c.ID = ""
			other := c
			other.Role = "encryption"
			p.Certificates = []datasync.Certificate{c, other, {Role: "tls", Subject: "CN=no end"}}
		}))
		w.begin()
		w.want("par_1")
		w.wantTold("expiring ab 7/5")
		if got := w.store.partner("par_1").Certificates[0].Role; got != "signing, encryption" {
			t.Errorf("role %q", got)
		}
	})
}
