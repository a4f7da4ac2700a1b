package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNoCommandButServeMakesAStore(t *testing.T) {
	t.Parallel()
	path := configuration(t, "http://127.0.0.1:1", "defaults: {notify: [ops]}\n")
	for _, line := range []string{
		"incidents acknowledge in_0000000000000", "incidents resolve in_0000000000000 --why x", "deliveries retry dl_0000000000000",
		"events", "incidents show in_0000000000000", "explain ev_0000000000000", "backup " + filepath.Join(t.TempDir(), "copy.db"),
	} {
		o := command(t, nil, append(strings.Fields(line), "-c", path)...)
		if o.code != exitFailed || !strings.Contains(o.err, "there is no store at "+dataDir(path)) {
			t.Errorf("%s: %v\nwant exit 1 and the whole path of the store that is missed", line, o)
		}
		if _, err := os.Stat(dataDir(path)); err == nil {
			t.Fatalf("%s made %s", line, dataDir(path))
		}
	}
}

// The certificate of an admin listener on every address bears the machine's
// name, while the command beside it calls loopback.
func TestDeedsTrustTheListenersOwnCertificateByItsName(t *testing.T) {
	for _, names := range [][]string{{"bridge.example.com"}, {"*.example.com"}} {
		cert, key := selfSigned(t, names)
		path := configuration(t, "http://127.0.0.1:1", "defaults: {notify: [ops]}\n")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.Replace(text, []byte(`admin: {listen: "127.0.0.1:0"}`), fmt.Appendf(nil, `admin: {listen: "0.0.0.0:0", tls: {cert: %q, key: %q}}`, cert, key), 1)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c := &cli{configPath: path}
		cfg, err := c.load()
		if err != nil {
			t.Fatal(err)
		}
		b, err := assemble(t.Context(), cfg, t.Output(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.close() })
		l, err := b.listen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = l.public.Close()
		ended := make(chan error, 1)
		go func() { ended <- b.admin.Run(t.Context(), l.admin) }()
		cfg.Admin.Listen = l.admin.Addr().String()
		remote, err := adminClient(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if status, err := remote.Status(t.Context()); err != nil || !status.Ready {
			t.Errorf("%v: %+v, %v", names, status, err)
		}
	}
}

func selfSigned(t *testing.T, names []string) (cert, key string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(err)
	keyDER, err := x509.MarshalECPrivateKey(private)
	must(err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	return cert, key
}

func TestAConfigurationWithUsersAsksForOnesOwnToken(t *testing.T) {
	t.Setenv(tokenVariable, "")
	path := configuration(t, "http://127.0.0.1:1", "defaults: {notify: [ops]}\n")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	users := fmt.Sprintf(`admin: {listen: "127.0.0.1:9", users: [{name: ana, token_sha256: "%064d", roles: [view]}]}`, 1)
	if err := os.WriteFile(path, bytes.Replace(text, []byte(`admin: {listen: "127.0.0.1:0"}`), []byte(users), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := (&cli{configPath: path}).load()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(tokenFile(cfg)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tokenFile(cfg), []byte("a token of earlier times"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := adminClient(cfg); err == nil || !strings.Contains(err.Error(), tokenVariable) {
		t.Errorf("with users and no token of one's own: %v, want the variable named", err)
	}
}

func TestHealthcheckNeedsTheAddressAloneAndNoProxy(t *testing.T) {
	ready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			http.NotFound(w, r)
		}
	}))
	defer ready.Close()
	proxied := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	defer proxied.Close()
	elsewhere := httptest.NewServer(http.RedirectHandler(ready.URL+"/readyz", http.StatusFound))
	defer elsewhere.Close()
	for _, tt := range []struct {
		name, text string
		code       int
	}{
		{"secrets that are not set and a line in the making", fmt.Sprintf("server: {listen: %q}\nnotifers: [\"${NOT_SET}\"]\n", ready.Listener.Addr()), exitOK},
		{"a listener that answers elsewhere", fmt.Sprintf("server: {listen: %q}\n", elsewhere.Listener.Addr()), exitFailed},
		{"an address of another machine", "server: {listen: \"192.0.2.1:1\"}\n", exitFailed},
		{"no address", "server: {listen: \"${NOT_SET}\"}\n", exitFailed},
		{"no YAML", "server: [", exitFailed},
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if o := command(t, []string{"HTTP_PROXY=" + proxied.URL}, "healthcheck", "-c", path); o.code != tt.code {
			t.Errorf("%s: %v\nwant exit %d", tt.name, o, tt.code)
		}
	}
}

func TestJSONHoldsNothingThatSteersATerminal(t *testing.T) {
	var out bytes.Buffer
	const hostile = "a\u009b2J\x1b[31m\u202eb\x7f\u200d🔴\U000e0041\n"
	if err := writeJSON(&out, map[string]string{"name": hostile}); err != nil {
		t.Fatal(err)
	}
	for _, r := range strings.ReplaceAll(out.String(), "\n", "") {
		if steers(r) {
			t.Errorf("%q is printed as it is in %q", r, out.String())
		}
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["name"] != hostile {
		t.Errorf("read back as %q, %v", back["name"], err)
	}
}
