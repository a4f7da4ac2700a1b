package reconcile

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	maxSeen   = 4000
	maxAbsent = 2000
	maxProven = 500
	// forgetAfter is how long what was not met again is remembered.
	forgetAfter = 24 * time.Hour
	// doubtFor is how long what was missing may be listed again, and is then told
	// as failing still.
	doubtFor = 2 * time.Hour
)

// state is what a poll remembers beside its watermark, as JSON. All of it is
// bounded; what is forgotten costs a repetition, never a finding.
type state struct {
	// Floor is where the first poll began: what failed before is history.
	Floor time.Time `json:"floor,omitzero"`
	// Seen are findings by the beginning of their key, with the Unix time at
	// which each was listed last. It saves the store a write for each item of
	// the overlap, and keeps an item whose wording has changed from arriving as
	// a conflict.
	Seen map[string]int64 `json:"seen,omitempty"`
	// Absent are open transactions that Datasync seems to list no longer.
	Absent map[string]absence `json:"absent,omitempty"`
	// Over are transactions of which was told, because they were missing, that
	// they fail no longer, and since when.
	Over map[string]time.Time `json:"over,omitempty"`
	// Proven are partners whose own listing has shown that it works, with the
	// Unix time at which it did last.
	Proven map[string]int64 `json:"proven,omitempty"`
	// After and Partner are how far the last round went through the open
	// members: the token of a page, and the last partner that was asked after
	// among those of that page.
	After   string `json:"after,omitempty"`
	Partner string `json:"partner,omitempty"`
	Quiet   quiet  `json:"quiet,omitzero"`
	Rest    rest   `json:"rest,omitzero"`
}

// rest is where a round left off that was cut short at a time, and the span by
// which to go on. To begin each at the overlap again, by whole slices, would
// come no further where much failed at once.
type rest struct {
	From time.Time     `json:"from,omitzero"`
	Span time.Duration `json:"span,omitempty"`
	At   time.Time     `json:"at,omitzero"`
}

// absence is an open transaction that was looked for and not found.
type absence struct {
	// Since is when it was missing first, Last when it was looked for last.
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
	// Told reports that its end has been accepted.
	Told bool `json:"told,omitempty"`
}

// readState reads what the last poll left. What cannot be read is begun anew:
// keys still keep findings from being told twice.
func (p *Poller) readState(text []byte) state {
	var s state
	if len(text) > 0 {
		if err := json.Unmarshal(text, &s); err != nil {
			p.o.Log.Warn("what the last poll remembered cannot be read and is forgotten", "source", p.cfg.Source, "err", err)
			s = state{}
		}
	}
	if s.Seen == nil {
		s.Seen = map[string]int64{}
	}
	if s.Absent == nil {
		s.Absent = map[string]absence{}
	}
	if s.Over == nil {
		s.Over = map[string]time.Time{}
	}
	if s.Proven == nil {
		s.Proven = map[string]int64{}
	}
	return s
}

// text is the state as it is stored, within its bounds.
func (s state) text(now time.Time, overlap time.Duration) []byte {
	listed := now.Add(-max(2*overlap, 2*time.Hour)).Unix()
	maps.DeleteFunc(s.Seen, func(_ string, at int64) bool { return at < listed })
	maps.DeleteFunc(s.Absent, func(_ string, a absence) bool { return now.Sub(a.Last) > forgetAfter })
	maps.DeleteFunc(s.Over, func(_ string, since time.Time) bool { return now.Sub(since) > doubtFor })
	newest(s.Over, maxAbsent, func(since time.Time) int64 { return since.Unix() })
	newest(s.Seen, maxSeen, func(at int64) int64 { return at })
	newest(s.Proven, maxProven, func(at int64) int64 { return at })
	newest(s.Absent, maxAbsent, func(a absence) int64 { return a.Last.Unix() })
	text, err := json.Marshal(s)
	if err != nil { // only a time out of JSON's range leads here
		return nil
	}
	return text
}

// isBack forgets that a transaction was missing, so that it can be missed anew.
func (s state) isBack(id string, over time.Time) {
	if !over.IsZero() {
		maps.DeleteFunc(s.Absent, func(key string, _ absence) bool { return strings.HasPrefix(key, id+"@") })
	}
}

// newest keeps the most newest entries of a map.
func newest[V any](m map[string]V, most int, at func(V) int64) {
	if len(m) <= most {
		return
	}
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(at(m[a]), at(m[b])), cmp.Compare(a, b))
	})
	for _, key := range keys[:len(keys)-most] {
		delete(m, key)
	}
}
