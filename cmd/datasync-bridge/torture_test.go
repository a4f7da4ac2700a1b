package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
)

// torture is one long run: the same store through many lives of the process.
type torture struct {
	t      *testing.T
	rng    *rand.Rand
	config string
	store  string
	far    *farSide
	tr     *traffic
	clock  *jumpingClock
	slack  *weather
	pager  *weather
	counts map[string]int
}

// TestTorture runs real processes under load for as long as BRIDGE_TORTURE says
// (15 lives without it): they are killed and stopped at random moments, also while they
// start; Slack and PagerDuty fail by turns in every way they can; the clock jumps;
// the disk is full; another process holds the lock; a backup is taken meanwhile;
// copies of the store are damaged. Then everything is held against what was
// answered 2xx. BRIDGE_TEST_SEED repeats a run's dice.
func TestTorture(t *testing.T) {
	t.Parallel()
	seed := diceSeed(t)
	fmt.Printf("torture: seed %d (repeat with BRIDGE_TEST_SEED=%d)\n", seed, seed)
	x := newTorture(t, seed)
	lasting, _ := time.ParseDuration(os.Getenv("BRIDGE_TORTURE"))
	began := time.Now()
	for n := 1; time.Since(began) < lasting || lasting == 0 && n <= 15; n++ {
		x.life()
		if n%50 == 0 {
			fmt.Printf("torture: %v, %s\n", time.Since(began).Round(time.Second), x.tally())
		}
	}
	x.end()
	fmt.Printf("torture: %v in all: %s\n", time.Since(began).Round(time.Second), x.tally())
}

func newTorture(t *testing.T, seed uint64) *torture {
	far := newFarSide(t)
	config := configuration(t, far.url, `
defaults:
  notify: [ops]
  group: {by: [partner.id, class]}
rules:
  - name: page-ship-notices
    match: {transaction.document_type: "856"}
    severity: critical
    notify: [pager, ops]
`)
	x := &torture{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), config: config, store: filepath.Join(dataDir(config), "bridge.db"),
		far: far, tr: newTraffic(seed), slack: newWeather(seed, 2), pager: newWeather(seed, 3),
		clock: &jumpingClock{path: filepath.Join(t.TempDir(), "clock")}, counts: map[string]int{},
	}
	far.slack.SetFaults(x.slack.fault)
	far.pager.SetFaults(x.pager.fault)
	if err := x.clock.set(0); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *torture) chance(percent int) bool { return x.rng.IntN(100) < percent }

// life is one process from its start to its end.
func (x *torture) life() {
	x.t.Helper()
	x.slack.change()
	x.pager.change()
	if x.chance(25) {
		x.jump()
	}
	if x.chance(10) {
		x.stillborn()
	}
	var limit int64
	if x.chance(15) {
		limit = x.roomLeft()
		x.counts["full disks"]++
	}
	s := startProcess(x.t, tormented(x.config, x.clock.path, limit))
	s.config = x.config
	stop := x.tr.flow(s, 4)
	if x.chance(1) {
		x.counts["times that everything recovered"]++
		x.tr.heal()
		x.tr.repost(s)
	}
	pause := func() { <-time.After(time.Duration(50+x.rng.IntN(300)) * time.Millisecond) }
	pause()
	for _, torment := range []struct {
		percent int
		run     func(*served)
	}{
		{15, x.lockOut}, {15, func(*served) { x.jump() }}, {12, x.backup},
		{20, func(*served) { x.slack.change(); x.pager.change() }},
	} {
		if limit == 0 && x.chance(torment.percent) {
			torment.run(s)
			pause()
		}
	}
	if x.chance(30) {
		stop()
		x.counts["stops by SIGTERM"]++
		if code := s.stop(); code != exitOK && limit == 0 {
			x.t.Errorf("serve ended with %d after SIGTERM\n%s", code, s.log())
		}
	} else {
		x.counts["kills"]++
		s.kill()
		stop()
	}
	if x.chance(12) {
		x.damage()
	}
}

// stillborn is a process that is killed while it starts.
func (x *torture) stillborn() {
	cmd := tormented(x.config, x.clock.path, 0)
	if err := cmd.Start(); err != nil {
		x.t.Fatal(err)
	}
	<-time.After(time.Duration(x.rng.IntN(150)) * time.Millisecond)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	x.counts["kills while starting"]++
}

