package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAnInvalidConfigurationTellsEveryFaultAndStartsNothing(t *testing.T) {
	t.Parallel()
	path := configuration(t, "http://127.0.0.1:1", `
defaults:
  notify: [opps]
  repeat: 5
tracing: {}
rules:
  - name: twice
    match: {partner.id: 0123}
    notify: [pager]
    unknown_key: 1
  - name: twice
    match: {type: transaction.failed}
    when: transaction.amuont > 3
    notify: []
`)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lineOf := func(part string) int {
		before, _, found := strings.Cut(string(text), part)
		if !found {
			t.Fatalf("the configuration does not hold %q", part)
		}
		return strings.Count(before, "\n") + 1
	}
	for _, name := range []string{"check", "serve"} {
		o := command(t, nil, name, "-c", path)
		if o.code != exitFailed {
			t.Errorf("%s: exit %d, want 1", name, o.code)
		}
		for _, fault := range []struct{ key, says string }{
			{"[opps]", `did you mean "ops"`},
			{"repeat: 5", "repeat"},
			{"tracing", "not supported in this version"},
			{"id: 0123}", "quote it"},
			{"unknown_key", "unknown_key"},
			{"name: twice\n    match: {type", "twice"},
			{"amuont", "amuont"},
			{"notify: []", "notify"},
		} {
			at := regexp.MustCompile(fmt.Sprintf(`(?m)^%s:%d:\d+: .*%s`, regexp.QuoteMeta(path), lineOf(fault.key), regexp.QuoteMeta(fault.says)))
			if !at.MatchString(o.err) {
				t.Errorf("%s tells no fault on line %d that says %q:\n%s", name, lineOf(fault.key), fault.says, o.err)
			}
		}
		if strings.Contains(o.err, "listening") || strings.Contains(o.err, testSecret) {
			t.Errorf("%s started or told a secret:\n%s", name, o.err)
		}
	}
	if _, err := os.Stat(dataDir(path)); err == nil {
		t.Error("a store was made for a configuration that is refused")
	}
	missing := command(t, nil, "serve", "-c", filepath.Join(t.TempDir(), "none.yaml"))
	if missing.code != exitFailed || !strings.Contains(missing.err, "none.yaml") {
		t.Errorf("a configuration that is not there: %v", missing)
	}
}

func TestASecondServeOnTheSameStoreIsRefused(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	s := startServe(t, configuration(t, far.url, pageShipNotices))
	second := command(t, nil, "serve", "-c", s.config)
	if second.code != exitFailed || !strings.Contains(second.err, "another process has the store open: is serve running already?") || strings.Contains(second.err, "listening") {
		t.Errorf("the second serve: %v\nwant exit 1 and that another process has the store open", second)
	}
	s.accept(happening{id: 1, kind: "transaction.failed", transaction: 1, document: "850", partner: "01"}.body())
}

func TestAStoreThatCannotBeOpenedIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	s := startServe(t, configuration(t, far.url, pageShipNotices))
	s.accept(happening{id: 1, kind: "transaction.failed", transaction: 1, document: "850", partner: "01"}.body())
	for _, tt := range []struct {
		name, says string
		spoil      func(t *testing.T, path string)
	}{
		{"a newer schema", "written by a newer version", func(t *testing.T, path string) {
			overwrite(t, path, 60, binary.BigEndian.AppendUint32(nil, 99)) // PRAGMA user_version
		}},
		{"another program's file", "belongs to another program", func(t *testing.T, path string) {
			overwrite(t, path, 68, []byte("ABCD")) // PRAGMA application_id
		}},
		{"no SQLite file", "damaged", func(t *testing.T, path string) { overwrite(t, path, 0, []byte("no database")) }},
		{"cut short", "damaged", func(t *testing.T, path string) {
			if err := os.Truncate(path, 20000); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "bridge.db")
			s.works("backup", path)
			tt.spoil(t, path)
			before := contents(t, dir)
			for _, args := range [][]string{
				{"serve"}, {"events"}, {"backup", filepath.Join(t.TempDir(), "copy.db")},
				{"incidents", "resolve", "in_0000000000000", "--why", "x"},
			} {
				o := command(t, []string{"BRIDGE_STORE__SQLITE__PATH=" + path}, append(args, "-c", s.config)...)
				if o.code != exitFailed || !strings.Contains(o.err, tt.says) || strings.Contains(o.err, "listening") {
					t.Errorf("%v: %v\nwant exit 1 and %q", args, o, tt.says)
				}
			}
			if after := contents(t, dir); !maps.Equal(before, after) {
				t.Errorf("the folder was changed: it held %v, now %v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
			}
		})
	}
	t.Run("no folder to be had", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(file, "bridge.db")
		o := command(t, []string{"BRIDGE_STORE__SQLITE__PATH=" + path}, "serve", "-c", s.config)
		if o.code != exitFailed || !strings.Contains(o.err, path) || strings.Contains(o.err, "listening") {
			t.Errorf("%v\nwant exit 1 and the path", o)
		}
	})
}

// overwrite changes some bytes of a file.
func overwrite(t *testing.T, path string, at int64, with []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(with, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// contents is all that a folder holds, by name, except the empty file that is
// locked.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(entry.Name(), ".lock") {
			all[entry.Name()] = string(text)
		}
	}
	return all
}

