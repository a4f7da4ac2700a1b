package sandbox_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"datasync-bridge/datasync/sandbox"
)

var certificateEnd = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

// certificatePEM makes a certificate and its private key.
func certificatePEM(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "as2.harrowgate.example"}, NotAfter: certificateEnd}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: hidden}))
}

func as2Profile(certificates ...any) map[string]any {
	return map[string]any{
		"name":         "Harrowgate Grocers",
		"transport":    map[string]any{"as2": map[string]any{"as2_id": "HARROWGATE", "url": "https://as2.harrowgate.example/in"}},
		"contact":      map[string]any{"name": "EDI Desk", "email": "edi@harrowgate.example"},
		"certificates": certificates,
		"region":       "midwest",
	}
}

func TestCreatedPartnerIsToldWholeAndPending(t *testing.T) {
	_, base := start(t, sandbox.Options{})
	certificate, _ := certificatePEM(t)
	bearer := token(t, base)
	status, made := call(t, "POST", base+"/v1/partners", bearer, as2Profile(map[string]any{"role": "encryption", "pem": certificate}))
	id, _ := made["id"].(string)
	if status != 201 || id == "" || made["status"] != "pending" {
		t.Fatalf("created: %d %v, want 201 with an id and status pending", status, made)
	}
	status, got := call(t, "GET", base+"/v1/partners/"+id, bearer, nil)
	text, err := json.Marshal(got)
	if status != 200 || err != nil {
		t.Fatalf("read: %d, %v", status, err)
	}
	for _, want := range []string{
		"certificates []interface {}", "contact.email string", "contact.name string", "environment string", "id string", "name string",
		"region string", "status string", "transport.as2.as2_id string", "transport.as2.url string",
	} {
		if !contains(shape(t, text), []string{want}) {
			t.Errorf("the partner lacks %s: %s", want, text)
		}
	}
	one := got["certificates"].([]any)[0].(map[string]any)
	if one["role"] != "encryption" || one["subject"] != "CN=as2.harrowgate.example" || one["not_after"] != "2031-05-06T07:08:09Z" ||
		len(one["sha256_fingerprint"].(string)) != 95 || one["id"] == "" {
		t.Errorf("certificate %v does not say what the PEM holds", one)
	}
}

func TestSecretsOfAPartnerAreNotKept(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	_, key := certificatePEM(t)
	profile := as2Profile()
	profile["transport"] = map[string]any{"sftp": map[string]any{
		"host": "sftp.harrowgate.example", "port": 2222, "username": "ds-in", "password": "open-sesame", "Private_Key": key,
		"proxy": []any{map[string]any{"passphrase": "open-sesame"}, key}, "path": "/in",
	}}
	profile["notes"] = "the key is " + key
	profile["api_token"] = "open-sesame"
	bearer := token(t, base)
	status, made := call(t, "POST", base+"/v1/partners", bearer, profile)
	if status != 201 {
		t.Fatalf("created: %d %v", status, made)
	}
	_, got := call(t, "GET", base+"/v1/partners/"+made["id"].(string), bearer, nil)
	kept, _ := s.Partner(made["id"].(string))
	for _, object := range []any{made, got, kept} {
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "open-sesame") || strings.Contains(string(text), "PRIVATE KEY") || !strings.Contains(string(text), "ds-in") {
			t.Errorf("%s holds a secret, or lacks the user name", text)
		}
	}
}