// jump sets the clock of the processes to up to an hour and a half beside the time.
func (x *torture) jump() {
	x.counts["clock jumps"]++
	if err := x.clock.set(time.Duration(x.rng.IntN(180)-90) * time.Minute); err != nil {
		x.t.Fatal(err)
	}
}

// roomLeft is a limit that the store or its log reaches soon, but not while the
// process starts: that one would only say so and end.
func (x *torture) roomLeft() int64 {
	var size int64 = 2 << 20
	for _, file := range []string{x.store, x.store + "-wal"} {
		if info, err := os.Stat(file); err == nil {
			size = max(size, info.Size())
		}
	}
	return size + int64(64<<10+x.rng.IntN(256<<10))
}

// lockOut holds the file's lock from another process's connection for a while.
func (x *torture) lockOut(*served) {
	db, err := sql.Open("sqlite3", "file:"+x.store+"?_txlock=immediate&_busy_timeout=5000")
	if err != nil {
		x.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tx, err := db.Begin()
	if err != nil {
		return // it was too busy: nothing was locked
	}
	<-time.After(time.Duration(x.rng.IntN(3000)) * time.Millisecond)
	_ = tx.Rollback()
	x.counts["lock-outs"]++
}

// backup copies the store under load; the copy must be sound, and hold all that
// was answered before it began.
func (x *torture) backup(s *served) {
	known := x.tr.known()
	file := filepath.Join(x.t.TempDir(), fmt.Sprintf("backup-%d.db", x.counts["backups"]))
	o := s.command("backup", file)
	if o.code != exitOK {
		x.t.Errorf("backup under load: %v", o)
		return
	}
	x.counts["backups"]++
	x.sound(file)
	x.holds(file, known)
	_ = os.Remove(file)
}

// sound runs the whole check over a store.
func (x *torture) sound(file string) {
	x.t.Helper()
	if o := command(x.t, nil, "check", "--store", file); o.code != exitOK {
		x.t.Errorf("check --store: %v", o)
	}
}

// holds looks for every event in a store, by id.
func (x *torture) holds(file string, accepted map[string]string) {
	x.t.Helper()
	found := eventsIn(x.t, file)
	lost := 0
	for id := range accepted {
		if !found[id] {
			lost++
			if lost <= 5 {
				x.t.Errorf("event %s was answered 2xx and is not in %s", id, filepath.Base(file))
			}
		}
	}
	if lost > 5 {
		x.t.Errorf("%d events are not in %s", lost, filepath.Base(file))
	}
}

// damage takes a copy of the dead store. With its log cut off anywhere it must
// open and be sound; with a page overwritten it must be refused, and left as it is.
func (x *torture) damage() {
	dir, err := os.MkdirTemp("", "torture-")
	if err != nil {
		x.t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // hundreds of copies would fill the disk
	config, store, err := elsewhere(x.config, dir, x.far.url)
	if err == nil {
		err = copyStore(x.store, store)
	}
	if err != nil {
		x.t.Fatal(err)
	}
	if info, err := os.Stat(store + "-wal"); err == nil && info.Size() > 0 && x.chance(60) {
		x.truncated(config, store, info.Size())
		return
	}
	text, err := os.ReadFile(store)
	if err != nil {
		x.t.Fatal(err)
	}
	const page = 8192
	if len(text) < 32*page {
		return // nearly everything is in the log still
	}
	_ = os.Remove(store + "-wal")
	at := (1 + x.rng.IntN(max(len(text)/page-1, 1))) * page // never the first: that one has a test of its own
	for k := at; k < min(at+page, len(text)); k++ {
		text[k] = byte(x.rng.Uint32())
	}
	if err := os.WriteFile(store, text, 0o600); err != nil {
		x.t.Fatal(err)
	}
	o := command(x.t, nil, "check", "--store", store)
	if o.code == exitOK {
		x.counts["pages overwritten that were free"]++
		return
	}
	x.counts["damaged files refused"]++
	if refused := command(x.t, nil, "serve", "-c", config); refused.code == exitOK || !strings.Contains(refused.err, "damaged") {
		x.t.Errorf("serve on a damaged store, of which check said %s: %v", o, refused)
	}
	if now, err := os.ReadFile(store); err != nil || !bytes.Equal(now, text) {
		x.t.Errorf("a damaged store was changed (%v)", err)
	}
}

// truncated cuts the log of a copy, as no crash does but a careless copy may.
// What is lost is the newest commits, whole. A log that was written back to the
// file a moment before is another matter: cut off, it takes pages back to what
// they were, which is damage and must be found.
func (x *torture) truncated(config, store string, size int64) {
	before := eventsIn(x.t, x.store)
	if err := os.Truncate(store+"-wal", x.rng.Int64N(size)); err != nil {
		x.t.Fatal(err)
	}
	x.counts["logs cut off"]++
	if o := command(x.t, nil, "check", "--store", store); o.code != exitOK {
		x.counts["logs cut off that were written back, and found"]++
		return
	}
	s := startServe(x.t, config)
	if code := s.stop(); code != exitOK {
		x.t.Errorf("serve on a store with a log cut off ended with %d\n%s", code, s.log())
	}
	x.sound(store)
	after := eventsIn(x.t, store)
	x.counts["events lost by cutting logs off"] += len(before) - len(after)
	newest := ""
	for id := range after {
		newest = max(newest, id)
	}
	for id := range before {
		if id <= newest && !after[id] {
			x.t.Errorf("a log cut off lost %s, which is older than %s, which it kept", id, newest)
			return
		}
	}
}

// eventsIn lists the ids of a store's events.
func eventsIn(t *testing.T, file string) map[string]bool {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+file+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(context.Background(), "SELECT id FROM events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	found := map[string]bool{}
	for rows.Next() {
		var row int64
		if err := rows.Scan(&row); err != nil {
			t.Fatal(err)
		}
		found["ev_"+base32(row)] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// base32 writes a row as the bridge's ids do: 13 digits of 0-9 and a-v.
func base32(row int64) string {
	text := strconv.FormatInt(row<<1, 32) // 64 bits are written as 65
	return strings.Repeat("0", 13-len(text)) + text
}

// end lets everything come to rest, and judges.
func (x *torture) end() {
	x.slack.clear()
	x.pager.clear()
	// What was put off by a clock that was ahead becomes due.
	if err := x.clock.set(x.clock.furthest + time.Hour); err != nil {
		x.t.Fatal(err)
	}
	s := startProcess(x.t, tormented(x.config, x.clock.path, 0))
	s.config = x.config
	x.tr.repost(s)
	store := openStore(x.t, x.config)
	calm(x.t, store)
	if code := s.stop(); code != exitOK {
		x.t.Errorf("serve ended with %d after SIGTERM\n%s", code, s.log())
	}
	x.sound(x.store)
	if n := len(x.tr.accepted); n < 200 {
		x.t.Errorf("only %d events were accepted: too little load to show anything", n)
	}
	checkEvents(x.t, store, x.far, x.tr)
	checkPages(x.t, store, x.far)
	x.repeats(checkRepeats(x.t, x.far))
	x.counts["Slack calls that acted and were not answered so"] = x.slack.acted
	x.counts["events answered 2xx"] = len(x.tr.accepted)
	x.counts["posts without an answer or refused"] = x.tr.silences
	x.counts["calls to Slack"] = len(x.far.slack.Requests())
	x.counts["calls to PagerDuty"] = len(x.far.pager.Requests())
	x.counts["calls that failed by script"] = x.slack.faults + x.pager.faults
	x.counts["alerts"] = len(x.far.pager.Alerts())
	x.counts["Slack messages"] = len(x.far.slack.Messages(testChannel))
}

// repeats holds the messages that Slack got twice against what excuses one: a
// call that acted and did not say so, and a process or a store that failed
// between a call and its settlement.
func (x *torture) repeats(n int) {
	x.counts["Slack messages that repeat one, each marked"] = n
	excuses := x.slack.acted
	for _, what := range []string{"kills", "full disks", "lock-outs"} {
		excuses += x.counts[what]
	}
	if n > excuses {
		x.t.Errorf("%d messages are repeats, and only %d things happened that excuse one", n, excuses)
	}
}

var singular = regexp.MustCompile(`^1 (\w+)s\b`)

func (x *torture) tally() string {
	parts := make([]string, 0, len(x.counts))
	for _, what := range slices.Sorted(maps.Keys(x.counts)) {
		parts = append(parts, singular.ReplaceAllString(fmt.Sprintf("%d %s", x.counts[what], what), "1 $1"))
	}
	return strings.Join(parts, ", ")
}
