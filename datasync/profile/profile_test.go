package profile_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"datasync-bridge/datasync/profile"
	"datasync-bridge/event"
)

var clock = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// keys are made once: they take the most time here.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	strong, err1 := rsa.GenerateKey(rand.Reader, 2048)
	weak, err2 := rsa.GenerateKey(rand.Reader, 1024)
	curve, err3 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, edwards, err4 := ed25519.GenerateKey(rand.Reader)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			panic(err)
		}
	}
	return map[string]crypto.Signer{"rsa": strong, "weak": weak, "ec": curve, "ed25519": edwards}
})

// certificate makes one in PEM, valid from and until so many days from now.
func certificate(t *testing.T, key string, from, until int) (text string, raw []byte) {
	t.Helper()
	signer := keys()[key]
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Acme AS2"},
		NotBefore: clock.AddDate(0, 0, from), NotAfter: clock.AddDate(0, 0, until),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", raw), raw
}

func block(kind string, raw []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}))
}

func privateKey(t *testing.T) string {
	t.Helper()
	raw, err := x509.MarshalPKCS8PrivateKey(keys()["rsa"])
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", raw)
}

type found struct {
	at, text string
	warning  bool
}

func check(p *profile.Profile, dir string) []found {
	var all []found
	p.Check(dir, clock, func(at, text string, warning bool) { all = append(all, found{at, text, warning}) })
	return all
}

func contacts() []profile.Contact {
	return []profile.Contact{{Name: "EDI desk", Email: "edi@acme.example"}}
}

func as2(file string) *profile.Profile {
	return &profile.Profile{Name: "Acme", Contacts: contacts(), AS2: &profile.AS2{
		ID: "ACME", URL: "https://as2.acme.example/in", MDN: "async", Sign: "sha256",
		Certificates: []profile.Certificate{{Role: "signing", File: file}},
	}}
}

func sftp() *profile.Profile {
	return &profile.Profile{Name: "Acme", Contacts: contacts(), SFTP: &profile.SFTP{
		Host: "sftp.acme.example", Username: "us", Password: "hunter-two-canary", HostKey: "SHA256:" + strings.Repeat("a", 43),
	}}
}

func write(t *testing.T, text string) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "partner.pem"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, "partner.pem"
}

func TestACertificateIsJudgedByWhatItsFileHolds(t *testing.T) {
	good, raw := certificate(t, "rsa", -1, 400)
	curve, _ := certificate(t, "ec", -1, 400)
	valid := func(key string, from, until int) string { text, _ := certificate(t, key, from, until); return text }
	for _, tt := range []struct {
		name, text string
		want       string // "" for nothing to say
		warning    bool
	}{
		{"RSA of 2048 bits", good, "", false},
		{"an elliptic curve", curve, "", false},
		{"one with words around it", "subject=Acme\n" + good, "", false},
		{"with the chain behind it", good + curve, "", false},
		{"one that ends in 31 days", valid("rsa", -1, 31), "", false},
		{"one that ends soon", valid("rsa", -1, 29), "expires on 2026-12-22, in 29 days", true},
		{"one that ended", valid("rsa", -400, -1), "expired on 2026-11-22", false},
		{"one that ends now", valid("rsa", -400, 0), "expired on 2026-11-23", false},
		{"one of the future", valid("rsa", 1, 400), "not valid before 2026-11-24", false},
		{"a chain that ended", good + valid("ec", -400, -1), "certificate 2 of the chain expired", false},
		{"a short RSA key", valid("weak", -1, 400), "RSA key of 1024 bits", false},
		{"a key that AS2 does not know", valid("ed25519", -1, 400), "key of kind Ed25519", false},
		{"a private key", privateKey(t), "holds a private key", false},
		{"a private key behind the certificate", good + privateKey(t), "holds a private key", false},
		{"a request for a certificate", block("CERTIFICATE REQUEST", raw), "something else than certificates", false},
		{"nothing of the kind", "hello", "holds no certificate", false},
		{"an empty file", "", "holds no certificate", false},
		{"a block that is no certificate", block("CERTIFICATE", []byte("canary")), "no X.509 certificate", false},
		{"DER", string(raw), "openssl x509", false},
		{"a large file", good + strings.Repeat("x", 70<<10), "larger than 64 KiB", false},
		{"a long chain", strings.Repeat(good, 11), "more than 10 certificates", false},
	} {
		dir, file := write(t, tt.text)
		p := as2(file)
		said := check(p, dir)
		switch {
		case tt.want == "" && len(said) > 0:
			t.Errorf("%s: %+v", tt.name, said)
		case tt.want != "" && (len(said) != 1 || !strings.Contains(said[0].text, tt.want) || said[0].warning != tt.warning):
			t.Errorf("%s: %+v, want one with %q (warning %t)", tt.name, said, tt.want, tt.warning)
		}
		for _, s := range said {
			if s.at != "as2.certificates[0].file" || strings.Contains(s.text, "canary") {
				t.Errorf("%s: %s says %q", tt.name, s.at, s.text)
			}
		}
	}
}

