package web

import (
	"io/fs"
	"os"
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
