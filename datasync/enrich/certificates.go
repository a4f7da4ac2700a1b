package enrich

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"datasync-bridge/event"
	"datasync-bridge/routing/incident"
)

// Types of what is accepted.
const (
	typeExpiring = "partner.certificate_expiring"
	typeExpired  = "partner.certificate_expired"
	typeUpdated  = "partner.certificate_updated"
)

const day = 24 * time.Hour

// identity names a certificate the same at each call. Without an id or a
// fingerprint, another end is another certificate.
func identity(c incident.PartnerCertificate) string {
	return cmp.Or(c.ID, c.Fingerprint, c.Role+"/"+c.Subject+"/"+c.NotAfter.Format(time.DateOnly))
}

// same reports whether nothing that is told of them differs.
func same(a, b incident.PartnerCertificate) bool {
	return identity(a) == identity(b) && a.NotAfter.Equal(b.NotAfter)
}

// carry takes over what was told of certificates that are still the same, and
// returns those that were told of and have been replaced: a later end under the
// same identity, or no place any more in a list that names others. An empty
// list replaces nothing, for it may only mean that the answer left them out.
func carry(old, now []incident.PartnerCertificate) (carried, replaced []incident.PartnerCertificate) {
	carried = append(carried, now...)
	for _, was := range old {
		if was.Told == 0 {
			continue
		}
		still := slices.IndexFunc(carried, func(is incident.PartnerCertificate) bool { return same(is, was) })
		again := slices.IndexFunc(carried, func(is incident.PartnerCertificate) bool { return identity(is) == identity(was) })
		switch {
		case still >= 0:
			carried[still].Told = was.Told
		case again >= 0:
			if carried[again].NotAfter.After(was.NotAfter) {
				replaced = append(replaced, carried[again])
			}
		case len(now) > 0:
			replaced = append(replaced, was)
		}
	}
	return carried, replaced
}

// reminders are what is to be told of a partner's certificates now, and its
// certificates with that marked as told: the lowest threshold that has been
// reached, once, and the end itself.
func reminders(p incident.Partner, source string, thresholds []int, now time.Time) (told []incident.PartnerCertificate, tell []event.Made) {
	told = append(told, p.Certificates...)
	for i, c := range told {
		left := c.NotAfter.Sub(now)
		switch {
		case c.NotAfter.IsZero():
		case left <= 0:
			if c.Told != incident.ToldExpired {
				told[i].Told = incident.ToldExpired
				tell = append(tell, expired(p, c, source, now))
			}
		default:
			days := int(left / day)
			if d := lowest(thresholds, days); d > 0 && (c.Told == 0 || c.Told > d) {
				told[i].Told = d
				tell = append(tell, expiring(p, c, source, days, d))
			}
		}
	}
	return told, tell
}

// lowest is the lowest threshold that so many days have come down to, 0 for none.
func lowest(thresholds []int, days int) int {
	found := 0
	for _, d := range thresholds {
		if days <= d && (found == 0 || d < found) {
			found = d
		}
	}
	return found
}

// nextReminder is when the next threshold or end will be reached, zero for never.
func nextReminder(certificates []incident.PartnerCertificate, thresholds []int, now time.Time) (next time.Time) {
	sooner := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, c := range certificates {
		if c.NotAfter.IsZero() {
			continue
		}
		sooner(c.NotAfter)
		for _, d := range thresholds {
			// A day counts until it is over: 30 days are left from the moment on at
			// which there are no longer 31.
			sooner(c.NotAfter.Add(-time.Duration(d+1)*day + time.Second))
		}
	}
	return next
}

// expiring says that a certificate ends in so many whole days. Its time is that
// at which so many were left, so that it is the same event all day.
func expiring(p incident.Partner, c incident.PartnerCertificate, source string, days, threshold int) event.Made {
	m := made(p, c, source, typeExpiring)
	m.Key = append(m.Key, strconv.Itoa(threshold))
	m.ForeignID += ":" + strconv.Itoa(threshold)
	m.CreatedAt = c.NotAfter.Add(-time.Duration(days+1) * day)
	certificate := m.Data["certificate"].(map[string]any)
	certificate["days_remaining"], certificate["threshold_days"] = days, threshold
	return m
}

// expired says that a certificate has ended. Where nothing had been told of it,
// it happened when it ended: what ended long ago, and stands in a list still,
// is old news. Where its end was awaited, it must not become old news only
// because nobody was there to tell it, so that it happened a few hours ago.
func expired(p incident.Partner, c incident.PartnerCertificate, source string, now time.Time) event.Made {
	const few = 6 * time.Hour
	m := made(p, c, source, typeExpired)
	m.CreatedAt = c.NotAfter
	if c.Told != 0 {
		m.CreatedAt = c.NotAfter.Add(now.Sub(c.NotAfter).Truncate(few))
	}
	return m
}

// updated says that a certificate that was told of is no longer the one that
// ends. Told twice it settles nothing twice, so its key may hold the time.
func updated(p incident.Partner, c incident.PartnerCertificate, source string, now time.Time) event.Made {
	m := made(p, c, source, typeUpdated)
	m.Key = append(m.Key, now.UTC().Format(time.RFC3339Nano))
	m.CreatedAt = now
	return m
}

func made(p incident.Partner, c incident.PartnerCertificate, source, kind string) event.Made {
	end := c.NotAfter.UTC().Format(time.RFC3339)
	certificate, partner := map[string]any{"not_after": end}, map[string]any{}
	fill(certificate, "id", identity(c))
	fill(certificate, "role", c.Role)
	fill(certificate, "subject", c.Subject)
	fill(certificate, "sha256_fingerprint", c.Fingerprint)
	fill(partner, "id", p.ID)
	fill(partner, "name", p.Name)
	return event.Made{
		Source: source, Environment: p.Environment, Origin: event.OriginReconcile, Type: kind,
		ForeignID: kind + ":" + identity(c) + ":" + end,
		Key:       []string{kind, p.ID, identity(c), end},
		Data:      map[string]any{"certificate": certificate, "partner": partner},
	}
}

func fill(m map[string]any, key, text string) {
	if text != "" {
		m[key] = text
	}
}
