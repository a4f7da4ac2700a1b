package web_test

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"datasync-bridge/certificate"
	"datasync-bridge/certificate/certificatetest"
	"datasync-bridge/web"
	"datasync-bridge/web/client"
)

func TestWithACertificateOnlyTLSIsSpoken(t *testing.T) {
	files, pool := certificatetest.New(t, "admin")
	b := start(t, web.Config{TLS: &files, Users: users()}, web.Options{})
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
	files, _ := certificatetest.New(t, "admin")
	s, err := web.New(web.Config{TLS: &files, Users: users()}, web.Deps{}, web.Options{})
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
	if _, err := web.New(web.Config{TLS: &certificate.Files{Cert: "no", Key: "no"}, Users: users()}, web.Deps{}, web.Options{}); err == nil {
		t.Error("New made a server without its certificate")
	}
}
