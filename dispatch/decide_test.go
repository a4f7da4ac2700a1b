package dispatch

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"datasync-bridge/notifiers"
	"datasync-bridge/routing/incident"
)

func TestRouting28_DecideByVerdict(t *testing.T) {
	now := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	down := errors.New("status 503")
	retry := Retry{}.WithDefaults()
	tried := func(attempts int, ago time.Duration) incident.Delivery {
		return incident.Delivery{Attempts: attempts, FirstTry: now.Add(-ago), Error: "status 503"}
	}
	for _, tt := range []struct {
		name   string
		d      incident.Delivery
		err    error
		state  incident.DeliveryState
		result Result
		next   time.Duration // after now
		pause  time.Duration
		said   string
	}{
		{"success ends it", incident.Delivery{}, nil, incident.Sent, Delivered, 0, 0, "edi-pager: opening: accepted (202)"},
		{"a later success says so", tried(2, time.Minute), nil, incident.Sent, Delivered, 0, 0, "edi-pager: opening: accepted (202) (attempt 3)"},
		{"an outage is retried within a second", incident.Delivery{}, down, incident.Waiting, Retried, time.Second, 0, "edi-pager: attempt 1 failed: status 503; next in 1s"},
		{"then the wait doubles, and the timeline is quiet", tried(3, time.Minute), down, incident.Waiting, Retried, 8 * time.Second, 0, ""},
		{"up to the maximum", tried(40, time.Hour), down, incident.Waiting, Retried, time.Minute, 0, ""},
		{"patience runs out", tried(900, 24*time.Hour), down, incident.Dead, GivenUp, 0, 0, "edi-pager: opening given up after 24h0m0s and 901 attempts: status 503"},
		{"not before", tried(900, 24*time.Hour-time.Second), down, incident.Waiting, Retried, time.Minute, 0, ""},
		{"a refusal is not retried", incident.Delivery{}, notifiers.Permanent(errors.New("invalid key")), incident.Dead, GivenUp, 0, 0, "edi-pager: opening refused for good: invalid key"},
		{"a pause is as long as asked", incident.Delivery{}, notifiers.Wait(7*time.Second, down), incident.Waiting, Paused, 7 * time.Second, 7 * time.Second, "edi-pager: asked to wait 7s: status 503"},
		{"15 minutes at most", incident.Delivery{}, notifiers.Wait(time.Hour, down), incident.Waiting, Paused, 15 * time.Minute, 15 * time.Minute, "edi-pager: asked to wait 15m0s: status 503"},
		{"30 s where it names none", incident.Delivery{}, notifiers.Wait(0, down), incident.Waiting, Paused, 30 * time.Second, 30 * time.Second, "edi-pager: asked to wait 30s: status 503"},
		{"a pause costs no patience", tried(5, 48*time.Hour), notifiers.Wait(time.Second, down), incident.Waiting, Paused, time.Second, time.Second, ""},
		{"a wrapped verdict counts", incident.Delivery{}, fmt.Errorf("send: %w", notifiers.Permanent(down)), incident.Dead, GivenUp, 0, 0, "edi-pager: opening refused for good: send: status 503"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.d.ID, tt.d.Notifier, tt.d.Kind = "dl_1", "edi-pager", incident.Opening
			tt.d.Lease = incident.Lease{Token: 7}
			got := retry.decide(tt.d, notifiers.Receipt{Ref: "C1/1", Answer: "accepted (202)", Fingerprint: "f1"}, tt.err, now, whole)
			if (got.Fingerprint == "f1") != (tt.err == nil) {
				t.Errorf("settled as sent through %q", got.Fingerprint)
			}
			if got.State != tt.state || got.Result != tt.result {
				t.Errorf("state %q, result %q; want %q, %q", got.State, got.Result, tt.state, tt.result)
			}
			if wait := got.NextAt.Sub(now); got.NextAt.IsZero() != (tt.next == 0) || tt.next != 0 && wait != tt.next {
				t.Errorf("next attempt after %v, want %v", wait, tt.next)
			}
			if got.Pause != tt.pause || got.Uncounted != (tt.pause > 0) {
				t.Errorf("pause %v, uncounted %v; want %v", got.Pause, got.Uncounted, tt.pause)
			}
			if got.Said != tt.said {
				t.Errorf("said %q, want %q", got.Said, tt.said)
			}
			if got.Delivery != "dl_1" || got.Lease.Token != 7 {
				t.Errorf("settles %q under token %d, want dl_1 under 7", got.Delivery, got.Lease.Token)
			}
			if sent := tt.err == nil; (got.Ref != "") != sent || (got.Error == "") != sent {
				t.Errorf("ref %q, error %q after err %v", got.Ref, got.Error, tt.err)
			}
		})
	}
}

