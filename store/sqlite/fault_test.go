package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store"
)

const patience = 20 * time.Second

func acceptNth(s *Store, n int64) error {
	_, err := s.Accept(context.Background(), sample(n))
	return err
}

// becomes waits until the store is ready, or is not.
func becomes(t *testing.T, s *Store, ready bool) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(patience)
	for {
		err := s.Ready(context.Background())
		if (err == nil) == ready {
			if err != nil && !errors.Is(err, event.ErrUnavailable) {
				t.Fatalf("not ready: %v, want %v", err, event.ErrUnavailable)
			}
			return
		}
		select {
		case <-poll.C:
		case <-limit:
			t.Fatalf("ready is %v (%v) after %s", err == nil, err, patience)
		}
	}
}

// onWriter runs a statement on the writer's own connection, which only its
// goroutine may use: inside a job.
func onWriter(t *testing.T, s *Store, query string) {
	t.Helper()
	if err := s.write(context.Background(), func(x *tx) error { _, err := x.exec(query); return err }); err != nil {
		t.Fatal(err)
	}
}

// direct is a connection beside the store's.
func direct(t *testing.T, path string) *sql.DB {
	t.Helper()
	db := open(path, false)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestAFullDiskIsUnavailableUntilThereIsRoom(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), nil)
	first := sample(1)
	if _, err := s.Accept(context.Background(), first); err != nil {
		t.Fatal(err)
	}
	onWriter(t, s, "PRAGMA max_page_count = 1") // no page beyond those there are
	full := error(nil)
	for n := int64(2); full == nil && n < 1000; n++ {
		full = acceptNth(s, n)
	}
	if !errors.Is(full, event.ErrUnavailable) {
		t.Fatalf("accept on a full disk: %v, want %v", full, event.ErrUnavailable)
	}
	becomes(t, s, false)
	if r, err := s.Event(context.Background(), formatID(eventID, s.writer.last)); err != nil && !errors.Is(err, event.ErrNotFound) {
		t.Errorf("reading while full: %v, %v", r.ID, err)
	}
	makeRoom(t, s)
	becomes(t, s, true)
	if err := acceptNth(s, 5000); err != nil {
		t.Errorf("accept after recovery: %v", err)
	}
	if r, err := s.Accept(context.Background(), first); err != nil || r.Status != event.Duplicate {
		t.Errorf("what was accepted before: %v, %v, want a duplicate", r, err)
	}
}

// makeRoom lifts max_page_count in a job that itself needs no new page.
func makeRoom(t *testing.T, s *Store) {
	t.Helper()
	limit := time.Now().Add(patience)
	for {
		err := s.write(context.Background(), func(x *tx) error { _, err := x.exec("PRAGMA max_page_count = 1000000"); return err })
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			t.Fatal(err)
		}
	}
}

// A limit on the size of files makes the log's write fail inside COMMIT, with
// a real error of the operating system.
func TestAFailedCommitFailsTheWholeBatchAndTheConnectionIsOpenedAgain(t *testing.T) {
	const limited = "TEST_LIMITED"
	if os.Getenv(limited) == "" {
		// In a process of its own: the limit would also hold for the file in which
		// go test notes what a test looks at.
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), limited+"=1")
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), nil)
	if err := acceptNth(s, 1); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	}
	defer restore()
	tight := before
	tight.Cur = 1024 // less than one page of the log
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &tight); err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 20)
	var wait sync.WaitGroup
	for k := range errs {
		wait.Go(func() {
			if k%2 == 0 {
				errs[k] = acceptNth(s, int64(100+k))
				return
			}
			errs[k] = s.Apply(context.Background(), incident.Plan{Notices: []incident.Notice{{Key: strconv.Itoa(k), Since: time.Now()}}})
		})
	}
	wait.Wait()
	for k, err := range errs {
		if !errors.Is(err, event.ErrUnavailable) {
			t.Errorf("job %d: %v, want %v", k, err, event.ErrUnavailable)
		}
	}
	becomes(t, s, false)
	restore()
	becomes(t, s, true)
	for k := range errs {
		if k%2 == 0 {
			if r, err := s.Accept(context.Background(), sample(int64(100+k))); err != nil || r.Status != event.Accepted {
				t.Errorf("sent again: %v, %v; what failed must not be taken for a duplicate", r, err)
			}
		}
	}
}

// A commit whose fsync fails may be in the log all the same, and come back when
// the log is read anew. Rows written beside the writer stand for it here: their
// sender was answered 503 and sends again.
func TestWhatAFailedCommitKeptAllTheSameIsADuplicateAfterwards(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	s := openAt(t, path, nil)
	if err := acceptNth(s, 1); err != nil {
		t.Fatal(err)
	}
	again := sample(2)
	again.Source = "new source"
	row := time.Now().UnixMicro()
	db := direct(t, path)
	_, err := db.Exec("INSERT INTO sources (id, name, environment, origin, authentic) VALUES (2, ?, 'production', 'webhook', 1)", again.Source)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`INSERT INTO events (id, source, received_at, key, body_hash, conflict, type, foreign_id, quarantine)
		VALUES (?, 2, ?, ?, ?, 0, '', '', '')`, row, row, again.Key[:], again.BodyHash[:])
	if err != nil {
		t.Fatal(err)
	}
	onWriter(t, s, "PRAGMA query_only = 1") // the next commit fails, and the connection is opened again
	if err := acceptNth(s, 3); !errors.Is(err, event.ErrUnavailable) {
		t.Fatalf("accept: %v, want %v", err, event.ErrUnavailable)
	}
	becomes(t, s, true)
	if r, err := s.Accept(context.Background(), again); err != nil || r != (event.Receipt{ID: formatID(eventID, row), Status: event.Duplicate}) {
		t.Errorf("sent again: %v, %v, want a duplicate of what is in the file", r, err)
	}
	other := sample(4)
	other.Source = again.Source
	if _, err := s.Accept(context.Background(), other); err != nil {
		t.Errorf("another event of the source that the failed commit brought: %v", err)
	}
}

