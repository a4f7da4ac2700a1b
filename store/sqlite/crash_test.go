package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/store"
)

const (
	childEnv  = "STORE_TEST_CHILD"
	childPath = "STORE_TEST_PATH"
	childFrom = "STORE_TEST_FROM"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "open":
		if err := tryOpen(os.Getenv(childPath)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	case "accept":
		if err := acceptForEver(os.Getenv(childPath)); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// acceptForEver accepts from many goroutines, every event twice, and prints
// each id that was acknowledged, with the number of the event.
func acceptForEver(path string) error {
	s, err := Open(context.Background(), store.Config{SQLite: store.SQLite{Path: path}}, Options{})
	if err != nil {
		return err
	}
	from, err := strconv.ParseInt(os.Getenv(childFrom), 10, 64)
	if err != nil {
		return err
	}
	var n atomic.Int64
	var print sync.Mutex
	var wait sync.WaitGroup
	for range 24 {
		wait.Go(func() {
			for {
				k := from + n.Add(1)/2
				r, err := s.Accept(context.Background(), sample(k))
				print.Lock()
				if err != nil {
					fmt.Println("error", err)
				} else {
					fmt.Println("kept", r.ID, k)
				}
				print.Unlock()
			}
		})
	}
	wait.Wait()
	return nil
}

// life runs a child until it has acknowledged so many events and a moment
// more, kills it, and returns what it acknowledged.
func life(t *testing.T, path string, from int64, least int, moment time.Duration) map[string]string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^$")
	child.Env = append(os.Environ(), childEnv+"=accept", childPath+"="+path, fmt.Sprintf("%s=%d", childFrom, from))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	kept := map[string]string{}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		f := strings.Fields(line)
		if f[0] != "kept" {
			t.Fatalf("child: %s", line)
		}
		kept[f[2]] = f[1]
		if len(kept) == least {
			time.AfterFunc(moment, func() { _ = child.Process.Kill() })
			least = -1
		}
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	return kept
}

func TestEveryAcknowledgedEventOutlivesAKill(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "bridge.db")
	acknowledged := map[string]string{}
	for round := range 8 {
		moment := time.Duration(dice.Int64N(int64(30 * time.Millisecond)))
		for k, id := range life(t, path, int64(round)*1_000_000, 1+dice.IntN(400), moment) {
			acknowledged[k] = id
		}
	}
	s := openAt(t, path, nil)
	if err := checkPages(context.Background(), s.reads); err != nil {
		t.Fatal(err)
	}
	stored := map[string]string{}
	keys := map[[32]byte]string{}
	all, err := s.Pending(context.Background(), 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range all {
		stored[strings.TrimPrefix(ev.ForeignID, "evt_")] = ev.ID
		if other, twice := keys[ev.Key]; twice {
			t.Errorf("one key is stored twice: %s and %s", other, ev.ID)
		}
		keys[ev.Key] = ev.ID
	}
	for k, id := range acknowledged {
		if stored[k] != id {
			t.Errorf("event %s was acknowledged as %s, stored is %q", k, id, stored[k])
		}
	}
	for k := range acknowledged {
		n, _ := strconv.ParseInt(k, 10, 64)
		if r, err := s.Accept(context.Background(), sample(n)); err != nil || r.Status != event.Duplicate || r.ID != stored[k] {
			t.Fatalf("event %s again: %v, %v, want a duplicate", k, r, err)
		}
		break
	}
	t.Logf("%d acknowledged, %d stored", len(acknowledged), len(stored))
}
