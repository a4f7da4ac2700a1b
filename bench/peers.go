package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// startWebhook starts Debian's webhook with one signed hook. The command that
// it would run does not exist, so that answering is measured, not forking.
func startWebhook(ctx context.Context, dir string) (*child, error) {
	binary, err := exec.LookPath("webhook")
	if err != nil {
		return nil, err
	}
	hooks := filepath.Join(dir, "hooks.json")
	text := fmt.Sprintf(`[{"id":"datasync","execute-command":"/nonexistent","trigger-rule":{"match":{"type":"payload-hmac-sha256","secret":%q,"parameter":{"source":"header","name":%q}}}}]`,
		secret, signatureHeader)
	if err := os.WriteFile(hooks, []byte(text), 0o600); err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "-hooks", hooks, "-ip", "127.0.0.1", "-port", port) //nolint:gosec // found in PATH
	return startPeer(ctx, cmd, dir, "webhook", port)
}

// startAlertmanager starts Debian's Alertmanager with one receiver that tells nobody.
func startAlertmanager(ctx context.Context, dir string) (*child, error) {
	binary, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "alertmanager.yml")
	text := "route: {receiver: none, group_by: [partner, category]}\nreceivers: [{name: none}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "--config.file="+config, "--storage.path="+filepath.Join(dir, "alertmanager"), //nolint:gosec // found in PATH
		"--web.listen-address=127.0.0.1:"+port, "--cluster.listen-address=", "--log.level=error")
	return startPeer(ctx, cmd, dir, "alertmanager", port)
}

func freePort(ctx context.Context) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return "", err
	}
	return port, ln.Close()
}

// startPeer starts a foreign server and waits until it answers.
func startPeer(ctx context.Context, cmd *exec.Cmd, dir, name, port string) (*child, error) {
	log, err := os.Create(filepath.Join(dir, name+".log")) //nolint:gosec // below the run's own folder
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the child has its own handle
	cmd.Stdout, cmd.Stderr = log, log
	c := &child{cmd: cmd, address: "127.0.0.1:" + port, ended: make(chan struct{}), log: log.Name()}
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		close(c.ended)
	}()
	for time.Since(began) < 10*time.Second {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+"/", http.NoBody)
		if err != nil {
			break
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			_ = answer.Body.Close()
			return c, nil
		}
		if !until(ctx, time.Now().Add(50*time.Millisecond)) {
			break
		}
	}
	c.stop()
	return nil, fmt.Errorf("%s did not answer: see %s", name, c.log)
}
