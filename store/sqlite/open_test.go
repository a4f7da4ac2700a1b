package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
	"datasync-bridge/store"
)

func tryOpen(path string) error {
	s, err := Open(context.Background(), store.Config{SQLite: store.SQLite{Path: path}}, Options{})
	if err == nil {
		err = s.Close()
	}
	return err
}

func TestASecondOpenerIsRefusedUntilTheFirstCloses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	s := openAt(t, path, nil)
	if err := tryOpen(path); !errors.Is(err, ErrLocked) {
		t.Fatalf("second opener: %v, want %v", err, ErrLocked)
	}
	if err := acceptNth(s, 1); err != nil {
		t.Fatalf("the first opener after that: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tryOpen(path); err != nil {
		t.Fatalf("after the first closed: %v", err)
	}
}

func TestASymlinkIsNoWayAroundTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	openAt(t, path, nil)
	alias := filepath.Join(t.TempDir(), "other.db")
	if err := os.Symlink(path, alias); err != nil {
		t.Fatal(err)
	}
	if err := tryOpen(alias); !errors.Is(err, ErrLocked) {
		t.Fatalf("second opener by another name: %v, want %v", err, ErrLocked)
	}
}

func TestTheFileAndItsFolderArePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "bridge.db")
	s := openAt(t, path, nil)
	if err := acceptNth(s, 1); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{
		filepath.Dir(path): 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, path + ".lock": 0o600,
	} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: mode %o, want %o", name, got, want)
		}
	}
}

func TestWhatIsRefusedIsLeftAsItWas(t *testing.T) {
	sound := filepath.Join(t.TempDir(), "bridge.db")
	s := openAt(t, sound, nil)
	for n := range int64(200) {
		if err := acceptNth(s, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(sound)
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(b []byte)) []byte { b := bytes.Clone(good); f(b); return b }
	for _, tt := range []struct {
		name string
		file []byte
		want error
	}{
		{"a newer schema", change(func(b []byte) { b[63] = newestSchema + 1 }), ErrNewer},
		{"another program's file", change(func(b []byte) { copy(b[68:], "XXXX") }), ErrForeign},
		{"an unmarked file with tables", change(func(b []byte) { copy(b[60:], make([]byte, 12)) }), ErrForeign},
		{"no SQLite file", []byte(strings.Repeat("notes of a meeting\n", 50)), ErrCorrupt},
		{"a few bytes", []byte("x"), ErrCorrupt},
		{"a file cut short", good[:len(good)/2], ErrCorrupt},
		{"overwritten pages", change(func(b []byte) { clear(b[2*pageSize : len(b)-pageSize]) }), ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bridge.db")
			if err := os.WriteFile(path, tt.file, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := tryOpen(path); !errors.Is(err, tt.want) {
				t.Errorf("open: %v, want %v", err, tt.want)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if sha256.Sum256(after) != sha256.Sum256(tt.file) {
				t.Errorf("the file was changed: %d bytes, were %d", len(after), len(tt.file))
			}
		})
	}
}

// Whoever lost the file, or all its bytes, may still have the newest events.
func TestALogWithoutItsFileIsRefusedAndLeftAsItWas(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"the file is empty": func(path string) error { return os.Truncate(path, 0) },
		"the file is gone":  os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			from, path := filepath.Join(t.TempDir(), "bridge.db"), filepath.Join(t.TempDir(), "bridge.db")
			s := openAt(t, from, nil)
			if err := acceptNth(s, 1); err != nil {
				t.Fatal(err)
			}
			for _, suffix := range []string{"", "-wal"} { // as a crash would leave them
				text, err := os.ReadFile(from + suffix)
				if err == nil {
					err = os.WriteFile(path+suffix, text, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			before, err := os.ReadFile(path + "-wal")
			if err != nil || len(before) == 0 {
				t.Fatalf("the log has %d bytes (%v)", len(before), err)
			}
			if err := lose(path); err != nil {
				t.Fatal(err)
			}
			if err := tryOpen(path); !errors.Is(err, ErrCorrupt) {
				t.Errorf("open: %v, want %v", err, ErrCorrupt)
			}
			if after, err := os.ReadFile(path + "-wal"); err != nil || !bytes.Equal(after, before) {
				t.Errorf("the log was changed: %d bytes, were %d (%v)", len(after), len(before), err)
			}
		})
	}
}

func TestReadersSeeAServingStoreAndChangeNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	cfg := store.Config{SQLite: store.SQLite{Path: path}}
	if _, err := OpenReadOnly(context.Background(), cfg, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v, want %v", err, os.ErrNotExist)
	}
	s := openAt(t, path, nil)
	r, err := OpenReadOnly(context.Background(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // a reader
	if err := acceptNth(s, 1); err != nil {
		t.Fatal(err)
	}
	all, err := r.Events(context.Background(), incident.Filter{})
	if err != nil || len(all) != 1 {
		t.Errorf("the reader sees %d events (%v), want 1", len(all), err)
	}
	for name, err := range map[string]error{
		"accept": acceptNth(r, 2), "apply": r.Apply(context.Background(), incident.Plan{}), "ready": r.Ready(context.Background()),
	} {
		if !errors.Is(err, event.ErrUnavailable) {
			t.Errorf("%s: %v, want %v", name, err, event.ErrUnavailable)
		}
	}
}

// A user without rights opens the file, as root no mode would stop.
func TestAFileWithoutRightsIsRefusedAndUntouched(t *testing.T) {
	dir, err := os.MkdirTemp("", "store") // t.TempDir lies in folders that only its owner may enter
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	path := filepath.Join(dir, "bridge.db")
	s := openAt(t, path, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^$")
	child.Env = append(os.Environ(), childEnv+"=open", childPath+"="+path)
	if os.Geteuid() == 0 {
		copied := filepath.Join(dir, "child")
		b, err := os.ReadFile(self)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, b, 0o755); err != nil {
			t.Fatal(err)
		}
		child.Path, child.Dir = copied, "/"
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if err := errors.Join(os.Chmod(path, 0o444), os.Chmod(path+".lock", 0o444), os.Chmod(dir, 0o555)); err != nil {
		t.Fatal(err)
	}
	out, err := child.CombinedOutput()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err == nil || !strings.Contains(string(out), "permission denied") {
		t.Errorf("opening ended with %v: %s", err, out)
	}
}