func TestAReadOnlyStoreIsUnavailableUntilItIsWritable(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), nil)
	onWriter(t, s, "PRAGMA query_only = 1")
	if err := acceptNth(s, 1); !errors.Is(err, event.ErrUnavailable) {
		t.Fatalf("accept: %v, want %v", err, event.ErrUnavailable)
	}
	// The writer opens its connection again, and that one may write.
	becomes(t, s, true)
	if err := acceptNth(s, 1); err != nil {
		t.Errorf("accept after recovery: %v", err)
	}
}

func TestALockedFileIsUnavailableUntilItIsFree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	s := openAt(t, path, nil)
	foreign, err := direct(t, path).BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := acceptNth(s, 1); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("accept: %v, want %v", err, event.ErrUnavailable)
	}
	becomes(t, s, false)
	if err := foreign.Rollback(); err != nil {
		t.Fatal(err)
	}
	becomes(t, s, true)
	if err := acceptNth(s, 1); err != nil {
		t.Errorf("accept after recovery: %v", err)
	}
}

func TestOneBadRowFailsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	s := openAt(t, path, nil)
	_, err := direct(t, path).Exec(`CREATE TRIGGER poison BEFORE INSERT ON bodies WHEN new.body = x'00'
		BEGIN SELECT raise(ABORT, 'poison'); END`)
	if err != nil {
		t.Fatal(err)
	}
	release := hold(t, s)
	errs := make([]error, 41)
	var wait sync.WaitGroup
	for k := range errs {
		wait.Go(func() {
			in := sample(int64(k))
			in.Source = fmt.Sprint("source ", k%7)
			if k == 20 {
				in.Body, in.Source = []byte{0}, "source of the bad one"
			}
			_, errs[k] = s.Accept(context.Background(), in)
		})
	}
	waiting(t, s, len(errs))
	release()
	wait.Wait()
	for k, err := range errs {
		if bad := k == 20; bad != (err != nil) || bad && !errors.Is(err, event.ErrUnavailable) {
			t.Errorf("event %d: %v", k, err)
		}
	}
	if err := s.Ready(context.Background()); err != nil {
		t.Errorf("one bad row made the store unready: %v", err)
	}
	in := sample(99)
	in.Source = "source of the bad one"
	if _, err := s.Accept(context.Background(), in); err != nil {
		t.Errorf("a good row of the bad one's source: %v", err)
	}
	all, err := s.Pending(context.Background(), 100)
	if err != nil || len(all) != 41 {
		t.Errorf("stored %d (%v), want 41", len(all), err)
	}
}

// hold stops the writer inside a job until release is called.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	entered, leave, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.write(context.Background(), func(*tx) error { close(entered); <-leave; return nil })
	}()
	<-entered
	return func() {
		close(leave)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// waiting waits until so many callers wait for the writer.
func waiting(t *testing.T, s *Store, n int) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	limit := time.After(patience)
	for {
		st, err := s.Stats(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if st.Queue == n {
			return
		}
		select {
		case <-poll.C:
		case <-limit:
			t.Fatalf("%d wait for the writer, want %d", st.Queue, n)
		}
	}
}

func TestAFullQueueIsBusyAndTheOthersAreKept(t *testing.T) {
	cfg := store.Config{SQLite: store.SQLite{Path: filepath.Join(t.TempDir(), "bridge.db"), Queue: 3}}
	s, err := Open(context.Background(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // nothing was left open
	release := hold(t, s)
	errs := make(chan error, 3)
	for n := range int64(3) {
		go func() { errs <- acceptNth(s, n) }()
	}
	waiting(t, s, 3)
	if err := acceptNth(s, 9); !errors.Is(err, event.ErrBusy) {
		t.Errorf("the fourth: %v, want %v", err, event.ErrBusy)
	}
	release()
	for range 3 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestACallerThatLeavesHarmsNobody(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), nil)
	release := hold(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan error, 2)
	in := sample(1)
	go func() { _, err := s.Accept(ctx, in); left <- err }()
	go func() {
		left <- s.Apply(ctx, incident.Plan{Notices: []incident.Notice{{Key: "gone", Since: time.Now()}}})
	}()
	waiting(t, s, 2)
	cancel()
	for range 2 {
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
	}
	clear(in.Body)
	release()
	if err := acceptNth(s, 2); err != nil {
		t.Fatal(err)
	}
	all, err := s.Pending(context.Background(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range all {
		if sha256.Sum256(ev.Body) != ev.BodyHash {
			t.Errorf("event %s has another body than its hash", ev.ID)
		}
	}
	v, err := s.Load(context.Background(), incident.Query{Notice: "gone"})
	if err != nil || v.Notice != nil {
		t.Errorf("a job that its caller left before it began was run: %v, %v", v.Notice, err)
	}
}

func TestAClosedStoreIsUnavailable(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "bridge.db"), nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := acceptNth(s, 1); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("accept: %v, want %v", err, event.ErrUnavailable)
	}
	if err := s.Ready(context.Background()); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("ready: %v, want %v", err, event.ErrUnavailable)
	}
}
