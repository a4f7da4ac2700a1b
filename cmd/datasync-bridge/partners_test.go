package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
)

const canaryPassword = "canary-of-a-partner"

// certificateFiles writes a certificate that is valid for so many days and its
// private key, and returns the key's text.
func certificateFiles(t *testing.T, dir string, days int) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Acme AS2"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Duration(days)*24*time.Hour + time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyRaw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyRaw}))
	writeFile(t, dir, "acme.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})))
	writeFile(t, dir, "acme.key", text)
	return text
}

const as2Profile = `name: Acme Retail
contacts: [{name: EDI desk, email: edi@acme.example, phone: "+1 555 0100", role: edi}]
as2:
  as2_id: ACMERETAIL
  url: https://as2.acme.example/receive
  mdn: async
  sign: sha256
  certificates: [{role: signing, file: acme.pem}]
`

func TestAPartnerIsCreatedAndShown(t *testing.T) {
	t.Parallel()
	far, section := newDatasync(t, sandbox.Options{})
	path := apiConfiguration(t, section, "")
	dir := t.TempDir()
	certificateFiles(t, dir, 20)
	profile := writeFile(t, dir, "partner.yaml", as2Profile)

	planned := command(t, nil, "datasync", "partners", "create", profile, "--dry-run")
	if planned.code != exitOK || !strings.Contains(planned.out, "BEGIN CERTIFICATE") || !strings.Contains(planned.out, "nothing was sent") ||
		!strings.Contains(planned.out, "SOON: 20 days left") || !strings.Contains(planned.err, "partner.yaml:8:34: warning: as2.certificates[0].file: expires on") {
		t.Errorf("a dry run, without any configuration: %v", planned)
	}
	if len(far.Calls()) > 0 {
		t.Errorf("a dry run made calls: %v", far.Calls())
	}
	var made createdPartner
	text := works(t, nil, "datasync", "partners", "create", profile, "-c", path, "-o", "json")
	if err := json.Unmarshal([]byte(text), &made); err != nil || made.ID == "" || made.Status == "" || made.RequestID == "" {
		t.Fatalf("created: %s (%v)", text, err)
	}
	shown := works(t, nil, "datasync", "partners", "get", made.ID, "-c", path)
	for _, want := range []string{"Acme Retail", "edi@acme.example", "ACMERETAIL", "CN=Acme AS2", "SOON: 20 days left", made.Status} {
		if !strings.Contains(shown, want) {
			t.Errorf("partners get lacks %q:\n%s", want, shown)
		}
	}
	raw := works(t, nil, "datasync", "partners", "get", made.ID, "-c", path, "-o", "json")
	var answer struct{ ID, Name string }
	if err := json.Unmarshal([]byte(raw), &answer); err != nil || answer.ID != made.ID || answer.Name != "Acme Retail" {
		t.Errorf("partners get -o json: %s (%v)", raw, err)
	}
	if o := command(t, nil, "datasync", "partners", "get", "par_none", "-c", path); o.code != exitFailed || !strings.Contains(o.err, "404") || !strings.Contains(o.err, "req_") {
		t.Errorf("a partner that is not there: %v", o)
	}
}

func TestWhatIsWrongWithAProfileIsSaidBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	far, section := newDatasync(t, sandbox.Options{})
	path := apiConfiguration(t, section, "")
	dir := t.TempDir()
	certificateFiles(t, dir, -1)
	profile := writeFile(t, dir, "partner.yaml", strings.Replace(as2Profile, "mdn: async", "mdn: never\n  mdm: x", 1))
	o := command(t, nil, "datasync", "partners", "create", profile, "-c", path)
	for _, want := range []string{
		":6:3: as2.mdn: \"never\" is none of sync, async", ":7:3: as2.mdm: is not a known key", ":9:34: as2.certificates[0].file: expired on",
	} {
		if o.code != exitFailed || !strings.Contains(o.err, "partner.yaml"+want) {
			t.Errorf("%v\nwant exit 1 and %s", o, want)
		}
	}
	writeFile(t, dir, "partner.yaml", strings.Replace(as2Profile, "acme.pem", "acme.key", 1))
	if o := command(t, nil, "datasync", "partners", "create", profile, "-c", path); o.code != exitFailed || !strings.Contains(o.err, "holds a private key") {
		t.Errorf("a private key in a certificate's place: %v", o)
	}
	if n := far.Calls(); len(n) > 0 {
		t.Errorf("calls were made: %v", n)
	}
}

