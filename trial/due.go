package trial

import (
	"container/heap"
	"time"
)

// due is something with a time, and its place in an agenda.
type due[T any] struct {
	at     time.Time
	serial int64
	place  int
	what   T
}

// agenda holds what falls due, the earliest first; of equal times, what was
// put in first.
type agenda[T any] struct{ list []*due[T] }

// put adds something; serial counts up.
func (a *agenda[T]) put(at time.Time, serial int64, what T) *due[T] {
	d := &due[T]{at: at, serial: serial, what: what}
	heap.Push(a, d)
	return d
}

// drop takes out what put has returned.
func (a *agenda[T]) drop(d *due[T]) { heap.Remove(a, d.place) }

// next returns the earliest, nil where nothing is due by then.
func (a *agenda[T]) next(by time.Time) *due[T] {
	if len(a.list) == 0 || a.list[0].at.After(by) {
		return nil
	}
	return a.list[0]
}

// Len implements heap.Interface, as do the methods below.
func (a *agenda[T]) Len() int { return len(a.list) }

// Less puts the earlier first.
func (a *agenda[T]) Less(i, j int) bool {
	x, y := a.list[i], a.list[j]
	if c := x.at.Compare(y.at); c != 0 {
		return c < 0
	}
	return x.serial < y.serial
}

// Swap keeps the places.
func (a *agenda[T]) Swap(i, j int) {
	a.list[i], a.list[j] = a.list[j], a.list[i]
	a.list[i].place, a.list[j].place = i, j
}

// Push is for package heap.
func (a *agenda[T]) Push(x any) {
	d, _ := x.(*due[T])
	d.place = len(a.list)
	a.list = append(a.list, d)
}

// Pop is for package heap.
func (a *agenda[T]) Pop() any {
	last := len(a.list) - 1
	d := a.list[last]
	a.list[last] = nil
	a.list = a.list[:last]
	return d
}
