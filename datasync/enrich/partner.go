package enrich

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"datasync-bridge/datasync"
	"datasync-bridge/routing/incident"
)

// Bounds of what is kept, in runes: it stands in messages.
const (
	maxName         = 200
	maxWord         = 60
	maxSubject      = 300
	maxError        = 300
	maxCertificates = 20
)

// learned is a partner as it was answered, within bounds. Of what was known
// before, only what was told of its certificates lives on.
func learned(old incident.Partner, a datasync.Partner, now time.Time) (p incident.Partner, replaced []incident.PartnerCertificate) {
	p = incident.Partner{
		Environment: old.Environment, ID: old.ID, FetchedAt: now,
		Name: bound(a.Name, maxName), Status: bound(a.Status, maxWord),
		ContactName: bound(a.Contact.Name, maxName), ContactEmail: bound(a.Contact.Email, maxName),
		ContactPhone: bound(a.Contact.Phone, maxWord), ContactHours: bound(a.Contact.Hours, maxName),
	}
	var certificates []incident.PartnerCertificate
	for _, c := range a.Certificates[:min(len(a.Certificates), maxCertificates)] {
		is := incident.PartnerCertificate{
			ID: bound(c.ID, maxName), Role: bound(c.Role, maxWord), Subject: bound(c.Subject, maxSubject),
			Fingerprint: bound(c.Fingerprint, maxName), NotAfter: c.NotAfter.UTC(),
		}
		if i := slices.IndexFunc(certificates, func(has incident.PartnerCertificate) bool { return same(has, is) }); i >= 0 {
			certificates[i].Role = bound(certificates[i].Role+", "+is.Role, maxWord) // one for signing and encryption ends once
			continue
		}
		certificates = append(certificates, is)
	}
	p.Certificates, replaced = carry(old.Certificates, certificates)
	return p, replaced
}

// differs reports whether messages would read otherwise.
func differs(a, b incident.Partner) bool {
	return a.Name != b.Name || a.Status != b.Status || a.ContactName != b.ContactName ||
		a.ContactEmail != b.ContactEmail || a.ContactPhone != b.ContactPhone || a.ContactHours != b.ContactHours
}

// bound keeps a text from outside printable and short.
func bound(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.TrimSpace(text)
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