func TestACertificatesFileLiesBesideTheProfileAndIsOrdinary(t *testing.T) {
	good, _ := certificate(t, "rsa", -1, 400)
	dir, file := write(t, good)
	pipe := filepath.Join(dir, "pipe.pem")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, file, want string }{
		{"beside the profile", file, ""},
		{"by its whole name", filepath.Join(dir, file), ""},
		{"not there", "other.pem", "relative to the profile's folder"},
		{"not named", "", "name a PEM file"},
		{"a folder", ".", "no regular file"},
		{"a pipe, which would never end", pipe, "no regular file"},
	} {
		said := check(as2(tt.file), dir)
		if tt.want == "" && len(said) > 0 || tt.want != "" && (len(said) != 1 || !strings.Contains(said[0].text, tt.want)) {
			t.Errorf("%s: %+v, want %q", tt.name, said, tt.want)
		}
	}
}

func TestEveryFaultOfAProfileIsReportedAtItsKey(t *testing.T) {
	good, _ := certificate(t, "rsa", -1, 400)
	dir, file := write(t, good)
	with := func(p *profile.Profile, change func(*profile.Profile)) *profile.Profile { change(p); return p }
	for _, tt := range []struct {
		name string
		p    *profile.Profile
		want []string // a warning begins with "~"
	}{
		{"AS2", as2(file), nil},
		{"SFTP", sftp(), nil},
		{"nothing", &profile.Profile{}, []string{"name", "contacts", ""}},
		{"both transports", with(as2(file), func(p *profile.Profile) { p.SFTP = sftp().SFTP }), []string{"sftp"}},
		{"contacts nobody can reach", with(sftp(), func(p *profile.Profile) {
			p.Contacts = []profile.Contact{{Name: "Ann"}, {Email: "ann"}, {Phone: "+1 555 0100"}}
		}), []string{"contacts[0]", "contacts[1].email"}},
		{"an empty AS2", &profile.Profile{Name: "A", Contacts: contacts(), AS2: &profile.AS2{}},
			[]string{"as2.as2_id", "as2.url", "as2.mdn", "as2.certificates"}},
		{"AS2 by http", with(as2(file), func(p *profile.Profile) { p.AS2.URL = "http://as2.acme.example" }), []string{"as2.url"}},
		{"a password in the address", with(as2(file), func(p *profile.Profile) { p.AS2.URL = "https://u:canary@as2.acme.example" }), []string{"as2.url"}},
		{"words that are none", with(as2(file), func(p *profile.Profile) { p.AS2.MDN, p.AS2.Sign = "never", "md5" }), []string{"as2.mdn", "as2.sign"}},
		{"old algorithms", with(as2(file), func(p *profile.Profile) { p.AS2.Sign = "sha1" }), []string{"~as2.sign"}},
		{"encryption without a certificate", with(as2(file), func(p *profile.Profile) { p.AS2.Encrypt = "aes256-cbc" }), []string{"as2.certificates"}},
		{"two certificates for one role", with(as2(file), func(p *profile.Profile) {
			p.AS2.Certificates = append(p.AS2.Certificates, p.AS2.Certificates[0])
		}), []string{"as2.certificates[1].role"}},
		{"an empty SFTP", &profile.Profile{Name: "A", Contacts: contacts(), SFTP: &profile.SFTP{}},
			[]string{"sftp.host", "sftp.username", "sftp", "~sftp.host_key"}},
		{"an address for a host", with(sftp(), func(p *profile.Profile) { p.SFTP.Host, p.SFTP.Port = "sftp://h/x", 70000 }), []string{"sftp.host", "sftp.port"}},
		{"a host key that is none", with(sftp(), func(p *profile.Profile) { p.SFTP.HostKey = "trust me" }), []string{"sftp.host_key"}},
		{"a key that is none", with(sftp(), func(p *profile.Profile) { p.SFTP.PrivateKey = "canary" }), []string{"sftp.private_key"}},
		{"folders that lead elsewhere", with(sftp(), func(p *profile.Profile) {
			p.SFTP.Directories = profile.Directories{Inbound: "/in/../etc", Outbound: "out"}
		}), []string{"sftp.directories.inbound", "sftp.directories.outbound"}},
		{"folders", with(sftp(), func(p *profile.Profile) { p.SFTP.Directories = profile.Directories{Inbound: "/in/", Outbound: "/"} }), nil},
	} {
		var got []string
		for _, s := range check(tt.p, dir) {
			if s.warning {
				s.at = "~" + s.at
			}
			if s.text == "" || strings.Contains(s.text, "canary") {
				t.Errorf("%s: %s says %q", tt.name, s.at, s.text)
			}
			got = append(got, s.at)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: found at %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestTheBodyHoldsTheCertificateAndNothingElseOfItsFile(t *testing.T) {
	good, raw := certificate(t, "rsa", -1, 400)
	dir, file := write(t, "a word that stays here\n"+good)
	p := as2(file)
	if said := check(p, dir); len(said) > 0 {
		t.Fatalf("%+v", said)
	}
	text, err := json.Marshal(p.Body())
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		Name      string
		Transport struct{ AS2 map[string]string }
		Contacts  []map[string]string
		Cert      []map[string]string `json:"certificates"`
	}
	if err := json.Unmarshal(text, &body); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	if body.Name != "Acme" || body.Transport.AS2["as2_id"] != "ACME" || body.Contacts[0]["email"] != "edi@acme.example" ||
		body.Cert[0]["pem"] != good || body.Cert[0]["sha256_fingerprint"] != hex.EncodeToString(sum[:]) || body.Cert[0]["role"] != "signing" {
		t.Errorf("body %s", text)
	}
	if c := p.AS2.Certificates[0]; c.Subject != "CN=Acme AS2" || !c.NotAfter.Equal(clock.AddDate(0, 0, 400)) {
		t.Errorf("certificate %+v", c)
	}
}

func TestSecretsLeaveInTheCallAlone(t *testing.T) {
	p := sftp()
	p.SFTP.PrivateKey = event.Secret(privateKey(t))
	if said := check(p, ""); len(said) > 0 {
		t.Fatalf("%+v", said)
	}
	shown, err := json.Marshal(p.Body())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(shown), "canary") || strings.Contains(string(shown), "PRIVATE KEY") || strings.Count(string(shown), "redacted") != 2 {
		t.Errorf("what is shown holds a secret: %s", shown)
	}
	sent := profile.Reveal(p.Body())["transport"].(map[string]any)["sftp"].(map[string]any)
	if sent["password"] != "hunter-two-canary" || sent["private_key"] != p.SFTP.PrivateKey.Reveal() || sent["port"] != 22 {
		t.Errorf("what is sent lacks a secret, or the port: port %v", sent["port"])
	}
}

func TestAnAnswerThatRepeatsASecretIsRecognized(t *testing.T) {
	p := sftp()
	p.SFTP.PrivateKey = event.Secret(privateKey(t))
	lines := strings.Split(p.SFTP.PrivateKey.Reveal(), "\n")
	for _, tt := range []struct {
		text string
		want bool
	}{
		{"password hunter-two-canary is too short", true},
		{"password hunter-two… is too short", true},
		{"private_key: " + lines[1], true},
		{"private_key: " + lines[3][10:40] + "…", true},
		{"private_key: " + strings.Join(lines, " "), true},
		{`private_key: ` + lines[1] + `\n`, true},
		{"expected -----BEGIN PRIVATE KEY-----", false},
		{"transport.sftp.host must be a host name", false},
		{"", false},
	} {
		if got := p.Repeats(tt.text); got != tt.want {
			t.Errorf("%q: %t", tt.text, got)
		}
	}
	if as2("x").Repeats("anything at all") {
		t.Error("a profile without secrets has one repeated")
	}
	short := sftp()
	short.SFTP.Password = "abc"
	if !short.Repeats("password abc is weak") || short.Repeats("password is weak") {
		t.Error("a short password is not recognized as a whole")
	}
}
