package incident

import (
	"time"

	"datasync-bridge/event"
)

// Partner is what GET /partners/{id} said, as it is kept between calls. It
// fills what an event leaves out in messages; rules never see it, so that what
// they decide does not depend on what happens to be cached.
type Partner struct {
	Environment  event.Environment
	ID           string
	Name         string
	Status       string
	ContactName  string
	ContactEmail string
	ContactPhone string
	ContactHours string
	Certificates []PartnerCertificate
	// FetchedAt is when it was last answered, zero for never; NextAt when it is
	// to be asked for again; Failures counts failed calls since FetchedAt.
	FetchedAt time.Time
	NextAt    time.Time
	Failures  int
	// Error is the last failed call in Datasync's words, "" after a good one.
	Error string
}

// PartnerCertificate is one of a partner's certificates.
type PartnerCertificate struct {
	ID          string
	Role        string // signing, encryption, tls
	Subject     string
	Fingerprint string // SHA-256, hex
	NotAfter    time.Time
	// Told is the threshold in days at which its end was last told, 0 for none
	// yet, ToldExpired once it has ended.
	Told int
}

// ToldExpired marks a certificate whose end has been told.
const ToldExpired = -1

// PartnerRef names a partner that an event was about.
type PartnerRef struct {
	Environment event.Environment
	ID          string
}

// Poll is a durable, leased reading position of one listing.
type Poll struct {
	Name string
	// Watermark is up to when everything listed has been accepted; zero before
	// the first poll.
	Watermark time.Time
	DueAt     time.Time
	Failures  int
	// State is the poller's own, as JSON; nil before there is any.
	State []byte
	Lease Lease
}
