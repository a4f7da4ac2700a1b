package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// Partner is a trading partner.
type Partner struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Contact Contact `json:"contact"`
	// What follows is told by GET /partners/{id} only, never by an event.

	Status string `json:"status"` // default active; one that was just posted is pending
	// Transport is {"as2": {…}} or {"sftp": {…}}, without passwords and keys.
	Transport    map[string]any `json:"transport"`
	Certificates []Certificate  `json:"certificates"`
	// More is what else a profile held.
	More map[string]any `json:"more"`
}

// Contact is whom to call there.
type Contact struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Phone string `json:"phone"`
	Hours string `json:"hours"`
}

// Certificate is one of a partner's.
type Certificate struct {
	ID          string    `json:"id"`
	Role        string    `json:"role"` // signing, encryption, tls
	Subject     string    `json:"subject"`
	Fingerprint string    `json:"sha256_fingerprint"` // hex, pairs separated by colons
	NotAfter    time.Time `json:"not_after"`
}

// PutPartner adds a trading partner, or replaces the one with its id, and
// returns the id; an empty one is filled in. Nothing is told.
func (s *Sandbox) PutPartner(p Partner) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	setText(&p.Status, "active")
	return s.putPartner(p)
}

// Partner returns one by id.
func (s *Sandbox) Partner(id string) (Partner, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, known := s.partners[id]
	if !known {
		return Partner{}, false
	}
	found := *p
	found.Certificates = slices.Clone(p.Certificates)
	return found, true
}

// putPartner keeps a partner without what is secret; s.mu is held.
func (s *Sandbox) putPartner(p Partner) string {
	if p.ID == "" {
		p.ID = s.id("par")
	}
	p.Transport, p.More = withoutSecrets(p.Transport), withoutSecrets(p.More)
	p.Certificates = slices.Clone(p.Certificates)
	for i := range p.Certificates {
		if p.Certificates[i].ID == "" {
			p.Certificates[i].ID = s.id("crt")
		}
	}
	if _, known := s.partners[p.ID]; !known {
		s.partnerOrder = append(s.partnerOrder, p.ID)
		if len(s.partnerOrder) > maxPartners {
			delete(s.partners, s.partnerOrder[0])
			s.partnerOrder = s.partnerOrder[1:]
		}
	}
	s.partners[p.ID] = &p
	return p.ID
}

// mention makes the partner of a transaction known. Of one that is known, it
// fills in only what is missing; s.mu is held.
func (s *Sandbox) mention(p Partner) {
	before := s.partners[p.ID]
	switch {
	case p.ID == "":
	case before == nil:
		setText(&p.Status, "active")
		s.putPartner(p)
	default:
		setText(&before.Name, p.Name)
		if before.Contact == (Contact{}) {
			before.Contact = p.Contact
		}
		if len(before.Certificates) == 0 {
			before.Certificates = slices.Clone(p.Certificates)
		}
	}
}

// postPartner creates a trading partner of a profile: see readProfile.
func (s *Sandbox) postPartner(w http.ResponseWriter, r *http.Request) {
	var in map[string]any
	if !s.read(w, r, &in) {
		return
	}
	p, err := readProfile(in)
	if err != nil {
		s.refuse(w, http.StatusUnprocessableEntity, "invalid_payload", err.Error())
		return
	}
	s.mu.Lock()
	p.Status = "pending"
	id := s.putPartner(p)
	s.mu.Unlock()
	kept, _ := s.Partner(id)
	s.answer(w, http.StatusCreated, s.whole(kept))
}

func (s *Sandbox) getPartner(w http.ResponseWriter, r *http.Request) {
	p, known := s.Partner(r.PathValue("id"))
	if !known {
		s.refuse(w, http.StatusNotFound, "not_found", "no partner "+quote(r.PathValue("id")))
		return
	}
	s.answer(w, http.StatusOK, s.whole(p))
}

// whole is a partner's full configuration and status. Its form is assumed.
func (s *Sandbox) whole(p Partner) map[string]any {
	list := make([]any, 0, len(p.Certificates))
	for _, c := range p.Certificates {
		one := map[string]any{"id": c.ID, "role": c.Role, "subject": c.Subject, "sha256_fingerprint": c.Fingerprint}
		if !c.NotAfter.IsZero() {
			one["not_after"] = c.NotAfter.UTC().Format(time.RFC3339)
		}
		list = append(list, filled(one))
	}
	all := overlay(p.object(), map[string]any{"status": p.Status, "environment": s.o.Environment, "certificates": list})
	if len(p.Transport) > 0 {
		all["transport"] = p.Transport
	}
	for key, v := range p.More {
		if _, taken := all[key]; !taken {
			all[key] = v
		}
	}
	return all
}

// object is what events tell of a partner.
func (p Partner) object() map[string]any {
	c := p.Contact
	return filled(map[string]any{
		"id": p.ID, "name": p.Name,
		"contact": filled(map[string]any{"name": c.Name, "email": c.Email, "phone": c.Phone, "hours": c.Hours}),
	})
}

// text reads a string or a number, as a port or an AS2 id may be written.
func text(m map[string]any, key string) string {
	switch v := m[key].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}
