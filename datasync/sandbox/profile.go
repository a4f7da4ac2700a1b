package sandbox

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxOfProfile = 20 // contacts, and certificates

// readProfile checks what POST /partners takes. The documentation names
// transport details, certificates and contacts; every field's name is assumed.
//
//	{"name": "Harrowgate Grocers",
//	 "transport": {"as2": {"as2_id": "HARROWGATE", "url": "https://as2.harrowgate.example/in"}},
//	          or: {"sftp": {"host": "sftp.harrowgate.example", "port": 22, "username": "u", "password" or "private_key": "…"}},
//	 "contact": {"name", "email", "phone", "hours"},   or "contacts": a list of them
//	 "certificates": [{"role": "encryption", "pem": "-----BEGIN CERTIFICATE-----…"},
//	                  {"role": "signing", "subject": "CN=…", "sha256_fingerprint": "…", "not_after": "2027-01-31T00:00:00Z"}]}
//
// The error names the field. What else there is is kept, except what is secret.
func readProfile(in map[string]any) (Partner, error) {
	p := Partner{ID: text(in, "id"), Name: strings.TrimSpace(text(in, "name")), More: map[string]any{}}
	for key, v := range in {
		if !slices.Contains([]string{"id", "name", "status", "environment", "transport", "contact", "certificates"}, key) {
			p.More[key] = v
		}
	}
	switch {
	case p.Name == "":
		return p, errors.New("name is missing")
	case p.ID != "":
		return p, errors.New("id is given by Datasync; leave it out")
	}
	for _, read := range []func(map[string]any, *Partner) error{readTransport, readContacts, readCertificates} {
		if err := read(in, &p); err != nil {
			return p, err
		}
	}
	return p, nil
}

var as2ID = regexp.MustCompile(`^[\x21-\x7e]([\x20-\x7e]{0,126}[\x21-\x7e])?$`) // RFC 4130 §6.2

func readTransport(in map[string]any, p *Partner) error {
	transport, _ := in["transport"].(map[string]any)
	as2, isAS2 := transport["as2"].(map[string]any)
	sftp, isSFTP := transport["sftp"].(map[string]any)
	if isAS2 == isSFTP {
		return errors.New("transport must hold exactly one of as2 and sftp")
	}
	p.Transport = transport
	if isAS2 {
		return checkAS2(as2)
	}
	return checkSFTP(sftp)
}

func checkAS2(as2 map[string]any) error {
	u, err := url.Parse(text(as2, "url"))
	switch {
	case !as2ID.MatchString(text(as2, "as2_id")):
		return errors.New("transport.as2.as2_id must be 1 to 128 printable ASCII characters")
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return errors.New("transport.as2.url must be an http or https URL")
	case u.User != nil:
		return errors.New("transport.as2.url must hold no user and password")
	}
	return nil
}

func checkSFTP(sftp map[string]any) error {
	if text(sftp, "host") == "" || strings.ContainsAny(text(sftp, "host"), "/ @") {
		return errors.New("transport.sftp.host must be a host name")
	}
	if _, given := sftp["port"]; given {
		if n, err := strconv.Atoi(text(sftp, "port")); err != nil || n < 1 || n > 65535 {
			return errors.New("transport.sftp.port must be 1 to 65535")
		}
	}
	switch {
	case text(sftp, "username") == "":
		return errors.New("transport.sftp.username is missing")
	case text(sftp, "password") == "" && text(sftp, "private_key") == "":
		return errors.New("transport.sftp must hold a password or a private_key")
	}
	return nil
}

func readContacts(in map[string]any, p *Partner) error {
	objects := []any{}
	if one := in["contact"]; one != nil {
		objects = append(objects, one)
	}
	field := "contact"
	if list, given := in["contacts"].([]any); given {
		objects, field = append(objects, list...), "contacts"
	}
	if len(objects) == 0 || len(objects) > maxOfProfile {
		return fmt.Errorf("%s must name 1 to %d persons to call", field, maxOfProfile)
	}
	for i, object := range objects {
		m, _ := object.(map[string]any)
		c := Contact{Name: text(m, "name"), Email: text(m, "email"), Phone: text(m, "phone"), Hours: text(m, "hours")}
		switch {
		case c.Email == "" && c.Phone == "":
			return fmt.Errorf("%s[%d] must hold an email or a phone", field, i)
		case c.Email != "" && !strings.Contains(strings.Trim(c.Email, "@"), "@"):
			return fmt.Errorf("%s[%d].email must be an address such as edi@partner.example", field, i)
		}
		if i == 0 {
			p.Contact = c
		}
	}
	return nil
}

func readCertificates(in map[string]any, p *Partner) error {
	list, ok := in["certificates"].([]any)
	if (in["certificates"] != nil && !ok) || len(list) > maxOfProfile {
		return fmt.Errorf("certificates must be a list of at most %d", maxOfProfile)
	}
	for i, object := range list {
		m, _ := object.(map[string]any)
		c, fault := readCertificate(m)
		if fault != "" {
			return fmt.Errorf("certificates[%d]%s", i, fault)
		}
		p.Certificates = append(p.Certificates, c)
	}
	return nil
}

// readCertificate takes a PEM, or what is known of a certificate without it.
func readCertificate(m map[string]any) (c Certificate, fault string) {
	c = Certificate{Role: text(m, "role"), Subject: text(m, "subject"), Fingerprint: text(m, "sha256_fingerprint")}
	switch {
	case !slices.Contains([]string{"signing", "encryption", "tls"}, c.Role):
		return c, ".role must be signing, encryption or tls"
	case text(m, "pem") == "" && text(m, "not_after") == "":
		return c, " must hold a pem, or subject, sha256_fingerprint and not_after"
	case text(m, "pem") == "":
		at, err := time.Parse(time.RFC3339, text(m, "not_after"))
		if err != nil {
			return c, ".not_after must be a time such as 2027-01-31T00:00:00Z"
		}
		c.NotAfter = at
		return c, ""
	}
	block, _ := pem.Decode([]byte(text(m, "pem")))
	if block == nil || block.Type != "CERTIFICATE" {
		return c, ".pem must hold a CERTIFICATE and nothing else" // a private key least of all
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return c, ".pem holds no certificate that can be read"
	}
	sum := sha256.Sum256(cert.Raw)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	c.Subject, c.Fingerprint, c.NotAfter = cert.Subject.String(), strings.Join(pairs, ":"), cert.NotAfter
	return c, ""
}

var secretName = regexp.MustCompile(`(?i)passw|passphrase|secret|private|token|credential`)

// withoutSecrets copies what may be kept, and told again, of an object.
func withoutSecrets(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	kept := make(map[string]any, len(m))
	for key, v := range m {
		if clean, ok := withoutSecret(v); ok && !secretName.MatchString(key) {
			kept[key] = clean
		}
	}
	return kept
}

func withoutSecret(v any) (clean any, ok bool) {
	switch v := v.(type) {
	case map[string]any:
		return withoutSecrets(v), true
	case []any:
		list := make([]any, 0, len(v))
		for _, one := range v {
			if c, ok := withoutSecret(one); ok {
				list = append(list, c)
			}
		}
		return list, true
	case string:
		return v, !strings.Contains(v, "PRIVATE KEY-----")
	}
	return v, true
}
