package web

import (
	"io/fs"
	"os"
	osuser "os/user"
	"path/filepath"
	"testing"
)

func TestATokenIsTrustedFromAFileOfOnesOwnOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "admin.token")
	for _, tt := range []struct {
		name string
		mode fs.FileMode
		uid  int
		want bool
	}{
		{"one's own", 0o600, os.Geteuid(), true},
		{"one that others can read", 0o604, os.Geteuid(), false},
		{"one that others can write", 0o620, os.Geteuid(), false},
		{"one that another user laid there", 0o600, os.Geteuid() + 1, false},
	} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, tt.mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := trusted(info, tt.uid); got != tt.want {
			t.Errorf("%s: trusted is %t", tt.name, got)
		}
	}
	if info, err := os.Stat(t.TempDir()); err != nil || trusted(info, os.Geteuid()) {
		t.Errorf("a folder is trusted (%v)", err)
	}
}

func TestNobodyIsWhoTheEnvironmentSays(t *testing.T) {
	t.Setenv("USER", "ana")
	const users = "root:x:0:0:root:/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\n"
	for _, tt := range []struct {
		uid, name, want string
	}{
		{"1000", "ana", "ana"},
		{"0", "root", "root"},
		{"4711", "ana", "4711"}, // a container's user that no list has
		{"4711", "carl", "carl"},
		{"4711", "", "4711"},
	} {
		if got := listedName(osuser.User{Uid: tt.uid, Username: tt.name}, users); got != tt.want {
			t.Errorf("user %s, named %q, is %q, want %q", tt.uid, tt.name, got, tt.want)
		}
	}
}
