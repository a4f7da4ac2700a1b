// Package profile knows what a trading partner's profile must hold before it
// is sent to Datasync: contacts, and one way of transport with its
// certificates and credentials.
//
// It reads certificates, and refuses private keys where a certificate belongs.
// It sends nothing and prints nothing. What Datasync documents is that a
// profile has "transport details, certificates, contact information"; the
// names of the fields are assumed.
package profile

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"datasync-bridge/event"
)

// Profile is the file of one trading partner.
type Profile struct {
	Name     string    `koanf:"name"`
	Contacts []Contact `koanf:"contacts"`
	// Exactly one of AS2 and SFTP is set.
	AS2  *AS2  `koanf:"as2"`
	SFTP *SFTP `koanf:"sftp"`
}

// Contact is whom to call.
type Contact struct {
	Name  string `koanf:"name"`
	Email string `koanf:"email"`
	Phone string `koanf:"phone"`
	Hours string `koanf:"hours"`
	Role  string `koanf:"role"`
}

// AS2 is transport by AS2.
type AS2 struct {
	ID  string `koanf:"as2_id"`
	URL string `koanf:"url"`
	// MDN is sync or async.
	MDN string `koanf:"mdn"`
	// Sign and Encrypt name algorithms; without one Datasync decides.
	Sign         string        `koanf:"sign"`
	Encrypt      string        `koanf:"encrypt"`
	Certificates []Certificate `koanf:"certificates"`
}

// SFTP is transport by SFTP, with a password or a private key.
type SFTP struct {
	Host        string       `koanf:"host"`
	Port        int          `koanf:"port"` // default 22
	Username    string       `koanf:"username" expand:"true"`
	Password    event.Secret `koanf:"password"`
	PrivateKey  event.Secret `koanf:"private_key"`
	HostKey     string       `koanf:"host_key"`
	Directories Directories  `koanf:"directories"`
}

// Directories are where documents are left, seen from our company.
type Directories struct {
	Inbound  string `koanf:"inbound"`
	Outbound string `koanf:"outbound"`
}

// Report takes what is wrong with a key ("as2.url"), or dubious.
type Report func(path, problem string, warning bool)

// The words that a profile may use.
var (
	roles    = []string{"signing", "encryption", "tls"}
	signs    = []string{"sha256", "sha384", "sha512", "sha1"}
	encrypts = []string{"aes128-cbc", "aes192-cbc", "aes256-cbc", "aes128-gcm", "aes192-gcm", "aes256-gcm", "3des"}
	weak     = []string{"sha1", "3des"}
)

// Check reports every fault and every warning, and reads the certificates of
// the files that the profile names, relative to dir.
func (p *Profile) Check(dir string, now time.Time, report Report) {
	if strings.TrimSpace(p.Name) == "" {
		report("name", "is missing; it is how people know the partner", false)
	}
	if len(p.Contacts) == 0 {
		report("contacts", "is missing; whom does the person on call call?", false)
	}
	for i, c := range p.Contacts {
		c.check(fmt.Sprintf("contacts[%d]", i), report)
	}
	switch {
	case p.AS2 == nil && p.SFTP == nil:
		report("", "has no transport; add as2 or sftp", false)
	case p.AS2 != nil && p.SFTP != nil:
		report("sftp", "stands beside as2; a profile has one transport: keep one, and make a second profile for the other", false)
	}
	if p.AS2 != nil {
		p.AS2.check(dir, now, report)
	}
	if p.SFTP != nil {
		p.SFTP.check(report)
	}
}

var emailForm = regexp.MustCompile(`^[^\s@<>"]+@[^\s@<>"]+\.[^\s@<>".]+$`)

func (c Contact) check(at string, report Report) {
	if c.Email == "" && c.Phone == "" {
		report(at, "cannot be reached; give it an email or a phone", false)
	}
	if c.Email != "" && !emailForm.MatchString(c.Email) {
		report(at+".email", fmt.Sprintf("%q is no address, such as edi@partner.example", c.Email), false)
	}
}

