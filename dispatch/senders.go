package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// staff are the senders that are wanted, and those that are at work: one that
// was removed or changed is at work until its call in hand has ended.
type staff struct {
	mu     sync.Mutex
	wanted []Sender
	atWork map[string]int
	// swapped holds a token when wanted has changed.
	swapped chan struct{}
}

func newStaff() *staff {
	return &staff{atWork: map[string]int{}, swapped: make(chan struct{}, 1)}
}

// list is what is wanted now; nobody changes it in place.
func (s *staff) list() []Sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted
}

// serves reports whether a notifier has, or a moment ago had, a sender.
func (s *staff) serves(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.atWork[name] > 0 || slices.ContainsFunc(s.wanted, func(w Sender) bool { return w.Name == name })
}

func (s *staff) count(name string, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.atWork[name] += by; s.atWork[name] == 0 {
		delete(s.atWork, name)
	}
}

// Use swaps the rules and the senders as one, also while Run is running. What
// is being planned ends by the old rules. A sender that is new is started, one
// that is removed ends after its call in hand, one whose Version differs ends
// so and is then started anew; the others go on undisturbed. On an error
// nothing is swapped.
func (d *Dispatcher) Use(r Rules, senders []Sender) error {
	if r.Mapper == nil || r.Router == nil || r.Planner == nil {
		return errors.New("dispatch needs a mapper, a router and a planner")
	}
	known := map[string]bool{}
	wanted := make([]Sender, 0, len(senders))
	for _, s := range senders {
		if s.Name == "" || s.Notifier == nil {
			return fmt.Errorf("sender %q needs a name and a notifier", s.Name)
		}
		if known[s.Name] {
			return fmt.Errorf("two senders are named %q", s.Name)
		}
		known[s.Name] = true
		wanted = append(wanted, s.withDefaults())
	}
	d.staff.mu.Lock()
	defer d.staff.mu.Unlock()
	d.staff.wanted = wanted // before the rules, so that nobody buries what they plan for a new one
	d.rules.Store(&r)
	select {
	case d.staff.swapped <- struct{}{}:
	default:
	}
	return nil
}

// post is one sender at work.
type post struct {
	version string
	leave   context.CancelFunc
	left    chan struct{}
}

// tend keeps exactly the wanted senders at work until ctx ends and all have
// left.
func (d *Dispatcher) tend(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	posts := map[string]post{}
	before := map[string]<-chan struct{}{} // the last of each name to be sent away
	for ctx.Err() == nil {
		wanted := d.staff.list()
		for name, p := range posts {
			if !slices.ContainsFunc(wanted, func(s Sender) bool { return s.Name == name && s.Version != "" && s.Version == p.version }) {
				p.leave()
				before[name] = p.left
				delete(posts, name)
			}
		}
		for _, s := range wanted {
			if _, ok := posts[s.Name]; !ok {
				posts[s.Name] = d.employ(ctx, &all, s, before[s.Name])
			}
		}
		select {
		case <-d.staff.swapped:
		case <-ctx.Done():
		}
	}
	for _, p := range posts {
		p.leave()
	}
}

// employ starts a sender as soon as the one before it of this name has left:
// there are never two of one name.
func (d *Dispatcher) employ(ctx context.Context, all *sync.WaitGroup, s Sender, before <-chan struct{}) post {
	ctx, leave := context.WithCancel(ctx)
	p := post{version: s.Version, leave: leave, left: make(chan struct{})}
	queued := d.store.Changed("deliveries")
	d.staff.count(s.Name, 1)
	all.Go(func() {
		defer close(p.left)
		defer d.staff.count(s.Name, -1)
		if before != nil {
			<-before // bounded by the timeout of its call
		}
		work := sending{Dispatcher: d, Sender: s, lease: leaseFor(s.Timeout)}
		d.keep(ctx, "sender "+s.Name, func(ctx context.Context) { work.loop(ctx, queued) })
	})
	return p
}
