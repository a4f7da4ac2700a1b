package datasync

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
)

// secretWords stand in the names of fields that hold secrets; secretNames are
// such names themselves. Both without case and without "_", "-", "." and space.
var (
	secretWords = []string{
		"password", "passwd", "passphrase", "privatekey", "secret", "token", "apikey", "accesskey",
		"authorization", "credential",
	}
	secretNames = map[string]bool{"key": true, "sshkey": true, "pass": true, "pwd": true, "pin": true, "auth": true, "jwt": true}
)

func looksSecret(name string) bool {
	name = strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(strings.ToLower(name))
	if secretNames[name] {
		return true
	}
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// scrubbed returns a decoded JSON value without the fields that look like
// secrets, at any depth, and without private keys and passwords of addresses
// wherever they stand. What v holds is left as it is.
func scrubbed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			if !looksSecret(name) {
				out[name] = scrubbed(inner)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = scrubbed(inner)
		}
		return out
	case string:
		if strings.Contains(v, "PRIVATE KEY") {
			return "<private key>"
		}
		if u, err := url.Parse(v); err == nil && u.User != nil {
			return u.Redacted()
		}
	}
	return v
}

// secretsIn lists the texts in a value that scrubbed would take out by their
// field's name, so that they can be taken out of an error which repeats them.
func secretsIn(v any, secret bool) []string {
	var found []string
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			found = append(found, secretsIn(inner, secret || looksSecret(name))...)
		}
	case []any:
		for _, inner := range v {
			found = append(found, secretsIn(inner, secret)...)
		}
	case string:
		secret = secret || strings.Contains(v, "PRIVATE KEY")
		if secret && v != "" {
			found = append(found, v)
			for line := range strings.Lines(v) { // an error may hold a part of a key
				if line = strings.TrimSpace(line); len(line) >= 16 {
					found = append(found, line)
				}
			}
		}
	}
	return found
}

// withoutSecrets returns an answer as JSON that may be shown, nil where it is
// none.
func (c *Client) withoutSecrets(a answer) json.RawMessage {
	if a.raw == nil {
		return nil
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(a.raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(scrubbed(v)) != nil {
		return nil
	}
	return json.RawMessage(c.redact(strings.TrimSpace(out.String())))
}