func (a *AS2) check(dir string, now time.Time, report Report) {
	switch {
	case a.ID == "":
		report("as2.as2_id", "is missing; it is the partner's AS2 identifier (AS2-To)", false)
	case len(a.ID) > 128 || strings.ContainsFunc(a.ID, func(r rune) bool { return r < ' ' || r > '~' }):
		report("as2.as2_id", "must be 1 to 128 printable ASCII characters (RFC 4130, 6.2)", false)
	}
	if problem := addressProblem(a.URL); problem != "" {
		report("as2.url", problem, false)
	}
	oneOf("as2.mdn", a.MDN, true, []string{"sync", "async"}, report)
	oneOf("as2.sign", a.Sign, false, signs, report)
	oneOf("as2.encrypt", a.Encrypt, false, encrypts, report)
	if len(a.Certificates) == 0 {
		report("as2.certificates", "is missing; AS2 needs the partner's signing and encryption certificates", false)
		return
	}
	held := map[string]bool{}
	for i := range a.Certificates {
		c := &a.Certificates[i]
		at := fmt.Sprintf("as2.certificates[%d]", i)
		oneOf(at+".role", c.Role, true, roles, report)
		if held[c.Role] && slices.Contains(roles, c.Role) {
			report(at+".role", fmt.Sprintf("a second certificate for %s; add the next one when the rollover begins", c.Role), false)
		}
		held[c.Role] = true
		c.read(at+".file", dir, now, report)
	}
	for _, need := range []struct{ algorithm, role string }{{a.Sign, "signing"}, {a.Encrypt, "encryption"}} {
		if need.algorithm != "" && !held[need.role] {
			report("as2.certificates", fmt.Sprintf("%s needs a certificate of role %s; one file may serve for both", need.algorithm, need.role), false)
		}
	}
}

func addressProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return "is missing; it is where the partner receives AS2"
	case err != nil || u.Hostname() == "":
		return "is no URL, such as https://as2.partner.example/receive" // nor repeated: it may hold a password
	case u.Scheme != "https":
		return "must begin with https://"
	case u.User != nil:
		return "must hold no user and password"
	}
	return ""
}

func oneOf(at, word string, needed bool, known []string, report Report) {
	switch {
	case word == "" && !needed:
	case word == "":
		report(at, "is missing; use one of "+strings.Join(known, ", "), false)
	case !slices.Contains(known, word):
		report(at, fmt.Sprintf("%q is none of %s", word, strings.Join(known, ", ")), false)
	case slices.Contains(weak, word):
		report(at, fmt.Sprintf("%s is weak by today's measure; agree with the partner on %s", word, known[0]), true)
	}
}

// hostForm is a name or an address, without scheme and port. A host key is as
// ssh-keyscan prints it after the host, or its SHA-256 fingerprint.
var (
	hostForm    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$|^[0-9A-Fa-f:.]{2,45}$`)
	hostKeyForm = regexp.MustCompile(`^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|rsa-sha2-(256|512)) [A-Za-z0-9+/]{40,}={0,2}( .*)?$|^SHA256:[A-Za-z0-9+/]{43}=?$`)
)

func (s *SFTP) check(report Report) {
	switch {
	case s.Host == "":
		report("sftp.host", "is missing", false)
	case !hostForm.MatchString(s.Host):
		report("sftp.host", "must be a host name or an address, without sftp:// and without a port", false)
	}
	if s.Port == 0 {
		s.Port = 22
	}
	if s.Port < 1 || s.Port > 65535 {
		report("sftp.port", fmt.Sprintf("must be 1 to 65535 (got %d)", s.Port), false)
	}
	if s.Username == "" {
		report("sftp.username", "is missing", false)
	}
	if s.Password == "" && s.PrivateKey == "" {
		report("sftp", "has neither a password nor a private key; add password_file or private_key_file", false)
	}
	if s.PrivateKey != "" && !isPrivateKey(s.PrivateKey.Reveal()) {
		report("sftp.private_key", "holds no private key in PEM, such as ssh-keygen makes", false)
	}
	switch {
	case s.HostKey == "":
		report("sftp.host_key", "is missing; without it nobody can tell the partner's host from another: ssh-keyscan HOST", true)
	case !hostKeyForm.MatchString(s.HostKey):
		report("sftp.host_key", "must be as ssh-keyscan prints it after the host (ssh-ed25519 AAAA…), or SHA256:… of it", false)
	}
	for _, d := range []struct{ at, dir string }{{"inbound", s.Directories.Inbound}, {"outbound", s.Directories.Outbound}} {
		if d.dir != "" && (!path.IsAbs(d.dir) || path.Clean(d.dir) != strings.TrimSuffix(d.dir, "/") && d.dir != "/") {
			report("sftp.directories."+d.at, "must be a whole path on the host, such as /out", false)
		}
	}
}
