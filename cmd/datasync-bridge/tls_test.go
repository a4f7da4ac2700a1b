package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"datasync-bridge/certificate"
	"datasync-bridge/certificate/certificatetest"
)

// overTLS starts serve with a certificate on its public listener.
func overTLS(t *testing.T) (s *served, client *http.Client, files *certificate.Files) {
	t.Helper()
	made, pool := certificatetest.New(t, "first")
	far := newFarSide(t)
	path := configuration(t, far.url, "defaults: {notify: [ops]}\n")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	server := `server: {listen: "127.0.0.1:0", tls: {cert: "` + made.Cert + `", key: "` + made.Key + `"}}`
	text = bytes.Replace(text, []byte(`server: {listen: "127.0.0.1:0"}`), []byte(server), 1)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	client = trustingClient(pool)
	s = startWith(t, bridgeCommand(t.Context(), "serve", "-c", path, "--log-format", "json"), "https://", client)
	s.config = path
	return s, client, &made
}

func trustingClient(pool *x509.CertPool) *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

func TestThePublicListenerSpeaksTLS(t *testing.T) {
	t.Parallel()
	s, client, files := overTLS(t)
	event := func(n int) []byte { return eventBody(n, "transaction.failed", n) }
	if a, err := post(client, s.public, event(1)); err != nil || a.Status != http.StatusAccepted {
		t.Fatalf("an event over TLS: %+v (%v)", a, err)
	}
	// Whoever says nothing, or speaks plain HTTP, holds nobody up.
	address := strings.TrimPrefix(s.public, "https://")
	for range 50 {
		silent, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close() //nolint:errcheck // closed with the test
	}
	if answer, err := hurried.Get("http://" + address + "/readyz"); err == nil && answer.StatusCode == http.StatusOK {
		t.Error("plain HTTP is answered on a TLS listener")
	}
	if a, err := post(client, s.public, event(2)); err != nil || a.Status != http.StatusAccepted {
		t.Errorf("an event beside silent connections: %+v (%v)", a, err)
	}
	// A body that is refused before its end: the answer is read all the same.
	if a, err := post(client, s.public, bytes.Repeat([]byte("x"), 4<<20)); err != nil || a.Code != "body_too_large" {
		t.Errorf("a body of 4 MiB: %+v (%v), want body_too_large", a, err)
	}
	if out := s.works("healthcheck"); !strings.Contains(out, "ready") {
		t.Errorf("healthcheck says %q", out)
	}
	// A renewed certificate is shown to new connections; the old ones go on.
	if a, err := post(client, s.public, event(5)); err != nil || a.Status != http.StatusAccepted {
		t.Errorf("an event after the refused one: %+v (%v)", a, err)
	}
	next := certificatetest.Renew(t, *files, "second")
	eventually(t, time.Minute, "the renewed certificate is shown", func() bool {
		a, err := post(trustingClient(next), s.public, event(3))
		return err == nil && a.Status/100 == 2
	})
	if a, err := post(client, s.public, event(4)); err != nil || a.Status != http.StatusAccepted {
		t.Errorf("an event over a connection of before: %+v (%v)", a, err)
	}
	if code := s.stop(); code != exitOK {
		t.Errorf("serve ended with %d\n%s", code, s.log())
	}
}