// TestNoSecretOfAPartnerIsTold makes everything fail that has to do with a
// partner's password or private key, and searches all that is printed.
func TestNoSecretOfAPartnerIsTold(t *testing.T) {
	t.Parallel()
	far, section := newDatasync(t, sandbox.Options{})
	path := apiConfiguration(t, section, "")
	dir := t.TempDir()
	key := certificateFiles(t, dir, 100)
	keyLine := strings.Split(key, "\n")[1]
	writeFile(t, dir, "password", canaryPassword+"\n")
	sftp := func(credentials string) string {
		return writeFile(t, dir, "partner.yaml", `name: Acme
contacts: [{email: edi@acme.example}]
sftp:
  host: sftp.acme.example
  username: us
  host_key: "SHA256:`+strings.Repeat("a", 43)+`"
  `+credentials+"\n")
	}
	create := []string{"datasync", "partners", "create", filepath.Join(dir, "partner.yaml"), "-c", path, "--log-level", "debug"}
	env := []string{"PARTNER_PASSWORD=" + canaryPassword}
	repeat := func(message string) { // Datasync may repeat what it refuses
		far.FailNext("/v1/partners", sandbox.Fault{Status: http.StatusUnprocessableEntity, Message: message})
	}
	nothing := func() {}
	for _, tt := range []struct {
		name, credentials string
		before            func()
		more              []string
		code              int
	}{
		{"created with a password file", "password_file: password", nothing, nil, exitOK},
		{"created with a variable", `password: "${PARTNER_PASSWORD}"`, nothing, nil, exitOK},
		{"created with a key", "private_key_file: acme.key", nothing, []string{"-o", "json"}, exitOK},
		{"a dry run", "password_file: password", nothing, []string{"--dry-run"}, exitOK},
		{"a dry run with a key as JSON", "private_key_file: acme.key", nothing, []string{"--dry-run", "-o", "json"}, exitOK},
		{"a password refused word by word", "password_file: password", func() { repeat("password " + canaryPassword + " is weak") }, nil, exitFailed},
		{"a part of it", "password_file: password", func() { repeat("password " + canaryPassword[:12] + "… is weak") }, nil, exitFailed},
		{"a key refused word by word", "private_key_file: acme.key", func() { repeat("key is no good: " + key) }, nil, exitFailed},
		{"a line of it", "private_key_file: acme.key", func() { repeat("key is no good: " + keyLine[5:30]) }, nil, exitFailed},
		{"an outage", "password_file: password", func() {
			far.FailNext("/v1/partners", sandbox.Fault{Reset: true, AfterActing: true})
		}, nil, exitFailed},
		{"half an answer", "password_file: password", func() { far.FailNext("/v1/partners", sandbox.Fault{Truncate: true}) }, nil, -1},
		{"a broken profile", "password_file: password\n  pasword: " + canaryPassword, nothing, nil, exitFailed},
		{"a password without quotes", "password: [" + canaryPassword + "]", nothing, nil, exitFailed},
		{"a password as a tag", "password: !" + canaryPassword, nothing, nil, exitFailed},
		{"a password as a key", "private_key: " + canaryPassword, nothing, nil, exitFailed},
	} {
		sftp(tt.credentials)
		tt.before()
		o := command(t, env, append(create, tt.more...)...)
		far.Heal()
		if o.code != tt.code && tt.code >= 0 {
			t.Errorf("%s: %v\nwant exit %d", tt.name, o, tt.code)
		}
		text := o.out + o.err
		for _, secret := range []string{canaryPassword, canaryPassword[:12], keyLine, keyLine[5:30]} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: tells %q:\n%s", tt.name, secret, text)
			}
		}
	}
	if _, err := os.Stat(dataDir(path)); err == nil {
		t.Error("something was stored")
	}
}
