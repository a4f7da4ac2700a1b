package sqlite

// seen finds events by the fingerprint of their dedup key. A B-tree of such
// keys is written at random places and halves the store's speed at ten million
// rows; this set costs 16 bytes a slot and no write at all. It only proposes
// rows: the writer confirms each in the file, so neither a collision nor a row
// that is gone can drop an event.
//
// Open addressing with linear probing; several rows may share a fingerprint.
type seen struct {
	slots []slot
	used  int // slots that are not empty, removed ones too
	live  int
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
		s.grow(s.live + 1)
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

// grow makes room for twice as many, and drops what was removed.
func (s *seen) grow(n int) {
	size := leastSlots
	for size*7 < n*2*10 {
		size *= 2
	}
	old := s.slots
	s.slots, s.used = make([]slot, size), s.live
	for _, v := range old {
		if v.row > noRow {
			s.put(v)
		}
	}
}

// home mixes the bits: fingerprints are hashes, but what picks a slot must not
// be what a sender could choose cheaply.
func (s *seen) home(print uint64) int {
	return int((print * 0x9e3779b97f4a7c15) >> 32 & uint64(len(s.slots)-1))
}

func (s *seen) next(i int) int { return (i + 1) & (len(s.slots) - 1) }
