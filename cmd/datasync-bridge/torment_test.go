package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"datasync-bridge/notifiers/standin"
)

// What a process of the torture is told by its environment.
const (
	// clockFile holds how far its clock is off; it is read ten times a second.
	clockFile = "DATASYNC_BRIDGE_TEST_CLOCK"
	// fileLimit bounds the bytes of each file that it writes, as a full disk would.
	fileLimit = "DATASYNC_BRIDGE_TEST_FILE_LIMIT"
)

// torment does to this process, a bridge under test, what its environment says.
func torment() {
	if path := os.Getenv(clockFile); path != "" {
		var off atomic.Int64
		look := func() {
			if text, err := os.ReadFile(path); err == nil {
				if d, err := time.ParseDuration(string(text)); err == nil {
					off.Store(int64(d))
				}
			}
		}
		look()
		go func() {
			for range time.Tick(100 * time.Millisecond) {
				look()
			}
		}()
		// Without the monotonic reading, as a clock that is set has none.
		wallClock = func() time.Time { return time.Now().Add(time.Duration(off.Load())).Round(0) }
	}
	if text := os.Getenv(fileLimit); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err == nil {
			signal.Ignore(syscall.SIGXFSZ)
			err = unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: n})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitUsage)
		}
	}
}

// tormented starts `serve` with a clock of its own, and files that may not grow
// past limit bytes unless that is 0.
func tormented(configPath, clock string, limit int64) *exec.Cmd {
	cmd := bridgeCommand(context.Background(), "serve", "-c", configPath, "--log-format", "json")
	cmd.Env = append(cmd.Env, clockFile+"="+clock)
	if limit > 0 {
		cmd.Env = append(cmd.Env, fileLimit+"="+strconv.FormatInt(limit, 10))
	}
	return cmd
}

// moods are how Slack and PagerDuty may be for a while: all calls pass, or a
// share of them fails in one way, or in any.
var moods = []func(rng *rand.Rand) standin.Fault{
	func(*rand.Rand) standin.Fault { return standin.Fault{} },
	func(*rand.Rand) standin.Fault {
		return standin.Fault{Status: http.StatusTooManyRequests, RetryAfter: "1"}
	},
	func(*rand.Rand) standin.Fault { return standin.Fault{Status: http.StatusInternalServerError} },
	func(rng *rand.Rand) standin.Fault { return standin.Fault{Reset: true, Acted: rng.IntN(2) == 0} },
	func(rng *rand.Rand) standin.Fault {
		return standin.Fault{Delay: time.Duration(rng.IntN(3000)) * time.Millisecond}
	},
	func(rng *rand.Rand) standin.Fault { // half an answer
		return standin.Fault{Status: http.StatusOK, Body: `{"ok":true,"channel":"C0OPS","ts":"1.1","status":"success"}`, Cut: true, Acted: rng.IntN(2) == 0}
	},
	func(rng *rand.Rand) standin.Fault { // garbage
		return standin.Fault{Status: http.StatusOK, Body: []string{"<html>hello</html>", `{"ok":tr`, ""}[rng.IntN(3)], Acted: rng.IntN(2) == 0}
	},
	func(rng *rand.Rand) standin.Fault {
		return standin.Fault{Status: http.StatusBadGateway, Body: "<html>", Acted: rng.IntN(4) == 0}
	},
}

// weather decides the faults of one stand-in, and counts them.
type weather struct {
	mu     sync.Mutex
	rng    *rand.Rand
	mood   int // index of moods, or one more for any of them
	faults int
	acted  int // of these, calls that did what was asked, and did not say so
}

func newWeather(seed, salt uint64) *weather { return &weather{rng: rand.New(rand.NewPCG(seed, salt))} }

func (w *weather) change() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mood = w.rng.IntN(len(moods) + 1)
}

func (w *weather) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mood = 0
}

func (w *weather) fault(int, *http.Request) standin.Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	mood := w.mood
	if mood == len(moods) {
		mood = w.rng.IntN(len(moods))
	}
	if mood == 0 || w.rng.IntN(2) == 0 {
		return standin.Fault{}
	}
	w.faults++
	f := moods[mood](w.rng)
	if f.Acted {
		w.acted++
	}
	return f
}

// clock is the file that sets the time of the processes.
type jumpingClock struct {
	path     string
	furthest time.Duration
	jumps    int
}

func (c *jumpingClock) set(off time.Duration) error {
	c.furthest = max(c.furthest, off)
	c.jumps++
	// A whole file takes the place of the other, or a reader would find half of one.
	if err := os.WriteFile(c.path+".new", []byte(off.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(c.path+".new", c.path)
}

// copyStore copies a store and its log as a crash would leave them.
func copyStore(from, to string) error {
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(from + suffix)
		if os.IsNotExist(err) && suffix != "" {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(to+suffix, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// elsewhere writes a configuration like another one, over another store, that
// reaches nobody: a copy must not tell what the store itself will tell.
func elsewhere(configPath, dir, far string) (config, store string, err error) {
	text, err := os.ReadFile(configPath)
	if err != nil {
		return "", "", err
	}
	store = filepath.Join(dir, "bridge.db")
	config = filepath.Join(dir, "config.yaml")
	changed := strings.ReplaceAll(string(text), far, "http://127.0.0.1:9")
	changed = strings.Replace(changed, filepath.Join(dataDir(configPath), "bridge.db"), store, 1)
	return config, store, os.WriteFile(config, []byte(changed), 0o600)
}
