package profile

import (
	"strings"
	"unicode"

	"datasync-bridge/event"
)

// Body is the JSON object that POST /partners takes; its names are assumed.
// Passwords and private keys in it are of type event.Secret, so that printing
// it shows none of them: Reveal makes of it what is sent.
func (p *Profile) Body() map[string]any {
	body := map[string]any{"name": p.Name}
	if len(p.Contacts) > 0 {
		contacts := make([]any, len(p.Contacts))
		for i, c := range p.Contacts {
			contacts[i] = object("name", c.Name, "email", c.Email, "phone", c.Phone, "hours", c.Hours, "role", c.Role)
		}
		body["contacts"] = contacts
	}
	if a := p.AS2; a != nil {
		body["transport"] = map[string]any{
			"as2": object("as2_id", a.ID, "url", a.URL, "mdn", a.MDN, "sign", a.Sign, "encrypt", a.Encrypt),
		}
		certificates := make([]any, len(a.Certificates))
		for i, c := range a.Certificates {
			certificates[i] = object("role", c.Role, "sha256_fingerprint", c.Fingerprint, "pem", c.pem)
		}
		body["certificates"] = certificates
	}
	if s := p.SFTP; s != nil {
		sftp := object("host", s.Host, "username", s.Username, "host_key", s.HostKey)
		sftp["port"] = s.Port
		if directories := object("inbound", s.Directories.Inbound, "outbound", s.Directories.Outbound); len(directories) > 0 {
			sftp["directories"] = directories
		}
		if s.Password != "" {
			sftp["password"] = s.Password
		}
		if s.PrivateKey != "" {
			sftp["private_key"] = s.PrivateKey
		}
		body["transport"] = map[string]any{"sftp": sftp}
	}
	return body
}

// object makes an object of names and texts, without those that are empty.
func object(pairs ...string) map[string]any {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}

// Reveal copies a body with its secrets as plain text, for the one call.
func Reveal(body map[string]any) map[string]any {
	out := make(map[string]any, len(body))
	for key, v := range body {
		switch v := v.(type) {
		case event.Secret:
			out[key] = v.Reveal()
		case map[string]any:
			out[key] = Reveal(v)
		default: // no secret lies in a list
			out[key] = v
		}
	}
	return out
}

// piece is how much of a secret must stand in a text to count as a part of it.
const piece = 8

// Repeats reports whether a text that came from elsewhere holds one of the
// profile's secrets, or a part of one, however its lines were broken.
func (p *Profile) Repeats(text string) bool {
	if p.SFTP == nil {
		return false
	}
	text = squeezed(text)
	for _, secret := range []event.Secret{p.SFTP.Password, p.SFTP.PrivateKey} {
		bare := squeezed(armour(secret.Reveal()))
		for i := 0; i == 0 || i+piece <= len(bare); i++ {
			if part := bare[i:min(i+piece, len(bare))]; part != "" && strings.Contains(text, part) {
				return true
			}
		}
	}
	return false
}

// armour takes away the lines that every PEM text has.
func armour(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "-----") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func squeezed(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
}
