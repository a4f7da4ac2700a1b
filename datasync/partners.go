package datasync

import (
	"context"
	"encoding/json"
	"time"
)

// Partner is a trading partner as Datasync keeps it. A field that the answer
// lacks is empty. Where each is looked for is assumed.
type Partner struct {
	ID           string
	Name         string
	Status       string
	Contact      Contact
	Certificates []Certificate
	RequestID    string
	// Raw is the whole answer, unknown fields included, with what looks like a
	// password or a private key taken out.
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
	Fingerprint string // SHA-256, hex
	NotAfter    time.Time
}

// Partner reads one trading partner.
func (c *Client) Partner(ctx context.Context, id string) (Partner, error) {
	return Partner{}, &Error{Op: "read partner " + id, Kind: Unexpected}
}

// CreatePartner makes a trading partner of a profile: the JSON object that
// POST /partners takes.
func (c *Client) CreatePartner(ctx context.Context, profile map[string]any) (Partner, error) {
	return Partner{}, &Error{Op: "create partner", Kind: Unexpected}
}