// TestAStoreThatCannotBeWrittenIs503UntilItCan takes the right to write away
// from the running process, and gives it back.
func TestAStoreThatCannotBeWrittenIs503UntilItCan(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		// spoil returns what undoes it.
		spoil func(t *testing.T, s *served) (undo func())
	}{
		{"no room", noRoom},
		{"locked by another program", lockedFile},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			far := newFarSide(t)
			s := startServe(t, configuration(t, far.url, pageShipNotices))
			event := func(n int) []byte {
				return happening{id: n, kind: "transaction.failed", transaction: n, document: "856", partner: strconv.Itoa(n)}.body()
			}
			kept := s.accept(event(1))
			eventually(t, 20*time.Second, "the first failure pages", func() bool { return len(far.pager.Alerts()) == 1 })
			calm(t, openStore(t, s.config))

			undo := tt.spoil(t, s)
			refused, header := s.refused(event(2))
			if refused.Status != http.StatusServiceUnavailable || refused.EventID != "" {
				t.Errorf("an event was answered %d %q %q, want 503 and no id", refused.Status, refused.Code, refused.EventID)
			}
			if seconds, err := strconv.Atoi(header.Get("Retry-After")); err != nil || seconds <= 0 {
				t.Errorf("Retry-After %q, want seconds", header.Get("Retry-After"))
			}
			for _, url := range []string{s.public, s.admin} {
				if status, _, _ := fetch(t, url+"/readyz", ""); status != http.StatusServiceUnavailable {
					t.Errorf("/readyz answered %d, want 503", status)
				}
				if status, _, _ := fetch(t, url+"/healthz", ""); status != http.StatusOK {
					t.Errorf("/healthz answered %d: the process is well, a restart would not help", status)
				}
			}
			if o := s.command("healthcheck"); o.code != exitFailed {
				t.Errorf("healthcheck: %v\nwant exit 1", o)
			}
			if body := s.works("events", "show", kept); !strings.Contains(body, "evt_1") {
				t.Errorf("what is stored cannot be read meanwhile: %s", body)
			}

			undo()
			eventually(t, 20*time.Second, "/readyz answers 200 by itself", func() bool {
				status, _, _ := fetch(t, s.public+"/readyz", "")
				return status == http.StatusOK
			})
			s.accept(event(2))
			eventually(t, 20*time.Second, "the second failure pages", func() bool { return len(far.pager.Alerts()) == 2 })
			if code := s.stop(); code != exitOK {
				t.Errorf("serve ended with %d after SIGTERM\n%s", code, s.log())
			}
			if rows := listJSON[struct{ ID string }](t, "events", "-c", s.config); len(rows) != 2 {
				t.Errorf("%d events are stored, want the two that were accepted", len(rows))
			}
		})
	}
}

// noRoom makes the kernel refuse every byte that the process writes to a file,
// as a full disk does; a limit of the process needs no privilege and no mount.
func noRoom(t *testing.T, s *served) (undo func()) {
	t.Helper()
	var before unix.Rlimit
	pid := s.cmd.Process.Pid
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 0, Max: unix.RLIM_INFINITY}, &before); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &before, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// lockedFile holds the lock that a program which writes to the same SQLite file
// holds: byte 120 of the shared memory beside a file in WAL mode.
func lockedFile(t *testing.T, s *served) (undo func()) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dataDir(s.config), "bridge.db-shm"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: 120, Len: 1}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLKW, &lock); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// refused posts a signed event that the bridge cannot take, and returns the
// answer with its headers.
func (s *served) refused(body []byte) (answer, http.Header) {
	s.t.Helper()
	return s.refusedWith(body, sign(body))
}

// refusedWith is refused with a signature of any kind.
func (s *served) refusedWith(body []byte, signature string) (answer, http.Header) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.public+"/hooks/datasync", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("X-Datasync-Signature", signature)
	response, err := hurried.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var a answer
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		s.t.Fatal(err)
	}
	a.Status = response.StatusCode
	return a, response.Header
}

func TestWrongCommandLinesExitWith2(t *testing.T) {
	t.Parallel()
	path := configuration(t, "http://127.0.0.1:1", pageShipNotices)
	if o := command(t, nil, "check", path); !strings.Contains(o.err, "named with -c") {
		t.Errorf("a configuration named without -c: %v\nwant to be told of -c", o)
	}
	if o := command(t, nil, "incidents", "in_0000000000000", "-c", path); o.code != exitUsage || !strings.Contains(o.err, "incidents show ID") {
		t.Errorf("an incident named without show: %v\nwant exit 2 and to be told of show", o)
	}
	for _, args := range [][]string{
		{"serv"},
		{"serve", "extra"},
		{"serve", "--no-such-flag"},
		{"serve", "--log-level", "loud"},
		{"serve", "--log-format", "xml"},
		{"explain"},
		{"events", "list", "-o", "yaml"},
		{"events", "list", "--since", "yesterday"},
		{"events", "list", "--state", "open"},
		{"incidents", "--limit", "0"},
		{"render", "in_0000000000000", "--kind", "song"},
		{"incidents", "acknowledge"},
		{"incidents", "resolve", "in_0000000000000"},
		{"deliveries", "retry"},
		{"send-test", "nobody"},
		{"sandbox", "--listen", "0.0.0.0:0"},
		{"backup"},
		{"check", path}, // a file that is named without -c
	} {
		o := command(t, nil, append(args, "-c", path)...)
		if o.code != exitUsage || o.err == "" {
			t.Errorf("%v: %v\nwant exit 2 and what is wrong", args, o)
		}
	}
}
