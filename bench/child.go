package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// child is a server under load in a process of its own.
type child struct {
	cmd     *exec.Cmd
	stdin   io.Closer
	address string // host:port of its listener
	admin   string // of a bridge's admin listener
	started time.Duration
	ended   chan struct{}
	log     string // file of its standard error
}

// startTime bounds the wait until a server listens; a store of ten million
// events is read first.
const startTime = 10 * time.Minute

// startRung starts a server of this program.
func startRung(ctx context.Context, dir, name string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"rung", name, "-dir", dir}, args...)...) //nolint:gosec // this program
	return start(cmd, filepath.Join(dir, name+".log"), false)
}

// startBridge starts the bridge itself.
func startBridge(ctx context.Context, binary, dir string) (*child, error) {
	cmd := exec.CommandContext(ctx, binary, "serve", "-c", filepath.Join(dir, "config.yaml"), "--log-format", "json") //nolint:gosec // the bridge that was named
	return start(cmd, filepath.Join(dir, "serve.log"), true)
}

// start runs a command and waits until it says where it listens: in a line of
// its standard output, or as the bridge does, in its log.
func start(cmd *exec.Cmd, log string, bridge bool) (*child, error) {
	c := &child{cmd: cmd, ended: make(chan struct{}), log: log}
	began := time.Now()
	file, err := os.Create(log) //nolint:gosec // below the run's own folder
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // the child has its own handle
	cmd.Stderr = file
	var said io.Reader
	if bridge {
		cmd.Stderr = nil
		said, err = cmd.StderrPipe()
	} else {
		said, err = cmd.StdoutPipe()
	}
	if err != nil {
		return nil, err
	}
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	addresses := make(chan [2]string, 1)
	go c.listen(said, addresses)
	select {
	case found := <-addresses:
		c.address, c.admin, c.started = found[0], found[1], time.Since(began)
		return c, nil
	case <-c.ended:
		text, _ := os.ReadFile(log) //nolint:gosec // written above
		return nil, fmt.Errorf("%s ended before it listened: %s", cmd.Args, text)
	case <-time.After(startTime):
		c.stop()
		return nil, fmt.Errorf("%s did not listen within %v", cmd.Args, startTime)
	}
}

// listen reads what a child says to its end.
func (c *child) listen(said io.Reader, addresses chan<- [2]string) {
	defer close(c.ended)
	var found [2]string
	lines := bufio.NewScanner(said)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "listening "); ok {
			addresses <- [2]string{address, ""}
			continue
		}
		var line struct{ Msg, Listener, Address string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "listening" {
			continue
		}
		if line.Listener == "public" {
			found[0] = line.Address
		} else {
			found[1] = line.Address
		}
		if found[0] != "" && found[1] != "" {
			addresses <- found
		}
	}
	_ = c.cmd.Wait()
}

// stop ends a child and waits for its end.
func (c *child) stop() {
	_ = c.stdin.Close()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(30 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.ended
	}
}

// wait is for a child that ends by itself.
func (c *child) wait(ctx context.Context) error {
	select {
	case <-c.ended:
	case <-ctx.Done():
		c.stop()
		return ctx.Err()
	}
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		text, _ := os.ReadFile(c.log)
		return fmt.Errorf("%s ended with %d: %s", c.cmd.Args, code, text)
	}
	return nil
}

// usage is what a process has used so far.
type usage struct {
	cpu     time.Duration
	written int64 // bytes to the disk
	rss     int64 // bytes
	peak    int64 // bytes, since its start
}

// clockTick is the kernel's unit of CPU time in /proc: USER_HZ is 100 on every
// Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// usageOf reads a process's figures from /proc.
func usageOf(pid int) (usage, error) {
	at := func(name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }
	stat, err := os.ReadFile(at("stat"))
	if err != nil {
		return usage{}, err
	}
	// The name may hold spaces; what follows its last bracket has none.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return usage{}, errors.New("/proc/PID/stat is shorter than it should be")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	u := usage{cpu: time.Duration(user+system) * clockTick}
	u.written, err = figure(at("io"), "write_bytes:", 1)
	rss, err3 := figure(at("status"), "VmRSS:", 1<<10)
	peak, err4 := figure(at("status"), "VmHWM:", 1<<10)
	u.rss, u.peak = rss, peak
	return u, errors.Join(err, err1, err2, err3, err4)
}

// figure is a number in a file of "name: number" lines, in bytes.
func figure(path, name string, unit int64) (int64, error) {
	text, err := os.ReadFile(path) //nolint:gosec // of /proc
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n * unit, err
		}
	}
	return 0, fmt.Errorf("%s does not say %s", path, name)
}
