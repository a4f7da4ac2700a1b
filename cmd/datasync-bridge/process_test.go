package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// outcome is how one command line ended.
type outcome struct {
	out, err string
	code     int
}

func (o outcome) String() string {
	return fmt.Sprintf("exit %d\nstdout: %s\nstderr: %s", o.code, o.out, o.err)
}

// command runs the program to its end, with variables over the environment.
func command(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := bridgeCommand(ctx, args...)
	cmd.Env = append(cmd.Env, env...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatalf("%v: %v", args, err)
	}
	return outcome{out.String(), log.String(), cmd.ProcessState.ExitCode()}
}

// works runs a command line that must succeed, and returns what it printed.
func works(t *testing.T, env []string, args ...string) string {
	t.Helper()
	o := command(t, env, args...)
	if o.code != exitOK {
		t.Fatalf("%v: %v", args, o)
	}
	return o.out
}

// command runs a command line beside the running bridge. The configuration
// says port 0; the variables say which ports it became.
func (s *served) command(args ...string) outcome {
	s.t.Helper()
	return command(s.t, s.addresses(), append(args, "-c", s.config)...)
}

// works is command for what must succeed.
func (s *served) works(args ...string) string {
	s.t.Helper()
	return works(s.t, s.addresses(), append(args, "-c", s.config)...)
}

func (s *served) addresses() []string {
	return []string{
		"BRIDGE_SERVER__LISTEN=" + s.public[strings.Index(s.public, "//")+2:],
		"BRIDGE_ADMIN__LISTEN=" + strings.TrimPrefix(s.admin, "http://"),
	}
}

// accept posts one event that must be new, and returns its id.
func (s *served) accept(body []byte) string {
	s.t.Helper()
	a, err := post(hurried, s.public, body)
	if err != nil || a.Status != http.StatusAccepted || a.Code != "accepted" {
		s.t.Fatalf("an event was answered %d %s (%v), want 202 accepted\n%s", a.Status, a.Code, err, s.log())
	}
	return a.EventID
}

// hurried is a client that does not wait for ever.
var hurried = &http.Client{Timeout: 20 * time.Second}

// fetch gets a page of the bridge, with the admin token if there is one.
func fetch(t *testing.T, url, token string) (status int, header http.Header, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := hurried.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

// dataDir is where a configuration keeps its store.
func dataDir(configPath string) string { return filepath.Join(filepath.Dir(configPath), "data") }

// adminToken is the token that serve made for this machine.
func adminToken(t *testing.T, configPath string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dataDir(configPath), "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// staticBinary is the program as it is shipped: what `make build` left, if
// TEST_BINARY says where, else a build of its own by the same recipe.
func staticBinary(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("TEST_BINARY"); path != "" {
		return path
	}
	path, err := builtOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// scratch is a folder of this run of the tests; TestMain removes it.
var scratch string

var builtOnce = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "datasync-bridge")
	build := exec.CommandContext(context.Background(), "make", "build", "BINARY="+path)
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, out)
	}
	return path, nil
})
