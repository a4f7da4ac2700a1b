package main

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Whoever opens connections until the process has no file descriptor left can
// be a nuisance for as long as they stay, and no longer.
func TestServeOutlivesAWantOfFileDescriptors(t *testing.T) {
	far := newFarSide(t)
	s := startServe(t, configuration(t, far.url, "defaults: {notify: [ops]}\n"))
	body := func(id string) []byte {
		text, err := json.Marshal(map[string]any{"id": id, "type": "transaction.failed", "data": map[string]any{"transaction": map[string]any{"id": id}}})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	s.accept(body("before"))
	tight := unix.Rlimit{Cur: 64, Max: 64}
	if err := unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_NOFILE, &tight, nil); err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	letGo := func() {
		for _, c := range held {
			_ = c.Close()
		}
	}
	defer letGo()
	for _, address := range []string{s.admin, s.public} {
		for range 80 {
			c, err := net.DialTimeout("tcp", strings.TrimPrefix(address, "http://"), 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, c)
		}
	}
	eventually(t, 20*time.Second, "the log says that there are no descriptors left", func() bool {
		return strings.Contains(s.log(), "too many open files")
	})
	letGo()
	eventually(t, 20*time.Second, "an event is taken again", func() bool {
		a, err := post(hurried, s.public, body("after"))
		return err == nil && a.EventID != ""
	})
	if code := s.stop(); code != exitOK {
		t.Errorf("serve ended with %d\n%s", code, s.log())
	}
}
