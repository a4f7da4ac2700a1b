package datasync_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"datasync-bridge/datasync"
)

// outage is a Datasync that answers as told.
type outage struct {
	*wire
	now func() (*http.Response, error)
}

func newOutage() *outage {
	o := &outage{wire: &wire{}}
	o.answer = func(int, *http.Request) (*http.Response, error) { return o.now() }
	return o
}

func (o *outage) run(t *testing.T, c *datasync.Client, times int) (last error) {
	t.Helper()
	for range times {
		_, last = c.Run(t.Context(), "w", nil, "k")
	}
	return last
}

func up() (*http.Response, error)   { return reply(200, `{"run_id":"r"}`), nil }
func down() (*http.Response, error) { return reply(503, `{"message":"maintenance"}`), nil }

func TestFiveFailuresInARowPauseAllCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutage()
		c := o.client(datasync.Config{}, datasync.Options{})
		o.now = down
		if e := kindOf(t, o.run(t, c, 4)); e.Kind != datasync.Server || !c.Healthy() {
			t.Errorf("after four: %v, healthy %v", e, c.Healthy())
		}
		_ = o.run(t, c, 1)
		if c.Healthy() {
			t.Error("still healthy after five")
		}
		calls := len(o.calls)
		for name, call := range map[string]func() error{
			"run":  func() error { return o.run(t, c, 1) },
			"read": func() error { _, err := c.Partner(t.Context(), "par_1"); return err },
		} {
			begin := time.Now()
			e := kindOf(t, call())
			if e.Kind != datasync.Network || e.Sent || !errors.Is(e, datasync.ErrPaused) || e.RetryAfter != 30*time.Second {
				t.Errorf("%s: %+v, want an unsent one of kind network that names its pause", name, e)
			}
			if !strings.Contains(e.Error(), "503 maintenance") {
				t.Errorf("%s: %q does not say why", name, e)
			}
			if time.Since(begin) > 0 || len(o.calls) != calls {
				t.Errorf("%s: %d calls after %v, want none at once", name, len(o.calls)-calls, time.Since(begin))
			}
		}

		time.Sleep(30*time.Second + time.Millisecond)
		_ = o.run(t, c, 1) // tries, and fails
		if len(o.calls) != calls+1 || c.Healthy() {
			t.Errorf("%d calls after the pause, healthy %v, want one that fails", len(o.calls)-calls, c.Healthy())
		}
		_ = o.run(t, c, 3)
		if len(o.calls) != calls+1 {
			t.Error("a failed trial did not pause calls again")
		}
		time.Sleep(30*time.Second + time.Millisecond)
		o.now = up
		if err := o.run(t, c, 3); err != nil || !c.Healthy() || len(o.calls) != calls+4 {
			t.Errorf("error %v, healthy %v: not back after Datasync is", err, c.Healthy())
		}
	})
}

func TestWhatPausesCallsAndWhatDoesNot(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func() (*http.Response, error)
		paused bool
	}{
		{"500s do", func() (*http.Response, error) { return reply(500, ``), nil }, true},
		{"a network that fails does", func() (*http.Response, error) { return nil, errReset }, true},
		{"silence does", func() (*http.Response, error) { return nil, context.DeadlineExceeded }, true},
		{"400s do not", func() (*http.Response, error) { return reply(400, ``), nil }, false},
		{"403s do not", func() (*http.Response, error) { return reply(403, ``), nil }, false},
		{"429s do not", func() (*http.Response, error) { return reply(429, ``), nil }, false},
		{"callers that give up do not", func() (*http.Response, error) { return nil, context.Canceled }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOutage()
				o.now = tt.answer
				c := o.client(datasync.Config{}, datasync.Options{})
				_ = o.run(t, c, 8)
				if want := 8; c.Healthy() == tt.paused || (!tt.paused && len(o.calls) != want) || (tt.paused && len(o.calls) != 5) {
					t.Errorf("healthy %v after %d calls that left, paused wanted %v", c.Healthy(), len(o.calls), tt.paused)
				}
			})
		})
	}
	t.Run("an answer in between starts the count anew", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newOutage()
			c := o.client(datasync.Config{}, datasync.Options{})
			for range 3 {
				o.now = down
				_ = o.run(t, c, 4)
				o.now = up
				_ = o.run(t, c, 1)
			}
			if !c.Healthy() {
				t.Error("paused though every fifth call succeeded")
			}
		})
	})
}

// A trial that its caller gives up must not keep others from trying.
func TestTrialThatIsGivenUpIsNotTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutage()
		c := o.client(datasync.Config{}, datasync.Options{})
		o.now = down
		_ = o.run(t, c, 5)
		time.Sleep(31 * time.Second)
		o.now = func() (*http.Response, error) { return nil, context.Canceled }
		_ = o.run(t, c, 1)
		o.now = up
		if err := o.run(t, c, 1); err != nil || !c.Healthy() {
			t.Errorf("error %v, healthy %v", err, c.Healthy())
		}
	})
}

// The read's own failures tell more than that calls pause since then.
func TestReadThatOpensTheBreakerTellsWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutage()
		o.now = down
		c := o.client(datasync.Config{}, datasync.Options{Budget: time.Hour})
		_, err := c.Partner(t.Context(), "par_1")
		if e := kindOf(t, err); e.Kind != datasync.Server || len(o.calls) != 5 || c.Healthy() {
			t.Errorf("%v after %d calls, healthy %v, want the 503 after five", e, len(o.calls), c.Healthy())
		}
	})
}
