package main

import (
	"fmt"
	"slices"
	"strings"

	"datasync-bridge/routing/incident"
)

// kept says what keeps the telling back now, or kept it while it was open, ""
// for nothing; and whether it is a pager that is kept from being called.
func (a *account) kept() (why string, pager bool) {
	held := a.holds()
	if len(held) == 0 {
		return "", false
	}
	// A pager that is held says more than a channel that is.
	at := max(0, slices.IndexFunc(held, func(h incident.HeldRouted) bool { return a.traits[h.Notifier].Pager }))
	return a.heldBy(held[at]), a.traits[held[at].Notifier].Pager
}

// holds are the notifiers that are, or were, held: as the incident knows it
// now, else as the decision was recorded.
func (a *account) holds() []incident.HeldRouted {
	var held []incident.HeldRouted
	if a.inc != nil {
		for _, t := range a.inc.Told {
			if t.Held != nil {
				held = append(held, incident.HeldRouted{Notifier: t.Notifier, Held: *t.Held})
			}
		}
	}
	for _, h := range a.decision.Held {
		if !slices.ContainsFunc(held, func(o incident.HeldRouted) bool { return o.Notifier == h.Notifier }) {
			held = append(held, h)
		}
	}
	return held
}

func (a *account) heldBy(h incident.HeldRouted) string {
	until := ""
	if !h.Until.IsZero() {
		until = " until " + a.face.short(h.Until, a.since())
	}
	switch h.Kind {
	case incident.HeldBySilence:
		return fmt.Sprintf("silence %s holds it%s", h.By, until)
	case incident.HeldByCause:
		return fmt.Sprintf("%s explains it", h.By)
	case incident.HeldByDigest:
		return fmt.Sprintf("%s left to digest %s%s", a.rulesOf(h.Notifier), h.By, until)
	}
	return fmt.Sprintf("%s held%s", a.rulesOf(h.Notifier), until)
}

// rulesOf are the rules that name a notifier, as somebody finds them in the file.
func (a *account) rulesOf(notifier string) string {
	for _, r := range a.decision.Notifiers {
		if r.Notifier != notifier {
			continue
		}
		names := make([]string, 0, len(r.By))
		for _, by := range r.By {
			names = append(names, a.rule(by))
		}
		return strings.Join(names, ", ")
	}
	return notifier
}

// rule is a rule's name and line.
func (a *account) rule(name string) string {
	for _, r := range a.decision.Rules {
		if r.Name == name && r.Line > 0 {
			return fmt.Sprintf("%s (line %d)", name, r.Line)
		}
	}
	return name
}
