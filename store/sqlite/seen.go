package sqlite

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// seen finds events by the fingerprint of their dedup key. A B-tree of such
// keys is written at random places and halves the store's speed at ten million
// rows; this set costs 16 bytes a slot and no write at all. It only proposes
// rows: the writer confirms each in the file, so neither a collision nor a row
// that is gone can drop an event.
//
// Open addressing with linear probing; several rows may share a fingerprint.
type seen struct {
	slots []slot
	// mapped is the memory of slots where Go's collector does not know of it,
	// nil for a small set.
	mapped []byte
	used   int // slots that are not empty, removed ones too
	live   int
}

// slot is empty with row 0 and removed with row -1.
type slot struct {
	print uint64
	row   int64
}

const (
	noRow      = 0
	removedRow = -1
	// leastSlots is a power of two, as every size is.
	leastSlots = 1 << 10
	// mappedSlots is from how many on a set has memory of its own. The collector
	// lets garbage grow to the size of what lives: it would double this.
	mappedSlots = 1 << 16
)

func newSeen() *seen { return &seen{slots: make([]slot, leastSlots)} }

// find appends the rows that have the fingerprint, in no order.
func (s *seen) find(print uint64, rows []int64) []int64 {
	for i := s.home(print); s.slots[i].row != noRow; i = s.next(i) {
		if s.slots[i].print == print && s.slots[i].row != removedRow {
			rows = append(rows, s.slots[i].row)
		}
	}
	return rows
}

func (s *seen) add(print uint64, row int64) {
	if (s.used+1)*10 > len(s.slots)*7 {
		s.grow(2 * (s.live + 1))
	}
	s.put(slot{print, row})
	s.used++
	s.live++
}

func (s *seen) put(v slot) {
	i := s.home(v.print)
	for s.slots[i].row != noRow {
		i = s.next(i)
	}
	s.slots[i] = v
}

func (s *seen) remove(print uint64, row int64) {
	for i := s.home(print); s.slots[i].row != noRow; i = s.next(i) {
		if s.slots[i] == (slot{print, row}) {
			s.slots[i].row = removedRow
			s.live--
			return
		}
	}
}

// reserve makes room for so many more.
func (s *seen) reserve(n int) {
	if (s.used+n)*10 > len(s.slots)*7 {
		s.grow(s.live + n)
	}
}

// grow makes room for n in all, and drops what was removed.
func (s *seen) grow(n int) {
	size := leastSlots
	for size*7 < n*10 {
		size *= 2
	}
	old, mapped := s.slots, s.mapped
	s.slots, s.mapped = newSlots(size)
	s.used = s.live
	for _, v := range old {
		if v.row > noRow {
			s.put(v)
		}
	}
	unmap(mapped)
}

// newSlots are empty: the system hands out zeroes.
func newSlots(size int) (slots []slot, mapped []byte) {
	if size >= mappedSlots {
		const width = int(unsafe.Sizeof(slot{}))
		mapped, err := unix.Mmap(-1, 0, size*width, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err == nil {
			return unsafe.Slice((*slot)(unsafe.Pointer(&mapped[0])), size), mapped //nolint:gosec // as many slots as were mapped, on a page's border
		}
	}
	return make([]slot, size), nil
}

// free gives the memory back; the set is empty then.
func (s *seen) free() {
	unmap(s.mapped)
	*s = *newSeen()
}

func unmap(mapped []byte) {
	if mapped != nil {
		_ = unix.Munmap(mapped) // of what Mmap gave it does not fail
	}
}

// home mixes the bits: fingerprints are hashes, but what picks a slot must not
// be what a sender could choose cheaply.
func (s *seen) home(print uint64) int {
	return int((print * 0x9e3779b97f4a7c15) >> 32 & uint64(len(s.slots)-1))
}

func (s *seen) next(i int) int { return (i + 1) & (len(s.slots) - 1) }
