package main

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTheStaticBinaryRunsInAnEmptyFolder puts the program as it is shipped into
// a root directory that holds only it, its configuration and a data folder: no
// libc, no time zones, no /tmp, no /proc.
func TestTheStaticBinaryRunsInAnEmptyFolder(t *testing.T) {
	t.Parallel()
	far := newFarSide(t)
	root := t.TempDir()
	place(t, staticBinary(t), filepath.Join(root, "datasync-bridge"))
	text, err := os.ReadFile(configuration(t, far.url, strings.Replace(pageShipNotices,
		"notify: [ops]", "notify: [ops]\n  time_zone: America/Chicago", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "config.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	probe := exec.CommandContext(t.Context(), "/datasync-bridge", "version")
	probe.Dir, probe.Env, probe.SysProcAttr = "/", []string{}, jail(root)
	if out, err := probe.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "datasync-bridge ") {
		t.Fatalf("the program does not run with %s as its root directory (user %d; other users than root need user namespaces): %v\n%s",
			root, os.Getuid(), err, out)
	}
	process := exec.CommandContext(context.Background(), "/datasync-bridge", "serve", "-c", "/config.yaml", "--log-format", "json")
	process.Dir = "/"
	process.Env = []string{"BRIDGE_STORE__SQLITE__PATH=/data/bridge.db"}
	process.SysProcAttr = jail(root)
	s := startProcess(t, process)
	if status, _, _ := fetch(t, s.public+"/readyz", ""); status != http.StatusOK {
		t.Errorf("/readyz answered %d, want 200", status)
	}
	s.accept(happening{id: 1, kind: "transaction.failed", transaction: 1, document: "856", partner: "01"}.body())
	eventually(t, 20*time.Second, "Slack and PagerDuty are told from inside", func() bool {
		return len(far.roots()) == 1 && len(far.pager.Alerts()) == 1
	})
	if message := far.roots()[0]; !says(message, " CST") && !says(message, " CDT") && !says(message, " CT") {
		t.Errorf("the message does not tell the time of Chicago: %s", message.Readable())
	}
	if code := s.stop(); code != exitOK {
		t.Errorf("serve ended with %d after SIGTERM\n%s", code, s.log())
	}
	left, err := filepath.Glob(filepath.Join(root, "*"))
	if err != nil || len(left) != 3 {
		t.Errorf("the folder holds %v afterwards (%v), want the program, its configuration and data", left, err)
	}
}

// jail changes the root directory of a process. Only root may; another user
// becomes root of a user namespace of its own. Where neither is allowed, the
// process does not start, and the test fails with the system's reason.
func jail(root string) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Chroot: root}
	if os.Geteuid() != 0 {
		attr.Cloneflags = syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// place copies a program. Another process does it: a descriptor of ours, open
// for writing, could leak into a process that a test beside this one starts, and
// a program that somebody may write to cannot be run.
func place(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "cp", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
}