func whole(d time.Duration) time.Duration { return d }

func TestDecide_RemembersThatAnAttemptMayHaveArrived(t *testing.T) {
	now, lost := time.Now(), errors.New("connection reset")
	retry := Retry{}.WithDefaults()
	decided := func(d incident.Delivery, err error) verdict {
		return retry.decide(d, notifiers.Receipt{}, err, now, whole)
	}
	if v := decided(incident.Delivery{}, lost); v.Unclear {
		t.Error("a clear failure is marked unclear")
	}
	v := decided(incident.Delivery{}, notifiers.Unclear(lost))
	if !v.Unclear || v.State != incident.Waiting {
		t.Errorf("an unclear failure: unclear %v, state %q; want true, waiting", v.Unclear, v.State)
	}
	if v := decided(incident.Delivery{Unclear: true, Attempts: 1}, lost); !v.Unclear {
		t.Error("a clear failure after an unclear one forgets it")
	}
	if v := decided(incident.Delivery{Unclear: true, Attempts: 1}, nil); !strings.HasSuffix(v.Said, "may be a repeat") {
		t.Errorf("said %q, want it to say that this may be a repeat", v.Said)
	}
}

func TestDecide_BoundsTheFarSidesWords(t *testing.T) {
	v := Retry{}.WithDefaults().decide(incident.Delivery{}, notifiers.Receipt{}, errors.New(strings.Repeat("ü", 10_000)), time.Now(), whole)
	if n := len([]rune(v.Error)); n > 510 {
		t.Errorf("the stored error has %d runes, want at most about 500", n)
	}
}

func TestRetry_FillsInAndRefuses(t *testing.T) {
	if got, want := (Retry{}).WithDefaults(), (Retry{time.Second, time.Minute, 24 * time.Hour}); got != want {
		t.Errorf("defaults are %+v, want %+v", got, want)
	}
	if got, want := (Retry{First: 2 * time.Minute}).WithDefaults().Max, 2*time.Minute; got != want {
		t.Errorf("max beside first: 2m is %v, want %v", got, want)
	}
	for _, tt := range []struct {
		name string
		r    Retry
		want string
	}{
		{"defaults are right", Retry{}, ""},
		{"a negative start", Retry{First: -time.Second}, "first"},
		{"max below first", Retry{First: time.Minute, Max: time.Second}, "max"},
		{"gives up before the first long wait", Retry{GiveUpAfter: time.Second}, "give_up_after"},
		{"all faults at once", Retry{First: -1, Max: -2, GiveUpAfter: -3}, "first max give_up_after"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := faults(tt.r.WithDefaults().Validate); got != tt.want {
				t.Errorf("faults at %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFallback_FillsInAndRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    Fallback
		want Fallback
		bad  string
	}{
		{"none is none", Fallback{}, Fallback{}, ""},
		{"three minutes", Fallback{To: "edi-slack"}, Fallback{"edi-slack", 3 * time.Minute}, ""},
		{"a time without a notifier", Fallback{After: time.Minute}, Fallback{After: time.Minute}, "to"},
		{"a negative time", Fallback{To: "x", After: -1}, Fallback{"x", -1}, "after"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.f.WithDefaults()
			if got != tt.want {
				t.Errorf("with defaults %+v, want %+v", got, tt.want)
			}
			if at := faults(got.Validate); at != tt.bad {
				t.Errorf("faults at %q, want %q", at, tt.bad)
			}
		})
	}
}

// faults lists the paths that are reported; a problem must be a sentence.
func faults(validate func(func(path, problem string))) string {
	var paths []string
	validate(func(path, problem string) {
		if len(problem) < 10 || strings.HasSuffix(problem, ".") {
			path += " without a sentence"
		}
		paths = append(paths, path)
	})
	return strings.Join(paths, " ")
}
