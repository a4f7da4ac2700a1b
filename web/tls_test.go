package web_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"datasync-bridge/web"
	"datasync-bridge/web/client"
)

func TestWithACertificateOnlyTLSIsSpoken(t *testing.T) {
	pair, pool := certificate(t)
	b := start(t, web.Config{TLS: pair, Users: users()}, web.Options{})
	c, err := client.New("https://"+b.addr, anaToken, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}})
	if err != nil {
		t.Fatal(err)
	}
	if st, err := c.Status(t.Context()); err != nil || st.Version != "v1" {
		t.Errorf("over TLS: %+v, %v", st, err)
	}
	plain, err := client.New("http://"+b.addr, anaToken, nil)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := plain.Status(t.Context()); err == nil {
		t.Errorf("without TLS the API answered %+v", st)
	}
}

func TestItSaysWhenItsCertificateEnds(t *testing.T) {
	pair, _ := certificate(t)
	s, err := web.New(web.Config{TLS: pair, Users: users()}, web.Deps{}, web.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(s.CertificateEnds()); left <= 58*time.Minute || left > time.Hour {
		t.Errorf("a certificate for one hour ends in %v", left)
	}
	if s, err = web.New(web.Config{Users: users()}, web.Deps{}, web.Options{}); err != nil || !s.CertificateEnds().IsZero() {
		t.Errorf("without a certificate: %v, %v", s.CertificateEnds(), err)
	}
}

func TestACertificateThatCannotBeReadStopsTheStart(t *testing.T) {
	if _, err := web.New(web.Config{TLS: &web.TLS{Cert: "no", Key: "no"}, Users: users()}, web.Deps{}, web.Options{}); err == nil {
		t.Error("New made a server without its certificate")
	}
}

func certificate(t *testing.T) (*web.TLS, *x509.CertPool) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	must(err)
	dir := t.TempDir()
	pair := &web.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	must(os.WriteFile(pair.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(os.WriteFile(pair.Key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	cert, err := x509.ParseCertificate(der)
	must(err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pair, pool
}
