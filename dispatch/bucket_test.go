package dispatch_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"datasync-bridge/routing/incident"
)

func TestRouting32_TheBucketHoldsForAllThatShareIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bucket := rate.NewLimiter(1, 10)
		one, two := &far{}, &far{}
		first, second := slackTo(one), pagerTo(two)
		first.Limiter, second.Limiter = bucket, bucket
		w.senders = append(w.senders, first, second)
		var waiting atomic.Int32
		w.claimed = func(*incident.Delivery) { waiting.Add(1) }
		w.settle = func(_ incident.Settlement, do func() error) error { waiting.Add(-1); return do() }
		for n := range 15 {
			w.accept(fmt.Sprintf("open k%d edi-slack,edi-pager", n))
		}
		start := time.Now()
		stop := w.run()
		defer stop()
		pass(5*time.Second + 50*time.Millisecond)
		if n := len(one.got()) + len(two.got()); n != 15 {
			t.Errorf("after 5 s %d calls were made, want 10 at once and 5 since", n)
		}
		if n := waiting.Load(); n > 1 {
			t.Errorf("%d claimed deliveries wait for the bucket, want at most one", n)
		}
		pass(time.Minute)
		if n := len(one.got()) + len(two.got()); n != 30 {
			t.Errorf("in the end %d calls were made, want 30", n)
		}
		last := max(slices.Max(since(start, one.got())), slices.Max(since(start, two.got())))
		if last < 20*time.Second || last > 21*time.Second {
			t.Errorf("the last call came after %v, want 20 s", last)
		}
	})
}

func TestRouting32_AnIdleSenderTakesNothingFromTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bucket := rate.NewLimiter(rate.Every(time.Hour), 1)
		slack := &far{}
		s := slackTo(slack)
		s.Limiter = bucket
		w.senders = append(w.senders, s)
		stop := w.run()
		defer stop()
		pass(10 * time.Minute)
		w.accept("open acme edi-slack")
		synctest.Wait()
		if len(slack.got()) != 1 {
			t.Errorf("%d calls, want the one call that the bucket has room for", len(slack.got()))
		}
	})
}