func TestRefusedProfileNamesItsField(t *testing.T) {
	_, base := start(t, sandbox.Options{})
	bearer := token(t, base)
	certificate, key := certificatePEM(t)
	sftp := func(change func(map[string]any)) func(map[string]any) {
		return func(p map[string]any) {
			transport := map[string]any{"host": "h", "username": "u", "password": "p"}
			change(transport)
			p["transport"] = map[string]any{"sftp": transport}
		}
	}
	as2 := func(key string, v any) func(map[string]any) {
		return func(p map[string]any) { p["transport"].(map[string]any)["as2"].(map[string]any)[key] = v }
	}
	certificates := func(one map[string]any) func(map[string]any) {
		return func(p map[string]any) { p["certificates"] = []any{one} }
	}
	for _, tt := range []struct {
		field  string // "" is accepted
		change func(map[string]any)
	}{
		{"", func(map[string]any) {}},
		{"", sftp(func(m map[string]any) { m["port"] = 22 })},
		{"", certificates(map[string]any{"role": "signing", "subject": "CN=x", "not_after": "2030-01-01T00:00:00Z"})},
		{"", func(p map[string]any) { delete(p, "contact"); p["contacts"] = []any{map[string]any{"phone": "+1"}} }},
		{"name", func(p map[string]any) { p["name"] = " " }},
		{"id", func(p map[string]any) { p["id"] = "par_mine" }},
		{"transport", func(p map[string]any) { delete(p, "transport") }},
		{"transport", func(p map[string]any) { p["transport"].(map[string]any)["sftp"] = map[string]any{"host": "h"} }},
		{"transport.as2.as2_id", as2("as2_id", "")},
		{"transport.as2.as2_id", as2("as2_id", "grün")},
		{"transport.as2.url", as2("url", "ftp://x")},
		{"transport.as2.url", as2("url", "https://u:p@x")},
		{"transport.sftp.host", sftp(func(m map[string]any) { m["host"] = "u@h" })},
		{"transport.sftp.port", sftp(func(m map[string]any) { m["port"] = 70000 })},
		{"transport.sftp.username", sftp(func(m map[string]any) { delete(m, "username") })},
		{"transport.sftp must hold a password", sftp(func(m map[string]any) { delete(m, "password") })},
		{"contact", func(p map[string]any) { delete(p, "contact") }},
		{"contact[0]", func(p map[string]any) { p["contact"] = map[string]any{"name": "n"} }},
		{"contacts[1].email", func(p map[string]any) { p["contacts"] = []any{map[string]any{"email": "@x"}} }},
		{"certificates", func(p map[string]any) { p["certificates"] = "x" }},
		{"certificates[0].role", certificates(map[string]any{"role": "root", "pem": certificate})},
		{"certificates[0] must hold", certificates(map[string]any{"role": "tls"})},
		{"certificates[0].not_after", certificates(map[string]any{"role": "tls", "not_after": "soon"})},
		{"certificates[0].pem", certificates(map[string]any{"role": "tls", "pem": key})},
		{"certificates[0].pem", certificates(map[string]any{"role": "tls", "pem": "x"})},
	} {
		profile := as2Profile()
		tt.change(profile)
		status, body := call(t, "POST", base+"/v1/partners", bearer, profile)
		if tt.field == "" {
			if status != 201 {
				t.Errorf("%v: %d %v, want 201", profile, status, body)
			}
			continue
		}
		message, _ := body["error"].(map[string]any)["message"].(string)
		if status != 422 || !strings.HasPrefix(message, tt.field) || body["request_id"] == nil {
			t.Errorf("%s: %d %v, want 422 that begins with the field", tt.field, status, body)
		}
	}
}

func TestPartnerOfATransactionIsKnown(t *testing.T) {
	s, base := start(t, sandbox.Options{})
	bearer := token(t, base)
	s.PutPartner(sandbox.Partner{ID: "par_1", Name: "Kept", Certificates: []sandbox.Certificate{{Role: "signing", NotAfter: certificateEnd}}})
	contact := sandbox.Contact{Email: "edi@partner.example"}
	s.Put(sandbox.Transaction{Partner: sandbox.Partner{ID: "par_1", Name: "Other", Contact: contact}})
	s.Put(sandbox.Transaction{Partner: sandbox.Partner{ID: "par_2", Name: "New", Contact: contact}})
	for id, name := range map[string]string{"par_1": "Kept", "par_2": "New"} {
		status, body := call(t, "GET", base+"/v1/partners/"+id, bearer, nil)
		mail, _ := body["contact"].(map[string]any)["email"].(string)
		if status != 200 || body["name"] != name || body["status"] != "active" || mail != contact.Email {
			t.Errorf("%s: %d %v, want %s with the contact that the transaction told", id, status, body, name)
		}
	}
	if kept, _ := s.Partner("par_1"); len(kept.Certificates) != 1 {
		t.Errorf("certificates %v were lost", kept.Certificates)
	}
	if status, body := call(t, "GET", base+"/v1/partners/par_3", bearer, nil); status != 404 || body["request_id"] == nil {
		t.Errorf("unknown partner: %d %v", status, body)
	}
	if status, _ := call(t, "POST", base+"/_control/partners", "", map[string]any{
		"id": "par_3", "status": "suspended", "certificates": []any{map[string]any{"role": "tls", "not_after": "2030-01-01T00:00:00Z"}}}); status != 201 {
		t.Errorf("put by control: %d", status)
	}
	if _, body := call(t, "GET", base+"/v1/partners/par_3", bearer, nil); body["status"] != "suspended" || len(body["certificates"].([]any)) != 1 {
		t.Errorf("put by control, then read: %v", body)
	}
}
