package datasync

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxCertificates bounds what one partner may bring along.
const maxCertificates = 100

// Partner is a trading partner as Datasync keeps it. A field that the answer
// lacks is empty. Where each is looked for is assumed.
type Partner struct {
	ID           string
	Name         string
	Status       string
	Contact      Contact
	Certificates []Certificate // 100 at most
	RequestID    string
	// Raw is the whole answer, unknown fields included, without what looks like
	// a password, a token or a private key; nil where it is no JSON.
	Raw json.RawMessage
}

// Contact is whom to call at a trading partner.
type Contact struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
	Phone string `json:"phone,omitempty"`
	Hours string `json:"hours,omitempty"`
}

// Certificate is one of a partner's certificates.
type Certificate struct {
	ID          string
	Role        string // signing, encryption, tls
	Subject     string
	Fingerprint string // SHA-256, 64 lower-case hex digits, or ""
	NotAfter    time.Time
}

// Partner reads one trading partner.
func (c *Client) Partner(ctx context.Context, id string) (Partner, error) {
	op := readPartner + clean(id, maxID)
	if err := checkID(id); err != nil {
		return Partner{}, &Error{Op: op, Kind: Payload, Err: err}
	}
	a, err := c.call(ctx, request{op: op, method: http.MethodGet, path: "/partners/" + url.PathEscape(id), read: true})
	if err != nil {
		return Partner{}, err
	}
	p := c.partner(a)
	p.ID = firstOf(p.ID, id)
	return p, nil
}

// CreatePartner makes a trading partner of a profile: the JSON object that
// POST /partners takes. It is not repeated after a failure: by Error.Sent the
// partner may exist all the same. No secret of the profile stands in an error.
func (c *Client) CreatePartner(ctx context.Context, profile map[string]any) (Partner, error) {
	a, err := c.call(ctx, request{
		op: "create partner", method: http.MethodPost, path: "/partners", body: profile, secrets: secretsIn(profile, false),
	})
	if err != nil {
		return Partner{}, err
	}
	return c.partner(a), nil
}

func (c *Client) partner(a answer) Partner {
	o := a.body
	if inner := o.object("partner", "data.partner", "data"); inner != nil {
		o = inner
	}
	p := Partner{
		ID:        o.id("id", "partner_id"),
		Name:      o.line(maxName, "name", "display_name", "company_name"),
		Status:    o.line(maxID, "status", "state"),
		RequestID: a.requestID,
		Raw:       c.withoutSecrets(a),
	}
	contact := o.object("contact", "primary_contact")
	if v, _ := o.find("contacts"); contact == nil {
		if list, _ := v.([]any); len(list) > 0 {
			contact, _ = list[0].(map[string]any)
		}
	}
	p.Contact = Contact{
		Name:  contact.line(maxName, "name", "full_name"),
		Email: contact.line(maxName, "email"),
		Phone: contact.line(maxID, "phone", "telephone"),
		Hours: contact.line(maxName, "hours", "business_hours"),
	}
	p.Certificates = certificates(o)
	return p
}

// certificates reads a list of certificates, or an object of them by role.
func certificates(o object) []Certificate {
	var found []Certificate
	add := func(role string, v any) {
		if m, ok := v.(map[string]any); ok && len(found) < maxCertificates {
			found = append(found, certificate(role, m))
		}
	}
	for _, path := range []string{
		"certificates", "transport.certificates", "transport.as2.certificates", "as2.certificates",
	} {
		v, _ := o.find(path)
		switch v := v.(type) {
		case []any:
			for _, one := range v {
				add("", one)
			}
		case map[string]any:
			for _, role := range slices.Sorted(maps.Keys(v)) {
				add(role, v[role])
			}
		}
		if len(found) > 0 {
			break
		}
	}
	return found
}

func certificate(role string, o object) Certificate {
	c := Certificate{
		ID:       o.id("id", "certificate_id"),
		Role:     strings.ToLower(firstOf(o.line(maxID, "role", "usage", "purpose"), clean(role, maxID))),
		Subject:  o.line(maxName, "subject", "subject_dn", "subject.common_name", "common_name"),
		NotAfter: o.time("not_after", "valid_until", "valid_to", "expires_at", "validity.not_after"),
	}
	for _, path := range []string{
		"sha256_fingerprint", "fingerprint_sha256", "fingerprint.sha256", "sha256", "fingerprint", "thumbprint",
	} {
		if c.Fingerprint = fingerprint(o.text(path)); c.Fingerprint != "" {
			break
		}
	}
	return c
}

// fingerprint spells a SHA-256 in one way; "" where it is none, such as a SHA-1.
func fingerprint(text string) string {
	text = strings.TrimPrefix(strings.ToLower(text), "sha256:")
	text = strings.NewReplacer(":", "", " ", "").Replace(text)
	if b, err := hex.DecodeString(text); err != nil || len(b) != 32 {
		return ""
	}
	return text
}
