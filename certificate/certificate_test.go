package certificate_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"datasync-bridge/certificate"
	"datasync-bridge/certificate/certificatetest"
)

// shown is the name in the certificate that a handshake shows.
func shown(t *testing.T, config *tls.Config, pool *x509.CertPool) string {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()  //nolint:errcheck // a pipe
	defer there.Close() //nolint:errcheck // a pipe
	go func() { _ = tls.Server(there, config).Handshake() }()
	client := tls.Client(here, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	return client.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// becomes waits until handshakes show a name: the files are looked at once a second.
func becomes(t *testing.T, config *tls.Config, pool *x509.CertPool, want string) {
	t.Helper()
	limit := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(50 * time.Millisecond); shown(t, config, pool) != want; <-tick.C {
		if time.Now().After(limit) {
			t.Fatalf("handshakes do not show %s", want)
		}
	}
}

func TestARenewedCertificateIsShownAndABrokenOneIsNot(t *testing.T) {
	files, first := certificatetest.New(t, "first")
	var log bytes.Buffer
	pair, err := certificate.Load(files, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	config := pair.Config()
	if got := shown(t, config, first); got != "first" {
		t.Errorf("shows %s, want first", got)
	}
	both := first.Clone()
	// A key that does not fit: the certificate in use stays.
	key, err := os.ReadFile(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	certificatetest.Renew(t, files, "second")
	next, err := os.ReadFile(files.Cert)
	if err != nil || !both.AppendCertsFromPEM(next) {
		t.Fatal(err)
	}
	fits, err := os.ReadFile(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files.Key, key, 0o600); err != nil {
		t.Fatal(err)
	}
	limit := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(50 * time.Millisecond); !strings.Contains(log.String(), "cannot be used"); <-tick.C {
		if got := shown(t, config, both); got != "first" {
			t.Fatalf("a pair that does not fit is shown: %s", got)
		}
		if time.Now().After(limit) {
			t.Fatal("nothing is logged of a pair that does not fit")
		}
	}
	if err := os.WriteFile(files.Key, fits, 0o600); err != nil {
		t.Fatal(err)
	}
	becomes(t, config, both, "second")
	if err := os.Remove(files.Cert); err != nil {
		t.Fatal(err)
	}
	limit = time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(50 * time.Millisecond); strings.Count(log.String(), "cannot be used") < 2; <-tick.C {
		if got := shown(t, config, both); got != "second" {
			t.Fatalf("without its file, %s is shown", got)
		}
		if time.Now().After(limit) {
			t.Fatal("nothing is logged of a file that is gone")
		}
	}
}

func TestAPairThatDoesNotFitStopsTheStart(t *testing.T) {
	files, _ := certificatetest.New(t, "one")
	other, _ := certificatetest.New(t, "other")
	if _, err := certificate.Load(certificate.Files{Cert: files.Cert, Key: other.Key}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a pair that does not fit is loaded")
	}
	var missing []string
	certificate.Files{}.Validate(func(path, _ string) { missing = append(missing, path) })
	if strings.Join(missing, " ") != "cert key" {
		t.Errorf("missing are %v", missing)
	}
}

func TestAPairSaysWhatIsWrongWithItsFiles(t *testing.T) {
	files, _ := certificatetest.New(t, "first")
	pair, err := certificate.Load(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	wants := func(says string) (since time.Time) {
		t.Helper()
		since, why := pair.Problem()
		if says == "" && why != nil || says != "" && (why == nil || !strings.Contains(why.Error(), says)) {
			t.Errorf("it says %v, want %q", why, says)
		}
		return since
	}
	wants("")
	aside := files.Key + ".aside"
	if err := os.Rename(files.Key, aside); err != nil {
		t.Fatal(err)
	}
	began := wants("no such file")
	if err := os.WriteFile(files.Cert, []byte("-----BEGIN CERTIFICATE-----\nhalf"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(aside, files.Key); err != nil {
		t.Fatal(err)
	}
	if since := wants("PEM"); !since.Equal(began) {
		t.Errorf("it is wrong since %v, want %v as before", since, began)
	}
	if left := time.Until(pair.Ends()); left < 50*time.Minute {
		t.Errorf("the certificate in use ends in %v", left)
	}
	certificatetest.Renew(t, files, "second")
	wants("")
}

// A key may become readable without another time or size: by chown or chmod, or
// once a descriptor is free.
func TestARefusedPairIsReadAgainThoughItsFilesLookTheSame(t *testing.T) {
	files, pool := certificatetest.New(t, "first")
	var log bytes.Buffer
	pair, err := certificate.Load(files, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	certificatetest.Renew(t, files, "second")
	next, err := os.ReadFile(files.Cert)
	if err != nil || !pool.AppendCertsFromPEM(next) {
		t.Fatal(err)
	}
	key, err := os.ReadFile(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Hour)
	write := func(text []byte) {
		// Beside it first, so that no look sees the file with another time.
		beside := files.Key + ".new"
		for _, err := range []error{os.WriteFile(beside, text, 0o600), os.Chtimes(beside, at, at), os.Rename(beside, files.Key)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	write(bytes.Repeat([]byte("x"), len(key)))
	limit := time.Now().Add(20 * time.Second)
	for tick := time.NewTicker(50 * time.Millisecond); !strings.Contains(log.String(), "cannot be used"); <-tick.C {
		shown(t, pair.Config(), pool)
		if time.Now().After(limit) {
			t.Fatal("nothing is logged of a key that cannot be read")
		}
	}
	write(key)
	becomes(t, pair.Config(), pool, "second")
	if n := strings.Count(log.String(), "cannot be used"); n != 1 {
		t.Errorf("one state of the files is told %d times:\n%s", n, log.String())
	}
}
