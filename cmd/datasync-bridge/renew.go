package main

import (
	"fmt"
	"time"

	"datasync-bridge/certificate"
	"datasync-bridge/event"
)

// renewalPatience is how long files may hold what cannot be used before that is
// told: one file is new and the other is not yet while they are being replaced.
const renewalPatience = time.Minute

// shown is the certificate of one listener.
type shown struct {
	at   string // "server.tls"
	pair *certificate.Pair
}

// show has reloads say what is wrong with a listener's certificate; nil is none.
func (r *reloader) show(at string, pair *certificate.Pair) {
	if pair != nil {
		r.shown = append(r.shown, shown{at, pair})
	}
}

// unused says why what the files of certificates hold is not in use.
func (r *reloader) unused() (warnings []string) {
	for _, s := range r.shown {
		if _, why := s.pair.Problem(); why != nil {
			warnings = append(warnings, fmt.Sprintf("%s: warning: the renewed certificate cannot be used; the one before stays in use until %s UTC: %v",
				s.at, s.until(), why))
		}
	}
	return warnings
}

// stale tells of certificates that could not be taken over.
func (r *reloader) stale() (list []trouble) {
	for _, s := range r.shown {
		since, why := s.pair.Problem()
		if why == nil || time.Since(since) < renewalPatience {
			continue
		}
		list = append(list, trouble{
			kind: configRejected, subject: s.at, environment: event.Production,
			text: fmt.Sprintf("the renewed certificate of %s cannot be used since %s UTC, and the one before stays in use until %s UTC: %v",
				s.at, since.UTC().Format("15:04"), s.until(), why),
		})
	}
	return list
}

// until is when the certificate in use ends, as people read it.
func (s shown) until() string { return s.pair.Ends().UTC().Format("2006-01-02 15:04") }
